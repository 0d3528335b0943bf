"""Patterns in which each query sees one span of keys, known from its position alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..arguments import whole
from ..runs import FULL, Grid, Runs
from .base import Pattern


class Spans(Pattern):
    """A pattern in which each query sees one span of keys, `start <= k < stop`, see `Runs.from_spans`.

    Either the span moves with the query, or there is a `fingerprint` of its own.
    """

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """Start and stop, `[R]` or `[B', R]`, of the queries at positions `q_idx [R]`."""
        raise NotImplementedError

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """How far away the ends of the first query's span are, up to the size of a block."""
        ends = ((end - kv_idx).clamp(-block[0], block[1]) for end in self.span(q_idx))
        return torch.stack(list(ends), dim=1)

    def runs(self, grid: Grid) -> Runs:
        """Five runs a row."""
        return Runs.from_spans(self.span(grid.first_query), self.span(grid.last_query), grid)


@dataclass(frozen=True, eq=False)
class Full(Pattern):
    """Every query sees every key."""

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """Always True."""
        return (q_idx >= 0) | (kv_idx >= 0)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Nothing matters."""
        return q_idx.new_empty(len(q_idx), 0)

    def runs(self, grid: Grid) -> Runs:
        """One run a row."""
        return Runs.uniform(FULL, grid)


@dataclass(frozen=True, eq=False)
class Causal(Spans):
    """A query sees itself and what came before it: `k <= q`."""

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`k <= q`."""
        return kv_idx <= q_idx

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """From the first key to the query's own."""
        return torch.zeros_like(q_idx), q_idx + 1


@dataclass(frozen=True, eq=False)
class SlidingWindow(Spans):
    """A query sees the last `window` keys, its own among them: `0 <= q - k < window`."""

    window: int

    def __post_init__(self) -> None:
        whole("window", self.window, least=1)

    def __repr__(self) -> str:
        return f"SlidingWindow({self.window})"

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`0 <= q - k < window`."""
        distance = q_idx - kv_idx
        return (distance >= 0) & (distance < self.window)

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """`window` keys that end with the query's own."""
        return q_idx - (self.window - 1), q_idx + 1


@dataclass(frozen=True, eq=False)
class Local(Spans):
    """A query sees the keys up to `radius` away on both sides: `|q - k| <= radius`."""

    radius: int

    def __post_init__(self) -> None:
        whole("radius", self.radius, least=0)

    def __repr__(self) -> str:
        return f"Local({self.radius})"

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`|q - k| <= radius`."""
        return (q_idx - kv_idx).abs() <= self.radius

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """`radius` keys on each side of the query's own."""
        return q_idx - self.radius, q_idx + self.radius + 1


@dataclass(frozen=True, eq=False)
class Prefix(Spans):
    """Every query sees the first `length` keys. A prefix language model is `Causal() | Prefix(n)`."""

    length: int

    def __post_init__(self) -> None:
        whole("length", self.length, least=0)

    def __repr__(self) -> str:
        return f"Prefix({self.length})"

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`k < length`."""
        return (kv_idx < self.length) & (q_idx >= 0)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """The number of keys before the end."""
        return (self.length - kv_idx).clamp(0, block[1])[:, None]

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """The same for every query."""
        return torch.zeros_like(q_idx), torch.full_like(q_idx, self.length)
