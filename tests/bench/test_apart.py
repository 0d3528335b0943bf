"""What is measured in a process of its own: it has an empty cache and a limit, and says why it stopped."""

import sys

import pytest
import torch

from tsparse.bench import apart as room
from tsparse.bench.apart import apart, most_resident
from tsparse.bench.racing import NotMeasured

linux = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted on Linux only")


@linux
def test_most_resident_counts_what_was_freed_again_but_not_what_was_there_before() -> None:
    before = torch.ones(1 << 24)  # 64 MiB
    mib = most_resident(lambda: torch.ones(1 << 25).sum())  # 128 MiB
    assert 120 < mib < 150
    assert most_resident(lambda: before.sum()) < 20


@linux
def test_memory_of_twice_the_length_is_not_four_times_as_much() -> None:
    small, large = (apart("memory", n, 2, 32, 64)["mib"] for n in (8192, 16384))
    assert 1.0 < large / small < 2.5


@linux
def test_block_mask_of_many_tokens_stops_at_the_memory_limit_and_our_layout_does_not() -> None:
    with pytest.raises(NotMeasured, match="memory limit of 2 GiB"):
        apart("layout", "create_block_mask", "window", 1 << 14, 128, 1, 2.0)
    found = apart("layout", "ours", "window", 1 << 17, 128, 1, 2.0)
    assert len(found["seconds"]) == 1
    assert found["mib"] < 500


def test_process_that_takes_too_long_is_stopped_and_says_so() -> None:
    with pytest.raises(NotMeasured, match=r"time limit of 0\.1 s"):
        apart("memory", 1024, 1, 16, 64, timeout=0.1)


def test_process_that_fails_says_its_last_line() -> None:
    with pytest.raises(NotMeasured, match="its process failed: ValueError: n_q must be"):
        apart("layout", "ours", "window", 0, 128, 1, 8.0)


@pytest.mark.parametrize("name", ["window", "longformer", "bigbird"])
def test_block_mask_and_our_layout_list_the_same_blocks(name: str) -> None:
    subject = room.layout_subject(name, 1024, 32)
    mask = room.create_block_mask(subject.mask_mod, None, None, 1024, 1024, device="cpu", BLOCK_SIZE=32)
    assert room.blocks_apart(mask, subject, 1024, 32) == 0
    other = room.layout_subject(name, 1024, 32).pattern & ~room.layout_subject("window", 1024, 32).pattern
    assert room.blocks_apart(mask, room.Subject("", other, subject.mask_mod), 1024, 32) > 0
