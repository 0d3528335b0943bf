"""Other right and other wrong answers to the exercises of lesson 02 than the ones in their own lists."""

import pytest
import torch

from tests.grade.answers import assert_is_rejected_and_named, assert_passes, called, share_named
from tests.grade.mask_answers import ANSWERS, RIGHT, WRONG, causal, groups, leak, softmax, window
from tsparse.grade.exercises import exercise

TRIED = (causal, window, groups, softmax, leak)
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


def test_suspect_says_which_argument_has_the_wrong_shape():
    attention, n, dim = exercise("masks.first_leak").cases(torch.Generator().manual_seed(0))[0].args
    good, bad = torch.randn(n, dim), torch.randn(n + 1, dim)
    with pytest.raises(ValueError, match="takes k of shape"):
        attention(good, bad, good)


def test_suspect_gives_no_gradient_so_that_it_can_live_in_another_process():
    attention, n, dim = exercise("masks.first_leak").cases(torch.Generator().manual_seed(0))[0].args
    q = torch.randn(n, dim, requires_grad=True)
    assert not attention(q, q, q).requires_grad
