"""The exercises of lesson 15 against answers that are not in their lists: right pass, wrong fail."""

import ast
from collections.abc import Callable
from dataclasses import replace

import nbformat
import pytest
import torch
from torch import Tensor

from tests.grade.kernel_forward_answers import RIGHT, WRONG
from tests.grade.toys import judged
from tsparse import SlidingWindow, show
from tsparse.grade import checking
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.kernel.judge import judge
from tsparse.grade.launches import KernelText
from tsparse.kernels import interpret

interpreted = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)


@pytest.fixture(autouse=True)
def one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of cases: the interpreter is slow."""
    monkeypatch.setattr(checking, "DRAWS", 1)


def pairs(answers: dict[str, dict[str, KernelText]]) -> list[tuple[str, str]]:
    return [(id, what) for id, texts in answers.items() for what in texts]


@interpreted
@pytest.mark.parametrize(("id", "what"), pairs(RIGHT))
def test_right_kernel_written_differently_passes(id: str, what: str) -> None:
    verdict = judged(exercise(f"kernel.{id}"), RIGHT[id][what])
    assert (verdict.status, verdict.message) == ("PASS", "Right on every case.")


@interpreted
@pytest.mark.parametrize(("id", "what"), pairs(WRONG))
def test_wrong_kernel_that_is_not_listed_fails(id: str, what: str) -> None:
    unnamed = replace(exercise(f"kernel.{id}"), wrong=())  # to find which mistake it is like takes long
    verdict = judged(unnamed, WRONG[id][what])
    assert verdict.status == "FAIL"
    assert verdict.earned < unnamed.points


@interpreted
@pytest.mark.parametrize("what", ["scores twice", "one tile more, not added"])
def test_kernel_that_does_too_much_loses_the_points_for_cost_and_no_others(what: str) -> None:
    verdict = judged(replace(exercise("kernel.forward"), wrong=()), WRONG["forward"][what])
    assert {part.name: part.earned == part.points for part in verdict.parts} == {
        "values": True,
        "edge cases": True,
        "cost": False,
    }


def judge_by_pairs(tiles: dict[str, Tensor], crow: Tensor, col: Tensor) -> str:
    ends = crow.tolist()
    wanted = {(i, int(j)) for i in range(len(ends) - 1) for j in col[ends[i] : ends[i + 1]]}
    return min(
        tiles, key=lambda name: len({tuple(place) for place in tiles[name].nonzero().tolist()} ^ wanted)
    )


def judge_by_lists(tiles: dict[str, Tensor], crow: Tensor, col: Tensor) -> str:
    for name, table in tiles.items():
        counts = torch.cat([torch.zeros(1, dtype=torch.int64), table.sum(1).cumsum(0)])
        if counts.tolist() == crow.tolist() and table.nonzero()[:, 1].tolist() == col.tolist():
            return name
    return ""


def by(score: Callable[[Tensor, Tensor, Tensor], float]) -> Callable[..., str]:
    """A judge that takes the table with the smallest score."""
    return lambda tiles, crow, col: min(tiles, key=lambda name: score(tiles[name], crow, col))


WRONG_JUDGES: dict[str, Callable[..., str]] = {
    "always A": lambda tiles, crow, col: "A",
    "the last one": lambda tiles, crow, col: list(tiles)[-1],
    "fewest tiles": by(lambda table, crow, col: int(table.sum())),
    "most tiles": by(lambda table, crow, col: -int(table.sum())),
    "as many tiles as entries": by(lambda table, crow, col: abs(int(table.sum()) - len(col))),
    "rows of the right length": by(lambda table, crow, col: int((table.sum(1) - crow.diff()).abs().sum())),
    "columns as often as listed": by(
        lambda table, crow, col: int(
            (table.sum(0) - col.long().bincount(minlength=table.shape[1])).abs().sum()
        )
    ),
    "holds all listed blocks": lambda tiles, crow, col: next(
        name
        for name, table in tiles.items()
        if all(table[i, col[crow[i] : crow[i + 1]].long()].all() for i in range(len(table)))
    ),
    "col alone": lambda tiles, crow, col: next(
        name for name, table in tiles.items() if table.nonzero()[:, 1].tolist() == col.tolist()
    ),
    "first row only": lambda tiles, crow, col: next(
        (
            name
            for name, table in tiles.items()
            if table[0].nonzero().flatten().tolist() == col[: crow[1]].tolist()
        ),
        "A",
    ),
    "index in place of a name": lambda tiles, crow, col: list(tiles).index(judge(tiles, crow, col)),
    "the table itself": lambda tiles, crow, col: tiles[judge(tiles, crow, col)],
    "small letter": lambda tiles, crow, col: judge(tiles, crow, col).lower(),
}


@pytest.mark.parametrize("answer", [judge_by_pairs, judge_by_lists])
def test_right_judge_written_differently_passes(answer: Callable[..., str]) -> None:
    assert judged(exercise("kernel.judge"), answer).status == "PASS"


@pytest.mark.parametrize("what", WRONG_JUDGES)
def test_judge_that_looks_at_too_little_fails(what: str) -> None:
    for seed in range(3):
        assert judged(exercise("kernel.judge"), WRONG_JUDGES[what], seed=seed).status == "FAIL"


@pytest.mark.parametrize("name", ["forward", "partial"])
def test_solution_of_the_sheet_is_the_kernel_that_is_checked_with(name: str) -> None:
    sheet = nbformat.read("solutions/15_block_sparse_forward.ipynb", 4)
    cell = next(cell for cell in sheet.cells if cell.id == f"answer-kernel-{name}")
    text = exercise(f"kernel.{name}").reference
    assert isinstance(text, KernelText)
    assert ast.unparse(ast.parse(cell.source)) == ast.unparse(ast.parse(text.source).body[-1])


def test_each_kernel_differs_from_the_one_before_in_few_statements() -> None:
    texts = [exercise(id).reference for id in ("flash.causal", "kernel.forward", "kernel.partial")]
    before, forward, partial = (text.source.partition("\n\n\n")[2] for text in texts)
    assert show.changes(before, forward).statements == 6
    assert show.changes(forward, partial).statements <= 15


def test_numbers_in_the_questions_are_those_of_the_layouts() -> None:
    def tiles(window: int) -> int:
        layout = SlidingWindow(window).layout(1024, block=64)
        return len(layout.col_indices) + len(layout.full_col_indices)

    assert (tiles(65), tiles(66)) == (31, 45)
    rows, keys = torch.arange(64, 128)[:, None], torch.arange(48, 64)
    sees_nothing = ~((rows - keys >= 0) & (rows - keys < 16)).any(1)
    assert rows[sees_nothing].flatten().tolist() == list(range(79, 128))
    layout = SlidingWindow(16).layout(128, block=(64, 16))
    assert layout.col_indices[layout.crow_indices[0, 0, 1]] == 3
    assert len(layout.full_col_indices) == 0
    rows, keys = torch.arange(32, 64)[:, None], torch.arange(16, 32)
    assert rows[~(rows - keys < 20).any(1)].flatten().tolist() == list(range(51, 64))
    assert 0.98 < 1 - 0.999**4096 < 0.985
