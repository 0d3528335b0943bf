"""Exercises of lessons 15 and 16: attention over lists of blocks, forward and backward."""

from tsparse.grade.exercises.kernel import forward, judge, partial
from tsparse.grade.exercises.kernel.delta import DELTA
from tsparse.grade.exercises.kernel.dkdv import DKDV
from tsparse.grade.exercises.kernel.dq import DQ
from tsparse.grade.exercises.kernel.wrong_gradients import WRONG_GRADIENTS

EXERCISES = (
    *(judge.EXERCISE, forward.EXERCISE, partial.EXERCISE),
    *(DELTA, DQ, DKDV, WRONG_GRADIENTS),
)
