"""The exercises of lesson 03: channels cut into heads, attention in each, and heads that share keys.

Formulas: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.2; shared keys: Ainslie et al. 2023
(arXiv:2305.13245), section 2.2.
"""

from tsparse.grade.exercises.heads.grouped_query import GROUPED_QUERY
from tsparse.grade.exercises.heads.merge import MERGE
from tsparse.grade.exercises.heads.multi_head import MULTI_HEAD
from tsparse.grade.exercises.heads.split import SPLIT

EXERCISES = (SPLIT, MERGE, MULTI_HEAD, GROUPED_QUERY)
