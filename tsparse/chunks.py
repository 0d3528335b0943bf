"""The blocks of a layout as work for batched matrix products: pieces, and chunks of pieces that look alike.

A *piece* is one query block with up to `KEYS_AT_ONCE` keys of its row; a row with more keys has several, so a
token that sees everything costs no padding. Pieces with equally many key blocks, the same of them partial,
are computed together, up to `SCORES_AT_ONCE` scores at a time. `SlidingWindow(4)` in blocks of 2:

    row 2   / # / . .        rows 2, 3, 4 look alike: they share a chunk and the masks of their two partial
    row 3   . / # / .        blocks, and their keys are overlapping stretches of one array, so that they need
    row 4   . . / # /        not be copied; rows 0 and 1 look different, but are alike in all heads

Where nothing is copied it costs nothing to look closer: windows are computed `PART` queries at a time, each
part with the keys that its queries see. For a window of 256 in blocks of 128 that is a quarter less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .layout import BlockLayout

KEYS_AT_ONCE = 1024
SCORES_AT_ONCE = 1 << 19  # 2 MiB of float32, where keys are copied: what was just computed is in the cache
WITHOUT_COPIES = 4  # times as many: fewer operations, each of them shared by all cores
STRETCH = 8  # from how many pieces on a stretch of evenly spaced keys is worth a chunk of its own
PART = 32  # fewer queries hide more of a window's blocks, but make slower matrix products


class Hidden(NamedTuple):
    """What the pattern hides in some columns of the scores of a chunk: `masks[which]`, for each piece."""

    columns: slice  # w of them
    masks: Tensor  # [u, queries, w] each kind once
    which: Tensor | slice  # [n] the kind of each piece, or all of them if there is one kind


class Chunk(NamedTuple):
    """n pieces that look alike: m key blocks each, those in the same slots partial."""

    queries: tuple[slice | Tensor, slice]  # n rows of blocks, (b * H + h) * R + r, and which queries of each
    tiles: Tensor  # [n, m] key blocks, rising, counted through batch entries and key heads likewise
    keys: slice  # which of their m * block_k keys: no query sees one outside of it
    window: tuple[int, int] | None  # first tile and step, where tiles[i, j] = first + step * i + j
    hidden: list[Hidden]
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
        for stretch, step in _stretches(row[group], tiles):
            height, more = (block_q, 1) if step is None else (min(block_q, PART), WITHOUT_COPIES)
            at_once = max(1, more * SCORES_AT_ONCE // (height * m * block_k))
            for part in stretch.tensor_split(-(-len(stretch) // at_once)):  # evenly: a small rest is slow
                i = group[part]
                masks, kind = layout.tile_masks(b[i, None], h[i, None], r[i, None], listed[at[i][:, slots]])
                hidden = [_hidden(masks, which, slot) for slot, which in zip(slots, kind.T, strict=True)]
                if step is None:
                    every = slice(0, block_q), slice(0, m * block_k)
                    yield Chunk((row[i], every[0]), tiles[part], every[1], None, hidden, nth == 0)
                    continue
                where = slice(int(row[i[0]]), int(row[i[-1]]) + 1)
                window = int(tiles[part[0], 0]), step
                for queries, keys in _parts(hidden, block_q, m * block_k):
                    left = [x for x in (_cut(x, queries, keys) for x in hidden) if x.masks.numel()]
                    yield Chunk((where, queries), tiles[part], keys, window, left, nth == 0)


def _hidden(masks: Tensor, which: Tensor, slot: int) -> Hidden:
    """What is hidden in one slot of all pieces, where `masks[which]` is what is seen."""
    used, which = which.unique(return_inverse=True)
    columns = slice(slot * masks.shape[2], (slot + 1) * masks.shape[2])
    return Hidden(columns, ~masks[used], slice(None) if len(used) == 1 else which)


def _parts(hidden: list[Hidden], block_q: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Up to `PART` queries at a time, and those of `width` keys that they see, in whole `PART`s.

    Queries that see nothing are in no part.
    """
    seen = torch.ones(block_q, width, dtype=torch.bool)
    for columns, masks, _ in hidden:
        seen[:, columns] = ~masks.all(dim=0)
    for start in range(0, block_q, PART):
        queries = slice(start, min(start + PART, block_q))
        first, stop = _span(seen[queries])
        if stop:
            yield queries, slice(first // PART * PART, min(-(-stop // PART) * PART, width))


def _cut(hidden: Hidden, queries: slice, keys: slice) -> Hidden:
    """What is hidden from these queries among these keys, without the columns they all see at either end."""
    columns, masks, which = hidden
    first, stop = _span(masks[:, queries].flatten(0, 1))
    first = max(columns.start + first, keys.start)
    stop = max(first, min(columns.start + stop, keys.stop))
    masks = masks[:, queries, first - columns.start : stop - columns.start].contiguous()
    return Hidden(slice(first - keys.start, stop - keys.start), masks, which)


def _span(mask: Tensor) -> tuple[int, int]:
    """First and one past the last column that has anything in it; 0 and 0 if none has."""
    columns = mask.any(dim=0).nonzero()
    return (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 0)


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


def _stretches(row: Tensor, tiles: Tensor) -> Iterator[tuple[Tensor, int | None]]:
    """Parts of a group of pieces `row [g]`, `tiles [g, m]`, as indices into it.

    First stretches of following rows whose tiles are evenly spaced, with their step, see `Chunk.window`; then
    whatever is left over, with None.
    """
    ahead = tiles.diff(dim=0)  # [g - 1, m]
    step = int(ahead[:, 0].mode().values) if len(ahead) else 0
    even = (row.diff() == 1) & (ahead == step).all(dim=1) & (tiles[1:].diff(dim=1) == 1).all(dim=1)
    stretches = torch.arange(len(row), device=row.device).tensor_split((~even).nonzero().flatten().cpu() + 1)
    rest = []
    for stretch in stretches:
        if len(stretch) < STRETCH or step < 1:
            rest.append(stretch)
        else:
            yield stretch, step
    if rest:
        yield torch.cat(rest), None
