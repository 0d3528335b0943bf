"""Random blocks that are the same on every device, in every implementation, and at every length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ..arguments import whole
from ..runs import FULL, PARTIAL, Grid, Runs
from .base import Pattern

_WORD = 0xFFFFFFFF  # hashes are 32 bits wide, kept in int64, where no product below can overflow
Word = TypeVar("Word", int, Tensor)


@dataclass(frozen=True, eq=False)
class RandomBlocks(Pattern):
    """The queries of a block see the keys of `count` blocks chosen by a hash. Blocks are `block` positions.

    Without `length` the c-th choice of query block i is block `hash(seed, i, c) % (i + 1)`: never after its
    own, independent of how long the sequence is, so that decoding sees what training saw; two choices may
    fall on one block. With `length`, the number of positions, they are `count` different blocks of all that
    begin before it, before or after the query. In its own block a query may see later keys: overlay
    `Causal()` where that matters. Source: Zaheer et al., "Big Bird: transformers for longer sequences", 2020.
    """

    count: int
    block: int = 64
    seed: int = 0
    length: int | None = None

    def __post_init__(self) -> None:
        whole("count", self.count, least=1)
        whole("block", self.block, least=1)
        if whole("seed", self.seed, least=0) > _WORD:
            raise ValueError(f"seed must be below 2**32, got {self.seed}")
        if self.length is not None:
            blocks = -(-whole("length", self.length, least=1) // self.block)
            if self.count > blocks:
                raise ValueError(
                    f"count must be at most {blocks}, the number of blocks of {self.block} in "
                    f"length={self.length}, got {self.count}"
                )

    def __repr__(self) -> str:
        length = "" if self.length is None else f", length={self.length}"
        return f"RandomBlocks({self.count}, block={self.block}, seed={self.seed}{length})"

    @property
    def positions(self) -> int | None:
        """The length, if it was given."""
        return self.length

    def choices(self, i: Tensor) -> list[Tensor]:
        """The key blocks that query blocks `i` see: `count` tensors like `i`."""
        numbers = [_hash(self.seed, i, c) for c in range(self.count)]
        if self.length is None:
            return [number % (i.long() + 1) for number in numbers]
        # Floyd's sampling (Bentley and Floyd, 1987): c-th of the first `top + 1` blocks, or `top` if taken
        chosen: list[Tensor] = []
        for c, number in enumerate(numbers):
            top = -(-self.length // self.block) - self.count + c
            choice = number % (top + 1)
            for earlier in chosen[:c]:
                choice = torch.where(number % (top + 1) == earlier, top, choice)
            chosen.append(choice)
        return chosen

    def _sees(self, i: Tensor, j: Tensor) -> Tensor:
        """Whether query block `i` sees key block `j`."""
        first, *others = self.choices(i)
        seen = first == j
        for choice in others:
            seen = seen | (choice == j)
        return seen

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """The key's block is one of the choices of the query's block."""
        return self._sees(q_idx // self.block, kv_idx // self.block)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Where in its random blocks a block begins, and which pairs of those it meets see each other."""
        reach = [(width + self.block - 2) // self.block + 1 for width in block]
        if reach[0] * reach[1] > 62:
            return super().fingerprint(b, h, q_idx, kv_idx, block)
        i, j = (
            x[:, None] // self.block + torch.arange(n, device=x.device)
            for x, n in zip((q_idx, kv_idx), reach, strict=True)
        )
        met = (i * self.block < q_idx[:, None] + block[0])[:, :, None]
        met = met & (j * self.block < kv_idx[:, None] + block[1])[:, None, :]
        seen = (met & self._sees(i[:, :, None], j[:, None, :])).flatten(1).long()  # [n, reach_q * reach_k]
        bits = (seen << torch.arange(seen.shape[1], device=seen.device)).sum(dim=1)
        return torch.stack([q_idx % self.block, kv_idx % self.block, bits], dim=1)

    def runs(self, grid: Grid) -> Runs:
        """Single blocks: full where all random blocks they meet see each other, otherwise partial."""
        width = grid.block[1]
        first, last = grid.first_query // self.block, grid.last_query // self.block
        met = last - first + 1  # random query blocks that a row of blocks meets, [R]
        row = torch.arange(grid.rows, device=grid.device).repeat_interleave(met)
        i = torch.arange(len(row), device=grid.device) - (met.cumsum(0) - met)[row] + first[row]
        j = torch.stack(self.choices(i), dim=1).sort(dim=1).values  # [rows that meet, count]
        again = torch.zeros_like(j, dtype=torch.bool)
        again[:, 1:] = j[:, 1:] == j[:, :-1]

        start = (j * self.block)[..., None]
        column = start // width + torch.arange((self.block + width - 2) // width + 1, device=grid.device)
        touches = ~again[..., None] & (column * width < (start + self.block).clamp(max=grid.n_kv))
        touches &= start < grid.n_kv
        numbers, pairs = (row[:, None, None] * grid.columns + column)[touches].unique(return_counts=True)
        row, column = numbers // grid.columns, numbers % grid.columns
        last_key = (column * width + width - 1).clamp(max=grid.n_kv - 1)
        all_pairs = met[row] * (last_key // self.block - column * width // self.block + 1)
        return Runs.from_blocks(numbers, torch.where(pairs == all_pairs, FULL, PARTIAL), grid)


def _hash(seed: int, i: Tensor, c: int) -> Tensor:
    """A number of 32 bits for each `i`: `mix(mix(mix(seed) ^ i) ^ mix(c + 1))`, int64."""
    return _mix(_mix(i.long() ^ _mix(seed)) ^ _mix(c + 1))


def _mix(x: Word) -> Word:
    """Thomas Mueller's mixer: one to one on 32 bits, half of the bits change with any of them."""
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & _WORD
    return (x >> 16) ^ x
