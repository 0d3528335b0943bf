"""The exercises of lesson 03 against answers that are not in their lists: right pass, wrong fail."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.grade.heads_answers import RIGHT, WRONG
from tsparse import nn as ours
from tsparse import reference
from tsparse.grade.checking import Verdict, judge, run_here
from tsparse.grade.exercise import Case
from tsparse.grade.exercises import exercise

SEEDS = range(3)
UNLISTED = [(id, what, *wrong) for id, wrongs in WRONG.items() for what, wrong in wrongs.items()]


def verdict(id: str, answer: Callable[..., Any], seed: int = 0) -> Verdict:
    return judge(exercise(f"heads.{id}"), run_here(answer), seed=seed)


def drawn(id: str) -> list[Case]:
    return exercise(f"heads.{id}").cases(torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Any]) -> None:
    for seed in SEEDS:
        found = verdict(id, answer, seed)
        assert found.status == "PASS", found.message


@pytest.mark.parametrize(
    ("id", "what", "answer", "name"), UNLISTED, ids=[f"{id}-{what}" for id, what, *_ in UNLISTED]
)
def test_wrong_answer_that_is_not_listed_fails(
    id: str, what: str, answer: Callable[..., Any], name: str | None
) -> None:
    found = [verdict(id, answer, seed) for seed in SEEDS]
    assert {one.status for one in found} == {"FAIL"}
    assert name is None or {one.mistake for one in found} == {name}, found[0].message


def test_most_wrong_answers_are_named() -> None:
    vague = (None, "right on some cases")
    told = [verdict(id, answer).mistake for id, _, answer, _ in UNLISTED]
    assert sum(name not in vague for name in told) >= 0.6 * len(told)


@pytest.mark.parametrize("case", drawn("multi_head"), ids=lambda case: case.name)
def test_multi_head_is_what_the_module_of_pytorch_computes(case: Case) -> None:
    x, weights, heads, *mask = case.args
    module = nn.MultiheadAttention(x.shape[2], heads, batch_first=True, dtype=x.dtype)
    module.load_state_dict(weights)
    hidden = ~mask[0] if mask else None
    wanted, _ = module(x, x, x, attn_mask=hidden, need_weights=False)
    torch.testing.assert_close(exercise("heads.multi_head").spec(*case.args), wanted)


@pytest.mark.parametrize("case", drawn("multi_head"), ids=lambda case: case.name)
def test_multi_head_is_what_the_module_of_the_package_computes(case: Case) -> None:
    x, weights, heads, *mask = case.args
    module = ours.MultiHeadAttention(x.shape[2], heads).to(x.dtype)
    module.load_state_dict(weights)
    wanted = module(x, mask=mask[0] if mask else None)
    torch.testing.assert_close(exercise("heads.multi_head").spec(*case.args), wanted)


@pytest.mark.parametrize("case", drawn("grouped_query"), ids=lambda case: case.name)
def test_grouped_query_is_what_the_reference_and_pytorch_compute(case: Case) -> None:
    out = exercise("heads.grouped_query").spec(*case.args)
    torch.testing.assert_close(out, reference.attention(*case.args))
    sdpa = nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(out, sdpa(*case.args, enable_gqa=True))


def test_no_case_of_grouped_queries_hides_the_wrong_division() -> None:
    """Where H/G is G, h // G is right: the first two cases are others."""
    for case in drawn("grouped_query")[:2]:
        heads, groups = case.args[0].shape[1], case.args[1].shape[1]
        assert heads // groups != groups


def test_biases_of_the_cases_are_not_those_of_a_fresh_module() -> None:
    for case in drawn("multi_head"):
        assert all((case.args[1][name] != 0).all() for name in ("in_proj_bias", "out_proj.bias"))


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    x = torch.tensor([[[0, 1, 2, 3], [10, 11, 12, 13]]])
    pieces = exercise("heads.split").spec(x, 2)
    assert pieces.tolist() == [[[[0, 1], [10, 11]], [[2, 3], [12, 13]]]]
    assert exercise("heads.merge").spec(pieces).equal(x)
