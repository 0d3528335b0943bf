"""Other right and other wrong answers to the exercises of lesson 08 than the ones in their own lists."""

import pytest
import torch

from tests.grade.pattern_answers import RIGHT, WRONG, Answer, bigbird, fixed, order, reach, strided
from tsparse.grade.checking import judge, run_here
from tsparse.grade.exercises import exercise

SEEDS = range(3)
TRIED = (strided, fixed, bigbird, reach, order)
"""Importing them registers their answers."""


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Answers that draw numbers of their own draw the same ones in every run."""
    torch.manual_seed(0)


def called(answer: Answer) -> str:
    """The name of a test: the exercise and the function."""
    return f"{answer.exercise.removeprefix('masks.')}-{answer.function.__name__}"


@pytest.mark.parametrize("case", RIGHT, ids=called)
def test_right_answer_written_differently_passes(case):
    for seed in SEEDS:
        verdict = judge(exercise(case.exercise), run_here(case.function), seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize("case", WRONG, ids=called)
def test_wrong_answer_is_rejected_and_named(case):
    for seed in SEEDS:
        verdict = judge(exercise(case.exercise), run_here(case.function), seed)
        assert verdict.status == "FAIL"
        assert verdict.earned < verdict.points
        if case.named is not None:
            assert verdict.mistake == case.named, verdict.message


def test_most_wrong_answers_are_named():
    """Counted over every answer, by what a learner is told: a name and not only a place."""
    vague = (None, "right on some cases")
    told = [judge(exercise(case.exercise), run_here(case.function), 0).mistake for case in WRONG]
    assert sum(name not in vague for name in told) >= 0.8 * len(told)


@pytest.mark.parametrize("id", sorted({case.exercise for case in WRONG}))
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id):
    assert sum(id == case.exercise for case in RIGHT) >= 2
    assert sum(id == case.exercise for case in WRONG) >= 10
