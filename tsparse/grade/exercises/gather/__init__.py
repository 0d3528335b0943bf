"""The exercises of lesson 11: block-sparse attention in PyTorch, forward and backward."""

from tsparse.grade.exercises.gather.backward import BACKWARD
from tsparse.grade.exercises.gather.backward_row import BACKWARD_ROW
from tsparse.grade.exercises.gather.forward import FORWARD
from tsparse.grade.exercises.gather.row import ROW

EXERCISES = (ROW, FORWARD, BACKWARD_ROW, BACKWARD)
