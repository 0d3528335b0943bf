"""Right and wrong answers to the exercises of lesson 07, others than the exercises' own.

`right` and `wrong` register an answer; `tests/grade/test_reading_exercises.py` judges them all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """An answer; `named` is the mistake that a learner is told, None if that may vary."""

    exercise: str
    function: Callable[..., Any]
    named: str | None = None


RIGHT: list[Answer] = []
WRONG: list[Answer] = []


def right(exercise: str) -> Callable[..., Any]:
    """Register a right answer, written in another way than the reference."""
    return lambda function: RIGHT.append(Answer(exercise, function)) or function


def wrong(exercise: str, named: str | None = None) -> Callable[..., Any]:
    """Register a wrong answer."""
    return lambda function: WRONG.append(Answer(exercise, function, named)) or function
