"""Patterns: the elementwise rules, what they accept, how they combine and print."""

import dataclasses
import re

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, create_mask

from tests.closed_forms import ATOMS, EXPRESSIONS, Form
from tsparse import (
    Causal,
    Documents,
    Full,
    Global,
    Local,
    Padding,
    Pattern,
    Prefix,
    SlidingWindow,
)

FORMS = ATOMS + EXPRESSIONS


def squeezed(mask: torch.Tensor) -> torch.Tensor:
    """`[B, n_q, n_kv]` in the shape `Pattern.mask` gives."""
    return mask[0] if len(mask) == 1 else mask[:, None]


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize(
    ("n_q", "n_kv", "q_offset"), [(40, 40, 0), (1, 1, 0), (9, 33, 0), (33, 9, 7), (3, 40, 37)]
)
def test_rule_says_what_the_pattern_means(form: Form, n_q: int, n_kv: int, q_offset: int) -> None:
    mask = form.pattern.mask(n_q, n_kv, q_offset)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, squeezed(form.dense(n_q, n_kv, q_offset)))


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_pattern_is_a_flex_attention_mask_mod_as_it_stands(form: Form) -> None:
    flex = create_mask(form.pattern, form.batch, 1, 24, 32, device="cpu")
    assert torch.equal(flex[:, 0], form.dense(24, 32))


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_flex_attention_finds_the_same_blocks(form: Form) -> None:
    flex = create_block_mask(form.pattern, form.batch, 1, 32, 40, device="cpu", BLOCK_SIZE=(8, 4))
    layout = form.pattern.layout(32, 40, block=(8, 4))
    assert flex.full_kv_num_blocks is not None
    for ours, theirs in (
        (layout.crow_indices, flex.kv_num_blocks),
        (layout.full_crow_indices, flex.full_kv_num_blocks),
    ):
        assert torch.equal(ours.diff(dim=-1).expand(form.batch, 1, -1), theirs)


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
        (lambda: Causal().mask(0), ValueError, "n_q must be 1 or more, got 0"),
        (lambda: Causal().mask(4, 0), ValueError, "n_kv must be 1 or more"),
        (lambda: Causal().mask(4, q_offset=-1), ValueError, "q_offset must be 0 or more"),
        (lambda: Causal().mask(4.0), TypeError, "n_q must be an integer, got 4.0"),
        (lambda: Causal() & 3, TypeError, "unsupported operand"),
        (lambda: Causal() | None, TypeError, "unsupported operand"),
        (lambda: Pattern().mask(2), NotImplementedError, "does not define its elementwise rule"),
    ],
)
def test_bad_argument_is_named(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()
