"""The exercises of lesson 09: from a mask to blocks, to lists of blocks, and to lists without a mask.

Masks are True where a query may see a key; `block` is (queries, keys) of a block; lists are int32.
"""

from tsparse.grade.exercises.blocks.kinds import ANY_BLOCK, CLASSIFY
from tsparse.grade.exercises.blocks.lists import CSR, TRANSPOSE
from tsparse.grade.exercises.blocks.window import WINDOW_LAYOUT

EXERCISES = (ANY_BLOCK, CLASSIFY, CSR, TRANSPOSE, WINDOW_LAYOUT)
