"""The exercises of the lessons: what each asks stands in its notebook, how an answer is judged here.

A folder for each lesson, in it a module for each exercise, called as its id is: 05-tamper is deployment/tamper.py. No
answer is written down: each is judged by an oracle that computes it, or by the properties that it must have.
"""
