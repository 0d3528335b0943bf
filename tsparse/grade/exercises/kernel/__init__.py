"""Exercises of lessons 15 and 16: attention over lists of blocks, forward and backward."""

from tsparse.grade.exercises.kernel import forward, judge, partial

EXERCISES = (judge.EXERCISE, forward.EXERCISE, partial.EXERCISE)
