"""The exercises of lesson 10: what PyTorch's FlexAttention wants to be given."""

from tsparse.grade.exercises.flex.lists import BLOCK_LISTS
from tsparse.grade.exercises.flex.rules import MASK_MOD
from tsparse.grade.exercises.flex.scores import SCORE_MOD

EXERCISES = (MASK_MOD, SCORE_MOD, BLOCK_LISTS)
