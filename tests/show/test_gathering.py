"""The picture of a gathered row says which blocks it shows."""

import pytest

from tsparse import Causal, Global, SlidingWindow, show

LAYOUT = ((SlidingWindow(10) | Global(4)) & Causal()).layout(96, block=8)


def test_gathered_row_is_named_with_its_blocks() -> None:
    words = repr(show.gathered(LAYOUT, 9))
    assert words.startswith("Row 9 needs 4 of 12 key blocks")
    assert "it lists key blocks 0, 7 to 9" in words


def test_row_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="row must be 0 to 11, got 12"):
        show.gathered(LAYOUT, 12)


def test_row_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="row 0 lists no block"):
        show.gathered((Causal() & ~SlidingWindow(16)).layout(32, block=8), 0)
