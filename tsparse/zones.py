"""What partial blocks show, as kernels read it: four numbers a block where they suffice, bits elsewhere.

The queries i and keys j of a block, both counted from its corner, form a *zone* if they are those with

    low <= i - j <= high  and  left <= j < right

A diagonal cuts such blocks out of causal masks and windows, a column out of padding and global tokens. Any
other block has its elements as bits, 32 keys to a word, kept once for all blocks that look alike.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from . import blocks
from .patterns import Pattern
from .runs import Grid

BLOCKS_AT_ONCE = 1 << 16
WORD = 32


@dataclass(frozen=True, eq=False)
class PartialBlocks:
    """The partial blocks of a layout: `by_query`, `by_key` int32 `[n, 4]` and `bits [u, block_q, words]`.

    `by_query` goes with `BlockLayout.col_indices` and `by_key` with that of `BlockLayout.transposed()`. A row
    holds `low, high, left, right`. Where `low > high`, the block is `bits[right]`: there key j of query i is
    bit `j % 32` of the int32 `bits[right, i, j // 32]`. What queries past the end see is not said.
    """

    by_query: Tensor
    by_key: Tensor
    bits: Tensor

    def to(self, device: torch.device) -> PartialBlocks:
        """These blocks on another device."""
        return PartialBlocks(*(getattr(self, field.name).to(device) for field in fields(self)))


def describe(pattern: Pattern, grid: Grid, heads: int, numbers: Tensor) -> PartialBlocks:
    """The partial blocks with these rising numbers."""
    zones = torch.empty(len(numbers), 4, dtype=torch.int32, device=grid.device)
    bits = _Shelf()
    for start in range(0, len(numbers), BLOCKS_AT_ONCE):
        part = slice(start, start + BLOCKS_AT_ONCE)
        places = blocks.places(numbers[part], grid, heads)
        one, which = blocks.look_alike(pattern, grid, *places)
        kinds = torch.empty(len(one), 4, dtype=torch.int32, device=grid.device)
        for some in torch.arange(len(one), device=grid.device).split(blocks.at_once(grid)):
            at = [place[one[some]] for place in places]
            masks = blocks.masks(pattern, grid, *at)
            kinds[some], fits = _zones(masks, grid.n_q - at[2] * grid.block[0])
            index = bits.put(_pack(masks[~fits]))
            kinds[some[~fits]] = F.pad(index[:, None], (3, 0)) + index.new_tensor([1, 0, 0, 0])
        zones[part] = kinds[which]
    turned = blocks.turned(numbers, grid.rows, grid.columns).argsort()
    words = -(-grid.block[1] // WORD)
    return PartialBlocks(zones, zones[turned], bits.stack((grid.block[0], words), grid.device))


def _zones(masks: Tensor, n_q: Tensor) -> tuple[Tensor, Tensor]:
    """The tightest zones `[u, 4]` around what `masks [u, block_q, block_k]` show, and which are just that.

    `n_q [u]` is the number of queries there are from the block's first on; later ones do not matter.
    """
    i, j = (torch.arange(width, device=masks.device) for width in masks.shape[1:])
    gap, far = i[:, None] - j, len(i) + len(j)
    low = torch.where(masks, gap, far).amin(dim=(1, 2))
    high = torch.where(masks, gap, -far).amax(dim=(1, 2))
    column = masks.any(dim=1)  # [u, block_k]
    left, right = torch.where(column, j, far).amin(dim=1), torch.where(column, j + 1, 0).amax(dim=1)
    inside = (gap >= low[:, None, None]) & (gap <= high[:, None, None])
    inside &= ((j >= left[:, None]) & (j < right[:, None]))[:, None, :]
    fits = ((inside == masks) | (i >= n_q[:, None])[:, :, None]).all(dim=(1, 2))
    return torch.stack([low, high, left, right], dim=1).int(), fits


def _pack(masks: Tensor) -> Tensor:
    """Bools `[u, block_q, block_k]` as words, int32 `[u, block_q, words]`."""
    bits = F.pad(masks, (0, -masks.shape[2] % WORD)).unflatten(2, (-1, WORD)).long()
    return (bits << torch.arange(WORD, device=masks.device)).sum(dim=-1).int()


class _Shelf:
    """Different masks in words, each once."""

    def __init__(self) -> None:
        self.places: dict[bytes, int] = {}
        self.kept: list[Tensor] = []

    def put(self, words: Tensor) -> Tensor:
        """Where each of `words [u, block_q, words]` is now, int32 `[u]`."""
        index = []
        for mask in words.cpu():
            key = mask.numpy().tobytes()
            if key not in self.places:
                self.places[key] = len(self.kept)
                self.kept.append(mask)
            index.append(self.places[key])
        return torch.tensor(index, dtype=torch.int32, device=words.device)

    def stack(self, shape: tuple[int, int], device: torch.device) -> Tensor:
        """All of them, int32 `[u, block_q, words]`."""
        kept = torch.stack(self.kept) if self.kept else torch.empty(0, *shape, dtype=torch.int32)
        return kept.to(device)
