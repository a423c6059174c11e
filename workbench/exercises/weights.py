"""Exercises of a lesson."""

from __future__ import annotations

from workbench.exercises.exercise import Exercise

EXERCISES: tuple[Exercise, ...] = ()
