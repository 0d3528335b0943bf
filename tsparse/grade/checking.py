"""Judging an answer: fresh cases, the comparison with the reference, points, and the verdict.

`judge` is the one place that decides. It is given a `run` and does not know in which process the answer is.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from tsparse.grade.diagnosis import Diagnosis, diagnose
from tsparse.grade.driving import call
from tsparse.grade.exercise import Case, Exercise, Mistake
from tsparse.grade.outside import as_if_called, ask, blocks_of, mistake, multiplies_too_much, visits_too_much
from tsparse.grade.running import Outcome, Raised, Run, run_here
from tsparse.grade.scene import shown
from tsparse.grade.trial import Trial
from tsparse.grade.values import copy, same
from tsparse.grade.watch import forbidden_call

__all__ = ["DRAWS", "Outcome", "Part", "Raised", "Verdict", "judge", "run_here"]

DRAWS = 3
"""How often fresh cases are drawn; an answer that fails one draw is not given the next."""

DRAWS_OF_KERNELS = 2
"""The same for kernels, which the interpreter runs slowly."""


@dataclass(frozen=True)
class Part:
    """A part of the points: "values", "edge cases" or "cost"."""

    name: str
    earned: float
    points: float


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a check found.

    `mistake` is the name of the wrong answer or the probe that matched, None on PASS or when none did.
    `failing` is the simplest case that went wrong with what was got and wanted, `call` that case as a call,
    `printed` what the answer printed there. `seed` draws the same cases again. `shown_in` is the number of
    the notebook cell that has displayed this verdict already.
    """

    exercise: str
    status: Literal["PASS", "FAIL", "NOT RUN"]
    message: str
    mistake: str | None = None
    parts: tuple[Part, ...] = ()
    failing: Mistake | None = None
    call: str = ""
    printed: str = ""
    seed: int = 0
    shown_in: int | None = field(default=None, repr=False)

    @property
    def earned(self) -> float:
        """Points earned."""
        return sum(part.earned for part in self.parts)

    @property
    def points(self) -> float:
        """Points that can be earned."""
        return sum(part.points for part in self.parts)

    def __repr__(self) -> str:
        """The text that a terminal shows."""
        from tsparse.grade.display import verdict_text
        from tsparse.grade.page import fitted

        return fitted(verdict_text(self))

    def _ipython_display_(self) -> None:
        from tsparse.grade.display import show_verdict
        from tsparse.grade.page import cell_number

        if self.shown_in != cell_number():
            show_verdict(self)


def judge(exercise: Exercise, run: Run, seed: int | None = None) -> Verdict:
    """Judge the answer behind `run` on fresh cases.

    Args:
        exercise: What was asked.
        run: Calls the answer once on the arguments it is given, see `running.Outcome`.
        seed: Draws the same cases again; None draws fresh ones.

    Returns:
        The verdict. A fault of the exercise itself gives NOT RUN and says so; nothing is raised.
    """
    seed = secrets.randbits(32) if seed is None else seed
    try:
        return replace(_judge(exercise, run, seed), seed=seed)
    except Exception as error:
        message = (
            f"This exercise has a fault, your answer was not judged ({type(error).__name__}: {error}). "
            "Please report it with this sentence."
        )
        return Verdict(exercise.id, "NOT RUN", message, parts=_parts(exercise, (), ()), seed=seed)


def _judge(exercise: Exercise, run: Run, seed: int) -> Verdict:
    rng = torch.Generator().manual_seed(seed)
    trials: list[Trial] = []
    draws = DRAWS if exercise.kernel is None else min(DRAWS, DRAWS_OF_KERNELS)
    for draw in range(draws):
        trials = []
        for trial in _try(exercise, run, rng, last=draw == draws - 1):
            if trial.outcome.status in _BEFORE_RUNNING:
                return _not_run(exercise, trial.outcome)
            trials.append(trial)
        if not trials:
            raise ValueError("it has no cases")
        if any(trial.fault for trial in trials):
            break
    else:
        trials.append(_again(exercise, trials[0], run))
    failing = [trial for trial in trials if trial.fault]
    parts = _parts(exercise, trials, failing)
    if not failing:
        return Verdict(exercise.id, "PASS", "Right on every case.", parts=parts)
    try:
        named = diagnose(exercise, trials, as_if_called(exercise, run))
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        sentence = (
            f"Wrong on “{failing[0].case.name}”. Why could not be found out ({fault}); please report it."
        )
        named = Diagnosis(None, sentence, failing[0])
    where = mistake(exercise, named.trial)
    given = zip(inspect.signature(exercise.spec).parameters, where.case.args, strict=False)
    shown_call = f"{exercise.spec.__name__}({', '.join(f'{name}={shown(value)}' for name, value in given)})"
    printed = named.trial.outcome.printed
    return Verdict(exercise.id, "FAIL", named.sentence, named.name, parts, where, shown_call, printed)


def _try(exercise: Exercise, run: Run, rng: torch.Generator, last: bool) -> Iterator[Trial]:
    """Run the answer on one draw of cases, edges last; the first that does not end is the last.

    Heavy cases are left out but in the `last` draw, and there too after a fault.
    """
    faults = False
    for case in sorted(exercise.cases(rng), key=lambda case: case.edge):
        if case.heavy and (faults or not last):
            continue
        counted = exercise.calls or (lambda case: 0)
        before = counted(case)
        want = call(exercise.spec, copy(case.args))
        needed = counted(case) - before
        outcome = ask(exercise, run, case, want)
        outcome = replace(outcome, extra_calls=counted(case) - before - 2 * needed)
        fault = _fault(exercise, case, outcome, want)
        faults |= fault is not None
        yield Trial(case, outcome, want, fault)
        if outcome.status in ("timed out", "stopped"):
            return


def _fault(exercise: Exercise, case: Case, outcome: Outcome, want: Any) -> str | None:
    if forbidden_call(outcome.calls, exercise.forbidden):
        return "forbidden call"
    if outcome.status != "returned":
        return outcome.status
    if not same(outcome.value, want):
        return "wrong" if case.poison is None else "too many tiles"
    if outcome.launched is not None and outcome.launched.faults:
        return "memory"
    if outcome.changed:
        return "input changed"
    if exercise.largest is not None and outcome.largest > exercise.largest(case):
        return "too large"
    if visits_too_much(outcome, blocks_of(exercise, case)):
        return "too many tiles"
    if multiplies_too_much(outcome, blocks_of(exercise, case)):
        return "too many products"
    if outcome.extra_calls > 0:
        return "too many calls"
    return None


def _again(exercise: Exercise, first: Trial, run: Run) -> Trial:
    """The first case once more: a second call must give the same."""
    outcome = ask(exercise, run, first.case)
    repeats = outcome.status == "returned" and same(outcome.value, first.want)
    return replace(first, outcome=outcome, fault=None if repeats else "two calls differ")


def _parts(exercise: Exercise, trials: Any, failing: Any) -> tuple[Part, ...]:
    shares = {"values": 60, "edge cases": 20, "cost": 20}
    if not exercise.judges_cost:
        shares = {"values": 70, "edge cases": 30}
    wrong = [trial for trial in failing if trial.fault not in _COST]
    values = bool(trials) and all(trial.case.edge and trial.fault not in _ALWAYS_COUNTS for trial in wrong)
    right = {
        "values": values,
        "edge cases": values and not wrong,
        "cost": values and len(wrong) == len(failing),
    }
    return tuple(
        Part(name, exercise.points * share / 100 * right[name], exercise.points * share / 100)
        for name, share in shares.items()
    )


_COST = ("too large", "too many tiles", "too many products", "too many calls")
_ALWAYS_COUNTS = ("forbidden call", "two calls differ")
_BEFORE_RUNNING = ("empty", "undefined", "not callable", "arguments", "no kernel", "no function", "misfit")


def _not_run(exercise: Exercise, outcome: Outcome) -> Verdict:
    name = exercise.name
    wanted = f"`{name}{exercise.parameters}`"
    command = f'check("{exercise.id}", {name})'
    status, message = {
        "empty": ("NOT RUN", f"`{name}` is still empty. Write its body and run this cell again."),
        "undefined": ("NOT RUN", f"There is no answer yet. Define {wanted}, then run `{command}`."),
        "not callable": (
            "FAIL",
            f"You gave a value of type {outcome.detail}. Give the function itself: `{command}`.",
        ),
        "no kernel": (
            "FAIL",
            f"`{name}` is a function of Python; put `@triton.jit` above it: the grader launches it.",
        ),
        "no function": (
            "FAIL",
            f"`{name}` has to return a function, and yours returns a value of type {outcome.detail}.",
        ),
        "misfit": ("FAIL", f"`{name}` has to return {outcome.detail}."),
        "arguments": ("FAIL", f"The function should be {wanted}; yours takes `{outcome.detail}`."),
    }[outcome.status]
    named = None if status == "NOT RUN" else outcome.status
    return Verdict(exercise.id, status, message, named, _parts(exercise, (), ()))  # type: ignore[arg-type]
