"""The head viewer: what its pictures say and show, what it refuses, and that every control redraws."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image

from tsparse import show
from tsparse.show import style

TOKENS = ["^", "ba", "ko", "mi"]
PREVIOUS = torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0.25, 0, 0.75, 0]])
FIRST = torch.tensor([[1.0, 0, 0, 0]] * 4)
NAMES = [["previous", "first"], ["previous", "previous"]]


def weights() -> torch.Tensor:
    """Two layers of two heads, [2, 2, 4, 4]."""
    return torch.stack([torch.stack([PREVIOUS, FIRST]), torch.stack([PREVIOUS, PREVIOUS])])


def share(drawn: show.Picture, colour: str) -> float:
    """The share of the picture that is nearly of a colour."""
    pixels = np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB"))
    return float((np.abs(pixels - (style.rgb(colour) * 255).round()).max(axis=-1) <= 12).mean())


@pytest.mark.parametrize("view", ["lines", "heat map"])
def test_picture_says_where_the_picked_query_looks_and_the_largest_key_of_every_query(view) -> None:
    said = show.attention(PREVIOUS, TOKENS, "Layer 1, head 1", 3, view).alt
    assert "Query 3 (mi) looks at key 2 (ko) 75%, key 0 (^) 25%." in said
    assert said.endswith("The key with the largest weight, for queries 0 to 3: 0, 0, 1, 2.")


def test_last_query_is_picked_where_none_is_named() -> None:
    assert "Query 3 (mi)" in show.attention(PREVIOUS, TOKENS, "A head").alt


def test_query_without_a_large_weight_is_told_by_its_largest_one() -> None:
    flat = torch.full((20, 20), 1 / 20)
    flat[7, 3] = 0.06
    assert (
        "Query 7 (t7) looks at key 3 (t3) 6%."
        in show.attention(flat, [f"t{i}" for i in range(20)], "A", 7).alt
    )


def test_lines_of_the_picked_query_are_dark_and_those_of_the_others_are_lighter() -> None:
    only = torch.zeros(4, 4)
    only[2, 0] = 1.0
    picked, other = show.attention(only, TOKENS, "A", 2), show.attention(only, TOKENS, "A", 3)
    assert share(picked, style.INK) > share(other, style.INK) + 0.003
    assert share(other, style.MIDDLE) > share(picked, style.MIDDLE) + 0.003


def test_weight_too_small_to_be_seen_draws_no_line() -> None:
    faint, none = (show.attention(torch.full((4, 4), size), TOKENS, "A", 2) for size in (0.019, 0.016))
    assert faint.png == none.png  # both titles say 2%


def test_heat_map_frames_the_row_of_the_picked_query() -> None:
    one, other = (show.attention(FIRST, TOKENS, "A", query, "heat map") for query in (1, 2))
    assert share(one, style.WRONG) > 0.002
    assert one.png != other.png


def test_long_tokens_stand_aslant_in_a_taller_picture() -> None:
    def height(tokens: list[str]) -> int:
        return Image.open(io.BytesIO(show.attention(FIRST, tokens, "A", 0).png)).height

    assert height(["a long word", "b", "c", "d"]) > height(TOKENS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": torch.zeros(4, 3)}, r"weights must be \[4, 4\]"),
        ({"weights": torch.zeros(3, 3)}, r"weights must be \[4, 4\]"),
        ({"query": 4}, "query must be 0 to 3, got 4"),
        ({"query": -1}, "query must be 0 to 3, got -1"),
        ({"view": "circles"}, "view must be"),
    ],
)
def test_picture_that_cannot_be_drawn_is_refused_by_name(change, message) -> None:
    given = {"weights": FIRST, "tokens": TOKENS, "title": "A"} | change
    with pytest.raises(ValueError, match=message):
        show.attention(**given)


def test_viewer_begins_at_the_first_head_and_the_last_query() -> None:
    assert repr(show.heads(weights(), TOKENS, NAMES)).startswith("Layer 1, head 1, previous. Query 3 (mi)")


def test_every_control_of_the_viewer_redraws_picture_and_words() -> None:
    viewer = show.heads(weights(), TOKENS, NAMES, query=2)
    for change, words in (
        ({"head": 2}, "Layer 1, head 2, first. Query 2 (ko) looks at key 0 (^) 100%."),
        ({"layer": 2}, "Layer 2, head 2, previous. Query 2 (ko) looks at key 1 (ba) 100%."),
        ({"query": 3}, "Layer 2, head 2, previous. Query 3 (mi) looks at key 2 (ko) 75%"),
        ({"view": "heat map"}, "Layer 2, head 2, previous. Query 3 (mi)"),
    ):
        before = viewer.image.value
        viewer.set(**change)
        assert words in viewer.caption.value
        assert viewer.image.value != before


def test_controls_are_named_menus_and_a_named_number_field() -> None:
    rows = show.heads(weights(), TOKENS).box.children
    menus = [row.description for row in rows if isinstance(row, widgets.Dropdown)]
    assert menus == ["layer", "head", "view"]
    fields = [row.children[0] for row in rows if isinstance(row, widgets.HBox)]
    assert [(field.description, field.min, field.max) for field in fields] == [("query", 0, 3)]


def test_viewer_of_a_batch_or_with_too_few_names_is_refused() -> None:
    with pytest.raises(ValueError, match="of one text"):
        show.heads(weights()[:, None], TOKENS)
    with pytest.raises(ValueError, match="names must be 2 rows of 2"):
        show.heads(weights(), TOKENS, [["previous"], ["first"]])
