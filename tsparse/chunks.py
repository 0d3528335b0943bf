"""The blocks of a layout as work for batched matrix products: pieces, and chunks of pieces that look alike.

A *piece* is one query block with up to `KEYS_AT_ONCE` keys of its row; a row with more keys has several, so a
token that sees everything costs no padding. Pieces with equally many key blocks, the same of them partial,
are computed together, up to `SCORES_AT_ONCE` scores at a time. `SlidingWindow(4)` in blocks of 2:

    row 2   / # / . .        rows 2, 3, 4 look alike: they share a chunk and the masks of their two partial
    row 3   . / # / .        blocks, and their keys are overlapping stretches of one array, so that they need
    row 4   . . / # /        not be copied; rows 0 and 1 look different, but are alike in all heads
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .layout import BlockLayout

KEYS_AT_ONCE = 1024
SCORES_AT_ONCE = 1 << 19  # 2 MiB of float32: what a core has just computed is still in its cache
STRETCH = 8  # from how many pieces on a stretch of evenly spaced keys is worth a chunk of its own


class Chunk(NamedTuple):
    """n pieces that look alike: m key blocks each, those in the same p slots partial."""

    row: slice | Tensor  # [n] rows of blocks, counted through batch entries and heads: (b * H + h) * R + r
    tiles: Tensor  # [n, m] key blocks, rising, counted through batch entries and key heads likewise
    window: tuple[int, int] | None  # first tile and step, where tiles[i, j] = first + step * i + j
    slots: list[int]  # p of 0 ... m - 1
    hidden: Tensor  # [u, block_q, block_k] what the pattern hides in partial blocks, each kind once
    which: Tensor  # [n, p] the kind of each partial block, or [1, p] if all pieces agree
    begins: bool  # whether these are the first pieces of their rows


_KEPT: WeakKeyDictionary[BlockLayout, dict[tuple[int, int, int], list[Chunk]]] = WeakKeyDictionary()


def chunks(layout: BlockLayout, batch: int, heads: int, kv_heads: int) -> list[Chunk]:
    """All chunks of a layout, made on its first use and kept as long as the layout itself.

    The pieces of one row are in different chunks, in order; a row without blocks is in none.
    """
    kept = _KEPT.setdefault(layout, {})
    if (batch, heads, kv_heads) not in kept:
        if torch.compiler.is_exporting():
            raise RuntimeError("torch.export cannot read a layout: run the model once on the input to export")
        kept[batch, heads, kv_heads] = list(_make(layout, batch, heads, kv_heads))
    return kept[batch, heads, kv_heads]


def _make(layout: BlockLayout, batch: int, heads: int, kv_heads: int) -> Iterator[Chunk]:
    """See `chunks`."""
    rows, columns, (block_q, block_k) = layout.n_q_blocks, layout.n_kv_blocks, layout.block
    listed, is_partial, start, count = _merge(layout)
    start, count = (x.expand(batch, heads, rows).flatten() for x in (start, count))  # [B * H * R]
    longest = min(max(1, KEYS_AT_ONCE // block_k), int(count.max()))  # blocks of a piece
    if longest == 0:
        return

    pieces = (count + longest - 1) // longest
    row = torch.arange(len(count), device=layout.device).repeat_interleave(pieces)
    turn = torch.arange(len(row), device=layout.device) - (pieces.cumsum(0) - pieces)[row]  # in its row
    slot = torch.arange(longest, device=layout.device)
    exists = turn[:, None] * longest + slot < count[row, None]  # [pieces, longest]
    at = torch.where(exists, start[row, None] + turn[:, None] * longest + slot, 0)
    looks = torch.where(exists, 1 + is_partial[at].int(), 0)  # of each slot: nothing, full, partial

    b, h, r = row // (heads * rows), row // rows % heads, row % rows
    shelf = (b * kv_heads + h // (heads // kv_heads)) * columns  # where the tiles of its key head begin
    # batch entries and heads that the layout does not tell apart share their masks
    b, h = b.clamp(max=layout.batch - 1), h.clamp(max=layout.heads - 1)

    kinds, which = torch.cat([turn[:, None], looks], dim=1).unique(dim=0, return_inverse=True)
    groups = which.argsort(stable=True).split(which.bincount().tolist())
    for (nth, *look), group in zip(kinds.tolist(), groups, strict=True):
        m = longest - look.count(0)
        slots = [j for j in range(m) if look[j] == 2]
        tiles = shelf[group, None] + listed[at[group, :m]]
        for part, window in _stretches(row[group], tiles, max(1, SCORES_AT_ONCE // (block_q * block_k * m))):
            i = group[part]
            masks, kind = layout.tile_masks(b[i, None], h[i, None], r[i, None], listed[at[i][:, slots]])
            kind = kind[:1] if bool((kind == kind[:1]).all()) else kind
            where = row[i] if window is None else slice(int(row[i[0]]), int(row[i[-1]]) + 1)
            yield Chunk(where, tiles[part], window, slots, ~masks, kind, nth == 0)


def _merge(layout: BlockLayout) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Full and partial blocks in one list: key blocks, whether each is partial, start and length of rows.

    Key blocks rise in each row. Starts and lengths are `[B', H', R]`.
    """
    lists = (layout.full_crow_indices, layout.full_col_indices), (layout.crow_indices, layout.col_indices)
    counts = [crow.diff(dim=-1).long() for crow, _ in lists]
    row = torch.arange(counts[0].numel(), device=layout.device)
    numbers = [
        row.repeat_interleave(count.flatten()) * layout.n_kv_blocks + column
        for count, (_, column) in zip(counts, lists, strict=True)
    ]
    merged, order = torch.cat(numbers).sort()
    count = counts[0] + counts[1]
    start = (count.flatten().cumsum(0) - count.flatten()).view_as(count)
    return merged % layout.n_kv_blocks, order >= len(numbers[0]), start, count


def _stretches(row: Tensor, tiles: Tensor, at_once: int) -> Iterator[tuple[Tensor, tuple[int, int] | None]]:
    """Parts of a group of pieces `row [g]`, `tiles [g, m]`, as indices into it, at most `at_once` in each.

    First stretches of following rows whose tiles are evenly spaced, with their first tile and step, see
    `Chunk.window`; then whatever is left over, with None.
    """
    ahead = tiles.diff(dim=0)  # [g - 1, m]
    step = int(ahead[:, 0].mode().values) if len(ahead) else 0
    even = (row.diff() == 1) & (ahead == step).all(dim=1) & (tiles[1:].diff(dim=1) == 1).all(dim=1)
    stretches = torch.arange(len(row), device=row.device).tensor_split((~even).nonzero().flatten().cpu() + 1)
    rest = []
    for stretch in stretches:
        if len(stretch) < STRETCH or step < 1:
            rest.append(stretch)
            continue
        for part in stretch.split(at_once):
            yield part, (int(tiles[part[0], 0]), step)
    if rest:
        for part in torch.cat(rest).split(at_once):
            yield part, None
