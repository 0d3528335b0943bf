"""The roofline says which roof bounds a work, and agrees with the time that `cost` computes."""

import math

import pytest

from tsparse import show
from tsparse.cost import Ceilings, Work

MACHINE = Ceilings(flops=1000.0, exponentials=math.inf, bytes=10.0)  # ridge at 100 FLOP/byte


def test_work_left_of_the_ridge_is_bound_by_bytes_and_right_of_it_by_operations() -> None:
    words = show.roofline(MACHINE, {"left": Work(990, 0, 10), "right": Work(1010, 0, 10)}, "Two").alt
    assert "rises to 1.0 kFLOP/s at 100 FLOP/byte" in words
    assert "left: 99 FLOP/byte, bound by bytes, at best 1.0 s." in words
    assert "right: 101 FLOP/byte, bound by operations, at best 1.0 s." in words


def test_measured_seconds_stand_beside_the_best_and_change_the_picture() -> None:
    works = {"one": Work(3000, 0, 10)}
    timed = show.roofline(MACHINE, works, "One", {"one": 12.0})
    assert timed.alt.endswith("one: 300 FLOP/byte, bound by operations, at best 3.0 s, measured 12.0 s.")
    assert timed.png != show.roofline(MACHINE, works, "One").png


def test_work_that_moves_nothing_has_no_place() -> None:
    with pytest.raises(ZeroDivisionError):
        show.roofline(MACHINE, {"none": Work(1, 0, 0)}, "None")
