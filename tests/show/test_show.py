"""Pictures: what they say in words, what they refuse, and that the widget redraws."""

import io
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from tsparse import BlockLayout, Causal, Global, SlidingWindow, show
from tsparse.show import compare, course, layouts, style, words


def causal(n: int) -> torch.Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


def pixels(drawn: show.Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB"))


def share(drawn: show.Picture, colour: str) -> float:
    """The share of the picture that has a colour."""
    wanted = (style.rgb(colour) * 255).round()
    return float((np.abs(pixels(drawn) - wanted).max(axis=-1) <= 6).mean())


def test_picture_is_html_with_its_alt_text_and_its_text_form_is_the_same_words() -> None:
    drawn = show.mask(causal(4), "A < B & C")
    assert 'alt="A &lt; B &amp; C. 4 queries, 4 keys, 10 of 16 pairs visible' in drawn._repr_html_()
    assert repr(drawn) == drawn.alt


def test_picture_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="alt must say in words"):
        show.picture(plt.figure(), " ")
    plt.close("all")


def test_picture_closes_its_figure() -> None:
    show.picture(plt.figure(), "nothing")
    assert not plt.get_fignums()


def test_same_picture_has_the_same_bytes() -> None:
    assert show.mask(causal(5), "twice").png == show.mask(causal(5), "twice").png


@pytest.mark.parametrize("size", [1, 4, 16, 64, 700])
def test_pictures_are_small_at_every_size(size: int) -> None:
    assert len(show.mask(causal(size), "A causal mask").png) < 60_000
    assert len(show.matrix(torch.randn(min(size, 64), min(size, 64)), "Noise").png) < 60_000
    assert len(show.comparison(~causal(size), causal(size), "Inverted").png) < 60_000


def test_mask_paints_visible_pairs_dark_and_hidden_ones_light() -> None:
    every = show.mask(torch.ones(9, 9, dtype=torch.bool), "All")
    none = show.mask(torch.zeros(9, 9, dtype=torch.bool), "None")
    assert share(every, style.INK) > 0.4 > 0.1 > share(none, style.INK)
    assert share(none, style.PAPER) > 0.4 > 0.1 > share(every, style.PAPER)


def test_more_cells_than_pixels_are_averaged_also_at_the_last_smaller_square() -> None:
    cells = np.arange(9.0).reshape(3, 3, 1)
    assert style.averaged(cells, 2)[..., 0].tolist() == [[2.0, 3.5], [6.5, 8.0]]


def test_mask_in_words_says_what_each_query_sees() -> None:
    mask = np.array([[False, False], [True, True], [False, True]])
    said = words.mask_in_words(mask)
    assert "query 0 sees nothing; query 1 sees keys 0 and 1; query 2 sees key 1" in said


def test_long_mask_is_told_by_first_middle_and_last_queries() -> None:
    assert "query 50 sees keys 0 to 50" in show.mask(causal(100), "Long").alt
    assert len(show.mask(causal(100), "Long").alt) < 300


def test_mask_of_numbers_is_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"boolean.*matrix"):
        show.mask(torch.ones(2, 2), "Numbers")


def test_mask_with_several_heads_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 3\)"):
        show.mask(torch.ones(2, 3, 3, dtype=torch.bool), "Two heads")


def test_leading_axes_of_length_one_are_dropped() -> None:
    assert "4 queries, 4 keys" in show.mask(causal(4)[None, None], "One head").alt


def test_masks_tells_every_mask_under_its_title() -> None:
    alt = show.masks({"A": causal(2), "B": ~causal(2)}).alt
    assert alt.index("A: 2 queries") < alt.index("B: 2 queries")


def test_no_masks_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one mask"):
        show.masks({})


def test_matrix_of_truth_values_is_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match="draw True and False with mask"):
        show.matrix(causal(2), "Mask")


def test_small_matrix_is_told_number_by_number() -> None:
    alt = show.matrix([[1.0, -math.inf], [math.nan, 2]], "Scores").alt
    assert "Row 0: 1.00, −∞; row 1: NaN, 2.00" in alt


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64])
def test_matrix_takes_every_number_type(dtype: torch.dtype) -> None:
    assert "1 row, 3 columns" in show.matrix(torch.tensor([1, 2, 3], dtype=dtype), "Vector").alt


def test_matrix_whose_values_are_all_infinite_is_drawn() -> None:
    assert "no finite value" in show.matrix(torch.full((20, 20), -math.inf), "Hidden").alt


def test_comparison_names_the_first_wrong_row_and_what_it_should_be() -> None:
    alt = show.comparison(~causal(3), causal(3), "Inverted").alt
    assert "9 cells of 9 differ" in alt
    assert "First wrong row 0: yours, query 0 sees keys 1 and 2; expected, it sees key 0" in alt


def test_comparison_of_numbers_names_the_first_wrong_number() -> None:
    yours = torch.zeros(2, 2)
    expected = torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    assert "row 1: in column 1 yours is 0, expected 3.00" in show.comparison(yours, expected, "Off").alt


def test_comparison_of_equal_things_says_so() -> None:
    assert "They are equal" in show.comparison(causal(3), causal(3), "Same").alt


def test_rounding_and_matching_nan_are_no_difference() -> None:
    expected = torch.tensor([1.0, math.nan, -math.inf])
    assert "They are equal" in show.comparison(expected + 1e-7, expected, "Same").alt


def test_of_different_shapes_the_beginnings_are_drawn(monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(compare, "draw", lambda axes, table, *_: drawn.append(table.shape))
    assert "yours [300, 2000], expected [4, 4]" in show.comparison(torch.ones(300, 2000), causal(4), "").alt
    assert drawn == [(compare.LARGEST_DRAWN, compare.LARGEST_DRAWN), (4, 4)]


def test_comparison_of_different_shapes_says_both() -> None:
    alt = show.comparison(causal(3), causal(4), "Shape").alt
    assert "yours [3, 3], expected [4, 4]" in alt


def test_comparison_of_numbers_with_a_mask_says_both_types() -> None:
    assert "yours float32, expected bool" in show.comparison(torch.ones(3, 3), causal(3), "Type").alt


def test_comparison_of_many_heads_draws_the_first_that_differs() -> None:
    expected = torch.zeros(2, 3, 4, 4)
    yours = expected.clone()
    yours[1, 2, 3, 0] = 1
    alt = show.comparison(yours, expected, "One head").alt
    assert "(slice [1, 2])" in alt
    assert "First wrong row 3" in alt


@pytest.mark.parametrize("odd", [torch.tensor(1.0), torch.zeros(0, 3), torch.zeros(2, 0, 3), torch.zeros(1)])
def test_comparison_survives_what_an_answer_may_return(odd: torch.Tensor) -> None:
    assert "Shapes differ" in show.comparison(odd, causal(3), "Odd").alt


def test_difference_of_masks_tells_extra_from_lacking() -> None:
    everything = torch.ones(4, 4, dtype=torch.bool)
    extra, lacking = (show.comparison(yours, causal(4), "Wrong") for yours in (everything, ~everything))
    assert share(extra, style.WRONG) > 2 * share(lacking, style.WRONG)
    left = np.array([[True, False]])
    assert compare.row_in_words(left, ~left, left | ~left, 0) == (
        "First wrong row 0: yours, query 0 sees key 0; expected, it sees key 1."
    )


def test_block_table_is_the_layout() -> None:
    table = layouts.block_table(Causal().layout(8, block=(2, 2)), 0, 0)
    assert table.tolist() == [[1, 0, 0, 0], [2, 1, 0, 0], [2, 2, 1, 0], [2, 2, 2, 1]]


def test_pattern_in_place_of_a_layout_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        TypeError, match=r"must be a BlockLayout, got Causal\(\); pattern.layout\(n\) makes one"
    ):
        show.layout(Causal())


def test_layout_in_words_counts_full_and_partial_blocks() -> None:
    alt = show.layout(Causal().layout(8, block=(2, 2))).alt
    assert "4 x 4 blocks, 6 full, 4 partial" in alt
    assert "query block 3 has key blocks 0 to 3" in alt


def test_layout_of_many_heads_says_how_many_there_are_and_how_many_are_drawn() -> None:
    alt = show.layout(BlockLayout.from_dense(torch.ones(2, 3, 4, 4, dtype=torch.bool), 2)).alt
    assert alt.startswith("24 blocks of 6 times 2 x 2 blocks (the first 4 are drawn) are computed")
    assert "In batch entry 0, head 0, query block 0 has key blocks 0 and 1" in alt


def test_title_of_a_layout_counts_in_thousands() -> None:
    assert show.layout(Causal().layout(256, block=2)).alt.startswith("8,256 blocks of 128 x 128 blocks are")


def test_ragged_layout_is_drawn_with_its_last_smaller_blocks() -> None:
    assert "5 x 4 blocks" in show.layout(Causal().layout(9, 7, block=(2, 2))).alt


def test_large_layout_is_drawn_in_bins_and_says_so() -> None:
    layout = SlidingWindow(128).layout(128 * 1000)
    table = layouts.block_table(layout, 0, 0)
    assert table.shape == (200, 200)
    assert "Each cell stands for 5 x 5 blocks" in show.layout(layout).alt


def test_bin_of_full_blocks_is_full_also_where_it_is_cut_at_the_end() -> None:
    layout = Causal().layout(2 * 399, block=(2, 2))
    table = layouts.block_table(layout, 0, 0)
    assert table[199, 0] == layouts.FULL
    assert table[0, 0] == layouts.PARTIAL
    assert table[0, 199] == layouts.EMPTY


def test_overview_shows_a_million_tokens_and_says_how_many_blocks() -> None:
    pattern = (SlidingWindow(256) | Global(4)) & Causal()
    drawn = show.overview(pattern, pattern.layout(1 << 20), "A window and four global tokens")
    assert "8,192 x 8,192 blocks" in drawn.alt
    assert len(drawn.png) < 60_000


def draw_window(window: int, size: int, causal: bool) -> show.Picture:
    rule = SlidingWindow(window) if causal else SlidingWindow(window) | ~Causal()
    return show.mask(rule.mask(size), f"A window of {window} keys")


def explorer() -> show.Explorer:
    return show.explore(draw_window, window=(1, 8, 3), size=[8, 12], causal=True)


def test_explore_redraws_when_a_control_moves() -> None:
    shown = explorer()
    before = shown.image.value
    shown.set(window=5)
    assert shown.image.value != before
    assert "A window of 5 keys" in shown.caption.value


def test_every_slider_has_a_named_number_field_that_moves_with_it() -> None:
    field, slider = explorer().box.children[0].children
    slider.value = 7
    assert (field.description, field.value) == ("window", 7)


def test_explore_shows_the_first_picture_to_readers_without_widgets() -> None:
    shown = explorer()
    bundle = shown._repr_mimebundle_()
    assert bundle["text/html"] == draw_window(3, 8, True)._repr_html_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == shown.box.model_id


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ((5, 9, 2), "min 5 <= start 2"),
        ((1, 9, 2.5), "whole numbers"),
        ("four", "a list or a bool"),
        ([], "a list"),
    ],
)
def test_control_that_cannot_be_shown_is_refused_by_name(control: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"window.*{message}"):
        show.explore(draw_window, window=control)


def test_explore_without_controls_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one control"):
        show.explore(draw_window)


def test_course_map_says_of_every_lesson_in_the_repository_that_it_is_here() -> None:
    stored = Path(__file__).parents[2] / "notebooks"
    here = {path.stem.replace("_", " ") for path in stored.glob("*.ipynb")}
    alt = show.course_map().alt
    assert here == {name for part in course.PARTS for name in part.lessons if f"{name} (here)" in alt}
    assert f"; {len(here)} are here" in alt


def test_course_map_numbers_its_lessons_in_order() -> None:
    names = [name for part in course.PARTS for name in part.lessons]
    assert [int(name[:2]) for name in names] == list(range(30))


def test_matrices_share_one_scale_and_say_each_table() -> None:
    drawn = show.matrices({"small": torch.full((9, 9), 1.0), "large": torch.full((9, 9), 4.0)})
    assert drawn.alt.startswith("small: 9 rows, 9 columns, values from 1.00 to 1.00")
    assert "large: 9 rows, 9 columns, values from 4.00 to 4.00" in drawn.alt
    both_large = show.matrices({"one": torch.full((9, 9), 4.0), "two": torch.full((9, 9), 4.0)})
    assert 0 < share(drawn, style.INK) < 0.7 * share(both_large, style.INK)


def test_matrices_without_a_table_are_refused() -> None:
    with pytest.raises(ValueError, match="matrices must hold at least one table"):
        show.matrices({})


def test_dials_say_how_far_each_pair_is_turned_and_the_score() -> None:
    drawn = show.dials([math.pi / 2, math.pi], [1.0, 0.25, -0.5], -2, "Two pairs")
    assert drawn.alt == (
        "Two pairs. The pairs are turned by 90°, 180°. Below, the score by offset from 0 to 2: "
        "at offset -2 it is −0.50."
    )


def test_dials_turn_anticlockwise_from_the_right() -> None:
    up, down = (pixels(show.dials([angle], [1.0], 0, "One")) for angle in (math.pi / 2, -math.pi / 2))
    dark = [(image < 90).all(-1)[: image.shape[0] * 2 // 5].nonzero()[0].mean() for image in (up, down)]
    assert dark[0] < dark[1]


@pytest.mark.parametrize(
    ("angles", "scores", "offset", "message"),
    [
        ([], [1.0], 0, "angles must hold one number"),
        ([0.0], [1.0, 0.5], -2, "reach to offset 2; there are 2"),
    ],
)
def test_dials_that_cannot_be_drawn_are_refused(angles, scores, offset, message) -> None:
    with pytest.raises(ValueError, match=message):
        show.dials(angles, scores, offset, "No")
