"""Functions that an answer returns are called at once, here and in the process of an answer alike."""

import json
import socket
import struct
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.grade.toys import judged, toy
from tsparse.grade import protocol
from tsparse.grade.checking import Verdict, judge
from tsparse.grade.driving import NotAFunction, Then, call
from tsparse.grade.exercise import Case, Exercise, Wrong

PLACES = (torch.arange(3)[:, None], torch.arange(4))
TABLE = torch.arange(3.0)[:, None] * 10 + torch.arange(4)


def adder(factor: float):
    """The reference of the toy exercise: returns a function of two numbers."""
    return lambda row, column: row * factor + column


ADDER = toy(
    adder,
    Case("broadcast", (10.0, Then(PLACES))),
    Case("vmap", (10.0, Then(PLACES, "vmap"))),
    Case("seven", (7.0, Then(PLACES))),
    wrong=(
        Wrong("one argument", "Yours takes one.", lambda factor: lambda row: row * factor, raises=True),
        Wrong("no factor", "You leave out the factor.", lambda factor: lambda row, column: row + column),
    ),
)


@pytest.fixture
def ask(workers):
    """Judge a cell as an answer to the toy exercise, in a process of its own."""

    def ask(exercise: Exercise, source: str) -> Verdict:
        with workers.worker() as worker:
            assert worker.run_cell("answer", source).status == "returned"
            return judge(exercise, partial(worker.call, "adder"), 0)

    return ask


RIGHT = "def adder(factor):\n    return lambda row, column: row * factor + column"


@pytest.mark.parametrize("how", ["broadcast", "vmap"])
def test_both_ways_of_calling_give_one_table(how):
    assert torch.equal(call(adder, (10.0, Then(PLACES, how))), TABLE)


@pytest.mark.parametrize("how", ["broadcast", "vmap"])
def test_result_that_ignores_an_argument_has_the_shape_of_all_of_them(how):
    assert torch.equal(Then(PLACES, how).ask(lambda row, column: column + 0), torch.arange(4).expand(3, 4))


def test_function_is_called_for_one_place_at_a_time_under_vmap():
    shapes = []
    Then(PLACES, "vmap").ask(lambda row, column: shapes.append((row.shape, column.shape)) or row)
    assert shapes == [((), ())]


def test_table_can_be_looked_up_under_vmap():
    slopes = torch.tensor([5.0, 6.0, 7.0])
    found = Then(PLACES, "vmap").ask(lambda row, column: slopes[row])
    assert torch.equal(found, slopes[:, None].expand(3, 4))


def test_tensor_for_one_place_is_refused():
    with pytest.raises(ValueError, match=r"for one place .* a tensor \[4\], not one number"):
        Then(PLACES, "vmap").ask(lambda row, column: torch.zeros(4) + row)


def test_what_is_no_function_is_refused_by_its_type():
    with pytest.raises(NotAFunction, match="Tensor"):
        call(lambda factor: torch.ones(3, 4), (10.0, Then(PLACES)))


def test_reader_is_told_that_a_function_is_wanted(ask):
    cell = "import torch\ndef adder(factor):\n    return torch.ones(3, 4)"
    verdicts = judged(ADDER, lambda factor: torch.ones(3, 4)), ask(ADDER, cell)
    for verdict in verdicts:
        assert (verdict.status, verdict.earned) == ("FAIL", 0)
        assert verdict.message.startswith(
            "`adder` has to return a function, and yours returns a value of type Tensor."
        )


def test_answer_in_another_process_is_judged_alike(ask):
    assert ask(ADDER, RIGHT).status == judged(ADDER, adder).status == "PASS"
    told = {
        "row * factor + column": None,
        "row + column": "no factor",
        "row * factor": "one argument",
    }
    for body, name in told.items():
        names = "row" if name == "one argument" else "row, column"
        assert ask(ADDER, f"def adder(factor):\n    return lambda {names}: {body}").mistake == name


def test_time_and_tools_are_judged_inside_of_the_returned_function(ask):
    endless = "def adder(factor):\n    def rule(row, column):\n        while True: pass\n    return rule"
    assert ask(ADDER, endless).mistake == "timed out"


@pytest.mark.parametrize(
    "lie",
    [
        "row * factor + column if len(calls) < 3 else 0 * row",
        "row * factor + column if row.ndim else row + column",
        "row * factor + column if factor == 10 else row + column",
    ],
    ids=["from the third call on", "for single places", "for another factor"],
)
def test_function_that_lies_later_gains_nothing(ask, lie):
    cell = (
        "calls = []\ndef adder(factor):\n    def rule(row, column):\n        calls.append(1)\n"
        f"        return {lie}\n    return rule"
    )
    assert ask(ADDER, cell).earned == 0


def test_result_that_changes_later_is_what_it_was_when_it_was_asked(ask):
    cell = (
        "import threading\nseen = []\n"
        "def change():\n    while True:\n        for one in seen: one.zero_()\n"
        "def adder(factor):\n    def rule(row, column):\n        seen.append(row + column)\n"
        "        return seen[-1]\n"
        "    threading.Thread(target=change, daemon=True).start()\n    return rule"
    )
    assert ask(ADDER, cell).earned == 0


def test_answer_cannot_send_a_then_to_the_grader():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        protocol.send(theirs, {}, Then(PLACES))
        assert type(protocol.receive(ours)[1]).__name__ == "Then"
        text = json.dumps({"value": {"then": "vmap", "args": {"tuple": []}}}).encode()
        theirs.sendall(struct.pack("!II", len(text), 0) + text)
        with pytest.raises(protocol.Violation, match="may not cross"):
            protocol.receive(ours)


@pytest.mark.parametrize("how", ["broadcast", "vmap"])
@pytest.mark.parametrize("change", ["column += 1", "column -= 1; column.add_(2)"])
def test_writing_into_what_a_returned_function_is_given_is_named_by_its_own_name(ask, how, change):
    exercise = toy(adder, Case("once", (10.0, Then((torch.ones(4), torch.arange(4)), how))))
    lines = f"        {change}\n        return row * factor + column - 1"
    cell = f"def adder(factor):\n    def rule(row, column):\n{lines}\n    return rule"
    verdict = ask(exercise, cell)
    assert (verdict.mistake, verdict.earned) == ("input changed", 0)
    assert "changed its input `column`" in verdict.message


def test_places_are_copied_for_each_call():
    kept: list[Tensor] = []

    def rude(factor):
        def rule(row, column):
            kept.append(row.add_(100))
            return row * factor + column

        return rule

    assert judged(ADDER, rude).status == "FAIL"
    assert int(PLACES[0][0, 0]) == 0
