"""Run arithmetic: which key blocks a query block can touch, without looking at single elements.

Cut a mask into blocks. Along one row of blocks the blocks come in *runs* of one kind, and a row is known by
where its runs begin and what they are. `Causal()` over 8 keys in blocks of 2, its third row of blocks:

    key block      0   1   2   3
                 +---+---+---+---+
                 |■ ■|■ ■|■ ·|· ·|          bounds  0       2   3   4
                 |■ ■|■ ■|■ ■|· ·|          labels    FULL   PARTIAL  EMPTY
                 +---+---+---+---+

A pattern of any length needs a handful of runs a row, so a row costs the same at a thousand tokens and at a
million. Patterns are combined by merging the bounds of their rows and looking labels up in a 4 x 4 table.
`EMPTY`, `PARTIAL` and `FULL` are facts about the elements that exist: none, some but not all, or all of them
are seen. Two partial blocks overlaid may be anything: `UNDECIDED`, until `layout.py` looks inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EMPTY, PARTIAL, FULL, UNDECIDED = range(4)

_NOT = (FULL, PARTIAL, EMPTY, UNDECIDED)
_AND = (
    # EMPTY  PARTIAL    FULL       UNDECIDED
    (EMPTY, EMPTY, EMPTY, EMPTY),
    (EMPTY, UNDECIDED, PARTIAL, UNDECIDED),
    (EMPTY, PARTIAL, FULL, UNDECIDED),
    (EMPTY, UNDECIDED, UNDECIDED, UNDECIDED),
)


@dataclass(frozen=True)
class Grid:
    """`n_q` queries and `n_kv` keys cut into blocks; query 0 stands at position `q_offset`."""

    n_q: int
    n_kv: int
    block: tuple[int, int]
    q_offset: int
    device: torch.device

    @property
    def rows(self) -> int:
        """Number of query blocks R."""
        return -(-self.n_q // self.block[0])

    @property
    def columns(self) -> int:
        """Number of key blocks C."""
        return -(-self.n_kv // self.block[1])

    @property
    def first_query(self) -> Tensor:
        """Position of the first query of each query block, `[R]`."""
        return torch.arange(self.rows, device=self.device) * self.block[0] + self.q_offset

    @property
    def last_query(self) -> Tensor:
        """Position of the last query of each query block, `[R]`; the last block may be short."""
        return (self.first_query + self.block[0] - 1).clamp(max=self.q_offset + self.n_q - 1)


@dataclass(frozen=True)
class Runs:
    """Run j of a row covers the key blocks `bounds[j] <= c < bounds[j + 1]` and is a `labels[j]`.

    `bounds [B', H', R, K + 1]` rises from 0 to C in each row, `labels [B', H', R, K]`; a run may have length
    zero, which is how rows with fewer runs are padded. B' and H' are 1 where batches or heads agree.
    """

    bounds: Tensor
    labels: Tensor

    @staticmethod
    def uniform(label: int, grid: Grid) -> Runs:
        """Every block of the grid is a `label`."""
        bounds = torch.tensor([0, grid.columns], device=grid.device).expand(1, 1, grid.rows, 2)
        return Runs(bounds, torch.full((1, 1, grid.rows, 1), label, device=grid.device))

    @staticmethod
    def from_spans(first: tuple[Tensor, Tensor], last: tuple[Tensor, Tensor], grid: Grid) -> Runs:
        """A row of blocks whose queries each see one span of keys, `start <= k < stop`.

        `first` and `last` are (start, stop), each `[B', R]` or `[R]`, of the first and the last query of
        each block. From query to query both ends may only grow, and no gap may open between a span and the
        next one; then the union of the spans runs from the first start to the last stop, and what all see
        from the last start to the first stop. That gives five runs: EMPTY PARTIAL FULL PARTIAL EMPTY.
        """
        n, width, columns = grid.n_kv, grid.block[1], grid.columns
        some_start, some_stop = first[0].clamp(0, n), last[1].clamp(0, n)
        all_start, all_stop = last[0].clamp(0, n), first[1].clamp(0, n)

        touched_start = some_start // width
        touched_stop = torch.where(some_start < some_stop, -(-some_stop // width), touched_start)
        full_start = (-(-all_start // width)).clamp(touched_start, touched_stop)
        full_stop = torch.where(all_stop == n, columns, all_stop // width).clamp(full_start, touched_stop)

        bounds = [torch.zeros_like(touched_start), touched_start, full_start, full_stop, touched_stop]
        bounds.append(torch.full_like(touched_start, columns))
        stacked = torch.stack(torch.broadcast_tensors(*bounds), dim=-1)
        stacked = stacked.reshape(-1, 1, grid.rows, 6)  # [B', 1, R, K + 1]
        labels = torch.tensor([EMPTY, PARTIAL, FULL, PARTIAL, EMPTY], device=grid.device)
        return Runs(stacked, labels.expand(*stacked.shape[:-1], 5))

    @staticmethod
    def from_sides(rows: Tensor, columns: Tensor) -> Runs:
        """A rule "the query is chosen or the key is chosen".

        `rows [B', R]` and `columns [B', C]` say whether none, some or all (EMPTY, PARTIAL, FULL) of a
        block's queries and keys are chosen.
        """
        runs = Runs.from_labels(columns[:, None, None, :])
        return Runs(
            runs.bounds.expand(-1, -1, rows.shape[1], -1),
            torch.maximum(runs.labels, rows[:, None, :, None]),  # EMPTY < PARTIAL < FULL
        )

    @staticmethod
    def from_labels(labels: Tensor) -> Runs:
        """One run for each change along the rows of `labels [B', H', R, C]`."""
        columns = labels.shape[3]
        begins = torch.ones_like(labels, dtype=torch.bool)
        begins[..., 1:] = labels[..., 1:] != labels[..., :-1]
        *row, start = begins.nonzero(as_tuple=True)
        count = begins.sum(dim=3)  # [B', H', R]
        before = count.flatten().cumsum(0) - count.flatten()
        turn = torch.arange(len(start), device=labels.device) - before.repeat_interleave(count.flatten())
        longest = int(count.max())
        bounds = start.new_full((*count.shape, longest + 1), columns)
        kinds = start.new_full((*count.shape, longest), EMPTY)
        bounds[(*row, turn)], kinds[(*row, turn)] = start, labels[begins].long()
        return Runs(bounds, kinds)

    @staticmethod
    def from_blocks(numbers: Tensor, labels: Tensor, grid: Grid) -> Runs:
        """Rows of single blocks, each with its label, and EMPTY between them.

        `numbers [n]` are `row * C + column`, rising and each once, `labels [n]`. A row has twice as many runs
        as the fullest row has blocks.
        """
        row, column = numbers // grid.columns, numbers % grid.columns
        count = torch.bincount(row, minlength=grid.rows)
        turn = torch.arange(len(row), device=grid.device) - (count.cumsum(0) - count)[row]  # in its row
        most = int(count.max())
        bounds = torch.full((grid.rows, 2 * most + 2), grid.columns, device=grid.device)
        bounds[:, 0] = 0
        bounds[row, 2 * turn + 1] = column
        bounds[row, 2 * turn + 2] = column + 1
        kinds = torch.full((grid.rows, 2 * most + 1), EMPTY, device=grid.device)
        kinds[row, 2 * turn + 1] = labels
        return Runs(bounds[None, None], kinds[None, None])

    @staticmethod
    def from_heads(heads: list[Runs]) -> Runs:
        """One head after the other; each of `heads` has H' = 1."""
        batch = max(runs.labels.shape[0] for runs in heads)
        most = max(runs.labels.shape[-1] for runs in heads)
        bounds, labels = [], []
        for runs in heads:
            short = most - runs.labels.shape[-1]
            wide = runs.bounds[..., -1:].expand(*runs.bounds.shape[:-1], short)  # runs of length zero
            bounds.append(torch.cat([runs.bounds, wide], dim=-1).expand(batch, -1, -1, -1))
            labels.append(F.pad(runs.labels, (0, short), value=EMPTY).expand(batch, -1, -1, -1))
        return Runs(torch.cat(bounds, dim=1), torch.cat(labels, dim=1))

    def expand(self, batch: int, heads: int) -> Runs:
        """The same for at least so many batch entries and heads: B' and H' as large as these, or larger."""
        lead = _both(self.labels.shape[:2], (batch, heads))
        return Runs(self.bounds.expand(*lead, -1, -1), self.labels.expand(*lead, -1, -1))

    def __invert__(self) -> Runs:
        return Runs(self.bounds, self.labels.new_tensor(_NOT)[self.labels])

    def __and__(self, other: Runs) -> Runs:
        lead = _both(self.bounds.shape[:-1], other.bounds.shape[:-1])
        mine, theirs = (runs.bounds.expand(*lead, -1) for runs in (self, other))
        bounds = torch.cat([mine, theirs[..., 1:-1]], dim=-1).sort(dim=-1).values
        table = self.labels.new_tensor(_AND)
        return Runs(bounds, table[self._labels_at(bounds), other._labels_at(bounds)])

    def __or__(self, other: Runs) -> Runs:
        return ~(~self & ~other)

    def _labels_at(self, bounds: Tensor) -> Tensor:
        """This one's label in each run of finer `bounds`."""
        lead = bounds.shape[:-1]
        starts = bounds[..., :-1].contiguous()
        run = torch.searchsorted(self.bounds.expand(*lead, -1).contiguous(), starts, right=True) - 1
        return self.labels.expand(*lead, -1).gather(-1, run.clamp(max=self.labels.shape[-1] - 1))

    def blocks(self, label: int) -> Tensor:
        """The blocks of one label, each as the number `((b * H' + h) * R + row) * C + column`, rising."""
        columns = int(self.bounds[0, 0, 0, -1])
        length = torch.where(self.labels == label, self.bounds.diff(dim=-1), 0)  # [B', H', R, K]
        row = torch.arange(self.labels[..., 0].numel(), device=self.labels.device)
        start = row.view(*self.labels.shape[:-1], 1) * columns + self.bounds[..., :-1]
        length, start = length.flatten(), start.flatten()
        before = length.cumsum(0) - length
        numbers = torch.arange(int(length.sum()), device=length.device)
        return numbers + (start - before).repeat_interleave(length)


def _both(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """What both sizes broadcast to. (`torch.broadcast_shapes` imports sympy on first use: half a second.)"""
    return [max(sizes) for sizes in zip(one, other, strict=True)]
