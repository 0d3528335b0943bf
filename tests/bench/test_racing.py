"""Who takes turns with whom, and whose results are compared; never how long anything takes."""

import math
import time
from collections.abc import Callable

import pytest
import torch

from tsparse.bench.racing import SHORT, Contestant, NotMeasured, Rounds, difference, race, wall
from tsparse.bench.record import Case

TWICE = Rounds(2, 2)


def contestant(name: str, value: float, log: list[str], other: str = "") -> Contestant:
    """Writes its name down when it is called, and returns two numbers."""

    def call() -> torch.Tensor:
        log.append(name)
        return torch.tensor([1.0, value])

    return Contestant(name, call, other=other)


def raced(values: dict[str, float], rounds: Rounds = TWICE, **other: str) -> tuple[Case, list[str]]:
    log: list[str] = []
    case = Case("section", "title")
    race(case, [contestant(name, value, log, other.get(name, "")) for name, value in values.items()], rounds)
    return case, log


def test_everybody_runs_once_untimed_and_then_they_take_turns() -> None:
    case, log = raced({"ours": 1.0, "a": 1.0, "b": 1.0}, Rounds(3, 3))
    assert log == ["ours", "a", "b"] + ["ours", "ours", "a", "a", "b", "b"] * 3  # each turn after itself
    assert [len(entry.seconds) for entry in case.entries] == [3, 3, 3]


def test_a_turn_that_takes_long_is_taken_once() -> None:
    log: list[str] = []
    wall(lambda: (log.append("slow"), time.sleep(SHORT)))
    assert log == ["slow"]


def test_slow_one_leaves_after_its_seconds_and_the_others_go_on_taking_turns() -> None:
    log: list[str] = []
    case = Case("section", "title")
    contestants = [contestant(name, 1.0, log) for name in ("ours", "slow", "a")]

    def clock(call: Callable[[], object]) -> float:
        call()
        return 4.0 if log[-1] == "slow" else 0.5

    race(case, contestants, Rounds(least=2, most=5, seconds=6.0), clock=clock)
    assert log[3:] == ["ours", "slow", "a"] * 2 + ["ours", "a"] * 3
    assert case.entries[1].seconds == [4.0, 4.0]


def test_median_and_ratio_are_of_the_seconds_that_the_clock_says() -> None:
    seconds = iter([1.0, 5.0, 9.0, 6.0, 2.0, 100.0])

    def clock(call: object) -> float:
        return next(seconds)

    case = Case("section", "title")
    log: list[str] = []
    race(case, [contestant("ours", 0, log), contestant("a", 0, log)], Rounds(3, 3), clock=clock)
    ours, theirs = case.entries
    assert (ours.seconds, theirs.seconds) == ([1.0, 9.0, 2.0], [5.0, 6.0, 100.0])
    assert (ours.median, theirs.median, case.ratio(theirs)) == (2.0, 6.0, 3.0)


def test_wrong_output_is_flagged_and_said_and_timed_all_the_same() -> None:
    case, _ = raced({"ours": 1.0, "right": 1.00001, "wrong": 1.5})
    ours, right, wrong = case.entries
    assert (ours.wrong, right.wrong, wrong.wrong) == (False, False, True)
    assert wrong.difference == 0.5
    assert wrong.note.startswith("WRONG OUTPUT: 0.5 away")
    assert case.verdict(wrong) == "WRONG"
    assert len(wrong.seconds) == 2


def test_output_of_nan_or_of_another_shape_is_wrong() -> None:
    case, _ = raced({"ours": 1.0, "nan": math.nan})
    assert case.entries[1].wrong
    assert difference(torch.zeros(2), torch.zeros(2, 1)).scaled == math.inf


def test_who_means_to_compute_something_else_is_not_wrong_but_said() -> None:
    case, _ = raced({"ours": 1.0, "dense": 3.0}, dense="sees everything")
    entry = case.entries[1]
    assert (entry.wrong, entry.other, entry.difference) == (False, "sees everything", 2.0)


def test_difference_is_over_all_results() -> None:
    results, expected = (torch.zeros(2), torch.tensor([0.0, 3.0])), (torch.zeros(2), torch.zeros(2))
    assert difference(results, expected) == (3.0, 3.0)


def test_error_of_a_large_sum_is_counted_in_units_of_the_sum_and_that_of_a_small_one_is_not() -> None:
    large, small = torch.tensor([1000.0, 0.0]), torch.tensor([0.01])
    assert difference((large + 2, small), (large, small)) == pytest.approx((2.0, 0.002))
    assert difference((large, small + 2), (large, small)) == pytest.approx((2.0, 2.0))


def test_what_cannot_be_measured_says_why_and_the_others_run_on() -> None:
    def missing() -> torch.Tensor:
        raise NotMeasured("not installed")

    log: list[str] = []
    case = Case("section", "title")
    race(
        case,
        [contestant("ours", 1.0, log), Contestant("peer", missing), contestant("b", 1.0, log)],
        Rounds(2, 2),
    )
    assert [len(entry.seconds) for entry in case.entries] == [2, 0, 2]
    assert case.entries[1].note == "not installed"


def test_runs_before_an_interruption_are_kept() -> None:
    calls = iter(range(100))

    def impatient() -> torch.Tensor:
        if next(calls) == 5:  # one untimed, then two in each turn
            raise KeyboardInterrupt
        return torch.tensor([1.0, 1.0])

    case = Case("section", "title")
    with pytest.raises(KeyboardInterrupt):
        race(case, [contestant("ours", 1.0, []), Contestant("peer", impatient)], Rounds(5, 5))
    assert [len(entry.seconds) for entry in case.entries] == [3, 2]
