"""Bars and curves: what they say, what they mark, and what they refuse."""

import io

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from tsparse import show
from tsparse.show import style


def dark(drawn: show.Picture) -> int:
    """How many pixels have the dark colour of the course."""
    pixels = np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB"))
    return int((np.abs(pixels - (style.rgb(style.INK) * 255).round()).max(axis=-1) <= 6).sum())


def test_few_bars_are_told_one_by_one_and_marked_ones_are_named() -> None:
    said = show.bars({"lost": torch.tensor([1.0, 0.25]), "kept": [3, 4]}, "A title", marked={1}).alt
    assert said == "A title. Dark: 1. lost: 1.00, 0.25. kept: 3, 4."


def test_many_bars_are_told_by_the_largest() -> None:
    row = torch.zeros(20)
    row[7], row[3] = 0.5, 0.25
    assert "20 bars, the largest 0.50 at 7, 0.25 at 3" in show.bars({"w": row}, "A").alt


def test_only_marked_bars_are_dark() -> None:
    row = [1.0, 1.0, 1.0, 1.0]
    assert dark(show.bars({"w": row}, "A", marked={2})) * 3 < dark(show.bars({"w": row}, "A"))


def test_curves_are_told_by_points_from_the_first_to_the_last() -> None:
    x = list(range(100))
    said = show.curves({"left": {"line": (x, x), "other": (x[:2], x[:2])}}, "A", ("size", "mass")).alt
    assert said.startswith("A. mass against size. left, line: 0 at 0, 14 at 14")
    assert "99 at 99." in said
    assert said.endswith("left, other: 0 at 0, 1 at 1.")


def test_every_chart_gets_a_panel_and_figures_are_closed() -> None:
    one, two = (show.bars({str(i): [1, 2] for i in range(count)}, "A") for count in (1, 3))
    assert two.width > one.width
    assert not plt.get_fignums()


@pytest.mark.parametrize("values", [torch.zeros(2, 2), [], ["a"]], ids=["table", "empty", "words"])
def test_chart_that_is_no_row_of_numbers_is_refused_by_name(values) -> None:
    with pytest.raises(ValueError, match="lost must be a row of numbers"):
        show.bars({"lost": values}, "A")


def test_curve_of_two_lengths_and_no_charts_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="line must have as many x as y, got 2 and 1"):
        show.curves({"": {"line": ([1, 2], [1])}}, "A", ("x", "y"))
    with pytest.raises(ValueError, match="at least one chart"):
        show.bars({}, "A")


def test_bars_with_a_named_height_share_one_scale() -> None:
    charts = {"high": [4.0, 4.0], "low": [1.0, 1.0]}
    assert dark(show.bars(charts, "A", ("key", "weight"))) < 0.8 * dark(show.bars(charts, "A"))
