"""A schedule gives each piece to the processor that is free first; its picture says when the last ends."""

from itertools import pairwise

from tsparse import show


def test_piece_goes_to_the_processor_that_is_free_first() -> None:
    assert show.schedule([3, 1, 1, 2], processors=2) == [(0, 0, 3), (1, 0, 1), (1, 1, 2), (1, 2, 4)]


def test_processors_work_on_one_piece_at_a_time() -> None:
    pieces = sorted(show.schedule([5, 3, 8, 1, 1, 4, 7], processors=3))
    for (processor, _, end), (other, begin, _) in pairwise(pieces):
        assert processor != other or end == begin


def test_no_schedule_ends_before_its_longest_piece_or_an_even_share() -> None:
    lengths = [1, 9, 2, 2, 3]
    for processors in (1, 2, 5):
        end = max(stop for *_, stop in show.schedule(lengths, processors))
        assert end >= max(9, sum(lengths) / processors)


def test_picture_says_when_each_order_ends() -> None:
    drawn = show.schedules({"up": [1, 2, 3], "down": [3, 2, 1]}, 2, "Two orders", "time")
    assert "up: the last one ends at 4. down: the last one ends at 3." in drawn.alt
    assert drawn.alt.endswith("Dotted: 3, if all could be shared evenly.")
