"""Block layouts from and to other forms: dense masks, block lists, BlockMask (FlexAttention), BSR.

What comes in without a pattern of its own gets one that looks it up (`Table`, `Rule`), so that every layout
has an elementwise rule and is built like all others. The public functions here are methods of `BlockLayout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from .arguments import block_size, whole
from .blocks import number
from .patterns import Full, Pattern
from .runs import UNDECIDED, Grid, Runs

if TYPE_CHECKING:
    from .layout import BlockLayout

PositionRule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def from_dense(mask: Tensor, block: int | tuple[int, int] = (128, 128)) -> BlockLayout:
    """The layout of a bool mask, True = may attend: `[N, M]`, or `[B', H', N, M]`. See `dense_mask`.

    Query i stands at position i. Raises TypeError or ValueError naming what does not fit.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"mask must be a bool tensor, True = may attend, got {got}")
    if mask.ndim not in (2, 4) or 0 in mask.shape:
        raise ValueError(f"mask must be [N, M] or [B, H, N, M], none of them 0, got {list(mask.shape)}")
    table = mask.detach().clone()
    table = table if mask.ndim == 4 else table[None, None]
    n_q, n_kv = mask.shape[-2:]
    return Table(table, (1, 1)).layout(n_q, n_kv, block=block, device=mask.device)


def from_blocks(
    blocks: Sequence[Sequence[int]] | Tensor, block: int | tuple[int, int], n_q: int, n_kv: int | None = None
) -> BlockLayout:
    """The layout in which whole blocks are seen, and nothing else.

    `blocks` holds, for each row of blocks, its key blocks, rising; or it is bool `[R, C]`. `n_kv` defaults to
    `n_q`. Raises TypeError or ValueError naming a key block that is no integer, listed twice, out of order or
    past the last one.

    >>> from tsparse import BlockLayout
    >>> BlockLayout.from_blocks([[0], [0, 1]], block=2, n_q=4).dense_mask().int().tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    """
    size = block_size(block)
    n_kv = n_q if n_kv is None else n_kv
    rows = -(-whole("n_q", n_q, least=1) // size[0])
    columns = -(-whole("n_kv", n_kv, least=1) // size[1])
    if isinstance(blocks, Tensor):
        if blocks.dtype != torch.bool:
            raise TypeError(f"blocks as a tensor must be bool [R, C], got {blocks.dtype}")
        if blocks.shape != (rows, columns):
            raise ValueError(
                f"blocks must be [{rows}, {columns}] for {n_q} queries and {n_kv} keys in blocks of {size}, "
                f"got {list(blocks.shape)}"
            )
        table = blocks.detach().clone()
    else:
        if len(blocks) != rows:
            raise ValueError(
                f"blocks must have {rows} lists, one for each row of {size[0]} of {n_q} queries, "
                f"got {len(blocks)}"
            )
        table = torch.zeros(rows, columns, dtype=torch.bool)
        for row, listed in enumerate(blocks):
            _check_row(row, listed, columns)
            table[row, list(listed)] = True
    return Table(table[None, None], size).layout(n_q, n_kv, block=size, device=table.device)


def from_block_mask(block_mask: BlockMask) -> BlockLayout:
    """The layout of what FlexAttention computes with `block_mask`: its lists, in partial blocks its mask_mod.

    A mask that `to_block_mask` made gives back its pattern and offset. Any other mask_mod is asked about the
    elements of the partial blocks. Lists need not rise. Raises TypeError for anything but a BlockMask, and
    ValueError naming a key block that is listed twice or does not exist.
    """
    if not isinstance(block_mask, BlockMask):
        raise TypeError(f"block_mask must be a FlexAttention BlockMask, got {type(block_mask).__name__}")
    (n_q, n_kv), size = block_mask.seq_lengths, block_mask.BLOCK_SIZE
    device = block_mask.kv_indices.device
    partial, full = _tables(block_mask)

    rule = block_mask.mask_mod
    if isinstance(rule, MaskMod):  # one of ours: if the lists are still its own, so is the pattern
        own = rule.pattern.layout(n_q, n_kv, block=size, q_offset=rule.q_offset, device=device)
        if all(map(torch.equal, _tables(to_block_mask(own)), (partial, full))):
            return own
    pattern = Table(partial, size) & Rule(rule) | Table(full, size)
    return pattern.layout(n_q, n_kv, block=size, device=device)


def to_block_mask(layout: BlockLayout) -> BlockMask:
    """This layout for FlexAttention, with a mask_mod that adds the offset to the number of a query.

    A BlockMask stores R x C indices for each of its four lists, whether listed or not: 1 GB for 8192 x 8192
    blocks. It is in the original order, also where the layout has a `permutation`.
    """
    pattern = layout.pattern
    if layout.permutation is not None:
        unpermuted = pattern & Full()  # the same pairs, and no rule that asks for another order
        layout = unpermuted.layout(layout.n_q, layout.n_kv, block=layout.block, device=layout.device)
    by_query, by_key = layout.by_query, layout.transposed()
    kv_num_blocks, kv_indices = _pad(by_query.crow_indices, by_query.col_indices, layout.n_kv_blocks)
    full_kv_num, full_kv = _pad(by_query.full_crow_indices, by_query.full_col_indices, layout.n_kv_blocks)
    q_num_blocks, q_indices = _pad(by_key.crow_indices, by_key.col_indices, layout.n_q_blocks)
    full_q_num, full_q = _pad(by_key.full_crow_indices, by_key.full_col_indices, layout.n_q_blocks)
    return BlockMask(
        seq_lengths=(layout.n_q, layout.n_kv),
        kv_num_blocks=kv_num_blocks,
        kv_indices=kv_indices,
        full_kv_num_blocks=full_kv_num,
        full_kv_indices=full_kv,
        q_num_blocks=q_num_blocks,
        q_indices=q_indices,
        full_q_num_blocks=full_q_num,
        full_q_indices=full_q,
        BLOCK_SIZE=layout.block,
        mask_mod=MaskMod(pattern, layout.q_offset),
    )


def to_bsr(layout: BlockLayout, b: int | None = None, h: int | None = None) -> Tensor:
    """The mask as a bool `torch.sparse_bsr` tensor of the listed blocks, `[R * block_q, C * block_k]`.

    False past the last query and key; in the order of the layout's `permutation`, where it has one. `b` and
    `h` choose the batch entry and the head; they may be left out where all agree. Raises TypeError or
    ValueError naming the one that is missing or too high.
    """
    slot = _chosen("b", b, layout.batch), _chosen("h", h, layout.heads)
    (block_q, block_k), rows, columns = layout.block, layout.n_q_blocks, layout.n_kv_blocks
    partial, full = (
        number(crow[slot], col[crow[slot][0] : crow[slot][-1]], columns)
        for crow, col in (
            (layout.crow_indices, layout.col_indices),
            (layout.full_crow_indices, layout.full_col_indices),
        )
    )
    numbers = torch.cat([partial, full]).sort().values

    values = torch.ones(len(numbers), block_q, block_k, dtype=torch.bool, device=layout.device)
    values[numbers // columns == rows - 1, layout.n_q - (rows - 1) * block_q :] = False  # past the last query
    b_idx, h_idx = (torch.full_like(partial, index) for index in slot)
    masks, which = layout.tile_masks(b_idx, h_idx, partial // columns, partial % columns)
    values[torch.searchsorted(numbers, partial)] = masks[which]
    starts = torch.arange(rows + 1, device=layout.device) * columns
    crow, col = torch.searchsorted(numbers, starts), numbers % columns
    size = (rows * block_q, columns * block_k)
    # check_invariants=True says the same, but torch 2.11 then warns that nothing is checked.
    with torch.sparse.check_sparse_tensor_invariants(True):
        return torch.sparse_bsr_tensor(crow, col, values, size=size)


@dataclass(frozen=True, eq=False, repr=False)
class Table(Pattern):
    """A mask that is looked up: `table[b, h, q // step_q, k // step_k]`, from bool `table [B', H', R, C]`.

    With `step` (1, 1) the table is the mask, otherwise it says of whole blocks whether they are seen.
    """

    table: Tensor
    step: tuple[int, int]

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.table.shape))
        return f"Table({size}, step={self.step})"

    @property
    def batch(self) -> int:
        """B' of the table."""
        return self.table.shape[0]

    @property
    def heads(self) -> int:
        """H' of the table."""
        return self.table.shape[1]

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """The entry of the table; `%` leaves b and h as they are, or makes them 0 where all agree."""
        table = self.table.to(kv_idx.device)
        row, column = q_idx // self.step[0], kv_idx // self.step[1]
        return table[b % self.batch, h % self.heads, row, column]

    def runs(self, grid: Grid) -> Runs:
        """One run for each change along a row of blocks, if blocks are made of whole entries."""
        rows, columns = (n * width for n, width in zip(self.table.shape[2:], self.step, strict=True))
        if grid.q_offset + grid.n_q > rows or grid.n_kv > columns:
            raise ValueError(
                f"{self!r} covers {rows} query and {columns} key positions, but n_q={grid.n_q}, "
                f"q_offset={grid.q_offset} and n_kv={grid.n_kv} need more"
            )
        sizes = (grid.block[0], self.step[0]), (grid.block[1], self.step[1]), (grid.q_offset, self.step[0])
        if any(size % step for size, step in sizes):
            return Runs.uniform(UNDECIDED, grid)
        (high, wide, skipped), (step_q, step_k) = (size // step for size, step in sizes), self.step
        stop = skipped - (-grid.n_q // step_q)
        entries = self.table[:, :, skipped:stop, : -(-grid.n_kv // step_k)].to(grid.device)
        ragged = (0, -entries.shape[3] % wide, 0, -entries.shape[2] % high)
        some, every = (
            F.pad(entries, ragged, value=beyond).unflatten(3, (-1, wide)).unflatten(2, (-1, high))
            for beyond in (False, True)
        )  # [B', H', R, high, C, wide]
        some, every = some.any(dim=5).any(dim=3), every.all(dim=5).all(dim=3)
        return Runs.from_labels(some.to(torch.uint8) + every)  # EMPTY, PARTIAL and FULL are 0, 1 and 2


@dataclass(frozen=True, eq=False)
class Rule(Pattern):
    """Somebody else's mask_mod as a pattern: it is called under `torch.vmap`, as FlexAttention calls it."""

    rule: PositionRule

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """What the rule says."""
        places = torch.broadcast_tensors(b, h, q_idx, kv_idx)
        if places[0].ndim == 0:
            return self.rule(*places)
        return torch.vmap(self.rule)(*(place.flatten() for place in places)).view(places[0].shape)


@dataclass(frozen=True, eq=False)
class MaskMod:
    """A pattern as a mask_mod, which numbers queries from 0 while patterns work on positions."""

    pattern: Pattern
    q_offset: int

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """The pattern with the offset added."""
        return self.pattern(b, h, q_idx + self.q_offset, kv_idx)


def _check_row(row: int, listed: Sequence[int], columns: int) -> None:
    """TypeError or ValueError naming a key block that is not a rising index below `columns`."""
    before = -1
    for column in listed:
        whole(f"blocks[{row}]", column, least=0)
        if column >= columns:
            raise ValueError(f"blocks[{row}] lists key block {column}, but there are only 0 to {columns - 1}")
        if column == before:
            raise ValueError(f"blocks[{row}] lists key block {column} twice")
        if column < before:
            raise ValueError(f"blocks[{row}] must rise, but key block {before} comes before {column}")
        before = column


def _chosen(name: str, index: int | None, count: int) -> int:
    """`index` if there is such a batch entry or head; 0 if all agree."""
    if count == 1 and index is None:
        return 0
    if index is None:
        raise ValueError(f"{name} must be given: the layout tells {count} apart, and a BSR tensor holds one")
    if whole(name, index, least=0) >= count:
        raise ValueError(f"{name} must be below {count}, got {index}")
    return index


def _pad(crow_indices: Tensor, col_indices: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Counts `[B', H', R]` and indices `[B', H', R, C]`, full width: FlexAttention needs it to transpose."""
    counts = crow_indices.diff(dim=-1)
    indices = torch.zeros(*counts.shape, columns, dtype=torch.int32, device=counts.device)
    indices[torch.arange(columns, device=counts.device) < counts[..., None]] = col_indices
    return counts.contiguous(), indices


def _tables(block_mask: BlockMask) -> tuple[Tensor, Tensor]:
    """Which blocks a BlockMask lists as partial and which as full, bool `[B', H', R, C]` each."""
    columns = -(-block_mask.seq_lengths[1] // block_mask.BLOCK_SIZE[1])
    partial = _count(block_mask.kv_num_blocks, block_mask.kv_indices, columns)
    full = torch.zeros_like(partial)
    if block_mask.full_kv_num_blocks is not None and block_mask.full_kv_indices is not None:
        full = _count(block_mask.full_kv_num_blocks, block_mask.full_kv_indices, columns)
    twice = (partial + full > 1).nonzero()
    if len(twice):
        b, h, row, column = twice[0].tolist()
        raise ValueError(
            f"block_mask lists key block {column} twice in row {row} of batch entry {b} and head {h}"
        )
    return partial > 0, full > 0


def _count(counts: Tensor, indices: Tensor, columns: int) -> Tensor:
    """How often each block is listed, `[B', H', R, C]`; in each row the first `counts` indices are."""
    lead = [1] * (4 - indices.ndim)  # a BlockMask may leave out batch and head
    counts, indices = counts.view(*lead, *counts.shape), indices.view(*lead, *indices.shape)
    inside = torch.arange(indices.shape[3], device=counts.device) < counts[..., None]
    wrong = inside & ((indices < 0) | (indices >= columns))
    if bool(wrong.any()):
        raise ValueError(
            f"block_mask lists key block {int(indices[wrong][0])}, but there are only 0 to {columns - 1}"
        )
    times = torch.zeros(*counts.shape, columns, dtype=torch.int32, device=counts.device)
    return times.scatter_add_(3, (indices * inside).long(), inside.int())
