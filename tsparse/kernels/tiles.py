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
    rows, walked, warps, stages = _best(kernel, target, dtype.itemsize, head_dim)
    block_m, block_n = (walked, rows) if kernel == "dkdv" else (rows, walked)
    return Tile(min(block_m, widest[0]), min(block_n, widest[1]), warps, stages)


def _best(kernel: Kernel, target: str, itemsize: int, head_dim: int) -> tuple[int, int, int, int]:
    """What fits: rows of a program, what it walks over at a time, warps and stages.

    Found by compiling (`tsparse inspect`): the largest that spill nothing for head sizes up to 128, also with
    bit-packed masks and grouped heads. On sm_75, and for float32, Triton has no use for tensor cores.
    """
    small = head_dim <= 64
    if target.startswith("gfx"):
        if itemsize > 2:
            return (64, 32, 4, 2) if small or kernel != "dkdv" else (32, 16, 4, 2)
        return (64, 64 if small or kernel != "dkdv" else 32, 4, 3)
    if target == "sm_75" and itemsize == 2 and kernel != "forward":
        return (32, 16, 8, 1) if small else (16, 16, 8, 1)
    if target == "sm_75" or itemsize > 2:
        return (32, 32, 8, 2) if small else (32, 16, 8, 1)
    if target == "sm_80" and kernel == "dkdv" and not small:
        return (64, 64, 8, 2)
    return (128, 64, 8, 3)
