"""Comparing what an answer returned with what was wanted, and copying what it is given.

Numbers may differ by rounding, as much as their dtype rounds; everything else (shape, dtype, kind, booleans)
must be the same. NaN equals NaN.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tsparse.grade.driving import Then

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far a result may be off, as a share of the larger of 1 and the largest wanted number.

float32 is loose because scores near 800 keep only four digits after the point; the float64 cases are strict.
"""


@dataclass(frozen=True, eq=False, repr=False)
class Once:
    """An argument that can be read once: what an answer is given is a fresh iterator, `copy` makes it."""

    make: Callable[[], Iterator[Any]]

    def __repr__(self) -> str:
        """The same for all: what comes out must be read."""
        return "an iterator"


Kind = Literal["none", "type", "shape", "dtype", "values"]


@dataclass(frozen=True, eq=False)
class Difference:
    """The first part in which two values differ: where it stands, both sides, and what kind it is."""

    kind: Kind
    got: Any
    want: Any
    path: tuple[int | str, ...] = ()


def difference(got: Any, want: Any, path: tuple[int | str, ...] = ()) -> Difference | None:
    """Return where `got` first differs from `want`, or None where they are equal."""
    if isinstance(want, (tuple, list, dict)):
        return _container_difference(got, want, path)
    kind = _tensor_kind(got, want) if isinstance(want, torch.Tensor) else _plain_kind(got, want)
    return Difference(kind, got, want, path) if kind else None


def same(got: Any, want: Any) -> bool:
    """Whether two values are equal up to rounding."""
    return difference(got, want) is None


def wrong_places(got: torch.Tensor, want: torch.Tensor) -> torch.Tensor:
    """Return the bool tensor of the places where two tensors of one shape differ by more than rounding."""
    if not want.is_floating_point():
        return got != want
    got, want = got.to(want.dtype), want.detach()
    finite = want[want.isfinite()]
    scale = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
    tolerance = TOLERANCE.get(want.dtype, 1e-9) * scale
    return ~torch.isclose(got.detach(), want, rtol=0.0, atol=tolerance, equal_nan=True)


def copy(value: Any) -> Any:
    """Return a copy of an argument: a tensor keeps its strides, callables and plain values are shared.

    In place of a `Once` stands an iterator.
    """
    if isinstance(value, Once):
        return value.make()
    if isinstance(value, Then):
        return Then(copy(value.args), value.how)
    if isinstance(value, torch.Tensor):
        return _copy_tensor(value)
    if isinstance(value, (tuple, list)):
        return type(value)(copy(item) for item in value)
    if isinstance(value, dict):
        return {key: copy(item) for key, item in value.items()}
    return value


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield every tensor inside an argument."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def _container_difference(got: Any, want: Any, path: tuple[int | str, ...]) -> Difference | None:
    if got is None:
        return Difference("none", got, want, path)
    if not isinstance(got, type(want)):
        return Difference("type", got, want, path)
    keys = list(want) if isinstance(want, dict) else list(range(len(want)))
    if (set(got) != set(keys)) if isinstance(want, dict) else (len(got) != len(want)):
        return Difference("shape", got, want, path)
    return next(filter(None, (difference(got[key], want[key], (*path, key)) for key in keys)), None)


def _tensor_kind(got: Any, want: torch.Tensor) -> Kind | None:
    if got is None:
        return "none"
    if not isinstance(got, torch.Tensor) or (got.layout, got.device) != (want.layout, want.device):
        return "type"
    if got.shape != want.shape:
        return "shape"
    if got.dtype != want.dtype:
        return "dtype"
    return "values" if bool(wrong_places(got, want).any()) else None


def _plain_kind(got: Any, want: Any) -> Kind | None:
    if want is None:
        return None if got is None else "values"
    if got is None:
        return "none"
    if isinstance(want, bool):
        return "type" if not isinstance(got, bool) else "values" if got is not want else None
    if isinstance(want, numbers.Integral):
        if isinstance(got, bool) or not isinstance(got, numbers.Integral):
            return "type"
        return "values" if got != want else None
    if isinstance(want, float):
        if isinstance(got, bool) or not isinstance(got, numbers.Real):
            return "type"
        if isinstance(got, int) and abs(got) > sys.float_info.max:
            return "values"
        close = math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(got) and math.isnan(want))
        return None if close else "values"
    if not isinstance(got, type(want)):
        return "type"
    return "values" if got != want else None


def _copy_tensor(tensor: torch.Tensor) -> torch.Tensor:
    for axis, (stride, size) in enumerate(zip(tensor.stride(), tensor.shape, strict=True)):
        if stride == 0 and size > 1:  # expanded: copy one slice and expand it again
            return _copy_tensor(tensor.narrow(axis, 0, 1)).expand(tensor.shape)
    fresh = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return fresh.copy_(tensor.detach())
