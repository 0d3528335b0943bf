"""Other right and other wrong answers to the exercises of lesson 08 than the ones in their own lists."""

import pytest

from tests.grade.answers import assert_is_rejected_and_named, assert_passes, called, share_named
from tests.grade.pattern_answers import ANSWERS, RIGHT, WRONG, bigbird, fixed, order, reach, strided

TRIED = (strided, fixed, bigbird, reach, order)
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
    assert right >= 2
    assert wrong >= 10
