"""Numbered blocks: from the blocks of a pattern to the lists of a layout, and what is inside of a block.

A block is numbered `((b * H' + h) * R + row) * C + column`, so rising numbers walk row by row. What is looked
into at once is bounded, whatever the number of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .patterns import Pattern
from .patterns.base import alike
from .runs import Grid

ELEMENTS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class BlockLists:
    """For each row of blocks its partial and its full blocks, rising.

    The blocks of row r of batch entry b and head h are `col_indices[crow[b, h, r]:crow[b, h, r + 1]]`.
    `crow_indices` is int32 `[B', H', R + 1]` with offsets into the one flat int32 `col_indices`; B' and H'
    are 1 where all batch entries or all heads agree. `full_*` likewise. `heaviest`, int32 `[B', H', R]`, has
    the rows with most blocks first: the order in which a GPU begins them, so that none is late.
    """

    crow_indices: Tensor
    col_indices: Tensor
    full_crow_indices: Tensor
    full_col_indices: Tensor
    heaviest: Tensor

    def to(self, device: torch.device) -> BlockLists:
        """These lists on another device."""
        return BlockLists(*(getattr(self, field.name).to(device) for field in fields(self)))


def places(numbers: Tensor, grid: Grid, heads: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Batch entry, head, row and column of numbered blocks."""
    row, slot = numbers // grid.columns, numbers // (grid.columns * grid.rows)
    return slot // heads, slot % heads, row % grid.rows, numbers % grid.columns


def number(crow_indices: Tensor, col_indices: Tensor, columns: int) -> Tensor:
    """The numbers of listed blocks."""
    counts = crow_indices.diff(dim=-1).flatten()
    rows = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    return rows * columns + col_indices


def turned(numbers: Tensor, rows: int, columns: int) -> Tensor:
    """The numbers that blocks have in the transposed grid."""
    slot, row, column = numbers // (rows * columns), numbers // columns % rows, numbers % columns
    return (slot * columns + column) * rows + row


def lists(partial: Tensor, full: Tensor, shape: tuple[int, int, int, int]) -> BlockLists:
    """Lists of numbered blocks in a grid of `shape` (B', H', R, C)."""
    crow_indices, col_indices = _compress(partial, shape)
    full_crow_indices, full_col_indices = _compress(full, shape)
    count = crow_indices.diff(dim=-1) + full_crow_indices.diff(dim=-1)
    heaviest = count.argsort(dim=-1, descending=True, stable=True).int()
    return BlockLists(crow_indices, col_indices, full_crow_indices, full_col_indices, heaviest)


def _compress(numbers: Tensor, shape: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """`crow_indices [B', H', R + 1]` and `col_indices` of numbered blocks in any order."""
    if len(numbers) >= 2**31:
        raise ValueError(f"{len(numbers)} blocks are too many for int32 lists; take a larger block")
    batch, heads, rows, columns = shape
    numbers = numbers.sort().values
    starts = torch.arange(batch * heads * rows + 1, device=numbers.device) * columns
    crow = torch.searchsorted(numbers, starts, out_int32=True).unfold(0, rows + 1, rows)
    return crow.reshape(batch, heads, rows + 1).contiguous(), (numbers % columns).int()


def at_once(grid: Grid) -> int:
    """Number of blocks that may be looked into together."""
    return max(1, ELEMENTS_AT_ONCE // (grid.block[0] * grid.block[1]))


def decide(pattern: Pattern, grid: Grid, heads: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Whether some and whether all elements of numbered blocks are seen."""
    some, every = torch.empty(2, len(numbers), dtype=torch.bool, device=grid.device)
    for start in range(0, len(numbers), at_once(grid)):
        part = slice(start, start + at_once(grid))
        b, h, row, column = places(numbers[part], grid, heads)
        masks, which = tile_masks(pattern, grid, b, h, row, column)
        seen = masks.sum(dim=(1, 2))[which]
        n_q, n_kv = _sizes(grid, row, column)
        some[part], every[part] = seen > 0, seen == n_q * n_kv
    return some, every


def _sizes(grid: Grid, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """How many queries and keys blocks have."""
    n_q = (grid.n_q - row * grid.block[0]).clamp(max=grid.block[0])
    return n_q, (grid.n_kv - column * grid.block[1]).clamp(max=grid.block[1])


def tile_masks(
    pattern: Pattern, grid: Grid, b: Tensor, h: Tensor, row: Tensor, column: Tensor
) -> tuple[Tensor, Tensor]:
    """See `BlockLayout.tile_masks`. The pattern is asked once for all blocks that look alike."""
    one, which = look_alike(pattern, grid, b, h, row, column)
    return masks(pattern, grid, b[one], h[one], row[one], column[one]), which


def look_alike(
    pattern: Pattern, grid: Grid, b: Tensor, h: Tensor, row: Tensor, column: Tensor
) -> tuple[Tensor, Tensor]:
    """Of n blocks `one [u]` of each kind, and `which [n]` kind each block is, by their fingerprints."""
    start_q, start_k = row * grid.block[0] + grid.q_offset, column * grid.block[1]
    fingerprint = pattern.fingerprint(b, h, start_q, start_k, grid.block)
    fingerprint = torch.cat([fingerprint, torch.stack(_sizes(grid, row, column), dim=1)], dim=1)
    return alike(fingerprint)


def masks(pattern: Pattern, grid: Grid, b: Tensor, h: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """What the pattern shows in u blocks, bool `[u, block_q, block_k]`; nothing past the end."""
    start_q, start_k = row * grid.block[0] + grid.q_offset, column * grid.block[1]
    n_q, n_kv = (size[:, None] for size in _sizes(grid, row, column))
    inside_q, inside_k = (torch.arange(width, device=grid.device) for width in grid.block)
    q_idx = start_q[:, None] + torch.minimum(inside_q, n_q - 1)  # past the end: the last one that exists
    kv_idx = start_k[:, None] + torch.minimum(inside_k, n_kv - 1)
    places = b[:, None, None], h[:, None, None], q_idx[:, :, None], kv_idx[:, None, :]
    seen = pattern.ask(*(place.int() for place in places))  # int32 is twice as fast
    return seen & (inside_q < n_q)[:, :, None] & (inside_k < n_kv)[:, None, :]
