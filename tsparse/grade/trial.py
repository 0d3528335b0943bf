"""One case tried: what the answer gave, what was wanted, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tsparse.grade.exercise import Case
from tsparse.grade.running import Outcome
from tsparse.grade.values import same


@dataclass(frozen=True, eq=False)
class Trial:
    """A case with its outcome; `fault` says in two words what is wrong, None if nothing is.

    `rounded_to` is the dtype in which results are compared when the answer returned a coarser one.
    """

    case: Case
    outcome: Outcome
    want: Any
    fault: str | None
    rounded_to: torch.dtype | None = None

    def agrees(self, value: Any) -> bool:
        """Whether another result is the same as the answer's."""
        return same(self.outcome.value, value.to(self.rounded_to) if self.rounded_to else value)
