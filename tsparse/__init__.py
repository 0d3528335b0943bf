"""Sparse attention: patterns, block layouts and `sparse_attention`, the package beside the course.

    pattern = (SlidingWindow(256) | Global(4)) & Causal()
    out = sparse_attention(q, k, v, pattern.layout(q.shape[2]))

Where there is no GPU, importing this switches Triton's interpreter on, so that the kernels run on the CPU.
Triton reads that switch once, when it is imported: import `tsparse` first. If Triton came first, everything
but `tsparse.kernels` still works, and the kernels say what to do.
"""

import os
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from . import reference
from .attention import sparse_attention
from .layout import BlockLayout
from .patterns import (
    Causal,
    Columns,
    Dilated,
    Documents,
    Fixed,
    Full,
    Global,
    Local,
    Padding,
    Pattern,
    PerHead,
    Prefix,
    RandomBlocks,
    SlidingWindow,
    Strided,
    bigbird,
    longformer,
)

__all__ = [
    "BlockLayout",
    "Causal",
    "Columns",
    "Dilated",
    "Documents",
    "Fixed",
    "Full",
    "Global",
    "Local",
    "Padding",
    "Pattern",
    "PerHead",
    "Prefix",
    "RandomBlocks",
    "SlidingWindow",
    "Strided",
    "bigbird",
    "longformer",
    "mine",
    "prepare_notebook",
    "reference",
    "sparse_attention",
]


def __getattr__(name: str) -> Any:
    """`prepare_notebook` and `mine` on first use: they import what the rest of the package does not need."""
    if name == "mine":
        from .grade.own import mine

        return mine
    if name == "prepare_notebook":
        from .notebook import prepare_notebook

        return prepare_notebook
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
