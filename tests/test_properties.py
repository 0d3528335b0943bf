"""Whatever pattern, blocks and size are drawn: the layout is brute force's, attention that of the mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends import (
    Backend,
    Case,
    Size,
    assert_hidden_keys_change_nothing,
    assert_results,
    case_of,
    make_case,
)
from tests.closed_forms import Form, assert_blocks
from tests.strategies import Listed, block_lists, block_sizes, expressions, sizes
from tsparse import BlockLayout, Causal, reference

GATHER = Backend("gather")
HEADS = 2
key_heads = st.integers(1, HEADS)


def assert_equals_the_reference(case: Case) -> None:
    """Output, lse and gradients of gather."""

    def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return reference.attention(q, k, v, case.mask, return_lse=True)

    assert_results(GATHER, case, case.results(dense))


@given(form=expressions, size=sizes)
def test_layout_of_any_expression_lists_the_blocks_that_brute_force_finds(form: Form, size: Size) -> None:
    layout = form.pattern.layout(size.n_q, size.n_kv, block=size.block, q_offset=size.q_offset)
    assert_blocks(layout, form.masks(size.n_q, size.n_kv, size.q_offset))


@given(form=expressions, size=sizes, kv_heads=key_heads)
def test_gather_equals_the_reference_under_any_expression(form: Form, size: Size, kv_heads: int) -> None:
    assert_equals_the_reference(make_case(form, size, form.batch, HEADS, kv_heads))


@given(form=expressions, size=sizes, kv_heads=key_heads, data=st.data())
def test_key_that_is_hidden_changes_no_bit_under_any_expression(
    form: Form, size: Size, kv_heads: int, data: st.DataObject
) -> None:
    case = make_case(form, size, form.batch, HEADS, kv_heads)
    one = st.integers(0, size.n_kv - 1)
    count = form.batch * kv_heads
    chosen = torch.tensor(data.draw(st.lists(one, min_size=count, max_size=count)))
    assert_hidden_keys_change_nothing(GATHER, case, chosen.view(form.batch, kv_heads))


@given(listed=block_lists, again=block_sizes)
def test_listed_blocks_are_seen_and_no_others_also_in_blocks_of_another_size(
    listed: Listed, again: tuple[int, int]
) -> None:
    layout, mask = listed.layout(), listed.mask[None, None]
    n_q, n_kv = listed.mask.shape
    assert_blocks(layout, mask)
    assert_blocks(BlockLayout.from_dense(listed.mask, again), mask)
    assert_blocks(layout.pattern.layout(n_q, n_kv, block=again), mask)
    doubled = 2 * listed.block[0], listed.block[1]
    assert_blocks(layout.pattern.layout(n_q, n_kv, block=doubled), mask)
    with_rule = (layout.pattern & Causal()).layout(n_q, n_kv, block=listed.block)
    assert_blocks(with_rule, mask & Causal().mask(n_q, n_kv))


@given(listed=block_lists, kv_heads=key_heads)
def test_gather_equals_the_reference_on_any_list_of_blocks(listed: Listed, kv_heads: int) -> None:
    assert_equals_the_reference(case_of(listed.layout(), listed.mask[None, None], 1, HEADS, kv_heads))


def test_every_run_tries_two_thousand_examples_at_least() -> None:
    if settings().max_examples > settings.get_profile("course").max_examples:
        pytest.skip("drawing once more only to count takes minutes")
    properties = [test for test in globals().values() if getattr(test, "is_hypothesis_test", False)]
    tried = 0

    def count(**_: object) -> None:
        nonlocal tried
        tried += 1

    for test in properties:
        body = test.hypothesis.inner_test
        test.hypothesis.inner_test = count
        test()
        test.hypothesis.inner_test = body
    assert tried == len(properties) * settings().max_examples >= 2000
