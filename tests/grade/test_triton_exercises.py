"""The exercises of lesson 13 against kernels that are not in their lists: right pass, wrong fail."""

import math

import pytest
import torch

from tests.grade.toys import judged
from tests.grade.triton_answers import RIGHT, WRONG
from tsparse.grade import check
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.triton.matmul import tiles
from tsparse.kernels import interpret

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)


@pytest.mark.parametrize(("id", "style"), [(id, style) for id, styles in RIGHT.items() for style in styles])
def test_right_kernel_written_differently_passes(id: str, style: str) -> None:
    for seed in range(3):
        verdict = judged(exercise(f"triton.{id}"), RIGHT[id][style], seed=seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, wrongs in WRONG.items() for what in wrongs])
def test_wrong_kernel_that_is_not_listed_fails(id: str, what: str) -> None:
    assert judged(exercise(f"triton.{id}"), WRONG[id][what]).status == "FAIL"


def test_helpers_and_constants_of_the_cell_come_along_in_a_check() -> None:
    answer = RIGHT["row_softmax"]["powers of two and a helper"].source
    assert check("triton.row_softmax", answer).status == "PASS"


def test_print_may_stay_and_breakpoint_may_not() -> None:
    source = exercise("triton.scale_rows").reference.source
    line = "    row = tl.program_id(0)\n"
    talks = source.replace(line, f'{line}    print("row", row)\n')
    assert check("triton.scale_rows", talks).status == "PASS"
    verdict = check("triton.scale_rows", source.replace(line, f"{line}    breakpoint()\n"))
    assert verdict.status == "FAIL"
    assert "breakpoint" in verdict.message


def test_tiles_of_a_product_are_of_different_sizes_and_not_always_the_same() -> None:
    assert all(len(set(tiles(m, n))) == 3 for m, n in ((20, 70), (33, 33)))
    assert tiles(20, 70) != tiles(33, 33)


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    scale, softmax = (exercise(f"triton.{name}").spec for name in ("scale_rows", "row_softmax"))
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    assert scale(x, torch.tensor([2.0, 10])).tolist() == [[2, 4, 6], [40, 50, 60]]
    assert softmax(torch.zeros(1, 3)).tolist()[0] == pytest.approx([1 / 3] * 3)
    assert softmax(torch.tensor([[0, math.log(3)]])).tolist()[0] == pytest.approx([0.25, 0.75])
