"""Lesson 01: softmax, scores, attention under a mask, and the gradient of the softmax.

Formulas: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.1.
"""

from tsparse.grade.exercises.attention.scores import SCORES
from tsparse.grade.exercises.attention.sdpa import SDPA
from tsparse.grade.exercises.attention.softmax import SOFTMAX
from tsparse.grade.exercises.attention.softmax_backward import SOFTMAX_BACKWARD

EXERCISES = (SOFTMAX, SCORES, SDPA, SOFTMAX_BACKWARD)
