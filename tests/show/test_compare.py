"""What the colours of a comparison say, and that its words say the same."""

import math

import numpy as np
import pytest
import torch

from tests.show.test_show import share
from tsparse import show
from tsparse.show import compare, scales, style

EXPECTED = np.random.default_rng(0).normal(size=(24, 30))
REACH = float(np.abs(EXPECTED).max())


def changed(value: float) -> np.ndarray:
    """The expected numbers with another one in row 2, column 3."""
    yours = EXPECTED.copy()
    yours[2, 3] = value
    return yours


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, -1.0, 2.0, 4.0])
def test_numbers_of_one_size_share_a_scale_and_none_lies_beyond(factor: float) -> None:
    yours, expected = scales.of_two(factor * EXPECTED, EXPECTED)
    assert yours == expected
    assert not scales.beyond(factor * EXPECTED, yours).any()


def test_answer_that_is_too_large_as_a_whole_has_a_scale_of_its_own_and_the_words_say_so() -> None:
    yours, expected = scales.of_two(1000 * EXPECTED, EXPECTED)
    assert np.allclose(yours, np.multiply(expected, 1000))
    alt = show.comparison(1000 * EXPECTED, EXPECTED, "Large").alt
    assert f"Colours reach up to ±{1000 * REACH:.0f} in yours, up to ±{REACH:.2f} in expected." in alt


def test_one_huge_number_leaves_the_others_their_colours_and_is_marked() -> None:
    for value in (1e6, -1e6):
        yours, expected = scales.of_two(changed(value), EXPECTED)
        assert yours == expected == (-REACH, REACH)
        assert scales.beyond(changed(value), yours).sum() == 1
        alt = show.comparison(changed(value), EXPECTED, "Huge").alt
        assert f"1 number of yours beyond the scale, up to ±{REACH:.2f}." in alt


def test_difference_has_a_scale_of_its_own() -> None:
    off = EXPECTED + 0.001
    assert scales.of_one(off - EXPECTED)[1] == pytest.approx(0.001)


def test_largest_numbers_there_are_can_be_drawn() -> None:
    limits, _ = scales.of_two(np.full((4, 4), -np.finfo(float).max), np.ones((4, 4)))
    assert np.isfinite(limits[1] - limits[0])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_single_number_that_is_not_finite_is_told_and_in_the_legend(value: float) -> None:
    alt = show.comparison(changed(value), EXPECTED, "Lost").alt
    assert "1 number of yours not finite." in alt
    labels = [
        entry.get_label()
        for entry in compare.legend_entries(changed(value), EXPECTED, (-REACH, REACH), framed=True)
    ]
    assert labels == ["below 0", "0", "above 0", "not finite", "first wrong row"]


def test_cells_that_are_not_finite_are_filled() -> None:
    lost = show.comparison(np.full((20, 20), math.nan), np.ones((20, 20)), "Lost")
    fine = show.comparison(np.full((20, 20), 2.0), np.ones((20, 20)), "Fine")
    assert share(lost, style.EDGE) > 10 * share(fine, style.EDGE)


def test_frame_of_the_first_wrong_row_hides_nothing_of_it() -> None:
    dark = np.zeros((24, 30))
    dark[5] = 1.0
    wrong = dark.copy()
    wrong[5, 0] = 0.9
    framed, plain = (show.comparison(yours, dark, "Row") for yours in (wrong, dark))
    assert share(framed, style.INK) > 0.85 * share(plain, style.INK)


def test_what_is_smaller_than_the_digits_shown_is_told() -> None:
    alt = show.comparison(EXPECTED + 0.001, EXPECTED, "Near").alt
    assert ", off by 0.001, expected" in alt


def test_places_that_the_grader_finds_wrong_are_wrong_in_the_picture_too() -> None:
    yours, wrong = changed(EXPECTED[2, 3] + 1e-7), torch.zeros(24, 30, dtype=torch.bool)
    assert "They are equal." in show.comparison(yours, EXPECTED, "Near").alt
    wrong[2, 3] = True
    alt = show.comparison(yours, EXPECTED, "Near", wrong=wrong).alt
    assert "1 cell of 720 differs. First wrong row 2: in column 3" in alt
    assert "off by 1e−7" in alt


def test_first_slice_that_the_grader_finds_wrong_is_drawn() -> None:
    expected = torch.zeros(2, 3, 4, 4)
    wrong = torch.zeros(2, 3, 4, 4, dtype=torch.bool)
    wrong[1, 2, 3, 0] = True
    assert "(slice [1, 2])" in show.comparison(expected + 1e-9, expected, "Slices", wrong=wrong).alt


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)])
def test_two_empty_tables_are_equal(shape: tuple[int, ...]) -> None:
    assert "They are equal." in show.comparison(torch.zeros(shape), torch.zeros(shape), "Empty").alt
