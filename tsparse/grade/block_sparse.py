"""Four kernels of the course as one operation that autograd knows: attention over the blocks of a window.

The lessons from 16 on put a reader's own kernels (`mine`) into it, in place of the course's. What each kernel
is given is what its exercise says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from tsparse.grade.exercises.blocks.lists import csr as lists
from tsparse.grade.exercises.kernel.lists import listed as table_of
from tsparse.layout import BlockLayout

CrowCol = tuple[Tensor, Tensor]


class Kernels(NamedTuple):
    """`kernel.partial`, `kernel.delta`, `kernel.dq` and `kernel.dkdv`."""

    partial: Any
    delta: Any
    dq: Any
    dkdv: Any


class Lists(NamedTuple):
    """The blocks of a layout as crow and col, int32: full ones, partial ones, all, and all transposed."""

    full: CrowCol
    partial: CrowCol
    rows: CrowCol
    columns: CrowCol

    def to(self, device: torch.device | str) -> Lists:
        """The same lists on a device."""
        return Lists(*((crow.to(device), col.to(device)) for crow, col in self))


def lists_of(layout: BlockLayout) -> Lists:
    """The lists of a layout of one batch entry and one head."""
    columns = layout.n_kv_blocks
    full = table_of(layout.full_crow_indices.flatten(), layout.full_col_indices, columns)
    partial = table_of(layout.crow_indices.flatten(), layout.col_indices, columns)
    return Lists(lists(full), lists(partial), lists(full | partial), lists((full | partial).T))


class Walk(NamedTuple):
    """What stays the same from call to call: kernels, lists, the window, BLOCK_M and BLOCK_N."""

    kernels: Kernels
    lists: Lists
    window: int
    block: tuple[int, int]

    def constants(self, dim: int) -> dict[str, int]:
        """The `tl.constexpr` of the kernels."""
        return {"WINDOW": self.window, "HEAD_DIM": dim, "BLOCK_M": self.block[0], "BLOCK_N": self.block[1]}


class Attention(torch.autograd.Function):
    """Attention of q `[Z, N, D]` over k, v `[Z, M, D]`; forward all heads at once, backward one by one."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, walk: Walk) -> Tensor:
        """Out, like q; lse is kept in float32, for float64 in float64."""
        q, k, v = (x.contiguous() for x in (q, k, v))
        out, lse = (
            torch.empty_like(q),
            q.new_empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32)),
        )
        strides = [x.stride(axis) for x in (q, k, out) for axis in (0, 1)]
        found = walk.lists
        walk.kernels.partial[(len(found.rows[0]) - 1, len(q))](
            *(q, k, v, out, lse, *found.full, *found.partial, q.shape[1], k.shape[1], *strides),
            q.shape[2] ** -0.5,
            **walk.constants(q.shape[2]),
        )
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.walk = walk
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of q, k and v."""
        heads = zip(*ctx.saved_tensors, dout.contiguous(), strict=True)
        gradients = [one_head(q, k, v, out, lse, do, ctx.walk) for q, k, v, out, lse, do in heads]
        return (*(torch.stack(x) for x in zip(*gradients, strict=True)), None)


def one_head(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, dout: Tensor, walk: Walk
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q `[N, D]`, k and v `[M, D]` of one head: delta, then dq, then dk and dv."""
    (n_q, dim), n_kv = q.shape, len(k)
    delta, dq, dk, dv = (torch.empty_like(x) for x in (lse, q, k, v))
    rows, columns = len(walk.lists.rows[0]) - 1, len(walk.lists.columns[0]) - 1
    sizes, more = (n_q, n_kv, dim, dim, dim, dim**-0.5), walk.constants(dim)
    walk.kernels.delta[(rows,)](out, dout, delta, n_q, dim, dim, HEAD_DIM=dim, BLOCK_M=walk.block[0])
    given = (q, k, v, dout, lse, delta)
    walk.kernels.dq[(rows,)](*given, dq, *walk.lists.rows, *sizes, **more)
    walk.kernels.dkdv[(columns,)](*given, dk, dv, *walk.lists.columns, *sizes, **more)
    return dq, dk, dv
