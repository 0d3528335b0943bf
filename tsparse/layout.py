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

from . import blocks, conversions, zones
from .arguments import block_size, whole
from .blocks import BlockLists
from .patterns import Pattern, block_diagonal
from .runs import FULL, PARTIAL, UNDECIDED, Grid
from .zones import PartialBlocks


@dataclass(frozen=True, eq=False)
class Order:
    """Another order of the sequence: place p holds position `permutation[p]`; `pattern` is the rule there.

    `inverse [N]` says at which place a position is.
    """

    permutation: Tensor
    inverse: Tensor
    pattern: Pattern

    def to(self, device: torch.device) -> Order:
        """This order on another device."""
        return Order(self.permutation.to(device), self.inverse.to(device), self.pattern)


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

    `Strided(s)` and `Strided(s) & Causal()` with as many queries as keys and no offset are laid out in
    another `order` of the sequence, in which they are block-diagonal: place p of the lists, of `tile_masks`
    and of `transposed()` holds position `permutation[p]`. `sparse_attention` permutes q, k and v and restores
    what it returns; `dense_mask` is in the sequence's own order. Other layouts have None for both.
    Source: Child et al., "Generating long sequences with sparse transformers", 2019.

    >>> from tsparse import Causal
    >>> layout = Causal().layout(8, block=2)
    >>> layout.crow_indices.tolist(), layout.full_crow_indices.tolist()
    ([[[0, 1, 2, 3, 4]]], [[[0, 0, 1, 3, 6]]])
    """

    pattern: Pattern
    grid: Grid
    by_query: BlockLists
    by_key: BlockLists
    partial_blocks: PartialBlocks
    order: Order | None = None

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

        `n_kv` defaults to `q_offset + n_q`. `block` is (queries, keys) of a block, or one number for both;
        a block is computed whole, so few queries go fastest with gather in low ones: `(1, 128)` for one.
        `heads` is the number of heads, for patterns that tell heads apart; a pattern that does not has one
        head in its layout, whatever the number. `device` is where the lists are made and kept.

        Raises TypeError or ValueError for sizes that are not positive integers, for a pattern that is
        defined for fewer positions or tells another number of heads apart, and for 2**31 blocks or more.
        """
        n_kv = pattern.check_sizes(n_q, n_kv, q_offset)
        if heads is not None and pattern.heads not in (1, whole("heads", heads, least=1)):
            raise ValueError(
                f"heads={heads} does not go with {pattern!r}, which is for {pattern.heads} heads"
            )
        grid = Grid(n_q, n_kv, block_size(block), q_offset, torch.empty(0, device=device).device)
        order = _block_diagonal(pattern, grid)
        arranged = pattern if order is None else order.pattern
        runs = arranged.runs(grid).expand(pattern.batch, pattern.heads)
        batch, heads = runs.labels.shape[:2]  # B', H'

        undecided = runs.blocks(UNDECIDED)
        some, every = blocks.decide(arranged, grid, heads, undecided)
        partial = torch.cat([runs.blocks(PARTIAL), undecided[some & ~every]])
        full = torch.cat([runs.blocks(FULL), undecided[every]])
        if n_kv % grid.block[1]:  # the last key block lacks keys
            short = full % grid.columns == grid.columns - 1
            partial, full = torch.cat([partial, full[short]]), full[~short]
        partial = partial.sort().values

        rows, columns = grid.rows, grid.columns
        return BlockLayout(
            pattern,
            grid,
            by_query=blocks.lists(partial, full, (batch, heads, rows, columns)),
            by_key=blocks.lists(
                blocks.turned(partial, rows, columns),
                blocks.turned(full, rows, columns),
                (batch, heads, columns, rows),
            ),
            partial_blocks=zones.describe(arranged, grid, heads, partial),
            order=order,
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
    def permutation(self) -> Tensor | None:
        """Position of each place in the lists, `[N]`; None if they are in the order of the sequence."""
        return None if self.order is None else self.order.permutation

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
        full = blocks.number(self.full_crow_indices, self.full_col_indices, columns)
        mask[full // (rows * columns), full // columns % rows, :, full % columns] = True
        for numbers, masks, which in self._partial_tiles():
            mask[numbers // (rows * columns), numbers // columns % rows, :, numbers % columns] = masks[which]
        mask = mask.view(self.batch, self.heads, rows * block_q, columns * block_k)
        mask = mask[:, :, : self.n_q, : self.n_kv]
        mask = self.restore(self.restore(mask).mT).mT
        return (mask[0, 0] if self.batch * self.heads == 1 else mask).contiguous()

    def tile_masks(self, b: Tensor, h: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """What the pattern says inside blocks, `masks[which]` of shape `[..., block_q, block_k]`.

        The four place the blocks and broadcast to one shape `[...]`. `masks` bool `[u, block_q, block_k]`
        holds blocks that look alike once, `which [...]` says which one each block is. Queries and keys past
        the end are not seen.
        """
        places = torch.broadcast_tensors(b, h, row, column)
        pattern = self.pattern if self.order is None else self.order.pattern
        masks, which = blocks.tile_masks(pattern, self.grid, *(place.flatten() for place in places))
        return masks, which.view(places[0].shape)

    def arrange(self, x: Tensor) -> Tensor:
        """`x [B, H, N, ...]` from the order of the sequence in the order of the lists."""
        return x if self.order is None else x.index_select(2, self.order.permutation)

    def restore(self, x: Tensor) -> Tensor:
        """`x [B, H, N, ...]` from the order of the lists in the order of the sequence."""
        return x if self.order is None else x.index_select(2, self.order.inverse)

    def positions(self, places: Tensor) -> Tensor:
        """The positions in the sequence of places in the order of the lists; the same without permutation.

        Places past the end, which the last block may have, are some position: nothing there is seen.
        """
        return places if self.order is None else self.order.permutation[places.clamp(max=self.n_q - 1)]

    def to(self, device: torch.device | str) -> BlockLayout:
        """This layout with its lists on another device."""
        target = torch.empty(0, device=device).device
        return replace(
            self,
            grid=replace(self.grid, device=target),
            by_query=self.by_query.to(target),
            by_key=self.by_key.to(target),
            partial_blocks=self.partial_blocks.to(target),
            order=None if self.order is None else self.order.to(target),
        )

    def _partial_tiles(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The numbers of the partial blocks with `tile_masks`, a bounded number at a time."""
        numbers = blocks.number(self.crow_indices, self.col_indices, self.n_kv_blocks)
        for part in numbers.split(blocks.at_once(self.grid)):
            yield part, *self.tile_masks(*blocks.places(part, self.grid, self.heads))

    from_dense = staticmethod(conversions.from_dense)
    from_blocks = staticmethod(conversions.from_blocks)
    from_block_mask = staticmethod(conversions.from_block_mask)
    to_block_mask = conversions.to_block_mask
    to_bsr = conversions.to_bsr

    def _repr_html_(self) -> str:
        """The picture that `show.layout` draws."""
        from .show import layout

        return layout(self)._repr_html_()


def _block_diagonal(pattern: Pattern, grid: Grid) -> Order | None:
    """The order in which a strided pattern is block-diagonal, where there is one."""
    found = block_diagonal(pattern, grid.n_q) if grid.n_q == grid.n_kv and grid.q_offset == 0 else None
    if found is None:
        return None
    permutation = found[0].to(grid.device)
    return Order(permutation, permutation.argsort(), found[1])
