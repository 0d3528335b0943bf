"""Reach as a graph, portraits of patterns and the poster: what they count, say and refuse."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.show.test_show import pixels, share
from tsparse import Causal, Columns, Fixed, Global, PerHead, SlidingWindow, Strided, show
from tsparse.grade.exercises.patterns.reach import reach as reference
from tsparse.runs import EMPTY, FULL, PARTIAL
from tsparse.show import paths, portrait, posters, style


@pytest.mark.parametrize("pattern", [SlidingWindow(3), Fixed(4, 1) & Causal(), Global(1), Strided(5)])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sources_of_the_graph_are_what_the_exercise_calls_reach(pattern, layers) -> None:
    mask = pattern.mask(13)
    for token in (0, 6, 12):
        found = paths.sources([mask.numpy()] * layers, token)[0]
        assert found.tolist() == reference(mask, layers)[token].tolist()


def test_layers_of_the_graph_are_read_from_the_input_up() -> None:
    near, far = SlidingWindow(2).mask(6).numpy(), Columns(3).mask(6).numpy()
    assert np.flatnonzero(paths.sources([far, near], 5)[0]).tolist() == [0, 3, 4, 5]
    assert np.flatnonzero(paths.sources([near, far], 5)[0]).tolist() == [0, 2, 3, 4, 5]


def test_reach_says_how_many_tokens_and_through_which() -> None:
    drawn = show.reach([SlidingWindow(3).mask(9)] * 2)
    assert drawn.alt.startswith("After 2 layers token 8 can hold something of 5 of 9 tokens.")
    assert "after layer 1: 6 to 8; from the input: 4 to 8" in drawn.alt


def test_reach_of_another_token_and_with_another_title() -> None:
    drawn = show.reach([SlidingWindow(2).mask(5)], token=2, title="One step")
    assert drawn.alt.startswith("One step. After 1 layer token 2 can hold something of 2 of 5 tokens;")


def test_reach_draws_more_ink_where_more_is_reached() -> None:
    few = show.reach([SlidingWindow(1).mask(16)] * 2, title="Reach")
    many = show.reach([Causal().mask(16)] * 2, title="Reach")
    assert share(many, style.INK) > 1.5 * share(few, style.INK)


def test_tokens_that_reach_are_dark_dots_and_the_others_are_light() -> None:
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    one, six = (show.reach([nothing] * layers, title="Alone") for layers in (1, 6))
    assert ink(six) - ink(one) > 2 * 5 * 50  # five more rows, one dark dot in each


def ink(drawn: show.Picture) -> int:
    """How many pixels are as dark as ink."""
    return int((np.abs(pixels(drawn) - style.rgb(style.INK) * 255).max(axis=-1) <= 6).sum())


def test_token_keeps_its_own_where_the_mask_hides_it() -> None:
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    assert "something of 1 of 4 tokens" in show.reach([nothing] * 3).alt


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "one mask for each layer"),
        ([torch.ones(3, 4, dtype=torch.bool)], r"\[N, N\]"),
        ([torch.ones(3, 3, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)], "with one N"),
        ([torch.ones(65, 65, dtype=torch.bool)], "at most 64 tokens"),
    ],
)
def test_masks_that_make_no_graph_are_refused(masks, message) -> None:
    with pytest.raises(ValueError, match=message):
        show.reach(masks)


def test_block_kinds_agree_with_the_layout_also_at_ragged_ends() -> None:
    pattern = (SlidingWindow(5) | Global(2)) & Causal()
    kinds = portrait.block_kinds(pattern.mask(14).numpy(), 4)
    layout = pattern.layout(14, block=4)
    assert (kinds != EMPTY).sum() == len(layout.col_indices) + len(layout.full_col_indices)
    assert portrait.block_kinds(np.array([[True, False], [True, True]]), 1).tolist() == [
        [FULL, EMPTY],
        [FULL, FULL],
    ]
    assert portrait.block_kinds(np.array([[True, False, True]]), 2).tolist() == [[PARTIAL, FULL]]


def test_counted_pairs_of_a_strided_pattern_are_n_roots_of_n() -> None:
    seen, computed = portrait.counted(lambda n: Strided(int(n**0.5)) & Causal(), 256)
    assert seen == 256 * 17 // 2
    assert computed == 4 * 5 // 2 * 64 * 64


def test_counted_pairs_of_heads_are_their_mean() -> None:
    heads = PerHead([Causal(), Strided(300) & Causal()])
    seen, computed = portrait.counted(heads, 256)
    assert seen == round((256 * 257 / 2 + 256) / 2)
    assert computed == (10 + 4) / 2 * 64 * 64


def test_portraits_tell_all_four_views_of_every_pattern() -> None:
    drawn = show.portraits({"Near": SlidingWindow(4), "Roots": lambda n: Strided(int(n**0.5)) & Causal()})
    near, roots = drawn.alt.split("Roots. ")
    for part in (near, roots):
        assert "Mask: 32 queries, 32 keys" in part
        assert "In blocks of 4 x 4" in part
        assert "visible pairs grow as N to the" in part
        assert "After 2 layers token 31 can hold" in part
    assert "grow as N to the 1.00, to 8,186" in near
    assert "grow as N to the 1.48" in roots
    assert "blocks of 64 that hold any as N to the 1.91" in roots


def test_no_portraits_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one pattern"):
        show.portraits({})


def test_poster_says_mask_blocks_reach_cost_and_what_is_kept() -> None:
    weights = torch.full((2, 3, 8, 8), 1 / 8)
    said = show.poster(SlidingWindow(4), "Near", weights).alt
    assert said.startswith("Poster of Near, SlidingWindow(4). Mask: 48 queries")
    assert "Reach: after 1, 2, 3 layers the last token holds 4, 7, 10 of 48" in said
    assert "pairs grow as N to the 1.00" in said
    kept = SlidingWindow(4).mask(8).float().mean()
    assert f"it keeps {kept:.0%}, by layer and head layer 0: {kept:.0%}, {kept:.0%}, {kept:.0%};" in said


def test_poster_without_weights_is_silent_about_what_is_kept() -> None:
    assert "keeps" not in show.poster(SlidingWindow(4), "Near").alt


def test_poster_of_heads_says_that_any_of_them_sees_what_is_drawn() -> None:
    heads = PerHead([SlidingWindow(2), Columns(6)])
    said = show.poster(heads, "Two heads").alt
    seen = heads.mask(48)[0].any(0)
    assert f"{int(seen.sum())} of {48 * 48} pairs visible" in said
    assert "Mask, any head: 48 queries" in said


def test_kept_share_of_each_head_is_by_its_own_mask() -> None:
    weights = torch.eye(6).expand(1, 2, 6, 6)
    heads = PerHead([SlidingWindow(1), ~SlidingWindow(1)])
    assert posters.kept(heads, weights).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8), (1, 2, 8, 9)])
def test_weights_of_another_shape_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"weights must be \[L, H, N, N\], got"):
        show.poster(Causal(), "Causal", torch.zeros(shape))


def test_picture_is_saved_as_the_png_that_is_shown(tmp_path) -> None:
    drawn = show.reach([Causal().mask(4)])
    written = drawn.save(tmp_path / "reach.png")
    assert written.read_bytes() == drawn.png
    assert Image.open(io.BytesIO(drawn.png)).size[0] > drawn.width
