"""Lists of blocks for the kernels of lessons 15 and 16: drawn, read, and handed to a launch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tsparse.grade.exercise import Blocks, Mistake
from tsparse.grade.exercises.flash import forward as flash
from tsparse.grade.launches import Launch
from tsparse.grade.outside import visited

BLOCK_M, BLOCK_N = flash.TALL


def listed(crow: Tensor, col: Tensor, columns: int) -> Tensor:
    """The table `[R, columns]` that lists stand for."""
    rows = torch.arange(len(crow) - 1).repeat_interleave(crow.diff().long())
    table = torch.zeros(len(crow) - 1, columns, dtype=torch.bool)
    table[rows.cpu(), col.long().cpu()] = True
    return table


def elements(table: Tensor, n_q: int, n_kv: int, block: tuple[int, int] = flash.TALL) -> Tensor:
    """A table of blocks as a mask `[n_q, n_kv]`."""
    return table.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)[:n_q, :n_kv]


def in_window(n_q: int, n_kv: int, window: int) -> Tensor:
    """Whether query i may see key j, 0 <= i - j < window: `[n_q, n_kv]`."""
    gap = torch.arange(n_q)[:, None] - torch.arange(n_kv)
    return (gap >= 0) & (gap < window)


def attended(q: Tensor, k: Tensor, v: Tensor, sm_scale: float, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Attention under a mask `[n_q, n_kv]`: out and lse, 0 and -inf for a query that sees nothing."""
    out, lse = flash.attended(q, k, v, sm_scale, mask)
    return out.where(mask.any(-1)[:, None], 0.0), lse


def launched(
    q: Tensor, k: Tensor, v: Tensor, sm_scale: float, lists: dict[str, Tensor], constants: dict[str, Any]
) -> Launch:
    """The launch of lesson 14 with lists before `n_q`, and constants before its own."""
    asked = flash.launch(q, k, v, sm_scale)
    pointers = {name: value for name, value in asked.arguments.items() if name.endswith("_ptr")}
    numbers = {name: value for name, value in asked.arguments.items() if name not in pointers}
    return Launch(asked.grid, pointers | lists | numbers, constants | asked.constants, asked.outputs)


def tiles(wanted: Tensor, heads: int) -> Blocks:
    """The tiles `[R, C]` that are wanted of each of so many heads, two products for each."""
    return Blocks(wanted, (BLOCK_M, BLOCK_N), "o_ptr", "v_ptr", 2 * heads * int(wanted.sum()))


def visited_tiles(mistake: Mistake) -> tuple[int, int]:
    """How many tiles were visited, and how many the lists hold."""
    assert mistake.launched is not None
    assert mistake.blocks is not None
    return int(visited(mistake.launched, mistake.blocks).sum()), int(mistake.blocks.wanted.sum())
