"""Other right and other wrong answers to the exercises of lesson 07 than the ones in their own lists."""

import pytest
import torch

from tests.grade.answers import assert_is_rejected_and_named, assert_passes, called, share_named
from tests.grade.reading_answers import ANSWERS, RIGHT, WRONG, entropy, kept_mass, probe, rollout
from tsparse import reading
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.reading.probe import LeastSquares, selectivity

TRIED = (entropy, rollout, probe, kept_mass)
"""Importing them registers their answers."""


@pytest.mark.parametrize("case", RIGHT, ids=called)
def test_right_answer_written_differently_passes(case):
    assert_passes(case)


@pytest.mark.parametrize("case", WRONG, ids=called)
def test_wrong_answer_is_rejected_and_named(case):
    assert_is_rejected_and_named(case)


def test_most_wrong_answers_are_named():
    """Counted over every answer, by what a learner is told: a name and not only a place."""
    assert share_named(WRONG) >= 0.8


@pytest.mark.parametrize("id", sorted({case.exercise for case in WRONG}))
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id):
    right, wrong = ANSWERS.tried(id)
    assert right >= 3
    assert wrong >= 12


@pytest.mark.parametrize("name", ["entropy", "rollout", "kept_mass"])
def test_package_gives_what_the_exercise_asks_for(name):
    cases = exercise(f"reading.{name}").cases(torch.Generator().manual_seed(0))
    for case in cases:
        torch.testing.assert_close(
            getattr(reading, name)(*case.args), exercise(f"reading.{name}").spec(*case.args)
        )


def test_given_probe_learns_what_is_linear_and_says_which_sizes_do_not_fit():
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 1] > 0).long()
    predictor = LeastSquares(2)(x, y)
    assert (predictor(x) == y).double().mean() > 0.9
    with pytest.raises(ValueError, match=r"got \[64, 3\] and \[63\]"):
        LeastSquares(2)(x, y[1:])


def test_shares_of_the_probe_are_the_same_in_float32():
    """Else an answer that takes its means in float32 would fail by rounding."""
    for seed in range(5):
        for case in exercise("reading.probe").cases(torch.Generator().manual_seed(seed)):
            want = selectivity(*case.args)
            assert torch.tensor(want, dtype=torch.float32).double().item() == want


def test_classifier_is_not_asked_for_more_than_the_grader_can_solve():
    fit, y = LeastSquares(2), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="vectors of at most 1000 numbers, got 30,000"):
        fit(torch.zeros(1).expand(3, 30_000), y)
    with pytest.raises(ValueError, match="at most 4,194,304 numbers at once"):
        fit(torch.zeros(3, 4), y)(torch.zeros(1).expand(1 << 24, 4))
