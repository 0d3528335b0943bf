"""Patterns in which a query sees keys at regular steps, and the order in which strided ones are blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..arguments import whole
from ..runs import EMPTY, FULL, PARTIAL, Grid, Runs
from .bands import Causal, Full, SlidingWindow
from .base import And, Pattern
from .tables import Documents


@dataclass(frozen=True, eq=False)
class Dilated(Pattern):
    """A query sees `window` keys, itself the last, `dilation` apart: `q - k = 0, dilation, 2 * dilation ...`.

    `Dilated(window, 1)` is `SlidingWindow(window)`.
    Source: Beltagy et al., "Longformer: the long-document transformer", 2020, section 3.1.
    """

    window: int
    dilation: int

    def __post_init__(self) -> None:
        whole("window", self.window, least=1)
        whole("dilation", self.dilation, least=1)

    def __repr__(self) -> str:
        return f"Dilated({self.window}, {self.dilation})"

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`(q - k) % dilation == 0` and `0 <= (q - k) // dilation < window`."""
        distance = q_idx - kv_idx
        near = (distance >= 0) & (distance <= (self.window - 1) * self.dilation)
        return near & (distance % self.dilation == 0)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Only the distance matters."""
        return (q_idx - kv_idx)[:, None]

    def runs(self, grid: Grid) -> Runs:
        """One stretch of partial blocks, or single blocks where keys are further apart than a block."""
        if self.dilation == 1:
            return SlidingWindow(self.window).runs(grid)
        return _step_runs(grid, self.dilation, 0, self.window - 1)


@dataclass(frozen=True, eq=False)
class Strided(Pattern):
    """A query sees the keys a multiple of `stride` away, before and after it: `(q - k) % stride == 0`.

    Every block holds some of them, so it is not block-sparse until the sequence is put in another order, see
    `block_diagonal`; the layouts of `Strided(stride)` and `Strided(stride) & Causal()` are. Source: Child et
    al., "Generating long sequences with sparse transformers", 2019, section 4.3.
    """

    stride: int

    def __post_init__(self) -> None:
        whole("stride", self.stride, least=1)

    def __repr__(self) -> str:
        return f"Strided({self.stride})"

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`(q - k) % stride == 0`."""
        return (q_idx - kv_idx) % self.stride == 0

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Only the distance matters, and only how far it is from a multiple."""
        return ((q_idx - kv_idx) % self.stride)[:, None]

    def runs(self, grid: Grid) -> Runs:
        """Partial blocks everywhere, or single blocks where keys are further apart than a block."""
        if self.stride == 1:
            return Full().runs(grid)
        last_query = grid.q_offset + grid.n_q - 1
        return _step_runs(grid, self.stride, -(grid.n_kv // self.stride), last_query // self.stride)


def block_diagonal(pattern: Pattern, n: int) -> tuple[Tensor, Pattern] | None:
    """The order of `n` positions in which a strided pattern is block-diagonal, and the pattern in that order.

    For `Strided(s)` and `Strided(s) & Causal()`; None for every other pattern. Positions with one remainder
    by s come together, rising: place `p` holds position `order[p]`. There the pattern is one of documents.

    >>> order, there = block_diagonal(Strided(3), 8)
    >>> order.tolist(), there
    ([0, 3, 6, 1, 4, 7, 2, 5], Documents([0, 0, 0, 1, 1, 1, 2, 2]))
    """
    sides = (pattern.left, pattern.right) if isinstance(pattern, And) else (pattern,)
    strided = [side for side in sides if isinstance(side, Strided)]
    causal = [side for side in sides if isinstance(side, Causal)]
    if len(strided) != 1 or len(strided) + len(causal) != len(sides):
        return None
    remainder = torch.arange(n) % strided[0].stride
    order = remainder.argsort(stable=True)
    together = Documents(remainder[order])
    return order, together & causal[0] if causal else together


def _step_runs(grid: Grid, step: int, least: int, most: int) -> Runs:
    """The runs of `q - k = m * step` for `least <= m <= most`, where step is 2 or more."""
    numbers = _single_blocks(grid, step, least, most) if step > grid.block[1] else _last_column(grid)
    labels = _step_labels(grid, step, least, most, numbers // grid.columns, numbers % grid.columns)
    single = Runs.from_blocks(numbers[labels != EMPTY], labels[labels != EMPTY], grid)
    if step > grid.block[1]:
        return single

    # between its ends, every block with all its keys holds a key for each query, but not all keys
    whole_columns = grid.n_kv // grid.block[1]
    first = (grid.first_query - most * step).div(grid.block[1], rounding_mode="floor").clamp(0, whole_columns)
    stop = (grid.last_query - least * step).div(grid.block[1], rounding_mode="floor") + 1
    stop = stop.clamp(max=whole_columns).maximum(first)
    ends = torch.zeros_like(first), torch.full_like(first, grid.columns)
    bounds = torch.stack([ends[0], first, stop, ends[1]], dim=-1)
    labels = torch.tensor([EMPTY, PARTIAL, EMPTY], device=grid.device)
    return single | Runs(bounds[None, None], labels.expand(1, 1, grid.rows, 3))


def _last_column(grid: Grid) -> Tensor:
    """The numbers of the blocks in the last column if it lacks keys, otherwise none."""
    rows = torch.arange(grid.rows if grid.n_kv % grid.block[1] else 0, device=grid.device)
    return (rows + 1) * grid.columns - 1


def _single_blocks(grid: Grid, step: int, least: int, most: int) -> Tensor:
    """The numbers of all blocks that the diagonals `q - k = m * step` may touch, rising, each once."""
    block_q, block_k = grid.block
    most = min(most, (grid.q_offset + grid.n_q - 1) // step)
    shift = torch.arange(least, most + 1, device=grid.device) * step
    first, last = (q[:, None] - shift for q in (grid.first_query, grid.last_query))  # keys, [R, m]
    row = torch.arange(grid.rows, device=grid.device)[:, None].expand_as(first)
    crosses = (last >= 0) & (first < grid.n_kv)
    row, first, last = row[crosses], first[crosses].clamp(min=0), last[crosses].clamp(max=grid.n_kv - 1)
    column = first[:, None] // block_k + torch.arange((block_q - 1) // block_k + 2, device=grid.device)
    return (row[:, None] * grid.columns + column)[column <= (last // block_k)[:, None]].unique()


def _step_labels(grid: Grid, step: int, least: int, most: int, row: Tensor, column: Tensor) -> Tensor:
    """EMPTY, PARTIAL or FULL for blocks: between its smallest and largest distance lies some `m * step`?"""
    first_key = column * grid.block[1]
    last_key = (first_key + grid.block[1] - 1).clamp(max=grid.n_kv - 1)
    nearest, furthest = grid.first_query[row] - last_key, grid.last_query[row] - first_key
    lowest = (-(-nearest).div(step, rounding_mode="floor")).clamp(min=least)
    highest = furthest.div(step, rounding_mode="floor").clamp(max=most)
    kind = torch.where(nearest == furthest, FULL, PARTIAL)  # a single element, or distances in between
    return torch.where(lowest <= highest, kind, EMPTY)
