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

    Found by compiling with Triton 3.7.1 (`tsparse inspect`): nothing spills at head sizes 64 and 128.
    With 3.6.0 dkdv spills, 8 bytes of a thread on sm_90 at 128 and about 450 on gfx942. On sm_75, and for
    float32 on NVIDIA, Triton uses no tensor cores, and a tile is what the threads' own registers multiply.
    On sm_100 a tile that needs over 512 columns of tensor memory compiles to a kernel that does nothing.
    """
    wider = (head_dim > 64) + (head_dim > 128)
    if target.startswith("gfx"):
        level = wider + (kernel == "dkdv") + (itemsize > 2)
        return [(64, 64, 4, 3), (64, 64, 4, 3), (64, 32, 4, 3), (32, 16, 4, 2), (16, 16, 4, 2)][level]
    if target == "sm_75" or itemsize > 2:
        level = wider + (target == "sm_75" and kernel != "forward")
        return [(32, 32, 8, 2), (32, 16, 8, 1), (16, 16, 8, 1), (16, 16, 8, 1)][level]
    if wider == 2:
        return (64, 32 if kernel == "dkdv" else 64, 8, 2)
    padded = head_dim & (head_dim - 1) > 0  # no power of two: rows are loaded with a mask
    if target == "sm_80" and wider and (padded or kernel == "dkdv"):
        return (64, 64, 8, 2)
    return (128, 64, 8, 3)
