"""Patterns: which key may a query see, and which key blocks can a query block touch at all.

Every pattern says the same thing twice: as an elementwise rule (`__call__`, which FlexAttention takes as a
mask_mod as it stands), and as arithmetic on blocks (`runs`), from which a layout of a million tokens is made
without looking at single elements. The rules work on positions: key k stands at k, query i at i + q_offset.
`&`, `|` and `~` combine patterns; they are immutable and compared by identity.
"""

from .bands import Causal, Full, Local, Prefix, SlidingWindow
from .base import And, Not, Or, Pattern
from .heads import PerHead
from .named import bigbird, longformer
from .random import RandomBlocks
from .steps import Dilated, Strided, block_diagonal
from .summaries import Columns, Fixed
from .tables import Documents, Global, Padding

__all__ = [
    "And",
    "Causal",
    "Columns",
    "Dilated",
    "Documents",
    "Fixed",
    "Full",
    "Global",
    "Local",
    "Not",
    "Or",
    "Padding",
    "Pattern",
    "PerHead",
    "Prefix",
    "RandomBlocks",
    "SlidingWindow",
    "Strided",
    "bigbird",
    "block_diagonal",
    "longformer",
]
