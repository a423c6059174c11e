"""Lesson 00: read a comparison of devices, and time a function reliably."""

from workbench.teaching.exercises.start import overtake, typical

EXERCISES = (overtake.EXERCISE, typical.EXERCISE)
