"""Other right and other wrong answers to the exercises of lesson 06 than the ones in their own lists."""

import pytest
import torch

from tests.grade.answers import assert_is_rejected_and_named, assert_passes, called
from tests.grade.cost_answers import ANSWERS, RIGHT, WRONG
from tsparse.cost import forward
from tsparse.grade.exercises import exercise


@pytest.mark.parametrize("case", RIGHT, ids=called)
def test_right_answer_written_differently_passes(case):
    assert_passes(case)


@pytest.mark.parametrize("case", WRONG, ids=called)
def test_wrong_answer_is_rejected_and_named(case):
    assert_is_rejected_and_named(case)


@pytest.mark.parametrize("id", sorted({case.exercise for case in WRONG}))
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id):
    right, wrong = ANSWERS.tried(id)
    assert right >= 2
    assert wrong >= 8


def test_references_agree_with_the_package():
    flops, traffic = exercise("cost.attention_flops").spec, exercise("cost.attention_bytes").spec
    work = forward(elements=3 * 100 * 100, queries=300, keys=300, head_dim=16, itemsize=2)
    assert work.flops == flops(100, 100, 3, 16)
    assert work.bytes == traffic(100, 3, 16, 2, True) + 4 * 300  # and a float32 lse for each query


@pytest.mark.parametrize(("n_q", "n_kv"), [(7, 7), (4, 9), (9, 4), (1, 1)])
def test_reference_counts_the_pairs_of_a_causal_mask(n_q, n_kv):
    pairs = int(torch.ones(n_q, n_kv).tril().sum())
    assert exercise("cost.attention_flops").spec(n_q, n_kv, 3, 5, 2, True) == 4 * 5 * pairs * 3 * 2


def test_longest_sequence_is_the_last_one_that_fits():
    longest = exercise("cost.longest_sequence").spec
    for memory in range(0, 3000, 7):
        n = longest(memory, 2, 3, 2)
        need = [(4 * m * 3 + 2 * m * m) * 2 * 2 for m in (n, n + 1)]
        assert need[0] <= memory < need[1]
