"""Strided layouts: the sequence in the order in which they are block-diagonal, and back again."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tsparse import Causal, Pattern, Strided, reference, sparse_attention


def tensors(n: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    shapes = (2, 4, n, 8), (2, 2, n, 8), (2, 2, n, 5)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def meaning(n: int, stride: int, causal: bool) -> torch.Tensor:
    q, k = torch.arange(n)[:, None], torch.arange(n)
    return ((q - k) % stride == 0) & ((k <= q) | (not causal))


STRIDED = [
    (Strided(4), 4, False),
    (Strided(4) & Causal(), 4, True),
    (Causal() & Strided(6), 6, True),
    (Strided(1) & Causal(), 1, True),
    (Strided(50), 50, False),
]


def test_new_place_holds_the_old_position_of_the_openai_code() -> None:
    n, stride = 24, 4
    order = Strided(stride).layout(n).permutation
    assert order is not None
    for r in range(stride):
        for m in range(n // stride):
            assert order[r * (n // stride) + m] == m * stride + r


def test_remainders_of_a_ragged_sequence_have_different_lengths() -> None:
    order = (Strided(3) & Causal()).layout(8).permutation
    assert order is not None
    assert order.tolist() == [0, 3, 6, 1, 4, 7, 2, 5]


def test_permuted_layout_is_block_diagonal_in_its_lists_and_strided_in_its_mask() -> None:
    layout = Strided(4).layout(32, block=8)
    assert layout.full_col_indices.tolist() == [0, 1, 2, 3]
    assert len(layout.col_indices) == 0
    assert torch.equal(layout.dense_mask(), meaning(32, 4, causal=False))
    assert (layout.density, layout.fill) == (0.25, 1.0)
    assert layout.pattern.mask(32).equal(layout.dense_mask())


@pytest.mark.parametrize("n", [1, 5, 24, 37])
@pytest.mark.parametrize(("pattern", "stride", "causal"), STRIDED, ids=repr)
def test_attention_of_a_permuted_layout_is_in_the_order_of_the_sequence(
    n: int, pattern: Pattern, stride: int, causal: bool
) -> None:
    q, k, v = (x.detach() for x in tensors(n))
    layout = pattern.layout(n, block=(4, 8))
    mask = meaning(n, stride, causal)
    out, lse = sparse_attention(q, k, v, layout, return_lse=True, backend="gather")
    torch.testing.assert_close(out, scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True))
    torch.testing.assert_close((out, lse), reference.attention(q, k, v, mask, return_lse=True))
    by_reference = sparse_attention(q, k, v, layout, return_lse=True, backend="reference")
    torch.testing.assert_close((out, lse), by_reference)


@pytest.mark.parametrize(("pattern", "stride", "causal"), STRIDED, ids=repr)
def test_alibi_counts_distances_in_the_order_of_the_sequence(
    pattern: Pattern, stride: int, causal: bool
) -> None:
    q, k, v = (x.detach() for x in tensors(37))
    options = {"alibi_slopes": torch.tensor([0.5, 0.25, 0.1, 0.0]), "softcap": 2.0}
    out = sparse_attention(q, k, v, pattern.layout(37, block=(8, 4)), **options, backend="gather")
    want = reference.attention(q, k, v, meaning(37, stride, causal), **options)
    torch.testing.assert_close(out, want)


def test_gradients_find_their_way_through_the_permutation() -> None:
    layout = (Strided(5) & Causal()).layout(23)
    x = torch.randn(2, 3, 23, 4, requires_grad=True)
    assert torch.equal(layout.restore(layout.arrange(x)), x)
    weights = torch.randn(2, 3, 23, 4)
    (layout.arrange(x) * layout.arrange(weights)).sum().backward()
    assert torch.equal(x.grad, weights)


@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        (Strided(4), {"n_q": 8, "n_kv": 16}),
        (Strided(4), {"n_q": 8, "q_offset": 8}),
        (Strided(4) & Causal(), {"n_q": 8, "n_kv": 8, "q_offset": 1}),
        (Strided(4) | Causal(), {"n_q": 8}),
        (~Strided(4), {"n_q": 8}),
        (Strided(4) & Strided(8), {"n_q": 8}),
        (Strided(4) & Causal() & Causal(), {"n_q": 8}),
        (Causal(), {"n_q": 8}),
        (Causal() & Causal(), {"n_q": 8}),
    ],
    ids=repr,
)
def test_any_other_layout_keeps_the_order_of_the_sequence(pattern: Pattern, sizes: dict[str, int]) -> None:
    layout = pattern.layout(**sizes, block=4)
    assert layout.permutation is None
    places = torch.arange(8)
    assert layout.positions(places) is places


def test_permutation_moves_with_its_layout() -> None:
    moved = Strided(2).layout(8).to("meta")
    assert moved.order is not None
    assert moved.order.permutation.is_meta
    assert moved.order.inverse.is_meta
