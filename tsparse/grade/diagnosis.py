"""Naming a mistake: which known wrong answer gives the same, and if none does, which probe can say something.

The simplest failing case is asked first: an answer with two mistakes often shows only one of them there.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from tsparse.grade import probes
from tsparse.grade.driving import call
from tsparse.grade.exercise import Exercise, Wrong
from tsparse.grade.launches import KernelText
from tsparse.grade.outside import alike, ask, blocks_of, mistake, visited
from tsparse.grade.running import Run, describe_error, run_here
from tsparse.grade.scene import Scene, dtype_name
from tsparse.grade.trial import Trial
from tsparse.grade.values import copy, difference, same, tensors
from tsparse.grade.watch import Watch, forbidden_call
from tsparse.kernels.interpret import canary


@dataclass(frozen=True)
class Diagnosis:
    """The name of the mistake (None if unknown), the sentence to read, and the case that shows it."""

    name: str | None
    sentence: str
    trial: Trial


def diagnose(exercise: Exercise, trials: Sequence[Trial], run: Run) -> Diagnosis:
    """Name the mistake of an answer that failed at least one of `trials`, the cases in their order."""
    failing = sorted((trial for trial in trials if trial.fault), key=_urgency)
    first = failing[0]
    if first.fault == "too large" and (found := _by_size(exercise, first)):
        return found
    if first.fault in _BEYOND_VALUES:
        return Diagnosis(first.fault, _BEYOND_VALUES[first.fault](exercise, first), first)
    wrong = [trial for trial in failing if trial.fault in _BY_WRONG_ANSWER]
    return (
        _by_wrong_answer(exercise, wrong[0], trials)
        or (_by_error(first) if first.fault == "raised" else None)
        or _by_dtype(exercise, first, trials, run)
        or next(
            filter(None, (_by_wrong_answer(exercise, trial) for trial in _further(exercise, wrong))), None
        )
        or _by_cost(exercise, first)
        or _by_probe(exercise, first, trials, run)
    )


def _further(exercise: Exercise, wrong: Sequence[Trial]) -> Sequence[Trial]:
    """The cases after the simplest that name a mistake; of kernels few, as each known one is launched."""
    return wrong[1:] if exercise.kernel is None else wrong[1:FURTHER_LAUNCHES]


FURTHER_LAUNCHES = 4


def _urgency(trial: Trial) -> tuple[int, bool]:
    """What makes the rest meaningless comes first, then wrong values, then what else is wrong."""
    order = ("forbidden call", "timed out", "stopped", "wrong")
    fault = "wrong" if trial.fault in ("raised", "memory") else trial.fault
    return order.index(fault) if fault in order else len(order), trial.case.edge


def _by_wrong_answer(
    exercise: Exercise, trial: Trial, trials: Sequence[Trial] | None = None
) -> Diagnosis | None:
    """Name the wrong answer with the same result; of several the one most like the answer on `trials`.

    Without `trials` several are no answer, nor is a single number: the case tells too little.
    """
    got = trial.outcome.value
    if trials is None and isinstance(got, torch.Tensor) and got.numel() == 1:
        return None
    same_here = [wrong for wrong in exercise.wrong if _gives_the_same(exercise, wrong, trial)]
    said = {one.name: sentence for one in same_here if (sentence := _sentence(exercise, one, trial))}
    if not said or (trials is None and len(set(said.values())) > 1):
        return None
    likeness = {
        one.name: sum(_gives_the_same(exercise, one, other) for other in trials or () if len(said) > 1)
        for one in same_here
    }
    best = max(said, key=lambda name: likeness[name])
    return Diagnosis(best, said[best], trial)


def _sentence(exercise: Exercise, wrong: Wrong, trial: Trial) -> str | None:
    """The sentence of a wrong answer, None where it does not fit: two mistakes can give one result."""
    try:
        return wrong.say(mistake(exercise, trial))
    except Exception:
        return None


def run_of(text: KernelText) -> Run:
    """The run of a known kernel, in another process where this one compiles kernels."""
    if canary().status == "ok":
        return run_here(text)
    from tsparse.grade.apart import run_apart

    return partial(run_apart, text)


def _gives_the_same(exercise: Exercise, wrong: Wrong, trial: Trial) -> bool:
    raised = trial.outcome.raised
    if trial.case.heavy:
        return False
    if isinstance(wrong.answer, KernelText):
        outcome = ask(exercise, run_of(wrong.answer), trial.case, trial.want)
        if wrong.raises and outcome.raised and raised:
            return (outcome.raised.type, outcome.raised.message) == (raised.type, raised.message)
        both = outcome.status == trial.outcome.status == "returned"
        return both and alike(exercise, outcome, trial.outcome, trial.case)
    try:
        value = call(wrong.answer, copy(trial.case.args))
    except Exception as error:
        other = describe_error(error, wrong.answer)
        return (
            wrong.raises
            and raised is not None
            and (raised.type, raised.message) == (other.type, other.message)
        )
    return trial.outcome.status == "returned" and trial.agrees(value)


def _by_cost(exercise: Exercise, trial: Trial) -> Diagnosis | None:
    """What a kernel with the right values did too often."""
    say = {"too many tiles": _too_many_tiles, "too many products": _too_many_products}.get(trial.fault or "")
    return Diagnosis(trial.fault, say(exercise, trial), trial) if say else None


def _by_size(exercise: Exercise, trial: Trial) -> Diagnosis | None:
    """Name the wrong answer that is right here too, and whose largest tensor is most like the answer's."""
    if trial.case.heavy:
        return None
    assert exercise.largest is not None
    distances: dict[str, tuple[float, str]] = {}
    for wrong in exercise.wrong:
        assert not isinstance(wrong.answer, KernelText)
        with Watch() as watch, contextlib.suppress(Exception):
            right = trial.agrees(call(wrong.answer, copy(trial.case.args)))
            said = _sentence(exercise, wrong, trial)
            if right and watch.largest > exercise.largest(trial.case) and said:
                distances[wrong.name] = (abs(math.log(watch.largest / trial.outcome.largest)), said)
    if not distances:
        return None
    best = min(distances, key=lambda name: distances[name][0])
    return Diagnosis(best, distances[best][1], trial)


def _by_error(trial: Trial) -> Diagnosis:
    raised = trial.outcome.raised
    assert raised is not None
    error = f"{raised.type}: {raised.message}".removesuffix(": ").removesuffix(".")
    if raised.type == "RecursionError":
        error = "RecursionError: it calls itself without end"
    if raised.line is None:
        return Diagnosis("raised", f"Your function raised {error}.", trial)
    shapes = " and ".join(f"`{name}` had shape {list(shape)}" for name, shape in raised.shapes.items())
    inside = f", in `{raised.inside}`," if raised.inside else ""
    line = f"Line {raised.line} of your cell (`{raised.source}`) raised{inside} {error}"
    told = f"{line}; there {shapes}." if shapes else f"{line}."
    return Diagnosis("raised", f"{told}{_types_that_differ(trial, raised.message)}", trial)


def _types_that_differ(trial: Trial, message: str) -> str:
    """What to do where a product has float64 from the input and float32 from a tensor that was made."""
    doubles = any(one.dtype == torch.float64 for one in tensors(trial.case.args))
    if not (doubles and "dtype" in message and "double" in message.lower()):
        return ""
    return " The input is float64: a tensor that you make, as with `torch.eye`, needs its `dtype` too."


def _by_dtype(exercise: Exercise, trial: Trial, trials: Sequence[Trial], run: Run) -> Diagnosis | None:
    """Right or wrong values in another dtype: say which, and name what is wrong with the values."""
    found = difference(trial.outcome.value, trial.want)
    if found is None or found.kind != "dtype" or found.path:
        return None
    sentence = f"the type is {dtype_name(found.got)}; the task says {dtype_name(found.want)}."
    cast = [_in_wanted_dtype(other) for other in trials]
    if not any(other.fault for other in cast):
        return Diagnosis("wrong dtype", f"Values are right, {sentence}", trial)
    inner = diagnose(exercise, cast, run)
    return replace(inner, sentence=f"{inner.sentence} Besides, {sentence}")


def _in_wanted_dtype(trial: Trial) -> Trial:
    """The trial as if the dtype were right: numbers compared in the coarser one, anything else cast."""
    got, want = trial.outcome.value, trial.want
    both = isinstance(got, torch.Tensor) and isinstance(want, torch.Tensor)
    if trial.fault != "wrong" or not both or got.dtype == want.dtype:
        return trial
    if got.is_complex():
        cast = replace(trial, outcome=replace(trial.outcome, value=got.real.to(want.dtype)))
    elif got.is_floating_point() and want.is_floating_point():
        coarse = max(got.dtype, want.dtype, key=lambda dtype: torch.finfo(dtype).eps)
        outcome = replace(trial.outcome, value=got.to(coarse))
        cast = replace(trial, outcome=outcome, want=want.to(coarse), rounded_to=coarse)
    elif want.dtype == torch.bool and got.is_floating_point() and got.isneginf().any():
        cast = replace(trial, outcome=replace(trial.outcome, value=got == 0))  # scores: 0 is True, -inf False
    else:
        cast = replace(trial, outcome=replace(trial.outcome, value=got.to(want.dtype)))
    return replace(cast, fault=None if same(cast.outcome.value, cast.want) else "wrong")


def _by_probe(exercise: Exercise, trial: Trial, trials: Sequence[Trial], run: Run) -> Diagnosis:
    memory = trial.outcome.launched and trial.outcome.launched.fault(*MOST_TELLING)
    if memory:
        return Diagnosis("memory", memory.sentence(), trial)
    found = difference(trial.outcome.value, trial.want)
    assert found is not None
    scene = Scene(exercise, trial, trials, run, found)
    part = _part(exercise, trial, found.path)
    for name, probe in probes.PROBES:
        sentence = probe(scene)
        if sentence:
            return Diagnosis(name, part + sentence, trial)
    if trial.outcome.changed:
        return Diagnosis("input changed", _input_changed(exercise, trial), trial)
    sentence = next(filter(None, (probe(scene) for probe in probes.LAST_PROBES)))
    right = [f"“{other.case.name}”" for other in trials if not other.fault][:3]
    lengths = f" Right for {' and '.join(right)}, wrong for “{trial.case.name}”." if right else ""
    return Diagnosis("right on some cases" if right else None, part + sentence + lengths, trial)


def _part(exercise: Exercise, trial: Trial, path: Sequence[int | str]) -> str:
    """Which of several results is meant: the tensor that a kernel wrote, or a place in what was returned."""
    if not path:
        return ""
    launch = exercise.kernel and exercise.kernel.launch(*trial.case.args)
    if launch and not launch.driver:
        return f"In `{launch.outputs[int(path[0])].removesuffix('_ptr')}`: "
    return f"Part {' of part '.join(str(key) for key in reversed(path))} of your result: "


def _timed_out(exercise: Exercise, trial: Trial) -> str:
    told = f"No answer after {trial.outcome.detail} s on the case “{trial.case.name}”."
    return f"{told} Does a loop never end, or take many more turns than it must?"


def _stopped(exercise: Exercise, trial: Trial) -> str:
    return trial.outcome.detail


def _forbidden(exercise: Exercise, trial: Trial) -> str:
    name = forbidden_call(trial.outcome.calls, exercise.forbidden)
    return f"You called `{name}`; this exercise is about writing it."


def _input_changed(exercise: Exercise, trial: Trial) -> str:
    names = " and ".join(f"`{name}`" for name in trial.outcome.changed)
    return (
        f"Your function changed its input {names}. Work on a copy: `x[...] = y`, `x += y` and `x.add_(y)` "
        "write into it."
    )


def _two_calls(exercise: Exercise, trial: Trial) -> str:
    return "Two calls with the same input differ: randomness, or state left over from an earlier call."


def _too_large(exercise: Exercise, trial: Trial) -> str:
    assert exercise.largest is not None
    return (
        f"Right values, but on “{trial.case.name}” you made a tensor of {trial.outcome.largest:,} elements; "
        f"{exercise.largest(trial.case):,} are enough."
    )


def _too_many_tiles(exercise: Exercise, trial: Trial) -> str:
    blocks, seen = blocks_of(exercise, trial.case), trial.outcome.launched
    begin = f"Right values, but on “{trial.case.name}”"
    reached = f"{begin} NaN from a tile that a row does not list reached its output."
    if blocks is None or seen is None:  # a function in PyTorch: its loads are not watched
        return reached
    table = visited(seen, blocks)
    extra = (table & ~blocks.wanted).nonzero()
    if not len(extra):
        return reached
    row, tile = extra[0].tolist()
    return (
        f"{begin} you visited {int(table.sum())} tiles, where {int(blocks.wanted.sum())} hold a visible key: "
        f"{blocks.names[0]} {row} loaded {blocks.names[1]} {tile}, and no query of the two sees a key there."
    )


def _too_many_products(exercise: Exercise, trial: Trial) -> str:
    blocks, seen = blocks_of(exercise, trial.case), trial.outcome.launched
    assert blocks is not None
    assert seen is not None
    return (
        f"Right values, but on “{trial.case.name}” you called `tl.dot` {seen.dots} times, where "
        f"{blocks.dots} "
        "are enough."
    )


MOST_TELLING = ("wrote", "read", "twice", "unwritten")
"""Faults of memory in the order in which they are told."""

_BY_WRONG_ANSWER = ("wrong", "raised", "memory", "too many tiles", "too many products")


def _too_many_calls(exercise: Exercise, trial: Trial) -> str:
    names = inspect.signature(exercise.spec).parameters
    given = next(name for name, value in zip(names, trial.case.args, strict=False) if callable(value))
    extra = trial.outcome.extra_calls
    return (
        f"Right values, but on “{trial.case.name}” you called `{given}` {extra} time{'s' * (extra > 1)} more "
        "than needed."
    )


_BEYOND_VALUES: dict[str | None, Callable[[Exercise, Trial], str]] = {
    "forbidden call": _forbidden,
    "timed out": _timed_out,
    "stopped": _stopped,
    "input changed": _input_changed,
    "two calls differ": _two_calls,
    "too large": _too_large,
    "too many calls": _too_many_calls,
}
