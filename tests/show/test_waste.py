"""The picture of what whole blocks cost: its numbers are those of the masks."""

import torch

from tsparse import SlidingWindow, show
from tsparse.show.waste import shifted, spread, touched


def test_touched_tiles_are_the_blocks_of_a_layout() -> None:
    mask = SlidingWindow(20).layout(128, block=16).dense_mask()
    assert touched(mask, 16) == SlidingWindow(20).layout(128, block=16).density


def test_whole_blocks_waste_nothing_and_random_pairs_nearly_all() -> None:
    found = spread(1024, 64)
    assert all(abs(pairs - tiles) < 1e-6 for pairs, tiles in found["whole blocks"])
    pairs, tiles = found["single pairs, random"][0]
    assert pairs < 0.0012
    assert tiles > 0.95
    assert [tiles for _, tiles in found["every s-th key"][2:]] == [1.0] * 5  # every 100th and oftener


def test_groups_waste_nothing_where_they_begin_with_the_blocks_and_three_times_elsewhere() -> None:
    assert shifted(2048, 64, 0) == shifted(2048, 64, 64) == 1
    assert all(2.9 < shifted(2048, 64, shift) < 3.1 for shift in (1, 4, 32, 63))


def test_picture_says_its_numbers() -> None:
    torch.manual_seed(1)
    alt = show.waste(512, 32).alt
    assert "Executed over useful is 1.0 where groups and blocks begin together" in alt
    assert alt == show.waste(512, 32).alt
