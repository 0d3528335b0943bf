"""What a probe may look at, and the small tools that all probes share."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tsparse.grade.exercise import Exercise
from tsparse.grade.running import Run
from tsparse.grade.trial import Trial
from tsparse.grade.values import Difference, wrong_places


@dataclass(frozen=True, eq=False)
class Scene:
    """What a probe may look at: the failing trial, where its result differs, and all trials of the draw."""

    exercise: Exercise
    trial: Trial
    trials: Sequence[Trial]
    run: Run
    difference: Difference

    @property
    def got(self) -> Any:
        """The part of the result that is wrong."""
        return self.difference.got

    @property
    def want(self) -> Any:
        """What it should have been."""
        return self.difference.want

    @property
    def comparable(self) -> bool:
        """Whether both are tensors of one shape and dtype."""
        return isinstance(self.want, torch.Tensor) and self.difference.kind == "values"

    def argument(self, name: str) -> Any:
        """The argument that the reference calls `name`, None if it has none or was not given it."""
        names = list(inspect.signature(self.exercise.spec).parameters)
        place = names.index(name) if name in names else len(self.trial.case.args)
        return self.trial.case.args[place] if place < len(self.trial.case.args) else None


def equal(got: torch.Tensor, want: torch.Tensor) -> bool:
    """Whether two tensors of one shape are equal up to rounding."""
    return got.shape == want.shape and not bool(wrong_places(got, want).any())


def first_place(places: torch.Tensor) -> tuple[int, ...]:
    """The index of the first True."""
    return tuple(int(index) for index in places.nonzero()[0])


def dtype_name(tensor: torch.Tensor) -> str:
    """ "float32", not "torch.float32"."""
    return str(tensor.dtype).removeprefix("torch.")


def shown(value: Any) -> str:
    """A value in a few characters: a large tensor by its shape, a function by its name."""
    if isinstance(value, torch.Tensor):
        return str(value.tolist()) if value.numel() <= 8 else f"tensor {list(value.shape)}"
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
