"""The exercises of lesson 01 against answers that are not in their lists: right pass, wrong fail."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.grade.attention_answers import INF, RIGHT, WRONG, average, hidden
from tsparse.grade.checking import Verdict, judge, run_here
from tsparse.grade.exercises import exercise

SEEDS = range(5)
UNLISTED = [(id, what, *wrong) for id, wrongs in WRONG.items() for what, wrong in wrongs.items()]


def verdict(id: str, answer: Callable[..., object], seed: int = 0) -> Verdict:
    return judge(exercise(f"attention.{id}"), run_here(answer), seed=seed)


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Tensor]) -> None:
    for seed in SEEDS:
        assert verdict(id, answer, seed).status == "PASS"


@pytest.mark.parametrize(
    ("id", "what", "answer", "name"), UNLISTED, ids=[f"{id}-{what}" for id, what, *_ in UNLISTED]
)
def test_wrong_answer_that_is_not_listed_fails(
    id: str, what: str, answer: Callable[..., object], name: str | None
) -> None:
    found = [verdict(id, answer, seed) for seed in SEEDS]
    assert {one.status for one in found} == {"FAIL"}
    assert name is None or {one.mistake for one in found} == {name}


def test_softmax_that_overflows_keeps_the_points_for_values() -> None:
    assert verdict("softmax", lambda x: x.exp() / x.exp().sum(-1, keepdim=True)).earned == 7


def test_sentence_about_an_inverted_mask_names_keys_that_are_so() -> None:
    for seed in SEEDS:
        found = verdict(
            "sdpa", lambda q, k, v, mask=None: average(hidden(q, k, None if mask is None else ~mask), v), seed
        )
        assert found.failing is not None
        row = found.failing.case.args[3][0]
        keys = re.search(r"query 0 sees key (\d), which is hidden, and not key (\d)", found.message)
        assert keys is not None
        assert not row[int(keys[1])]
        assert row[int(keys[2])]


def test_sentence_about_the_query_that_sees_nothing_names_it() -> None:
    found = verdict("sdpa", lambda q, k, v, mask=None: torch.softmax(hidden(q, k, mask), -1) @ v)
    assert found.failing is not None
    assert not found.failing.case.args[3][2].any()
    assert found.message == "Query 2 sees nothing: 0/0 = NaN. Give it 0."


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    def row(*numbers: float) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)

    soft, score, attend, backward = (
        exercise(f"attention.{id}").spec for id in ("softmax", "scores", "sdpa", "softmax_backward")
    )
    for x, wanted in (
        ((0, 0), (0.5, 0.5)),
        ((2, 2 + math.log(3)), (0.25, 0.75)),
        ((1000, 1000), (0.5, 0.5)),
        ((5, -INF), (1, 0)),
    ):
        assert torch.allclose(soft(row(*x)), row(*wanted))
    for key, wanted_score in (((2, 0, 2, 0), 2), ((0, 3, 0, 3), 0)):
        assert score(row(1, 0, 1, 0)[None, None, None], row(*key)[None, None, None]).item() == wanted_score
    q, k, v = (row(*x)[None, None, :, None] for x in ((1,), (0, math.log(3)), (4, 8)))
    for mask, out in ((None, 7), ((True, False), 4), ((False, False), 0)):
        seen = None if mask is None else torch.tensor([mask])
        assert math.isclose(attend(q, k, v, seen).item(), out)
    for p, dp, ds in (
        ((0.5, 0.5), (1, 0), (0.25, -0.25)),
        ((0.5, 0.5), (7, 7), (0, 0)),
        ((1, 0), (3, 5), (0, 0)),
    ):
        assert torch.equal(backward(row(*p), row(*dp)), row(*ds))
