"""One pattern for each head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runs import Grid, Runs
from .base import Pattern


@dataclass(frozen=True, eq=False)
class PerHead(Pattern):
    """Head h follows `patterns[h]`; a single one is for all. The patterns must not tell heads apart."""

    patterns: tuple[Pattern, ...]

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        if not isinstance(patterns, list | tuple) or not all(isinstance(p, Pattern) for p in patterns):
            raise TypeError(f"patterns must be a list of patterns, one for each head, got {patterns!r}")
        if not patterns:
            raise ValueError("patterns must have at least one pattern, got []")
        for pattern in patterns:
            if pattern.heads > 1:
                raise ValueError(
                    f"patterns must be the same for all heads, got {pattern!r} with {pattern.heads}"
                )
        if len({p.batch for p in patterns} - {1}) > 1:
            raise ValueError(
                f"patterns must be for one number of batch entries, got {[p.batch for p in patterns]}"
            )
        object.__setattr__(self, "patterns", tuple(patterns))

    def __repr__(self) -> str:
        return f"PerHead([{', '.join(map(repr, self.patterns))}])"

    @property
    def batch(self) -> int:
        """The largest of all."""
        return max(pattern.batch for pattern in self.patterns)

    @property
    def heads(self) -> int:
        """One for each pattern."""
        return len(self.patterns)

    @property
    def positions(self) -> int | None:
        """The smallest of all."""
        known = [p.positions for p in self.patterns if p.positions is not None]
        return min(known) if known else None

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """What the pattern of head `h` says; `%` leaves h as it is, or makes it 0 where all agree."""
        h = h % self.heads
        first, *others = (
            (h == head) & pattern(b, h, q_idx, kv_idx) for head, pattern in enumerate(self.patterns)
        )
        for seen in others:
            first = first | seen
        return first

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """The head, and the numbers of its pattern."""
        h = h % self.heads
        places = b, h, q_idx, kv_idx
        numbers = [pattern.fingerprint(*places, block) for pattern in self.patterns]
        widest = max(table.shape[1] for table in numbers)
        chosen = torch.stack([F.pad(table, (0, widest - table.shape[1])) for table in numbers], dim=1)
        return torch.cat([h[:, None], chosen[torch.arange(len(h), device=h.device), h]], dim=1)

    def runs(self, grid: Grid) -> Runs:
        """The runs of each head's pattern."""
        return Runs.from_heads([pattern.runs(grid) for pattern in self.patterns])
