"""Small exercises made up for the tests of the grader."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.checking import Verdict, judge, run_here
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

HINTS = ("First hint.", "Second hint.", "Third hint.")


def toy(spec: Callable[..., Any], *cases: Case, **more: Any) -> Exercise:
    """An exercise "toy.<name of the spec>" with fixed cases."""
    fields: dict[str, Any] = {
        "title": "A toy",
        "minutes": 5,
        "points": 10,
        "difficulty": "easy",
        "cases": lambda rng: list(cases),
        "hints": HINTS,
        "wrong": (),
    }
    return Exercise(f"toy.{spec.__name__}", spec=spec, **(fields | more))


def light(exercise: Exercise) -> Exercise:
    """The exercise without its heavy cases."""
    return replace(exercise, cases=lambda rng: [case for case in exercise.cases(rng) if not case.heavy])


def judged(exercise: Exercise, answer: Any, seconds: float = 60.0, seed: int = 0) -> Verdict:
    """The verdict on an answer in this process, with time enough for a busy machine."""
    return judge(exercise, run_here(answer, seconds), seed)


def double(x: Tensor, times: int = 2) -> Tensor:
    """The reference of the exercise `DOUBLE`."""
    return x * times


def double_cases(rng: Generator) -> list[Case]:
    """Two cases for the values, one edge."""
    x = torch.randn(3, 4, generator=rng, dtype=torch.float64)
    return [
        Case("3 rows, 4 columns", (x,)),
        Case("three times", (x.clone(), 3)),
        Case("one number", (x[:1, :1],), edge=True),
    ]


def not_doubled(mistake: Mistake) -> str:
    """A sentence made from the mistake."""
    return f"You return x as it is: {mistake.got[0, 0]:.2f} should be {mistake.want[0, 0]:.2f}."


DOUBLE = toy(
    double,
    cases=double_cases,
    wrong=(
        Wrong("identity", not_doubled, lambda x, times=2: x),
        Wrong("added", "You add `times`; multiply by it.", lambda x, times=2: x + times),
        Wrong("always two", "You ignore `times`.", lambda x, times=2: 2 * x),
        Wrong("squared", "You square x.", lambda x, times=2: x**times),
        Wrong("negative", "The sign is wrong.", lambda x, times=2: -times * x),
    ),
)
