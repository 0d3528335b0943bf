"""Right and wrong answers to exercises, others than the exercises' own, and judging them.

The answers of a topic register with an `Answers` of their own; its test file judges them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tsparse.grade.checking import judge, run_here
from tsparse.grade.exercises import exercise

SEEDS = range(3)
VAGUE = (None, "right on some cases")


class Answer(NamedTuple):
    """An answer; `named` is the mistake that a learner is told, None if that may vary."""

    exercise: str
    function: Callable[..., Any]
    named: str | None = None


class Answers:
    """The right and the wrong answers to the exercises of a topic."""

    def __init__(self) -> None:
        self.rights: list[Answer] = []
        self.wrongs: list[Answer] = []

    def right(self, exercise: str) -> Callable[..., Any]:
        """Register a right answer, written in another way than the reference."""
        return lambda function: self.rights.append(Answer(exercise, function)) or function

    def wrong(self, exercise: str, named: str | None = None) -> Callable[..., Any]:
        """Register a wrong answer."""
        return lambda function: self.wrongs.append(Answer(exercise, function, named)) or function

    def tried(self, id: str) -> tuple[int, int]:
        """How many right and how many wrong answers an exercise was tried with."""
        return tuple(sum(id == one.exercise for one in answers) for answers in (self.rights, self.wrongs))


def called(answer: Answer) -> str:
    """The name of a test: the exercise and the function."""
    return f"{answer.exercise.partition('.')[2]}-{answer.function.__name__}"


def assert_passes(answer: Answer) -> None:
    for seed in SEEDS:
        verdict = judge(exercise(answer.exercise), run_here(answer.function), seed)
        assert verdict.status == "PASS", verdict.message


def assert_is_rejected_and_named(answer: Answer) -> None:
    for seed in SEEDS:
        verdict = judge(exercise(answer.exercise), run_here(answer.function), seed)
        assert verdict.status == "FAIL"
        assert verdict.earned < verdict.points
        if answer.named is not None:
            assert verdict.mistake == answer.named, verdict.message


def share_named(answers: list[Answer]) -> float:
    """How many are told a name and not only a place."""
    told = [judge(exercise(one.exercise), run_here(one.function), 0).mistake for one in answers]
    return sum(name not in VAGUE for name in told) / len(told)
