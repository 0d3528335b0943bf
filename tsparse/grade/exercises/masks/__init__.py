"""The exercises of lesson 02: which key may a query see?

A mask is a table of True and False: rows are queries, columns are keys, True = may attend.
"""

from tsparse.grade.exercises.masks.groups import DOCUMENTS, PADDING
from tsparse.grade.exercises.masks.leak import FIRST_LEAK
from tsparse.grade.exercises.masks.positions import CAUSAL, SLIDING_WINDOW
from tsparse.grade.exercises.masks.softmax import MASKED_SOFTMAX

EXERCISES = (CAUSAL, SLIDING_WINDOW, PADDING, DOCUMENTS, MASKED_SOFTMAX, FIRST_LEAK)
