"""Exercises of lesson 16: the backward pass over block lists, and a test for gradients."""

from tsparse.grade.exercises.kernel.delta import DELTA
from tsparse.grade.exercises.kernel.dkdv import DKDV
from tsparse.grade.exercises.kernel.dq import DQ
from tsparse.grade.exercises.kernel.wrong_gradients import WRONG_GRADIENTS

EXERCISES = (DELTA, DQ, DKDV, WRONG_GRADIENTS)
