"""The exercises of lesson 08: named patterns as masks, how far they reach, and the order that makes blocks.

All masks are square: as many keys as queries, positions from 0. True = may attend.
"""

from tsparse.grade.exercises.patterns.bigbird import BIGBIRD
from tsparse.grade.exercises.patterns.fixed import FIXED
from tsparse.grade.exercises.patterns.order import STRIDED_ORDER
from tsparse.grade.exercises.patterns.reach import REACH
from tsparse.grade.exercises.patterns.strided import STRIDED

EXERCISES = (STRIDED, FIXED, BIGBIRD, REACH, STRIDED_ORDER)
