"""Exercises of lesson 14: the online softmax as a kernel."""

from tsparse.grade.exercises.flash import causal, forward, update

EXERCISES = (update.EXERCISE, forward.EXERCISE, causal.EXERCISE)
