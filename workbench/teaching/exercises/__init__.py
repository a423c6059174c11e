"""The exercises: their tasks are in the notebooks, their hints and checks here.

Each lesson has a folder, each exercise a module named after its id: 05-tamper is deployment/tamper.py. No expected
answer is stored: an oracle computes it, or the answer's properties are tested.
"""
