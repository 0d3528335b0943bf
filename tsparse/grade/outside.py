"""What the grader asks of a kernel and what it sees of it from outside: values, padding, poison that spreads.

Nothing here runs an answer; a `Run` does, in this process or in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from tsparse.grade.exercise import Blocks, Case, Exercise, Mistake
from tsparse.grade.launches import Launch, Launched
from tsparse.grade.running import Outcome, Run
from tsparse.grade.trial import Trial
from tsparse.grade.values import same
from tsparse.kernels.memory import Fault, elements, flat, poison


def ask(exercise: Exercise, run: Run, case: Case, want: Any = None) -> Outcome:
    """Call the answer on a case, or launch it; a launch's value becomes what the `spec` of it would return.

    Where the case has a `poison`, the rows that may notice it are taken from `want`.
    """
    if exercise.kernel is None:
        return run(case.args)
    asked = exercise.kernel.launch(*case.args)
    blocks = blocks_of(exercise, case)
    if case.poison is not None and blocks is not None:
        _plant(asked, blocks, case.poison)
    outcome = run(asked)
    if outcome.status != "returned" or outcome.launched is None:
        return outcome
    outputs = outcome.value
    given = [asked.arguments[name] for name in asked.outputs]
    if not isinstance(outputs, Sequence) or not _of_one_form(outputs, given):
        return replace(outcome, value=None)
    seen = _with_spilled(_believable(outcome.launched, asked), asked, outputs)
    values = {name: value.contiguous() for name, value in zip(asked.outputs, outputs, strict=True)}
    if case.poison is not None and blocks is not None and want is not None:
        wanted = dict(zip(asked.outputs, want if isinstance(want, tuple) else (want,), strict=True))
        rows = blocks.lacking(case.poison, values[blocks.output].shape[-2])[:, None]
        values[blocks.output] = values[blocks.output].where(rows, wanted[blocks.output])
    found = tuple(values.values())
    return replace(outcome, value=found if len(found) > 1 else found[0], launched=seen)


def as_if_called(exercise: Exercise, run: Run) -> Run:
    """The run of an answer that takes the arguments of the `spec`, whatever the answer is."""
    return run if exercise.kernel is None else partial(_as_case, exercise, run)


def mistake(exercise: Exercise, trial: Trial) -> Mistake:
    """What the sentence of a wrong answer is made from."""
    outcome = trial.outcome
    blocks = blocks_of(exercise, trial.case)
    return Mistake(trial.case, outcome.value, trial.want, outcome.largest, outcome.launched, blocks)


def blocks_of(exercise: Exercise, case: Case) -> Blocks | None:
    """The tiles that a kernel has to visit on a case; None where cost is not graded."""
    if exercise.kernel is None or exercise.kernel.blocks is None:
        return None
    return exercise.kernel.blocks(*case.args)


def visited(launched: Launched, blocks: Blocks) -> torch.Tensor:
    """Which tiles `[R, C]` of `blocks.argument` were loaded by a program that stores rows of the output."""
    table = torch.zeros_like(blocks.wanted)
    for visit in launched.visits:
        rows, tiles = visit.stores.get(blocks.output, ()), visit.loads.get(blocks.argument, ())
        for first, last in rows:
            for low, high in tiles:
                (m, n) = blocks.block
                table[max(0, first) // m : last // m + 1, max(0, low) // n : high // n + 1] = True
    return table


def visits_too_much(outcome: Outcome, blocks: Blocks | None) -> bool:
    """Whether the launch was seen to visit a tile that no list of its rows holds."""
    if outcome.launched is None or blocks is None:
        return False
    return bool((visited(outcome.launched, blocks) & ~blocks.wanted).any())


def multiplies_too_much(outcome: Outcome, blocks: Blocks | None) -> bool:
    """Whether the launch was seen to multiply more often than is enough."""
    if outcome.launched is None or blocks is None or blocks.dots is None:
        return False
    return outcome.launched.dots > blocks.dots


def alike(exercise: Exercise, one: Outcome, other: Outcome, case: Case) -> bool:
    """Whether two launches of one case look the same: faults, and where cost is judged tiles and products."""
    first, second = one.launched, other.launched
    if first is None or second is None:
        return first is second
    blocks = blocks_of(exercise, case)
    if blocks is not None and (visited(first, blocks) != visited(second, blocks)).any():
        return False
    dots = blocks is None or first.dots == second.dots
    return set(first.faults) == set(second.faults) and dots and same(one.value, other.value)


def _as_case(exercise: Exercise, run: Run, args: tuple[Any, ...]) -> Outcome:
    return ask(exercise, run, Case("", args))


def _plant(asked: Launch, blocks: Blocks, tile: int) -> None:
    rows = slice(tile * blocks.block[1], (tile + 1) * blocks.block[1])
    asked.arguments[blocks.argument][..., rows, :] = float("nan")


def _of_one_form(outputs: Sequence[Any], given: Sequence[torch.Tensor]) -> bool:
    """Whether what came back can be what was given to be written into."""
    return len(outputs) == len(given) and all(
        isinstance(out, torch.Tensor)
        and (out.shape, out.stride(), out.dtype) == (buffer.shape, buffer.stride(), buffer.dtype)
        for out, buffer in zip(outputs, given, strict=True)
    )


def _believable(seen: Launched, asked: Launch) -> Launched:
    """Without faults that name no argument; what was seen crossed from the process of the answer."""
    known = tuple(one for one in seen.faults if one.argument in asked.arguments and one.index)
    return replace(seen, faults=known)


def _with_spilled(seen: Launched, asked: Launch, outputs: Sequence[torch.Tensor]) -> Launched:
    """With a fault for each output whose padding was written into, should the watch not have seen it."""
    for name, tensor in zip(asked.outputs, outputs, strict=True):
        padding = flat(tensor)[~elements(tensor)]
        wanted = torch.full_like(padding, poison(tensor.dtype))
        spilled = ~torch.isclose(padding, wanted, rtol=0, atol=0, equal_nan=True)
        told = any(one.kind == "wrote" and one.argument == name for one in seen.faults)
        if spilled.any() and not told:
            index = (0,) * (tensor.ndim - 1) + (tensor.shape[-1],)
            fault = Fault("wrote", (0,), name, index, int(spilled.sum()), tuple(tensor.shape))
            seen = replace(seen, faults=(*seen.faults, fault))
    return seen
