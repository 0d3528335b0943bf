"""The blocks of a layout as work for batched matrix products: pieces, and chunks of pieces that look alike.

A *piece* is one query block with up to `KEYS_AT_ONCE` keys of its row; a row with more keys has several, so a
token that sees everything costs no padding. Pieces with equally many key blocks, the same of them partial,
are computed together, up to `SCORES_AT_ONCE` scores at a time. `SlidingWindow(4)` in blocks of 2:

    row 2   / # / . .        rows 2, 3, 4 look alike: they share a chunk and the masks of their two partial
    row 3   . / # / .        blocks, and their keys are overlapping stretches of one array, so that they need
    row 4   . . / # /        not be copied; nor need those of rows 0 and 1, which are alike in all heads

Where nothing is copied it costs nothing to look closer: a piece of a window is `PART` queries with the keys
that they see. For a window of 256 in blocks of 128 that is a quarter less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import BlockLayout

KEYS_AT_ONCE = 1024
SCORES_AT_ONCE = 1 << 19  # 2 MiB of float32, where keys are copied: what was just computed is in the cache
WITHOUT_COPIES = 2  # times as many: fewer operations, each of them shared by all cores
STRETCH = 8  # from how many pieces on a stretch of evenly spaced keys is worth a chunk of its own
STRIPES = 4  # a window's edges are one to three; what needs more is no window, and is filled by masks
PART = 32  # fewer queries hide more of a window's blocks, but make slower matrix products


class Hidden(NamedTuple):
    """What the pattern hides in some columns of the scores of a chunk: `masks[which]`, for each piece."""

    columns: slice  # w of them
    masks: Tensor  # [u, queries, w] each kind once
    which: Tensor | slice  # [n] the kind of each piece, or all of them if there is one kind

    def hide(self, scores: Tensor) -> None:
        """Fill these of `scores [n, queries, keys]` with -inf, whatever they are."""
        scores[:, :, self.columns].masked_fill_(self.masks[self.which], -math.inf)


class Stripes(NamedTuple):
    """The same in all pieces of a chunk: `runs` runs of `length` scores, `step` apart in memory.

    What a window hides at the end of one row and at the start of the next row is one run, and the run after
    it begins one row and one key further on. Runs are filled many times faster than masks.
    """

    first: int
    runs: int
    step: int
    length: int

    def joined(self, run: Stripes) -> Stripes | None:
        """These runs and the next one, if it is as long and as far away as they are."""
        step = run.first - self.first - (self.runs - 1) * self.step
        if run.length != self.length or (self.runs > 1 and step != self.step):
            return None
        return Stripes(self.first, self.runs + 1, step, self.length)

    def hide(self, scores: Tensor) -> None:
        """Fill these of `scores [n, queries, keys]` with -inf, whatever they are."""
        size, strides = (len(scores), self.runs, self.length), (scores.stride(0), self.step, 1)
        scores.as_strided(size, strides, scores.storage_offset() + self.first).fill_(-math.inf)


class Windows(NamedTuple):
    """Stretches of keys that may overlap: piece i has `width` of them, from `first + step * i` on."""

    first: int
    step: int
    width: int


class Chunk(NamedTuple):
    """n pieces that look alike; queries and keys are counted through all batch entries and heads."""

    height: int  # queries of a piece: a block or a part of one
    queries: slice | Tensor  # [n] which `height` queries
    keys: Windows | Tensor  # stretches of keys, or [n, m] key blocks, rising
    hidden: Sequence[Hidden | Stripes]
    begins: bool  # whether these are the first pieces of their rows

    @property
    def pieces(self) -> int:
        """n."""
        at = self.queries
        return len(range(at.start, at.stop, at.step)) if isinstance(at, slice) else len(at)

    def places(self, block_k: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """The numbers of its queries `[n, height]` and keys `[n, keys]`, for key blocks of `block_k`."""
        at, keys, piece = self.queries, self.keys, torch.arange(self.pieces, device=device)
        at = piece * at.step + at.start if isinstance(at, slice) else at
        queries = _from(at, self.height, self.height)
        if isinstance(keys, Windows):
            return queries, keys.first + _from(piece, keys.step, keys.width)
        return queries, _from(keys, block_k, block_k).flatten(1)


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

    b, h, r = row // (heads * rows), row // rows % heads, row % rows
    shelf = (b * kv_heads + h // (heads // kv_heads)) * columns  # where the tiles of its key head begin
    # batch entries and heads that the layout does not tell apart share their masks
    b, h = b.clamp(max=layout.batch - 1), h.clamp(max=layout.heads - 1)
    short = ((r + 1) * block_q > layout.n_q)[:, None] | ((listed[at] + 1) * block_k > layout.n_kv)
    # of each slot: nothing, full, partial, partial at an end
    looks = torch.where(exists, 1 + is_partial[at] * (1 + short), 0)

    kinds, which = torch.cat([turn[:, None], looks], dim=1).unique(dim=0, return_inverse=True)
    groups = which.argsort(stable=True).split(which.bincount().tolist())
    for (nth, *look), group in zip(kinds.tolist(), groups, strict=True):
        m = longest - look.count(0)
        slots = [j for j in range(m) if look[j] > 1]
        tiles = shelf[group, None] + listed[at[group, :m]]
        for stretch, steps in _stretches(row[group], tiles):
            scores = SCORES_AT_ONCE * (1 if steps is None else WITHOUT_COPIES)
            at_once = max(1, scores // (block_q * m * block_k))
            for part in stretch.tensor_split(-(-len(stretch) // at_once)):  # evenly: a small rest is slow
                i = group[part]
                masks, kind = layout.tile_masks(b[i, None], h[i, None], r[i, None], listed[at[i][:, slots]])
                hidden = [_hidden(masks, which, slot) for slot, which in zip(slots, kind.T, strict=True)]
                if steps is None:
                    yield Chunk(block_q, row[i], tiles[part], hidden, nth == 0)
                    continue
                apart, step = steps
                rows_here = slice(int(row[i[0]]), int(row[i[-1]]) + 1, apart)
                windows = Windows(int(tiles[part[0], 0]) * block_k, step * block_k, m * block_k)
                yield Chunk(*_in_parts(block_q, rows_here, windows, hidden), nth == 0)


def _hidden(masks: Tensor, which: Tensor, slot: int) -> Hidden:
    """What is hidden in one slot of all pieces, where `masks[which]` is what is seen."""
    used, which = which.unique(return_inverse=True)
    columns = slice(slot * masks.shape[2], (slot + 1) * masks.shape[2])
    return Hidden(columns, ~masks[used], slice(None) if len(used) == 1 else which)


def _in_parts(
    block: int, rows: slice, windows: Windows, hidden: list[Hidden]
) -> tuple[int, slice, Windows, Sequence[Hidden | Stripes]]:
    """The same windows, `PART` queries at a time with the keys that they see, if these move on likewise.

    Rows of `block` queries, their windows and what is hidden in them; returned is the same of the parts.
    """
    (first, step, width), height = windows, min(block, PART)
    parts = block // height
    shift = step * height // block  # a part sees keys so much further on than the last
    most = width - shift * (parts - 1)  # so many keys the window of each part has
    if rows.step > 1 or parts * height < block or parts * shift < step or most < 1 or not hidden:
        return block, rows, windows, hidden
    n = rows.stop - rows.start
    kinds = n if any(isinstance(x.which, Tensor) for x in hidden) else 1
    seen = hidden[0].masks.new_ones(kinds, block, width)
    for columns, masks, which in hidden:
        seen[:, :, columns] = ~masks[which]
    looks = F.pad(seen, (0, width - most)).split(height, dim=1)
    look = torch.stack([x.roll(-shift * part, dims=2) for part, x in enumerate(looks)], dim=1).flatten(0, 1)
    spans = _spans(look.flatten(0, 1).any(dim=0))
    if spans[-1].stop > most:
        return block, rows, windows, hidden

    start, stop = spans[0].start // PART * PART, min(-(-spans[-1].stop // PART) * PART, most)
    masks, kind = (~look[:, :, start:stop]).unique(dim=0, return_inverse=True)
    rows = slice(rows.start * parts, rows.stop * parts, 1)
    windows = Windows(first + start, shift, stop - start)
    if len(masks) == 1 and len(stripes := _stripes(masks[0])) <= STRIPES:
        return height, rows, windows, stripes
    which = slice(None) if len(masks) == 1 else kind.expand(n // kinds, -1).flatten()
    spans = _spans(masks.flatten(0, 1).any(dim=0))
    return height, rows, windows, [Hidden(x, masks[:, :, x].contiguous(), which) for x in spans]


def _stripes(mask: Tensor) -> list[Stripes]:
    """Where `mask [queries, keys]` is True, as few stripes as runs in order allow."""
    stripes: list[Stripes] = []
    for run in _spans(mask.flatten()):
        one = Stripes(run.start, 1, 1, run.stop - run.start)
        if stripes and (longer := stripes[-1].joined(one)):
            stripes[-1] = longer
        else:
            stripes.append(one)
    return stripes


def _from(number: Tensor, step: int, width: int) -> Tensor:
    """The `width` numbers `[..., width]` from each `number * step` on."""
    return number[..., None] * step + torch.arange(width, device=number.device)


def _spans(which: Tensor) -> list[slice]:
    """Where `which [w]` is True without a gap."""
    edges = F.pad(which.int(), (1, 1)).diff().nonzero().flatten().tolist()
    return [slice(*ends) for ends in zip(edges[::2], edges[1::2], strict=True)]


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


def _stretches(row: Tensor, tiles: Tensor) -> Iterator[tuple[Tensor, tuple[int, int] | None]]:
    """Parts of a group of pieces `row [g]`, `tiles [g, m]`, as indices into it.

    First stretches whose rows and tiles are evenly spaced, with both steps, see `Windows`: following rows of
    one head, or the same row of all heads. Then whatever is left over, with None.
    """
    ahead = torch.cat([row[:, None], tiles], dim=1).diff(dim=0)  # [g - 1, 1 + m]
    steps = ahead[:, :2].mode(dim=0).values if len(ahead) else tiles.new_tensor([1, tiles.shape[1]])
    neighbours = (tiles.diff(dim=1) == 1).all(dim=1)  # [g]
    even = (ahead[:, :1] == steps[0]).all(dim=1) & (ahead[:, 1:] == steps[1]).all(dim=1) & neighbours[1:]
    stretches = torch.arange(len(row), device=row.device).tensor_split((~even).nonzero().flatten().cpu() + 1)
    rest = []
    for stretch in stretches:
        worth = len(stretch) >= STRETCH or len(stretch) == len(row)
        if worth and neighbours[stretch[0]] and (steps > 0).all():
            yield stretch, (int(steps[0]), int(steps[1]))
        else:
            rest.append(stretch)
    if rest:
        yield torch.cat(rest), None
