"""Which tile a kernel works with, on which device.

A tile is `BLOCK_M` queries by `BLOCK_N` keys. It divides the block of the layout, which may be larger.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

Kernel = Literal["forward", "dkdv", "dq"]
LEAST = 16  # what a matrix instruction takes


class Tile(NamedTuple):
    """Queries and keys of a tile, and how a GPU works on it."""

    BLOCK_M: int
    BLOCK_N: int
    num_warps: int
    num_stages: int


def choose(kernel: Kernel, target: str, dtype: torch.dtype, head_dim: int, block: tuple[int, int]) -> Tile:
    """The tile for a kernel on a target: "interpreter", or as in "sm_90" and "gfx942".

    Raises ValueError for a block that is not a multiple of 16 on both sides.
    """
    widest = [side & -side for side in block]  # the largest power of two that divides it
    if min(widest) < LEAST:
        raise ValueError(
            f'backend="triton" needs blocks that are multiples of {LEAST}, got {block}; '
            f'make the layout with block={max(LEAST, 64)}, or use backend="gather"'
        )
    if target == "interpreter":
        return Tile(widest[0], widest[1], num_warps=1, num_stages=1)
    block_m, block_n, warps, stages = _best(kernel, target, dtype, head_dim)
    return Tile(min(block_m, widest[0]), min(block_n, widest[1]), warps, stages)


def _best(kernel: Kernel, target: str, dtype: torch.dtype, head_dim: int) -> tuple[int, int, int, int]:
    """Tile, warps and stages where the layout's blocks allow it."""
    if dtype.itemsize > 2 or target == "sm_75":
        return (32, 32, 4, 2)
    if kernel == "forward":
        return (128, 128, 8, 3) if head_dim <= 64 else (128, 64, 8, 3)
    return (64, 64, 8, 2)
