"""The exercises of lesson 06: what attention costs, counted before it runs.

Every answer is a whole number: floating-point operations, bytes, or tokens.
"""

from tsparse.grade.exercises.cost.flops import ATTENTION_FLOPS
from tsparse.grade.exercises.cost.memory import LONGEST_SEQUENCE
from tsparse.grade.exercises.cost.traffic import ATTENTION_BYTES

EXERCISES = (ATTENTION_FLOPS, ATTENTION_BYTES, LONGEST_SEQUENCE)
