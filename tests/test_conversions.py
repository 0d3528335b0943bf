"""Layouts from and to other forms: the same mask, the same blocks, and bad lists named."""

import pytest
import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask

from tests.closed_forms import ATOMS, EXPRESSIONS, Form, assert_blocks, brute_force_blocks
from tsparse import (
    BlockLayout,
    Causal,
    Global,
    Padding,
    SlidingWindow,
    show,
)

FORMS = ATOMS + EXPRESSIONS
SIZES = [(40, 40, 0, (8, 8)), (37, 39, 0, (8, 6)), (5, 39, 34, (4, 16)), (33, 10, 0, (16, 3)), (1, 1, 0, 4)]

every_form = pytest.mark.parametrize("form", FORMS, ids=repr)
every_size = pytest.mark.parametrize(("n_q", "n_kv", "q_offset", "block"), SIZES)


def four(mask: torch.Tensor) -> torch.Tensor:
    """`[N, M]` or `[B', H', N, M]` as the latter."""
    return mask if mask.ndim == 4 else mask[None, None]


# from dense masks and block lists


@every_form
@every_size
def test_dense_mask_becomes_the_layout_it_came_from(form: Form, n_q, n_kv, q_offset, block) -> None:
    layout = form.pattern.layout(n_q, n_kv, block=block, q_offset=q_offset)
    assert_blocks(BlockLayout.from_dense(layout.dense_mask(), block), four(layout.dense_mask()))


def test_dense_mask_may_differ_by_batch_and_head() -> None:
    mask = torch.rand(2, 3, 9, 14, generator=torch.Generator().manual_seed(0)) < 0.3
    layout = BlockLayout.from_dense(mask, (4, 5))
    assert (layout.batch, layout.heads) == (2, 3)
    assert_blocks(layout, mask)


def test_layout_keeps_its_own_copy_of_the_mask() -> None:
    mask = torch.eye(6, dtype=torch.bool)
    layout = BlockLayout.from_dense(mask, 2)
    mask.fill_(True)
    assert torch.equal(layout.dense_mask(), torch.eye(6, dtype=torch.bool))


def test_block_list_of_a_million_tokens_is_laid_out() -> None:
    blocks = [[row - 1, row] if row else [0] for row in range(8192)]
    layout = BlockLayout.from_blocks(blocks, 128, 1_048_576)
    assert (len(layout.col_indices), len(layout.full_col_indices)) == (0, 2 * 8192 - 1)


def test_mask_is_laid_out_for_some_of_its_queries() -> None:
    mask = torch.rand(5, 9, generator=torch.Generator().manual_seed(0)) < 0.5
    layout = BlockLayout.from_dense(mask, 4).pattern.layout(3, 9, block=2, q_offset=2)
    assert_blocks(layout, mask[None, None, 2:])


# FlexAttention's BlockMask


@every_form
@every_size
def test_block_mask_has_our_blocks_both_ways_and_our_rule(form: Form, n_q, n_kv, q_offset, block) -> None:
    layout = form.pattern.layout(n_q, n_kv, block=block, q_offset=q_offset)
    made = layout.to_block_mask()
    mask = form.dense(n_q, n_kv, q_offset)[:, None]
    assert torch.equal(create_mask(made.mask_mod, form.batch, 1, n_q, n_kv, device="cpu"), mask)
    partial, full = brute_force_blocks(mask.flatten(0, 1), layout.block)
    for counts, indices, by_key, blocks in (
        (made.kv_num_blocks, made.kv_indices, False, partial),
        (made.full_kv_num_blocks, made.full_kv_indices, False, full),
        (made.q_num_blocks, made.q_indices, True, partial),
        (made.full_q_num_blocks, made.full_q_indices, True, full),
    ):
        assert indices.shape[-1] == (layout.n_q_blocks if by_key else layout.n_kv_blocks)
        listed = [
            (slot, line, index)
            for slot, (rows, row_counts) in enumerate(zip(indices[:, 0], counts[:, 0], strict=True))
            for line, (row, count) in enumerate(zip(rows.tolist(), row_counts.tolist(), strict=True))
            for index in row[:count]
        ]
        assert listed == sorted((slot, c, r) if by_key else (slot, r, c) for slot, r, c in blocks)


@every_form
def test_our_block_mask_gives_back_its_pattern_and_offset(form: Form) -> None:
    layout = form.pattern.layout(5, 39, block=(4, 16), q_offset=34)
    back = BlockLayout.from_block_mask(layout.to_block_mask())
    assert back.pattern is layout.pattern
    assert (back.n_q, back.n_kv, back.block, back.q_offset) == (5, 39, (4, 16), 34)


def test_our_block_mask_with_other_lists_is_what_its_lists_say() -> None:
    made = Causal().layout(12, block=4).to_block_mask()
    made.full_kv_num_blocks[0, 0, 2] = 1  # the last row loses key block 1
    want = torch.ones(12, 12, dtype=torch.bool).tril()
    want[8:, 4:8] = False
    assert_blocks(BlockLayout.from_block_mask(made), want[None, None])


@pytest.mark.parametrize(("n_q", "n_kv"), [(64, 64), (37, 50)])
def test_foreign_block_mask_keeps_its_rule(n_q: int, n_kv: int) -> None:
    shift = torch.tensor([[3, 7], [20, 0]])

    def rule(b, h, q_idx, kv_idx):
        return (q_idx - kv_idx).abs() <= shift[b, h]

    made = create_block_mask(rule, 2, 2, n_q, n_kv, device="cpu", BLOCK_SIZE=(8, 16))
    assert_blocks(BlockLayout.from_block_mask(made), create_mask(rule, 2, 2, n_q, n_kv, device="cpu"))


def test_block_mask_without_rule_or_full_blocks_shows_the_blocks_it_lists() -> None:
    made = BlockMask.from_kv_blocks(
        torch.tensor([1, 2]), torch.tensor([[1, 0], [0, 1]], dtype=torch.int32), BLOCK_SIZE=4
    )
    want = torch.ones(8, 8, dtype=torch.bool)
    want[:4, :4] = False
    assert_blocks(BlockLayout.from_block_mask(made), want[None, None])


# BSR


@every_form
@every_size
def test_bsr_tensor_is_the_mask_in_whole_blocks(form: Form, n_q, n_kv, q_offset, block) -> None:
    layout = form.pattern.layout(n_q, n_kv, block=block, q_offset=q_offset)
    for b, mask in enumerate(form.dense(n_q, n_kv, q_offset)):
        made = layout.to_bsr(b)
        dense = made.to_dense()
        if layout.permutation is not None:
            mask = mask[layout.permutation][:, layout.permutation]
        assert made.values().shape[1:] == layout.block
        assert dense.dtype == torch.bool
        assert torch.equal(dense[:n_q, :n_kv], mask)
        assert int(dense.sum()) == int(mask.sum())
        assert len(made.col_indices()) == sum(map(len, brute_force_blocks(mask[None], layout.block)))


@pytest.mark.filterwarnings("error", "ignore:Sparse BSR tensor support is in beta state")
def test_making_a_bsr_tensor_warns_of_nothing(request: pytest.FixtureRequest) -> None:
    torch.set_warn_always(True)  # also of what some test before has been warned of
    request.addfinalizer(lambda: torch.set_warn_always(False))
    Causal().layout(8, block=4).to_bsr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "b must be given: the layout tells 2 apart"),
        ({"b": 2}, "b must be below 2, got 2"),
        ({"b": 0, "h": 1}, "h must be below 1"),
    ],
)
def test_bsr_tensor_of_no_batch_entry_is_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Padding([3, 5]).layout(8, block=4).to_bsr(**arguments)


# drawing


@pytest.mark.parametrize("blocks", [8, 200, 8192])
def test_notebook_draws_a_layout_of_any_size(blocks: int) -> None:
    layout = ((SlidingWindow(256) | Global(4)) & Causal()).layout(128 * blocks)
    html = layout._repr_html_()
    assert html == show.layout(layout)._repr_html_()
    assert f"{blocks:,} x {blocks:,} blocks" in html
    assert len(html) < 90_000
