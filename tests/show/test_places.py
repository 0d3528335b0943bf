"""`show.places`: where the numbers of a tensor went."""

import numpy as np
import pytest
import torch

from tsparse import show
from tsparse.show.places import shade

PLACES = torch.arange(12).view(3, 4)


def test_alt_text_says_the_place_of_every_number() -> None:
    assert show.places({"x": PLACES[:2]}, channels=4).alt == (
        "x: row 0 is 0·0 0·1 0·2 0·3; row 1 is 1·0 1·1 1·2 1·3."
    )


def test_a_view_and_a_transpose_are_told_apart() -> None:
    turned, viewed = show.places({"a": PLACES.T}, 4).alt, show.places({"a": PLACES.view(4, 3)}, 4).alt
    assert "row 0 is 0·0 1·0 2·0" in turned
    assert "row 0 is 0·0 0·1 0·2; row 1 is 0·3 1·0 1·1" in viewed


def test_every_token_has_a_shade_of_its_own_and_later_is_darker() -> None:
    lightness = [float(shade(token, 6).mean()) for token in range(6)]
    assert lightness == sorted(lightness, reverse=True)
    assert np.diff(lightness).max() < -0.05


@pytest.mark.parametrize("table", [PLACES.double(), PLACES - 1])
def test_what_is_no_place_is_refused(table: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="whole numbers from 0"):
        show.places({"x": table}, channels=4)


def test_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one table"):
        show.places({}, channels=4)
