"""Block layouts: which blocks of a mask hold anything, as lists that an attention kernel walks.

`BlockLayout.build` (or `pattern.layout(n)`) takes the runs a pattern knows by arithmetic, looks inside the
blocks that stay undecided, a bounded chunk at a time, and writes the lists. Nothing here is ever as large as
the mask, except `dense_mask`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from . import conversions
from .arguments import block_size, whole
from .patterns import Pattern
from .runs import FULL, PARTIAL, UNDECIDED, Grid

ELEMENTS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class BlockLists:
    """For each row of blocks its partial and its full blocks, rising.

    The blocks of row r of batch entry b and head h are `col_indices[crow[b, h, r]:crow[b, h, r + 1]]`.
    `crow_indices` is int32 `[B', H', R + 1]` with offsets into the one flat int32 `col_indices`; B' and H'
    are 1 where all batch entries or all heads agree. `full_*` likewise.
    """

    crow_indices: Tensor
    col_indices: Tensor
    full_crow_indices: Tensor
    full_col_indices: Tensor

    def to(self, device: torch.device) -> BlockLists:
        """These lists on another device."""
        return BlockLists(
            self.crow_indices.to(device),
            self.col_indices.to(device),
            self.full_crow_indices.to(device),
            self.full_col_indices.to(device),
        )


@dataclass(frozen=True, eq=False, repr=False)
class BlockLayout:
    """The blocks of one pattern at one size: partial ones (`crow_indices`, `col_indices`) and full ones.

    `Causal()` over 8 tokens in blocks of 2, a 4 x 4 layout (partial blocks /, full blocks #):

        /           crow_indices       [0, 1, 2, 3, 4]       col_indices       [0, 1, 2, 3]
        # /         full_crow_indices  [0, 0, 1, 3, 6]       full_col_indices  [0, 0, 1, 0, 1, 2]
        # # /
        # # # /

    It is read like this, here for one batch entry and one head:

        for row in range(layout.n_q_blocks):
            for i in range(full_crow_indices[row], full_crow_indices[row + 1]):
                attend(row, full_col_indices[i])                 # every query sees every key
            for i in range(crow_indices[row], crow_indices[row + 1]):
                attend(row, col_indices[i], masked=True)         # ask the pattern

    No listed block is empty and no partial block is full. A block is full if it has all its keys and every
    query it has sees them all: past the last key it is partial, past the last query it may be full.
    Immutable; equality and hash by identity.

    >>> from tsparse import Causal
    >>> layout = Causal().layout(8, block=2)
    >>> layout.crow_indices.tolist(), layout.full_crow_indices.tolist()
    ([[[0, 1, 2, 3, 4]]], [[[0, 0, 1, 3, 6]]])
    """

    pattern: Pattern
    grid: Grid
    by_query: BlockLists
    by_key: BlockLists

    @staticmethod
    def build(
        pattern: Pattern,
        n_q: int,
        n_kv: int | None = None,
        block: int | tuple[int, int] = (128, 128),
        heads: int | None = None,
        q_offset: int = 0,
        device: torch.device | str | None = None,
    ) -> BlockLayout:
        """The layout of `pattern` for queries at `q_offset ... q_offset + n_q - 1` and `n_kv` keys.

        `n_kv` defaults to `q_offset + n_q`. `block` is (queries, keys) of a block, or one number for both.
        `heads` is the number of heads, for patterns that tell heads apart; a pattern that does not has one
        head in its layout, whatever the number. `device` is where the lists are made and kept.

        Raises TypeError or ValueError for sizes that are not positive integers, for a pattern that is
        defined for fewer positions, and for 2**31 blocks or more.
        """
        n_kv = pattern.check_sizes(n_q, n_kv, q_offset)
        if heads is not None:
            whole("heads", heads, least=1)
        grid = Grid(n_q, n_kv, block_size(block), q_offset, torch.empty(0, device=device).device)
        runs = pattern.runs(grid)
        batch, heads = runs.labels.shape[:2]  # B', H'

        undecided = runs.blocks(UNDECIDED)
        some, every = _decide(pattern, grid, heads, undecided)
        partial = torch.cat([runs.blocks(PARTIAL), undecided[some & ~every]])
        full = torch.cat([runs.blocks(FULL), undecided[every]])
        if n_kv % grid.block[1]:  # the last key block lacks keys
            short = full % grid.columns == grid.columns - 1
            partial, full = torch.cat([partial, full[short]]), full[~short]

        rows, columns = grid.rows, grid.columns
        return BlockLayout(
            pattern,
            grid,
            by_query=_lists(partial, full, (batch, heads, rows, columns)),
            by_key=_lists(
                _turn(partial, rows, columns), _turn(full, rows, columns), (batch, heads, columns, rows)
            ),
        )

    def __repr__(self) -> str:
        return (
            f"BlockLayout({self.pattern!r}, n_q={self.n_q}, n_kv={self.n_kv}, block={self.block}, "
            f"q_offset={self.q_offset}: {len(self.col_indices)} partial and {len(self.full_col_indices)} "
            f"full blocks, density {self.density:.3g})"
        )

    @property
    def n_q(self) -> int:
        """Number of queries N."""
        return self.grid.n_q

    @property
    def n_kv(self) -> int:
        """Number of keys M."""
        return self.grid.n_kv

    @property
    def block(self) -> tuple[int, int]:
        """Queries and keys of a block."""
        return self.grid.block

    @property
    def q_offset(self) -> int:
        """Position of the first query."""
        return self.grid.q_offset

    @property
    def n_q_blocks(self) -> int:
        """Number of query blocks R."""
        return self.grid.rows

    @property
    def n_kv_blocks(self) -> int:
        """Number of key blocks C."""
        return self.grid.columns

    @property
    def batch(self) -> int:
        """B': the number of batch entries it tells apart, or 1."""
        return self.crow_indices.shape[0]

    @property
    def heads(self) -> int:
        """H': the number of heads it tells apart, or 1."""
        return self.crow_indices.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the lists are."""
        return self.crow_indices.device

    @property
    def crow_indices(self) -> Tensor:
        """Where the partial blocks of each row begin, int32 `[B', H', R + 1]`."""
        return self.by_query.crow_indices

    @property
    def col_indices(self) -> Tensor:
        """The key blocks of the partial blocks, int32."""
        return self.by_query.col_indices

    @property
    def full_crow_indices(self) -> Tensor:
        """Where the full blocks of each row begin, int32 `[B', H', R + 1]`."""
        return self.by_query.full_crow_indices

    @property
    def full_col_indices(self) -> Tensor:
        """The key blocks of the full blocks, int32."""
        return self.by_query.full_col_indices

    def transposed(self) -> BlockLists:
        """For each key block the query blocks that touch it: `crow_indices [B', H', C + 1]`."""
        return self.by_key

    @property
    def density(self) -> float:
        """Share of all blocks that are listed, 0 to 1."""
        blocks = self.batch * self.heads * self.n_q_blocks * self.n_kv_blocks
        return (len(self.col_indices) + len(self.full_col_indices)) / blocks

    @cached_property
    def fill(self) -> float:
        """Share of the elements of listed blocks that are seen, 0 to 1; whole blocks count, ragged or not.

        What a kernel computes beyond it is thrown away. 1 if nothing is listed.
        """
        area = self.block[0] * self.block[1]
        listed = len(self.col_indices) + len(self.full_col_indices)
        missing_queries = self.n_q_blocks * self.block[0] - self.n_q
        in_last_row = int(self.full_crow_indices.diff(dim=-1)[..., -1].sum())
        seen = len(self.full_col_indices) * area - in_last_row * missing_queries * self.block[1]
        for _, masks, which in self._partial_tiles():
            seen += int(masks.sum(dim=(1, 2))[which].sum())
        return seen / (listed * area) if listed else 1.0

    def dense_mask(self) -> Tensor:
        """The mask that the lists stand for: bool `[N, M]`, or `[B', H', N, M]` if batches or heads differ.

        As large as it says; for pictures, tests and the reference implementation.
        """
        rows, columns, (block_q, block_k) = self.n_q_blocks, self.n_kv_blocks, self.block
        mask = torch.zeros(
            self.batch * self.heads, rows, block_q, columns, block_k, dtype=torch.bool, device=self.device
        )
        full = _number(self.full_crow_indices, self.full_col_indices, columns)
        mask[full // (rows * columns), full // columns % rows, :, full % columns] = True
        for numbers, masks, which in self._partial_tiles():
            mask[numbers // (rows * columns), numbers // columns % rows, :, numbers % columns] = masks[which]
        mask = mask.view(self.batch, self.heads, rows * block_q, columns * block_k)
        mask = mask[:, :, : self.n_q, : self.n_kv]
        return (mask[0, 0] if self.batch * self.heads == 1 else mask).contiguous()

    def tile_masks(self, b: Tensor, h: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """What the pattern says inside blocks, `masks[which]` of shape `[..., block_q, block_k]`.

        The four place the blocks and broadcast to one shape `[...]`. `masks` bool `[u, block_q, block_k]`
        holds blocks that look alike once, `which [...]` says which one each block is. Queries and keys past
        the end are not seen.
        """
        places = torch.broadcast_tensors(b, h, row, column)
        masks, which = _tile_masks(self.pattern, self.grid, *(place.flatten() for place in places))
        return masks, which.view(places[0].shape)

    def to(self, device: torch.device | str) -> BlockLayout:
        """This layout with its lists on another device."""
        target = torch.empty(0, device=device).device
        by_query, by_key = self.by_query.to(target), self.by_key.to(target)
        return replace(self, grid=replace(self.grid, device=target), by_query=by_query, by_key=by_key)

    def _partial_tiles(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The numbers of the partial blocks with `tile_masks`, a bounded number at a time."""
        numbers = _number(self.crow_indices, self.col_indices, self.n_kv_blocks)
        for part in numbers.split(_at_once(self.grid)):
            yield part, *self.tile_masks(*_places(part, self.grid, self.heads))

    from_dense = staticmethod(conversions.from_dense)
    from_blocks = staticmethod(conversions.from_blocks)
    from_block_mask = staticmethod(conversions.from_block_mask)
    to_block_mask = conversions.to_block_mask
    to_bsr = conversions.to_bsr

    def _repr_html_(self) -> str:
        """The picture that `show.layout` draws."""
        from .show import layout

        return layout(self)._repr_html_()


# A block is numbered ((b * H' + h) * R + row) * C + column: rising numbers walk row by row.


def _places(numbers: Tensor, grid: Grid, heads: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Batch entry, head, row and column of numbered blocks."""
    row, slot = numbers // grid.columns, numbers // (grid.columns * grid.rows)
    return slot // heads, slot % heads, row % grid.rows, numbers % grid.columns


def _number(crow_indices: Tensor, col_indices: Tensor, columns: int) -> Tensor:
    """The numbers of listed blocks."""
    counts = crow_indices.diff(dim=-1).flatten()
    rows = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    return rows * columns + col_indices


def _turn(numbers: Tensor, rows: int, columns: int) -> Tensor:
    """The numbers that blocks have in the transposed grid."""
    slot, row, column = numbers // (rows * columns), numbers // columns % rows, numbers % columns
    return (slot * columns + column) * rows + row


def _lists(partial: Tensor, full: Tensor, shape: tuple[int, int, int, int]) -> BlockLists:
    """Lists of numbered blocks in a grid of `shape` (B', H', R, C)."""
    return BlockLists(*_compress(partial, shape), *_compress(full, shape))


def _compress(numbers: Tensor, shape: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """`crow_indices [B', H', R + 1]` and `col_indices` of numbered blocks in any order."""
    if len(numbers) >= 2**31:
        raise ValueError(f"{len(numbers)} blocks are too many for int32 lists; take a larger block")
    batch, heads, rows, columns = shape
    numbers = numbers.sort().values
    starts = torch.arange(batch * heads * rows + 1, device=numbers.device) * columns
    crow = torch.searchsorted(numbers, starts, out_int32=True).unfold(0, rows + 1, rows)
    return crow.reshape(batch, heads, rows + 1), (numbers % columns).int()


def _at_once(grid: Grid) -> int:
    """Number of blocks that may be looked into together."""
    return max(1, ELEMENTS_AT_ONCE // (grid.block[0] * grid.block[1]))


def _decide(pattern: Pattern, grid: Grid, heads: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Whether some and whether all elements of numbered blocks are seen."""
    some, every = torch.empty(2, len(numbers), dtype=torch.bool, device=grid.device)
    for start in range(0, len(numbers), _at_once(grid)):
        part = slice(start, start + _at_once(grid))
        b, h, row, column = _places(numbers[part], grid, heads)
        masks, which = _tile_masks(pattern, grid, b, h, row, column)
        seen = masks.sum(dim=(1, 2))[which]
        n_q, n_kv = _sizes(grid, row, column)
        some[part], every[part] = seen > 0, seen == n_q * n_kv
    return some, every


def _sizes(grid: Grid, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """How many queries and keys blocks have."""
    n_q = (grid.n_q - row * grid.block[0]).clamp(max=grid.block[0])
    return n_q, (grid.n_kv - column * grid.block[1]).clamp(max=grid.block[1])


def _tile_masks(
    pattern: Pattern, grid: Grid, b: Tensor, h: Tensor, row: Tensor, column: Tensor
) -> tuple[Tensor, Tensor]:
    """See `BlockLayout.tile_masks`. The pattern is asked once for all blocks with the same fingerprint."""
    (block_q, block_k), device = grid.block, grid.device
    start_q, start_k = row * block_q + grid.q_offset, column * block_k
    n_q, n_kv = _sizes(grid, row, column)
    fingerprint = pattern.fingerprint(b, h, start_q, start_k, grid.block)
    fingerprint = torch.cat([fingerprint, n_q[:, None], n_kv[:, None]], dim=1)
    kinds, which = fingerprint.unique(dim=0, return_inverse=True)
    one = torch.empty(len(kinds), dtype=torch.int64, device=device)
    one[which] = torch.arange(len(which), device=device)  # some block of each kind

    inside_q, inside_k = (torch.arange(width, device=device) for width in grid.block)
    n_q, n_kv = n_q[one, None], n_kv[one, None]
    q_idx = start_q[one, None] + torch.minimum(inside_q, n_q - 1)  # past the end: the last one that exists
    kv_idx = start_k[one, None] + torch.minimum(inside_k, n_kv - 1)
    places = b[one, None, None], h[one, None, None], q_idx[:, :, None], kv_idx[:, None, :]
    seen = pattern(*(place.int() for place in places))  # int32 is twice as fast
    return seen & (inside_q < n_q)[:, :, None] & (inside_k < n_kv)[:, None, :], which
