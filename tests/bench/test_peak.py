"""Memory is counted to the byte, and a limit ends dense attention where the formula says."""

import sys

import pytest
import torch

from tsparse.bench.apart import apart
from tsparse.bench.peak import WAYS, most_allocated, three_lines

HEADS, DIM, FLOAT = 3, 16, 4


@pytest.mark.filterwarnings("error")
def test_counting_memory_warns_of_nothing() -> None:  # comes first: some warnings are given once
    most_allocated(lambda: torch.ones(1))


def test_what_was_given_back_before_the_next_request_is_not_held_together() -> None:
    def one_after_the_other() -> None:
        torch.ones(1000).sum()
        torch.ones(3000).sum()

    assert 12_000 <= most_allocated(one_after_the_other) < 12_100


def test_three_lines_hold_two_tables_and_the_output_to_the_byte() -> None:
    q, k, v = torch.randn(3, 1, HEADS, 100, DIM)
    assert most_allocated(lambda: three_lines(q, k, v)) == (2 * 100**2 + 100 * DIM) * HEADS * FLOAT


def test_all_ways_attend_and_those_without_a_window_agree() -> None:
    q, k, v = torch.randn(3, 1, HEADS, 100, DIM)
    outputs = {way: make(100)(q, k, v) for way, make in WAYS.items()}
    torch.testing.assert_close(outputs["fused"], outputs["three lines"])
    assert outputs["window"].shape == q.shape


def test_only_the_three_lines_take_four_times_as_much_at_twice_the_length() -> None:
    held = apart("allocated", [1024, 2048], HEADS, DIM)
    assert list(held) == list(WAYS)
    growth = {way: large / small for way, (small, large) in held.items()}
    assert 3.9 < growth["three lines"] < 4.0
    assert growth["fused"] < 2.5
    assert growth["window"] < 2.5


@pytest.mark.skipif(sys.platform != "linux", reason="memory can be limited on Linux only")
def test_length_below_the_limit_runs_and_above_it_does_not() -> None:
    limit = 2 * 2000**2 * HEADS * FLOAT  # two tables for 2000 tokens
    assert apart("fits", [1800, 2200], HEADS, DIM, limit) == {"1800": True, "2200": False}
