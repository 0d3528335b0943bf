"""The exercises of lesson 14 against kernels that are not in their lists: right pass, wrong fail."""

from dataclasses import replace

import pytest

from tests.grade.flash_answers import RIGHT, WRONG
from tests.grade.toys import judged
from tsparse.grade import checking
from tsparse.grade.exercises import exercise
from tsparse.kernels import interpret

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)


@pytest.fixture(autouse=True)
def one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of cases: the interpreter is slow."""
    monkeypatch.setattr(checking, "DRAWS", 1)


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, texts in RIGHT.items() for what in texts])
def test_right_kernel_written_differently_passes(id: str, what: str) -> None:
    verdict = judged(exercise(f"flash.{id}"), RIGHT[id][what])
    assert (verdict.status, verdict.message) == ("PASS", "Right on every case.")


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, texts in WRONG.items() for what in texts])
def test_wrong_kernel_that_is_not_listed_fails(id: str, what: str) -> None:
    unnamed = replace(
        exercise(f"flash.{id}"), wrong=()
    )  # which mistake it is like takes long, and is not asked
    verdict = judged(unnamed, WRONG[id][what])
    assert verdict.status == "FAIL"
    assert verdict.earned < unnamed.points


@pytest.mark.parametrize("id", ["forward", "causal"])
def test_kernel_that_visits_too_much_loses_the_points_for_cost_and_no_others(id: str) -> None:
    what = {"forward": "one tile too many", "causal": "every tile, values of the future not added"}[id]
    verdict = judged(exercise(f"flash.{id}"), WRONG[id][what])
    assert {part.name: part.earned == part.points for part in verdict.parts} == {
        "values": True,
        "edge cases": True,
        "cost": False,
    }
