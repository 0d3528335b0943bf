"""What layouts say of their partial blocks: four numbers or bits, by query and by key, are the mask."""

import pytest
import torch
from torch import Tensor

from tests.closed_forms import ATOMS, EXPRESSIONS, PER_HEAD, Form
from tsparse import (
    BlockLayout,
    Causal,
    Documents,
    Global,
    Local,
    Padding,
    SlidingWindow,
    bigbird,
    blocks,
    longformer,
    zones,
)


def drawn(layout: BlockLayout, by_key: bool) -> Tensor:
    """The mask `[B', H', N, M]` as the block lists and the zones say, in the layout's own order."""
    lists = layout.transposed() if by_key else layout.by_query
    partial = layout.partial_blocks
    zones = partial.by_key if by_key else partial.by_query
    block_q, block_k = layout.block
    shape = layout.batch, layout.heads, layout.n_q_blocks * block_q, layout.n_kv_blocks * block_k
    mask = torch.zeros(shape, dtype=torch.bool)
    i, j = torch.arange(block_q)[:, None], torch.arange(block_k)

    def tile(b: int, h: int, row: int, other: int) -> Tensor:
        q, k = (other, row) if by_key else (row, other)
        return mask[b, h, q * block_q : (q + 1) * block_q, k * block_k : (k + 1) * block_k]

    for b, h, row in torch.cartesian_prod(*map(torch.arange, lists.heaviest.shape)).tolist():
        full, some = (
            range(crow[b, h, row], crow[b, h, row + 1])
            for crow in (lists.full_crow_indices, lists.crow_indices)
        )
        for at in full:
            tile(b, h, row, int(lists.full_col_indices[at])).fill_(True)
        for at in some:
            low, high, left, right = zones[at].tolist()
            seen = (i - j >= low) & (i - j <= high) & (j >= left) & (j < right)
            if low > high:
                seen = (partial.bits[right][i, j // 32] >> (j % 32)) & 1 != 0
            tile(b, h, row, int(lists.col_indices[at])).copy_(seen)
    return mask[:, :, : layout.n_q, : layout.n_kv]


@pytest.mark.parametrize("form", ATOMS + EXPRESSIONS + PER_HEAD, ids=repr)
@pytest.mark.parametrize(
    ("n_q", "n_kv", "q_offset", "block"), [(37, 39, 0, (8, 6)), (5, 39, 34, (4, 16)), (7, 40, 0, (64, 36))]
)
def test_lists_and_zones_are_the_mask(form: Form, n_q, n_kv, q_offset, block) -> None:
    layout = form.pattern.layout(n_q, n_kv, block=block, q_offset=q_offset)
    mask = layout.dense_mask()
    mask = mask if mask.ndim == 4 else mask[None, None]
    if layout.permutation is not None:
        mask = mask[:, :, layout.permutation][..., layout.permutation]
    for by_key in (False, True):
        assert torch.equal(drawn(layout, by_key), mask)


@pytest.mark.parametrize(
    "pattern", [Causal(), SlidingWindow(100), Local(30), Global(5) & Causal(), Padding([77, 200]) & Causal()]
)
def test_diagonals_and_columns_need_no_bits(pattern) -> None:
    layout = pattern.layout(250, block=(64, 32))
    assert len(layout.partial_blocks.by_query) > 0
    assert len(layout.partial_blocks.bits) == 0


@pytest.mark.parametrize(
    ("pattern", "most"),
    [(longformer(50, 4), 4), (bigbird(32, 50, 4, 2) & Causal(), 40), (Documents([0, 1] * 4096), 1)],
)
def test_blocks_that_look_alike_share_their_bits(pattern, most: int) -> None:
    layout = pattern.layout(8192, block=64)
    assert 0 < len(layout.partial_blocks.bits) <= most
    assert len(layout.partial_blocks.by_query) >= 128


@pytest.mark.parametrize("tokens", [[5, 69, 4000], torch.arange(8192).unsqueeze(0) % 2048 == 5], ids=repr)
def test_blocks_with_global_tokens_in_the_same_places_are_looked_into_once(
    tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    masks = blocks.masks

    def counted(pattern, grid, *places: torch.Tensor) -> torch.Tensor:
        asked.append(len(places[0]))
        return masks(pattern, grid, *places)

    monkeypatch.setattr(blocks, "masks", counted)
    layout = (Global(tokens) & Causal()).layout(8192, block=64)
    assert len(layout.col_indices) > 300
    assert sum(asked) <= 16


def test_blocks_are_described_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "BLOCKS_AT_ONCE", 3)
    monkeypatch.setattr(blocks, "ELEMENTS_AT_ONCE", 2 * 8 * 8)
    layout = (SlidingWindow(9) | Documents([0, 1, 2, 0, 1] * 8)).layout(40, block=8)
    for by_key in (False, True):
        assert torch.equal(drawn(layout, by_key)[0, 0], layout.pattern.mask(40))


def test_rows_with_most_blocks_come_first() -> None:
    layout = Global([0, 40]).layout(64, block=16)
    assert layout.by_query.heaviest.tolist() == [[[0, 2, 1, 3]]]
    assert Causal().layout(48, block=16).transposed().heaviest.tolist() == [[[0, 1, 2]]]
    assert Causal().layout(48, block=16).by_query.heaviest.tolist() == [[[2, 1, 0]]]
