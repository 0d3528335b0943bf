"""Patterns with summary columns: a few keys of every chunk that all queries see, and Fixed attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..arguments import whole
from ..runs import EMPTY, Grid, Runs
from .bands import Spans
from .base import Pattern
from .tables import some_or_all


@dataclass(frozen=True, eq=False)
class Columns(Pattern):
    """Every query sees the first `width` keys of each chunk of `stride`: `k % stride < width`. Not causal."""

    stride: int
    width: int = 1

    def __post_init__(self) -> None:
        whole("stride", self.stride, least=1)
        _check_width(self.width, self.stride)

    def __repr__(self) -> str:
        return f"Columns({self.stride}, {self.width})"

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`k % stride < width`."""
        return (kv_idx % self.stride < self.width) & (q_idx >= 0)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Where in its chunk a block begins."""
        return (kv_idx % self.stride)[:, None]

    def runs(self, grid: Grid) -> Runs:
        """Runs of key blocks with and without summaries, the same in every row."""
        keys = torch.arange(grid.n_kv, device=grid.device)
        return _column_runs(keys % self.stride < self.width, grid)


class _Chunks(Spans):
    """A query sees the chunk of `stride` keys it is in."""

    def __init__(self, stride: int) -> None:
        self.stride = stride

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """From the beginning to the end of its chunk."""
        start = q_idx - q_idx % self.stride
        return start, start + self.stride


@dataclass(frozen=True, eq=False)
class Fixed(Pattern):
    """A query sees its own chunk of `stride` keys and the last `width` of every chunk. Not causal.

    With `heads` above 1, head h takes the h-th last sub-block of `width` keys instead of the last, and begins
    again at the last when a chunk has no more: `stride // width` sub-blocks, counted from the chunk's end.
    Source: Child et al., "Generating long sequences with sparse transformers", 2019, sections 4.3 and 5.1.
    """

    stride: int
    width: int
    heads: int = 1

    def __post_init__(self) -> None:
        whole("stride", self.stride, least=1)
        _check_width(self.width, self.stride)
        whole("heads", self.heads, least=1)

    def __repr__(self) -> str:
        return f"Fixed({self.stride}, {self.width}{f', heads={self.heads}' if self.heads > 1 else ''})"

    def _summary(self, h: Tensor, kv_idx: Tensor) -> Tensor:
        """Whether the key is a summary in head h."""
        from_end = self.stride - 1 - kv_idx % self.stride  # 0 for the last key of a chunk
        if self.heads == 1:
            return from_end < self.width
        return from_end // self.width == h % (self.stride // self.width)

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """The same chunk, or a summary."""
        return (q_idx // self.stride == kv_idx // self.stride) | self._summary(h, kv_idx)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Where in their chunks the blocks begin, how many chunks apart if they can meet, which sub-block."""
        q_reach, k_reach = ((width + self.stride - 2) // self.stride for width in block)
        apart = (q_idx // self.stride - kv_idx // self.stride).clamp(-q_reach - 1, k_reach + 1)
        numbers = [q_idx % self.stride, kv_idx % self.stride, apart]
        if self.heads > 1:
            numbers.append(h % (self.stride // self.width))
        return torch.stack(numbers, dim=1)

    def runs(self, grid: Grid) -> Runs:
        """Its own chunk, five runs a row, over the summary columns."""
        keys = torch.arange(grid.n_kv, device=grid.device)
        heads = [_column_runs(self._summary(keys.new_tensor(h), keys), grid) for h in range(self.heads)]
        return _Chunks(self.stride).runs(grid) | Runs.from_heads(heads)


def _check_width(width: object, stride: int) -> None:
    """TypeError or ValueError if `width` is not 1 ... stride."""
    if whole("width", width, least=1) > stride:
        raise ValueError(f"width must be at most the stride, {stride}, got {width}")


def _column_runs(chosen: Tensor, grid: Grid) -> Runs:
    """Runs of the chosen keys `[M]`, the same in every row."""
    columns = some_or_all(chosen[None], grid.block[1])
    return Runs.from_sides(columns.new_full((1, grid.rows), EMPTY), columns)
