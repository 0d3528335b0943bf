"""Probes: what can be said about a wrong result that no known wrong answer gives.

Each probe is a small function that looks at one thing and returns a sentence or None. `PROBES` holds them in
the order in which they are asked: what makes everything else meaningless first, the vague last.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from tsparse.grade.argument_probes import (
    one_axis_for_another,
    right_for_other_arguments,
    root_of_a_length,
)
from tsparse.grade.mask_probes import looks_ahead, sees_what_is_hidden, shifted, wrong_pair
from tsparse.grade.scene import Scene, dtype_name, equal, first_place, shown
from tsparse.grade.values import wrong_places


def returns_nothing(scene: Scene) -> str | None:
    """None where a value is wanted."""
    if scene.trial.outcome.value is not None:
        return None
    if any(trial.want is None for trial in scene.trials):
        return f"You return None here; wanted is {shown(scene.trial.want)}."
    return "Your function ends without `return`, so it gives None."


def wrong_type(scene: Scene) -> str | None:
    """A numpy array, a list or a number where a tensor is wanted, and the like."""
    if scene.difference.kind != "type":
        return None
    if isinstance(scene.got, torch.Tensor) and isinstance(scene.want, torch.Tensor):
        return f"Return an ordinary tensor on the CPU; yours is {scene.got.layout} on {scene.got.device}."
    kind = type(scene.got)
    name = f"{'numpy ' if kind.__module__ == 'numpy' else ''}{kind.__name__}"
    wanted = "torch tensor" if isinstance(scene.want, torch.Tensor) else f"Python {type(scene.want).__name__}"
    return f"Return a {wanted}; yours is a {name}."


def wrong_shape(scene: Scene) -> str | None:
    """Another shape: two axes swapped, an axis of length 1 too many or missing, or something else."""
    if scene.difference.kind != "shape":
        return None
    if not isinstance(scene.want, torch.Tensor):
        return f"You return {len(scene.got)} values, wanted are {len(scene.want)}."
    got, want = list(scene.got.shape), list(scene.want.shape)
    sizes = f"Shape {got}, wanted {want}"
    for first, second in itertools.combinations(range(len(want)), 2):
        if list(scene.want.transpose(first, second).shape) == got:
            return f"{sizes}: two axes are swapped."
    if len(got) == len(want) and sorted(got) == sorted(want):
        return f"{sizes}: the axes stand in another order."
    if [size for size in got if size != 1] == [size for size in want if size != 1]:
        return f"{sizes}: an axis of length 1 is {'missing' if len(got) < len(want) else 'too many'}."
    if len(got) != len(want):
        return f"{sizes}: that is {len(got)} {'axis' if len(got) == 1 else 'axes'}, wanted are {len(want)}."
    axis = next(axis for axis in range(len(want)) if got[axis] != want[axis])
    return f"{sizes}: axis {axis} has length {got[axis]}, it should have {want[axis]}."


def wrong_dtype(scene: Scene) -> str | None:
    """A part of a result in another dtype; `diagnosis.py` treats results that are one tensor."""
    if scene.difference.kind != "dtype":
        return None
    return f"The type is {dtype_name(scene.got)}; the task says {dtype_name(scene.want)}."


def not_finite(scene: Scene) -> str | None:
    """NaN or inf where a finite number is wanted."""
    if not scene.comparable or not scene.want.is_floating_point():
        return None
    bad = ~scene.got.isfinite() & scene.want.isfinite()
    if not bad.any():
        return None
    place = first_place(bad)
    what = "NaN" if scene.got[place].isnan() else "inf" if scene.got[place] > 0 else "-inf"
    at = f"row {place[-2]}" if len(place) >= 2 else f"place {list(place)}"
    mask = scene.argument("mask")
    if what == "-inf":
        return f"First -inf at {at}: a logarithm of 0, a number below 0 divided by 0, or a place hidden."
    if what == "inf":
        return f"First inf at {at}: a number grew too large, or something was divided by 0."
    if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool and bool((~mask.any(-1)).any()):
        return f"First NaN at {at}: a row that may see no key ends in 0/0."
    if scene.trial.outcome.launched is not None:
        return (
            f"First NaN at {list(place)}. An output starts as NaN: nothing was written there, or what was "
            "written came from a lane without `other=`, or from 0/0 or inf - inf."
        )
    return f"First NaN at {at}: look for 0/0, inf - inf or inf/inf."


def transposed(scene: Scene) -> str | None:
    """The right numbers with two axes of one length exchanged."""
    if not scene.comparable:
        return None
    for first, second in itertools.combinations(range(scene.want.ndim), 2):
        turned = scene.want.transpose(first, second)
        if turned.shape == scene.want.shape and equal(scene.got, turned):
            return f"Right numbers, but axes {first} and {second} are exchanged: yours is the transpose."
    return None


def inverted(scene: Scene) -> str | None:
    """True and False exchanged, or the opposite sign."""
    if not scene.comparable:
        return None
    if scene.want.dtype == torch.bool and equal(scene.got, ~scene.want):
        return "True and False are exchanged everywhere: what may be seen is True."
    if scene.want.dtype != torch.bool and equal(scene.got, -scene.want):
        return "Right size, opposite sign."
    return None


def constant_factor(scene: Scene) -> str | None:
    """Every number is the same multiple of what it should be."""
    if not scene.comparable or not scene.want.is_floating_point():
        return None
    got, want = scene.got.double(), scene.want.double()
    safe = want.abs() > 1e-6
    if safe.sum() < 2 or not equal(got[~safe], want[~safe]):
        return None
    ratios = got[safe] / want[safe]
    if not ratios.isfinite().all():
        return None
    ratio = float(ratios.median())
    if abs(ratio - 1) < 1e-3 or abs(ratio) < 1e-6 or (ratios - ratio).abs().max() > 1e-4 * abs(ratio):
        return None
    root = root_of_a_length(scene.trial, ratio)
    return (
        f"Every value is {ratio:.4g} times what it should be: look for a missing or doubled scale"
        f"{f' ({root})' if root else ''}."
    )


def constant_offset(scene: Scene) -> str | None:
    """Every number is off by the same amount."""
    if not scene.comparable or not scene.want.is_floating_point() or scene.want.numel() < 2:
        return None
    gaps = (scene.got.double() - scene.want.double()).flatten()
    if not gaps.isfinite().all() or (gaps - gaps[0]).abs().max() > 1e-4 * gaps.abs().max():
        return None
    return f"Every value is {abs(float(gaps[0])):.4g} too {'large' if gaps[0] > 0 else 'small'}."


def permuted(scene: Scene) -> str | None:
    """The right slices along one axis, in another order."""
    if not scene.comparable or not scene.want.is_floating_point():
        return None
    for axis in range(scene.want.ndim):
        order = permutation(scene.got.movedim(axis, 0), scene.want.movedim(axis, 0))
        if order:
            return f"The right slices along axis {axis}, in another order: {', '.join(map(str, order))}."
    return None


def row_sums(scene: Scene) -> str | None:
    """Rows of weights that do not sum to 1."""
    if not scene.exercise.row_sums or not scene.comparable:
        return None
    got, want = scene.got.double().sum(-1), scene.want.double().sum(-1)
    bad = (got - want).abs() > 1e-6
    if not bad.any():
        return None
    place = first_place(bad)
    total, wanted = float(got[place]), round(float(want[place]))
    why = "it should sum to 1" if wanted else "it may see nothing and should be 0 everywhere"
    row = f"Row {place[-1]}" if len(place) else "The row"
    return f"{row} sums to {total:.7g}; {why}."


def nearly_right(scene: Scene) -> str | None:
    """Off by more than rounding explains, and by little."""
    if not scene.comparable or not scene.want.is_floating_point():
        return None
    if not (scene.got.isfinite() & scene.want.isfinite()).all():
        return None
    off = float((scene.got - scene.want).abs().max())
    if off > 1e-3 * max(1.0, float(scene.want.abs().max())):
        return None
    return (
        f"Nearly right: off by at most {off:.1g}. Rounding is smaller in {dtype_name(scene.want)}: look for "
        "a small number added, a rounded number, or a coarser type on the way."
    )


def wrong_number(scene: Scene) -> str | None:
    """The first wrong number, and how many there are."""
    if scene.difference.kind != "values":
        return None
    if not isinstance(scene.want, torch.Tensor):
        return f"You return {shown(scene.got)}; wanted is {shown(scene.want)}."
    wrong = wrong_places(scene.got, scene.want)
    place = first_place(wrong)
    kind = ".4g" if scene.want.is_floating_point() else "d"
    got, want = (f"{part[place].item() + 0:{kind}}" for part in (scene.got, scene.want))  # + 0: no -0
    at = f" at {list(place)}" if place else ""
    return (
        f"First wrong number{at}: yours is {got}, wanted is {want}. "
        f"{int(wrong.sum())} of {wrong.numel()} are wrong."
    )


PROBES: tuple[tuple[str, Callable[[Scene], str | None]], ...] = (
    ("returns nothing", returns_nothing),
    ("wrong type", wrong_type),
    ("wrong shape", wrong_shape),
    ("wrong dtype", wrong_dtype),
    ("not finite", not_finite),
    ("transposed", transposed),
    ("inverted", inverted),
    ("constant factor", constant_factor),
    ("constant offset", constant_offset),
    ("another order", permuted),
    ("row sums", row_sums),
    ("nearly right", nearly_right),
    ("sees what is hidden", sees_what_is_hidden),
    ("sees the future", looks_ahead),
    ("right for other arguments", right_for_other_arguments),
    ("moved", shifted),
    ("one axis for another", one_axis_for_another),
)
"""Probes that name a mistake."""

LAST_PROBES = (wrong_pair, wrong_number)
"""Probes that only say where the result is wrong."""


def permutation(got: torch.Tensor, want: torch.Tensor) -> list[int] | None:
    """Which slice of `want` each slice of `got` is, None if that is not a permutation or nothing moved."""
    if not 2 <= len(want) <= 16:
        return None
    order: list[int] = []
    for slice_ in got:
        places = [place for place, other in enumerate(want) if equal(slice_, other)]
        if len(places) != 1:
            return None
        order.append(places[0])
    return order if sorted(order) == list(range(len(want))) and order != sorted(order) else None
