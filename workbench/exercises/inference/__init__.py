"""Lesson 04: what a latency says of a throughput, of the slow few and of a queue; eval(), and fewer bits."""

from workbench.exercises.inference import eval, queue, shrink, tail, throughput

EXERCISES = tuple(module.EXERCISE for module in (throughput, eval, tail, queue, shrink))
