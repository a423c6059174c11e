"""The exercises of the lessons: what each asks stands in its notebook, how an answer is judged here, a module a lesson.

No answer is written down: each is judged by an oracle that computes it, or by the properties that it must have.
"""
