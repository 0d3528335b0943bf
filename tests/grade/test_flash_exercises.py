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


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("acc, l_i, m_new", "[16, 16], [16], [16]"),
        ("m_new, l_i", "[16], [16]"),
        ("m_new, l_i, acc, p", "[16], [16], [16, 16], [16, 32]"),
        ("m_new[:, None], l_i, acc", "[16, 1], [16], [16, 16]"),
        ("acc", "[16, 16]"),
    ],
)
def test_step_that_returns_something_else_is_told_what_it_returned_and_what_is_needed(returned, told):
    one = exercise("flash.update")
    verdict = judged(one, one.reference.but("m_new, l_i, acc\n", f"{returned}\n"))
    needed = "`update` has to return m_i [16], l_i [16], acc [16, 16], in this order"
    assert verdict.message == f"{needed}; yours returns {told}."
