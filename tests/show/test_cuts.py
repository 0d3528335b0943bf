"""A mask beside its blocks, and one row of blocks from near, in words."""

import pytest
import torch

from tsparse import BlockLayout, Causal, PerHead, SlidingWindow, Strided, show
from tsparse.runs import EMPTY, FULL, PARTIAL
from tsparse.show.cuts import kind


def test_cut_counts_pairs_blocks_and_what_is_useful():
    said = show.cut(Causal().layout(8, block=2)).alt
    assert said.startswith(
        "56% of 64 pairs are visible, 62% of 16 blocks are listed (6 full, 4 partial), and 90% of what is "
        "computed is useful."
    )


def test_cut_of_a_permuted_layout_shows_the_mask_in_the_order_of_the_lists():
    diagonal = torch.block_diag(*[torch.ones(4, 4)] * 4).bool()
    told = show.cut(Strided(4).layout(16, block=4), "Equal remainders together")
    assert "25% of 16 blocks are listed (4 full, 0 partial)" in told.alt
    assert told.png == show.cut(BlockLayout.from_dense(diagonal, block=4), "Equal remainders together").png


def test_cut_of_a_mask_that_shows_nothing_says_so():
    assert show.cut((~(Causal() | ~Causal())).layout(4, block=2)).alt.startswith("Nothing is visible")


@pytest.mark.parametrize("layout", [PerHead([Causal(), SlidingWindow(2)]).layout(8), Causal().layout(4096)])
def test_layout_that_is_no_single_small_mask_is_refused(layout):
    with pytest.raises(ValueError, match="cut draws one mask"):
        show.cut(layout)


def test_spans_say_what_each_query_sees_and_what_it_makes_of_the_blocks():
    said = show.spans([(q - 9, q + 1) for q in range(16, 20)], 16, 4, "A row").alt
    assert "query 19 sees keys 10 to 19" in said
    assert said.endswith("Key blocks of 4: 0 empty, 1 partial, 2 partial, 3 full, 4 partial, 5 empty.")


@pytest.mark.parametrize("spans", [[], [(3, 3)]])
def test_empty_span_is_refused(spans):
    with pytest.raises(ValueError, match="start < stop"):
        show.spans(spans, 0, 4, "A row")


def test_block_is_full_if_every_span_covers_it_and_partial_if_one_reaches_in():
    assert kind([(0, 8), (4, 9)], 4, 8) == FULL
    assert kind([(0, 8), (5, 9)], 4, 8) == PARTIAL
    assert kind([(0, 4), (8, 9)], 4, 8) == EMPTY


def test_block_sizes_tell_the_useful_share_and_the_length_of_the_lists():
    row = [SlidingWindow(16).layout(128, block=b) for b in (4, 16)]
    said = show.block_sizes({"window": row}, "A trade").alt
    assert said == (
        "A trade. From blocks of 4 to 16: window: 80% useful in 150 blocks, then 50% useful in 15 blocks."
    )


def test_layouts_of_other_block_sizes_are_refused():
    rows = {"a": [Causal().layout(8, block=2)], "b": [Causal().layout(8, block=4)]}
    with pytest.raises(ValueError, match="same block sizes"):
        show.block_sizes(rows, "A trade")
