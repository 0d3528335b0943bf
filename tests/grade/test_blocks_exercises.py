"""The exercises of lesson 09 against answers that are not in their lists, and against the package."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.grade.blocks_answers import RIGHT, WRONG
from tests.grade.toys import judged, light
from tsparse import Causal, Local, SlidingWindow
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.blocks.kinds import any_block, classify
from tsparse.grade.exercises.blocks.lists import csr, transpose
from tsparse.grade.exercises.blocks.window import window_layout
from tsparse.patterns import bigbird


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Any]) -> None:
    for seed in range(3):
        one = exercise(f"blocks.{id}")
        verdict = judged(light(one) if seed else one, answer, seed=seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, wrongs in WRONG.items() for what in wrongs])
def test_wrong_answer_that_is_not_listed_fails(id: str, what: str) -> None:
    for seed in range(3):
        verdict = judged(exercise(f"blocks.{id}"), WRONG[id][what], seed=seed)
        assert verdict.status == "FAIL"
        assert verdict.earned < verdict.points


@pytest.mark.parametrize("pattern", [Causal(), SlidingWindow(9), Local(6), ~Local(3), bigbird(4, 5, 2, 1)])
@pytest.mark.parametrize(("n_q", "n_kv", "block"), [(24, 24, (4, 4)), (31, 22, (4, 8)), (3, 5, (8, 8))])
def test_references_give_the_lists_of_the_package(pattern, n_q, n_kv, block):
    layout = pattern.layout(n_q, n_kv, block=block)
    mask = layout.dense_mask()
    kinds, by_key = classify(mask, block), layout.transposed()
    assert torch.equal(any_block(mask, block), kinds > 0)
    for kind, crow, col, ccol, rows in (
        (1, layout.crow_indices, layout.col_indices, by_key.crow_indices, by_key.col_indices),
        (
            2,
            layout.full_crow_indices,
            layout.full_col_indices,
            by_key.full_crow_indices,
            by_key.full_col_indices,
        ),
    ):
        lists = csr(kinds == kind)
        for mine, other in zip(
            (*lists, *transpose(*lists, kinds.shape[1])), (crow, col, ccol, rows), strict=True
        ):
            assert mine.dtype == other.dtype
            assert torch.equal(mine, other.flatten())


@pytest.mark.parametrize(
    ("n", "window", "block"), [(61, 21, 8), (40, 8, 8), (40, 15, 8), (9, 3, 1), (5, 3, 8), (4096, 300, 64)]
)
def test_window_lists_are_those_of_the_package(n, window, block):
    layout = SlidingWindow(window).layout(n, block=block)
    theirs = layout.crow_indices, layout.col_indices, layout.full_crow_indices, layout.full_col_indices
    for mine, other in zip(window_layout(n, window, block), theirs, strict=True):
        assert torch.equal(mine, other.flatten())


def test_worked_cases_of_the_sheet_are_what_the_references_give():
    assert classify(Causal().mask(6, 5), (4, 4)).tolist() == [[1, 0], [2, 1]]
    blocks = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1]]).bool()
    assert [one.tolist() for one in csr(blocks)] == [[0, 2, 2, 5], [1, 2, 0, 1, 3]]
    lists = torch.tensor([0, 2, 3]), torch.tensor([0, 2, 2])
    assert [one.tolist() for one in transpose(*lists, 4)] == [[0, 1, 1, 3, 3], [0, 0, 1]]
    assert [one.tolist() for one in window_layout(20, 10, 4)] == [
        [0, 1, 2, 4, 7, 10],
        [0, 1, 0, 2, 0, 1, 3, 1, 2, 4],
        [0, 0, 1, 2, 3, 4],
        [0, 1, 2, 3],
    ]


def test_judged_pictures_show_what_their_sentence_says():
    mask = torch.tensor([[0] * 6, [0, 0, 1, 0, 0, 0], [1, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]).bool()
    assert (classify(mask, (2, 3)) == 2).int().tolist() == [[0, 0], [0, 1]]  # the first: all pairs
    assert any_block(mask, (3, 2)).int().tolist() == [[1, 1, 1], [0, 1, 1]]  # the second: sides swapped
    assert any_block(mask, (2, 3)).int().tolist() == [[1, 0], [1, 1]]  # the third is right
    assert mask[::2, ::3].int().tolist() == [[0, 0], [1, 1]]  # the fourth: the first place
