"""Probes that ask the reference: for which other arguments would this result be right?

An answer that ignores `q_offset` is right for `q_offset=0`, one that forgets a scale is right for a larger
`q`. What such a probe says is true for any answer, whatever its code looks like.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import torch

from tsparse.grade.driving import call
from tsparse.grade.scene import Scene
from tsparse.grade.trial import Trial
from tsparse.grade.values import copy, tensors


def right_for_other_arguments(scene: Scene) -> str | None:
    """The result is what the task wants for arguments that differ in one thing.

    A share of right answers agrees with another by chance: of a single float nothing is said.
    """
    if isinstance(scene.trial.want, float):
        return None
    for words, args in other_arguments(scene):
        try:
            right = scene.trial.agrees(call(scene.exercise.spec, args))
        except Exception:  # most changed arguments are none that the reference takes
            continue
        if right:
            return f"Your result is right for another question: {words}."
    return None


def other_arguments(scene: Scene) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The arguments of the case with one thing changed each, and in words what."""
    given = scene.trial.case.args
    parameters = inspect.signature(scene.exercise.spec).parameters.values()
    for place, (parameter, value) in enumerate(zip(parameters, given, strict=False)):
        name = f"`{parameter.name}`"
        for words, changed in other_values(value, parameter.default):
            yield f"as if {name} were {words}", _with(given, {place: changed})
        for later in range(place + 1, len(given)):
            if kind(value) == kind(given[later]) != "other":
                both = f"{name} and `{list(parameters)[later].name}`"
                yield f"as if {both} were exchanged", _with(given, {place: given[later], later: value})


def other_values(value: Any, default: Any) -> Iterator[tuple[str, Any]]:
    """Other values of one argument, and each in words."""
    if isinstance(value, bool):
        yield str(not value), not value
    elif isinstance(value, int):
        for other in dict.fromkeys((value + 1, value - 1, 0, -value, 2 * value, value // 2)):
            yield f"{other}, not {value}", other
    elif isinstance(value, torch.Tensor) and value.dtype == torch.bool:
        yield "inverted", ~value
        yield "transposed", value.mT if value.ndim > 1 else value
        if default is None:
            yield "not there", None
    elif isinstance(value, torch.Tensor) and value.is_floating_point():
        yield "negative", -value
        sizes = sorted({size for size in value.shape if size > 1})
        for size in sizes:
            for text, factor in roots(size):
                yield f"multiplied by {text} ({factor:.3g}); look at the scale", value * factor
    elif isinstance(value, torch.Tensor):
        yield "1 larger", value + 1
        yield "1 smaller", value - 1


def one_axis_for_another(scene: Scene) -> str | None:
    """Right wherever all axes have one length, and nowhere else."""
    alike = [trial for trial in scene.trials if len(lengths(trial)) == 1]
    others = [trial for trial in scene.trials if len(lengths(trial)) > 1]
    if scene.difference.kind != "values" or not alike or any(trial.fault for trial in alike):
        return None
    if not all(trial.fault for trial in others):
        return None
    size = lengths(alike[0]).pop()
    return (
        f"Right where every axis has length {size}, wrong elsewhere: you take the length of the wrong axis."
    )


def root_of_a_length(trial: Trial, ratio: float) -> str:
    """The ratio as the root of the length of an axis of an argument ("√8"), or nothing."""
    for size in sorted({size for arg in tensors(trial.case.args) for size in arg.shape if size > 1}):
        for text, value in roots(size):
            if math.isclose(ratio, value, rel_tol=1e-4):
                return text
    return ""


def roots(size: int) -> tuple[tuple[str, float], ...]:
    """The factors that a length of `size` gives a scale, with their names."""
    root = math.sqrt(size)
    return (f"√{size}", root), (f"1/√{size}", 1 / root), (f"{size}", size), (f"1/{size}", 1 / size)


def lengths(trial: Trial) -> set[int]:
    """The lengths other than 1 of the axes of all floating arguments; one length alone tells nothing."""
    given = [arg.shape for arg in tensors(trial.case.args) if arg.is_floating_point()]
    return (
        {size for shape in given for size in shape if size != 1} if any(len(s) > 1 for s in given) else set()
    )


def kind(value: Any) -> Any:
    """What two arguments must share to be exchanged by mistake."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape
    return type(value) if isinstance(value, (int, float)) else "other"


def _with(args: tuple[Any, ...], changes: dict[int, Any]) -> tuple[Any, ...]:
    return tuple(copy(changes.get(place, arg)) for place, arg in enumerate(args))
