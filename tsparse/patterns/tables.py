"""Patterns that are data: real lengths, packed documents, tokens chosen to see everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import brief, integers, whole
from ..runs import EMPTY, FULL, PARTIAL, UNDECIDED, Grid, Runs
from .bands import Spans
from .base import Pattern, alike


@dataclass(frozen=True, eq=False)
class Padding(Spans):
    """Batch entry b has `lengths[b]` real keys; the rest is padding that nobody sees: `k < lengths[b]`."""

    lengths: Tensor

    def __init__(self, lengths: Tensor | Sequence[int]) -> None:
        table = integers("lengths", lengths)
        known = not torch.compiler.is_exporting()  # values come when the exported program runs
        if table.ndim != 1 or table.numel() == 0 or (known and int(table.min()) < 0):
            raise ValueError(f"lengths must be [B], each 0 or more, got {brief(table)}")
        object.__setattr__(self, "lengths", table)

    def __repr__(self) -> str:
        return f"Padding({brief(self.lengths)})"

    @property
    def batch(self) -> int:
        """One for each length."""
        return len(self.lengths)

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`k < lengths[b]`; `%` leaves b as it is, or makes it 0 where all agree."""
        return (kv_idx < self.lengths.to(kv_idx.device)[b % self.batch]) & (q_idx >= 0)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """The number of keys before the end."""
        return (self.lengths.to(b.device)[b % self.batch] - kv_idx).clamp(0, block[1])[:, None]

    def span(self, q_idx: Tensor) -> tuple[Tensor, Tensor]:
        """The same for every query of a batch entry."""
        stop = self.lengths.to(q_idx.device)[:, None].expand(-1, len(q_idx))
        return torch.zeros_like(stop), stop


@dataclass(frozen=True, eq=False)
class Documents(Pattern):
    """Several documents packed in one sequence, each seeing only itself: `ids[q] == ids[k]`.

    `ids` is an integer tensor `[N]`, or `[B, N]` where batch entries are packed differently; N must cover
    every query and key position. Ids may come in any order, but where one comes back after another, a layout
    looks at every element.
    """

    ids: Tensor

    def __init__(self, ids: Tensor | Sequence[int] | Sequence[Sequence[int]]) -> None:
        table = integers("ids", ids)
        if table.ndim not in (1, 2) or table.numel() == 0:
            raise ValueError(f"ids must be [N] or [B, N] with at least one entry, got {brief(table)}")
        object.__setattr__(self, "ids", table)

    @staticmethod
    def from_lengths(lengths: Tensor | Sequence[int]) -> Documents:
        """Documents of these lengths, one after the other."""
        table = integers("lengths", lengths)
        if table.ndim != 1 or table.numel() == 0 or int(table.min()) < 1:
            raise ValueError(f"lengths must be a list of positive integers, got {brief(table)}")
        return Documents(torch.arange(len(table), device=table.device).repeat_interleave(table))

    def __repr__(self) -> str:
        return f"Documents({brief(self.ids)})"

    @property
    def batch(self) -> int:
        """B of `ids [B, N]`."""
        return 1 if self.ids.ndim == 1 else self.ids.shape[0]

    @property
    def positions(self) -> int:
        """N of the ids."""
        return self.ids.shape[-1]

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """`ids[b, q] == ids[b, k]`."""
        return _look_up(self.ids, b, q_idx) == _look_up(self.ids, b, kv_idx)

    def runs(self, grid: Grid) -> Runs:
        """Five runs a row, from the first to the last token of a document, if each is in one piece."""
        ids = self.ids.to(grid.device).view(-1, self.positions)  # [B', N]
        begins = torch.ones_like(ids, dtype=torch.bool)
        begins[:, 1:] = ids[:, 1:] != ids[:, :-1]
        if any(int(begin.sum()) != len(row.unique()) for row, begin in zip(ids, begins, strict=True)):
            return Runs.uniform(UNDECIDED, grid)
        position = torch.arange(self.positions, device=grid.device)
        start = torch.where(begins, position, 0).cummax(dim=-1).values
        ends = torch.where(begins.roll(-1, dims=-1), position + 1, self.positions)
        stop = ends.flip(-1).cummin(dim=-1).values.flip(-1)
        first, last = grid.first_query, grid.last_query
        return Runs.from_spans((start[:, first], stop[:, first]), (start[:, last], stop[:, last]), grid)


@dataclass(frozen=True, eq=False)
class Global(Pattern):
    """Chosen tokens see every key, and every query sees them: rows and columns, as in Longformer.

    `tokens` is a number (the first so many), a list of positions, or a boolean tensor `[N]` or `[B, N]` that
    marks them (N must then cover every position).
    Source: Beltagy et al., "Longformer: the long-document transformer", 2020, section 3.1.
    """

    tokens: int | tuple[int, ...] | Tensor
    _marks: Tensor

    def __init__(self, tokens: int | Sequence[int] | Tensor) -> None:
        kept: int | tuple[int, ...] | Tensor
        marks = torch.zeros(0, dtype=torch.bool)
        if isinstance(tokens, int) and not isinstance(tokens, bool):
            kept = whole("tokens", tokens, least=0)
        elif isinstance(tokens, Tensor) and tokens.dtype == torch.bool:
            if tokens.ndim not in (1, 2) or tokens.numel() == 0:
                raise ValueError(f"tokens as a mask must be [N] or [B, N], got shape {list(tokens.shape)}")
            kept = marks = tokens.detach().clone()
        else:
            places = integers("tokens", tokens)
            if places.ndim != 1 or bool((places < 0).any()):
                raise ValueError(f"tokens must be a list of positions, each 0 or more, got {brief(places)}")
            kept = tuple(places.tolist())
            marks = torch.zeros(max(kept, default=0) + 2, dtype=torch.bool)  # the last stands for all later
            marks[places] = True
        object.__setattr__(self, "tokens", kept)
        object.__setattr__(self, "_marks", marks)

    def __repr__(self) -> str:
        tokens = torch.tensor(self.tokens) if isinstance(self.tokens, tuple) else self.tokens
        return f"Global({brief(tokens) if isinstance(tokens, Tensor) else tokens})"

    @property
    def batch(self) -> int:
        """B of a mask `[B, N]`."""
        return self.tokens.shape[0] if isinstance(self.tokens, Tensor) and self.tokens.ndim == 2 else 1

    @property
    def positions(self) -> int | None:
        """N of a mask."""
        return self.tokens.shape[-1] if isinstance(self.tokens, Tensor) else None

    def chosen(self, b: Tensor, position: Tensor) -> Tensor:
        """Whether the token at `position` is a global one."""
        if isinstance(self.tokens, int):
            return position < self.tokens
        return _look_up(self._marks, b, position.clamp(max=self._marks.shape[-1] - 1))

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """The query or the key is a global token."""
        return self.chosen(b, q_idx) | self.chosen(b, kv_idx)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Which queries and which keys of the block are global tokens."""
        looks = (self._looks(b, x, width) for x, width in zip((q_idx, kv_idx), block, strict=True))
        return torch.stack(list(looks), dim=1)

    def _looks(self, b: Tensor, start: Tensor, width: int) -> Tensor:
        """A number for each stretch of `width` positions, the same where the same ones of them are chosen."""
        if isinstance(self.tokens, int):
            return (self.tokens - start).clamp(0, width)
        one, which = alike(torch.stack([b % self.batch, start], dim=1))
        positions = start[one, None] + torch.arange(width, device=start.device)
        chosen = self.chosen(b[one, None], positions)
        looks = chosen.any(dim=1).long()  # 0 where none is
        looks[looks > 0] += chosen[looks > 0].unique(dim=0, return_inverse=True)[1]
        return looks[which]

    def runs(self, grid: Grid) -> Runs:
        """Runs of key blocks with and without global tokens; a row of blocks with some is never empty."""
        b = torch.arange(self.batch, device=grid.device)[:, None]
        queries = torch.arange(grid.q_offset, grid.q_offset + grid.n_q, device=grid.device)
        keys = torch.arange(grid.n_kv, device=grid.device)
        chosen = (self.chosen(b, positions).expand(self.batch, -1) for positions in (queries, keys))
        return Runs.from_sides(*(some_or_all(c, width) for c, width in zip(chosen, grid.block, strict=True)))


def _look_up(table: Tensor, b: Tensor, position: Tensor) -> Tensor:
    """Entry of a table `[N]` or `[B, N]`; `%` leaves b as it is, or makes it 0 where all agree."""
    table = table.to(position.device)
    return table[position] if table.ndim == 1 else table[b % len(table), position]


def some_or_all(chosen: Tensor, width: int) -> Tensor:
    """EMPTY, PARTIAL or FULL for each block of `width` entries of `chosen [B', n]`; the last may be short."""
    short = -chosen.shape[1] % width
    some = F.pad(chosen, (0, short), value=False).unflatten(1, (-1, width)).any(dim=-1)
    every = F.pad(chosen, (0, short), value=True).unflatten(1, (-1, width)).all(dim=-1)
    return torch.where(every, FULL, torch.where(some, PARTIAL, EMPTY))
