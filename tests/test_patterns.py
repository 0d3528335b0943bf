"""Patterns: the elementwise rules, what they accept, how they combine and print."""

import dataclasses
import re

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, create_mask

from tests.closed_forms import ATOMS, EXPRESSIONS, PER_HEAD, Form
from tsparse import (
    Causal,
    Columns,
    Dilated,
    Documents,
    Fixed,
    Full,
    Global,
    Local,
    Padding,
    Pattern,
    PerHead,
    Prefix,
    RandomBlocks,
    SlidingWindow,
    Strided,
    bigbird,
    longformer,
)

FORMS = ATOMS + EXPRESSIONS + PER_HEAD


@dataclasses.dataclass(frozen=True, eq=False)
class Counting(Pattern):
    """How many keys back: no rule."""

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        return q_idx - kv_idx


@dataclasses.dataclass(frozen=True, eq=False)
class Yes(Pattern):
    """Every key, in the wrong words."""

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        return True  # type: ignore[return-value]


def squeezed(mask: torch.Tensor) -> torch.Tensor:
    """`[B, H, n_q, n_kv]` in the shape `Pattern.mask` gives."""
    return mask[0, 0] if mask.shape[:2] == (1, 1) else mask


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize(
    ("n_q", "n_kv", "q_offset"), [(40, 40, 0), (1, 1, 0), (9, 33, 0), (33, 9, 7), (3, 40, 37)]
)
def test_rule_says_what_the_pattern_means(form: Form, n_q: int, n_kv: int, q_offset: int) -> None:
    mask = form.pattern.mask(n_q, n_kv, q_offset)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, squeezed(form.masks(n_q, n_kv, q_offset)))


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_pattern_is_a_flex_attention_mask_mod_as_it_stands(form: Form) -> None:
    """Also where it is the same for all of several batch entries or heads."""
    batch, heads = (size if size > 1 else 2 for size in (form.batch, form.heads))
    flex = create_mask(form.pattern, batch, heads, 24, 32, device="cpu")
    assert torch.equal(flex, form.masks(24, 32).expand(batch, heads, -1, -1))


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_flex_attention_finds_the_same_blocks(form: Form) -> None:
    flex = create_block_mask(form.pattern, form.batch, form.heads, 32, 40, device="cpu", BLOCK_SIZE=(8, 4))
    layout = form.pattern.layout(32, 40, block=(8, 4))
    assert flex.full_kv_num_blocks is not None
    for ours, theirs in (
        (layout.crow_indices, flex.kv_num_blocks),
        (layout.full_crow_indices, flex.full_kv_num_blocks),
    ):
        assert torch.equal(ours.diff(dim=-1).expand(form.batch, form.heads, -1), theirs)


def test_window_counts_the_query_itself() -> None:
    assert SlidingWindow(2).mask(3).tolist() == [
        [True, False, False],
        [True, True, False],
        [False, True, True],
    ]


def test_keys_default_to_all_positions_up_to_the_last_query() -> None:
    assert Causal().mask(2, q_offset=3).tolist() == [[True] * 4 + [False], [True] * 5]


def test_global_tokens_have_rows_and_columns() -> None:
    assert Global([1]).mask(3).tolist() == [[False, True, False], [True, True, True], [False, True, False]]


def test_dilated_window_counts_keys_not_positions() -> None:
    assert Dilated(2, 3).mask(1, 6, q_offset=5)[0].tolist() == [False, False, True, False, False, True]


def test_strided_looks_both_ways() -> None:
    assert Strided(2).mask(1, 6, q_offset=2)[0].tolist() == [True, False] * 3


def test_fixed_heads_take_sub_blocks_from_the_last_and_begin_again() -> None:
    last_query = Fixed(4, 2, heads=3).mask(1, 5, q_offset=4)[0, :, 0]
    assert last_query.int().tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 0, 1], [0, 0, 1, 1, 1]]


def test_random_blocks_are_these_for_ever() -> None:
    # what a model was trained with must be what it is evaluated with, in every later version
    rows = torch.arange(8)
    up_to_its_own = [[0, 0], [0, 1], [0, 1], [0, 0], [1, 2], [0, 1], [5, 1], [3, 2]]
    of_all = [[5, 4, 7], [0, 3, 9], [1, 7, 8], [4, 8, 9], [0, 4, 9], [4, 7, 8], [2, 8, 1], [3, 8, 7]]
    assert torch.stack(RandomBlocks(2, seed=7).choices(rows), dim=1).tolist() == up_to_its_own
    assert torch.stack(RandomBlocks(3, 64, 7, 640).choices(rows), dim=1).tolist() == of_all


def test_random_blocks_do_not_depend_on_the_length_or_on_integer_width() -> None:
    pattern = RandomBlocks(2, block=4, seed=3)
    long = pattern.mask(400)
    assert torch.equal(pattern.mask(60), long[:60, :60])
    assert torch.equal(pattern.mask(1, 399, q_offset=398), long[398:399, :399])
    places = torch.arange(400, dtype=torch.int32)
    zero = torch.zeros((), dtype=torch.int32)
    assert torch.equal(pattern(zero, zero, places[:, None], places), long)


def test_random_blocks_of_all_are_different_and_about_equally_often_chosen() -> None:
    chosen = torch.stack(RandomBlocks(4, block=1, length=50).choices(torch.arange(5000)), dim=1)
    assert all(len(set(row)) == 4 for row in chosen.tolist())
    often = chosen.flatten().bincount(minlength=50)  # expected 400 each, standard deviation 19
    assert int(often.min()) > 300
    assert int(often.max()) < 500


def test_random_blocks_of_another_seed_are_others() -> None:
    one, other = (RandomBlocks(1, block=1, seed=seed).mask(300) for seed in (0, 1))
    assert int((one & other).sum()) < 30  # about the sum of 1 / (i + 1)


def test_documents_from_lengths_are_packed_one_after_the_other() -> None:
    assert Documents.from_lengths([2, 1]).mask(3).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ((SlidingWindow(256) | Global(4)) & Causal(), "(SlidingWindow(256) | Global(4)) & Causal()"),
        (SlidingWindow(2) & Causal() & Local(3), "SlidingWindow(2) & Causal() & Local(3)"),
        (SlidingWindow(2) & Causal() | Full(), "(SlidingWindow(2) & Causal()) | Full()"),
        (~(Prefix(3) | Causal()), "~(Prefix(3) | Causal())"),
        (~Causal(), "~Causal()"),
        (Padding([3, 5]), "Padding([3, 5])"),
        (Documents([0, 0, 1]), "Documents([0, 0, 1])"),
        (Documents(torch.zeros(2, 100, dtype=torch.int64)), "Documents(<2 x 100 entries>)"),
        (Global([0, 7]), "Global([0, 7])"),
        (Global(torch.tensor([True, False])), "Global([True, False])"),
        (Dilated(4, 2) & Strided(8), "Dilated(4, 2) & Strided(8)"),
        (Columns(8) | Fixed(8, 2), "Columns(8, 1) | Fixed(8, 2)"),
        (Fixed(8, 2, heads=4), "Fixed(8, 2, heads=4)"),
        (RandomBlocks(3), "RandomBlocks(3, block=64, seed=0)"),
        (RandomBlocks(3, 32, 7, 96), "RandomBlocks(3, block=32, seed=7, length=96)"),
        (PerHead([Causal(), ~Local(3)]), "PerHead([Causal(), ~Local(3)])"),
    ],
)
def test_pattern_prints_as_it_is_written(pattern: Pattern, text: str) -> None:
    assert repr(pattern) == text


def test_patterns_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SlidingWindow(3).window = 4  # type: ignore[misc]


def test_pattern_keeps_its_own_copy_of_a_table() -> None:
    ids, lengths, marks = torch.tensor([0, 0, 1]), torch.tensor([2]), torch.tensor([True, False, False])
    patterns = [Documents(ids), Padding(lengths), Global(marks)]
    before = [pattern.mask(3) for pattern in patterns]
    ids.fill_(7), lengths.fill_(0), marks.fill_(False)
    assert all(torch.equal(pattern.mask(3), old) for pattern, old in zip(patterns, before, strict=True))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SlidingWindow(0), ValueError, "window must be 1 or more, got 0"),
        (lambda: SlidingWindow(2.0), TypeError, "window must be an integer, got 2.0"),
        (lambda: SlidingWindow(True), TypeError, "window must be an integer, got True"),
        (lambda: Local(-1), ValueError, "radius must be 0 or more, got -1"),
        (lambda: Local("3"), TypeError, "radius must be an integer"),
        (lambda: Prefix(-1), ValueError, "length must be 0 or more"),
        (lambda: Global(-1), ValueError, "tokens must be 0 or more"),
        (lambda: Global([1, -2]), ValueError, "tokens must be a list of positions, each 0 or more"),
        (lambda: Global(1.5), TypeError, "tokens must be integers"),
        (lambda: Global([True, False]), TypeError, "tokens must be integers, got torch.bool"),
        (lambda: Global(True), TypeError, "tokens must be integers"),
        (lambda: Global("all"), TypeError, "tokens must be integers, got 'all'"),
        (lambda: Global(torch.ones(2, 2, 2, dtype=torch.bool)), ValueError, "tokens as a mask must be [N]"),
        (lambda: Padding([]), ValueError, "lengths must be [B]"),
        (lambda: Padding([[1]]), ValueError, "lengths must be [B]"),
        (lambda: Padding([3, -1]), ValueError, "lengths must be [B], each 0 or more, got [3, -1]"),
        (lambda: Padding([1.5]), TypeError, "lengths must be integers"),
        (lambda: Padding(3), ValueError, "lengths must be [B]"),
        (lambda: Documents([]), ValueError, "ids must be [N] or [B, N]"),
        (lambda: Documents([0.5]), TypeError, "ids must be integers"),
        (lambda: Documents([[0], [0, 1]]), TypeError, "ids must be integers"),
        (lambda: Documents(None), TypeError, "ids must be integers, got None"),
        (lambda: Documents.from_lengths([2, 0]), ValueError, "lengths must be a list of positive integers"),
        (lambda: Padding([1, 2]) & Padding([1, 2, 3]), ValueError, "2 batch entries with one for 3"),
        (lambda: Documents([0, 1]).mask(3), ValueError, "is defined for 2 positions"),
        (lambda: (Documents([0, 1]) & Causal()).mask(1, 3), ValueError, "is defined for 2 positions"),
        (
            lambda: (~Global(torch.tensor([True]))).mask(1, 1, q_offset=1),
            ValueError,
            "defined for 1 positions",
        ),
        (lambda: Dilated(0, 2), ValueError, "window must be 1 or more, got 0"),
        (lambda: Dilated(2, 0), ValueError, "dilation must be 1 or more, got 0"),
        (lambda: Dilated(2, 1.5), TypeError, "dilation must be an integer, got 1.5"),
        (lambda: Strided(0), ValueError, "stride must be 1 or more, got 0"),
        (lambda: Strided("4"), TypeError, "stride must be an integer, got '4'"),
        (lambda: Columns(0), ValueError, "stride must be 1 or more"),
        (lambda: Columns(4, 5), ValueError, "width must be at most the stride, 4, got 5"),
        (lambda: Columns(4, 0), ValueError, "width must be 1 or more, got 0"),
        (lambda: Fixed(4.0, 1), TypeError, "stride must be an integer, got 4.0"),
        (lambda: Fixed(4, 5), ValueError, "width must be at most the stride, 4, got 5"),
        (lambda: Fixed(4, True), TypeError, "width must be an integer, got True"),
        (lambda: Fixed(4, 1, heads=0), ValueError, "heads must be 1 or more, got 0"),
        (lambda: RandomBlocks(0), ValueError, "count must be 1 or more, got 0"),
        (lambda: RandomBlocks(1, block=0), ValueError, "block must be 1 or more, got 0"),
        (lambda: RandomBlocks(1, block=(4, 4)), TypeError, "block must be an integer, got (4, 4)"),
        (lambda: RandomBlocks(1, seed=-1), ValueError, "seed must be 0 or more, got -1"),
        (lambda: RandomBlocks(1, seed=2**32), ValueError, "seed must be below 2**32"),
        (lambda: RandomBlocks(1, length=0), ValueError, "length must be 1 or more"),
        (lambda: RandomBlocks(3, 8, length=16), ValueError, "count must be at most 2, the number of blocks"),
        (lambda: RandomBlocks(1, 4, length=8).mask(9), ValueError, "is defined for 8 positions"),
        (lambda: longformer(-1, 2), ValueError, "radius must be 0 or more"),
        (lambda: longformer(1, -2), ValueError, "tokens must be 0 or more"),
        (lambda: bigbird(4, 2, 1, random=0), ValueError, "random must be 1 or more, got 0"),
        (lambda: PerHead([]), ValueError, "patterns must have at least one pattern"),
        (lambda: PerHead(Causal()), TypeError, "patterns must be a list of patterns, one for each head, got"),
        (lambda: PerHead([Causal(), 3]), TypeError, "patterns must be a list of patterns"),
        (lambda: PerHead([PerHead([Full()] * 2)]), ValueError, "patterns must be the same for all heads"),
        (lambda: PerHead([Padding([1] * 3), Padding([1, 2])]), ValueError, "one number of batch entries"),
        (lambda: PerHead([Full()] * 2) & PerHead([Full()] * 3), ValueError, "2 heads with one for 3"),
        (lambda: PerHead([Full(), Documents([0])]).mask(2), ValueError, "is defined for 1 positions"),
        (lambda: Causal().mask(0), ValueError, "n_q must be 1 or more, got 0"),
        (lambda: Causal().mask(4, 0), ValueError, "n_kv must be 1 or more"),
        (lambda: Causal().mask(4, q_offset=-1), ValueError, "q_offset must be 0 or more"),
        (lambda: Causal().mask(4.0), TypeError, "n_q must be an integer, got 4.0"),
        (lambda: Causal() & 3, TypeError, "unsupported operand"),
        (lambda: Causal() | None, TypeError, "unsupported operand"),
        (
            lambda: Causal() and Full(),
            TypeError,
            "Causal() is neither true nor false: write `&`, `|`, `~` for",
        ),
        (lambda: not Causal(), TypeError, "Causal() is neither true nor false"),
        (lambda: Pattern().mask(2), NotImplementedError, "does not define its elementwise rule"),
        (
            lambda: Counting().mask(2),
            TypeError,
            "must return a bool tensor, True = may attend, got torch.int64",
        ),
        (lambda: Counting().layout(2), TypeError, "the rule of Counting() must return a bool tensor"),
        (lambda: Yes().layout(2), TypeError, "the rule of Yes() must return a bool tensor"),
    ],
)
def test_bad_argument_is_named(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()
