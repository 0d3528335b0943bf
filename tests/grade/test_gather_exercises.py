"""The exercises of lesson 11 against answers that are not in their lists: right pass, wrong fail."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.grade.gather_answers import RIGHT, WRONG, loop_over_all, one_block_too_many
from tests.grade.toys import judged, light
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.gather import lists
from tsparse.grade.exercises.gather.backward import backward
from tsparse.grade.exercises.gather.backward_row import backward_row
from tsparse.grade.exercises.gather.forward import forward
from tsparse.grade.exercises.gather.row import attend_row


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Any]) -> None:
    for seed in range(3):
        one = exercise(f"gather.{id}")
        verdict = judged(light(one) if seed else one, answer, seed=seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, wrongs in WRONG.items() for what in wrongs])
def test_wrong_answer_that_is_not_listed_fails(id: str, what: str) -> None:
    for seed in range(3):
        assert judged(exercise(f"gather.{id}"), WRONG[id][what], seed=seed).status == "FAIL"


def test_work_on_blocks_that_are_not_listed_costs_the_points_for_cost_and_no_others() -> None:
    for answer in (loop_over_all, one_block_too_many):
        verdict = judged(exercise("gather.forward"), answer)
        assert {part.name: part.earned for part in verdict.parts} == {
            "values": 12.0,
            "edge cases": 4.0,
            "cost": 0.0,
        }


def test_reading_every_key_is_named_by_the_nan_that_it_lets_through() -> None:
    verdict = judged(exercise("gather.forward"), loop_over_all)
    assert verdict.message == "You computed all 30 blocks; the layout lists 9."
    assert "NaN in value tile" in verdict.failing.case.name


def test_reading_one_block_too_many_is_said_without_a_name() -> None:
    message = judged(exercise("gather.forward"), one_block_too_many).message
    assert message.endswith("NaN from a tile that a row does not list reached its output.")


@pytest.mark.parametrize("id", ["forward", "backward"])
def test_heavy_case_cannot_be_computed_with_all_scores(id: str) -> None:
    rng = torch.Generator().manual_seed(0)
    (heavy,) = (case for case in exercise(f"gather.{id}").cases(rng) if case.heavy)
    q, k = heavy.args[:2]
    assert q.shape[0] * q.shape[1] * k.shape[1] * 8 > 2**34
    assert lists.allowed(heavy) < q.shape[1] * k.shape[1]


def test_gradients_of_the_reference_are_those_of_autograd() -> None:
    for case in exercise("gather.backward").cases(torch.Generator().manual_seed(1)):
        if case.heavy or case.poison is not None or case.name == "float32":
            continue
        q, k, v, _, _, dout, *more = case.args
        leaves = [x.detach().clone().requires_grad_() for x in (q, k, v)]
        wanted = torch.autograd.grad(forward(*leaves, *more)[0], leaves, dout)
        for got, want in zip(backward(*case.args), wanted, strict=True):
            assert torch.allclose(got, want, atol=1e-10), case.name


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    def column(*numbers: float) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)[:, None]

    for columns, out in (([0], 1.5), ([0, 2], 4.0), ([], 0.0)):
        chosen = torch.tensor(columns, dtype=torch.int64)
        got = attend_row(column(0), column(*range(5)), column(1, 2, 3, 4, 9), chosen, 2, 1.0)
        assert float(got) == pytest.approx(out)
    one = torch.tensor(math.log(2)).double(), torch.tensor(4.0).double()
    got = backward_row(column(0)[0], column(1, 3), column(1, 3), column(2)[0], *one)
    assert torch.cat([x.flatten() for x in got]).tolist() == pytest.approx([2.0, 0.0, 0.0, 1.0, 1.0])


def test_rule_is_not_asked_about_more_pairs_than_the_grader_has_memory_for():
    many = torch.arange(1 << 13)
    with pytest.raises(ValueError, match="67,108,864 pairs at once; ask for a block"):
        lists.Visible(lists.causal)(many[:, None], many)
