"""Lesson 04: where a token stands: added to it (sinusoidal), turned (rotary), taken off scores (ALiBi)."""

from tsparse.grade.exercises.positions.alibi import ALIBI
from tsparse.grade.exercises.positions.rotary import ROTARY
from tsparse.grade.exercises.positions.sinusoidal import SINUSOIDAL

EXERCISES = (SINUSOIDAL, ROTARY, ALIBI)
