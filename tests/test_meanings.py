"""What the words mean, the same in every implementation; of patterns and blocks in files of their own."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tests.backends import Backend, every_backend, same_bits, tensors
from tests.nn.weights import tokens
from tsparse import (
    Causal,
    Full,
    Global,
    Padding,
    RandomBlocks,
    SlidingWindow,
    flex,
    gather,
    reference,
    sparse_attention,
)
from tsparse.nn import MultiHeadAttention, SparseSelfAttention, TransformerLayer


@every_backend
def test_output_is_like_q_with_the_head_size_of_v(backend: Backend) -> None:
    q, k, v = tensors(6, 9, batch=2, heads=4, kv_heads=2)
    out, lse = backend.attend(q, k, v, Full().layout(6, 9, block=4))
    assert (out.shape, out.dtype) == ((2, 4, 6, 5), q.dtype)
    assert lse.shape == (2, 4, 6)


@every_backend
def test_scale_is_one_over_the_root_of_the_head_size(backend: Backend) -> None:
    q, k, v = tensors(6, 6)
    layout = Causal().layout(6, block=4)
    default = backend.attend(q, k, v, layout)
    given = backend.attend(q, k, v, layout, scale=1 / math.sqrt(8))
    torch.testing.assert_close(default, given)
    assert not torch.allclose(default[0], backend.attend(q, k, v, layout, scale=1.0)[0])


@every_backend
def test_scores_beyond_the_range_of_float16_are_softened_in_float32(backend: Backend) -> None:
    q, k, v = tensors(6, 6, dtype=torch.float16)
    q, k = q + 150, k + 150  # scores of about 64,000 before, 180,000 after
    layout = Causal().layout(6, block=4)
    out, lse = backend.attend(q, k, v, layout, scale=1.0)
    want = reference.attention(
        q.double(), k.double(), v.double(), Causal().mask(6), scale=1.0, return_lse=True
    )
    torch.testing.assert_close(out.double(), want[0], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(lse.double(), want[1], atol=0.1, rtol=1e-6)


@every_backend
def test_query_that_sees_nothing_gets_zero_minus_infinity_and_no_gradient(backend: Backend) -> None:
    q, k, v = (x.requires_grad_(backend.gradients) for x in tensors(12, 12, batch=2))
    layout = (~Causal() & Padding([0, 3])).layout(12, block=5)  # only queries 0 and 1 of the second text see
    out, lse = backend.attend(q, k, v, layout)
    for blind in (out[0], out[1, :, 2:]):
        assert (blind == 0).all()
    for blind in (lse[0], lse[1, :, 2:]):
        assert (blind == -math.inf).all()
    assert (out[1, :, :2] != 0).all()
    if backend.gradients:
        dq, dk, dv = torch.autograd.grad(out.sum() + lse.square().sum(), (q, k, v))
        assert not any(x[0].any() for x in (dq, dk, dv))
        assert not any(x[1, :, 3:].any() for x in (dk, dv))
        assert all(x.isfinite().all() for x in (dq, dk, dv))
        assert not dq[1, :, 2:].any()
        assert (dq[1, :, 0] != 0).all()  # query 1 sees a single key, whose weight is always 1


@every_backend
@pytest.mark.parametrize(("n_q", "n_kv"), [(3, 7), (7, 3)])
def test_fewer_queries_or_keys_are_aligned_at_the_start(n_q: int, n_kv: int, backend: Backend) -> None:
    q, k, v = tensors(n_q, n_kv)
    want = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(backend.attend(q, k, v, Causal().layout(n_q, n_kv, block=4))[0], want)


@every_backend
@pytest.mark.parametrize("new", [1, 3])
def test_last_queries_of_a_text_see_with_an_offset_what_they_see_in_the_whole(
    new: int, backend: Backend
) -> None:
    q, k, v = tensors(9, 9)
    pattern = SlidingWindow(4) | Global([0])
    whole = backend.attend(q, k, v, pattern.layout(9, block=4))
    layout = pattern.layout(new, 9, q_offset=9 - new, block=4)
    last = backend.attend(q[:, :, -new:], k, v, layout)
    torch.testing.assert_close(last, tuple(x[:, :, -new:] for x in whole))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_random_blocks_are_the_same_in_training_evaluation_and_every_implementation(backend) -> None:
    pattern = RandomBlocks(2, block=4, seed=5) & Causal()
    module = SparseSelfAttention(12, 4, pattern, block=8, backend=backend).double()
    x = tokens(2, 40, 12)
    outs = []
    for seed, training in ((0, True), (1, False)):
        torch.manual_seed(seed)
        outs.append(module.train(training)(x).detach())
    assert same_bits(*outs)
    other = SparseSelfAttention(12, 4, RandomBlocks(2, block=4, seed=5) & Causal(), backend="reference")
    other.double().load_state_dict(module.state_dict())
    torch.testing.assert_close(other(x).detach(), outs[0])


@every_backend
def test_autocast_casts_as_pytorch_casts(backend: Backend) -> None:
    q, k, v = tensors(6, 6, dtype=torch.float32)
    layout = Causal().layout(6, block=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, lse = backend.attend(q, k, v.bfloat16(), layout)
        assert out.dtype == scaled_dot_product_attention(q, k, v, enable_gqa=True).dtype == torch.bfloat16
    half = backend.attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), layout)
    assert lse.dtype == torch.float32
    assert same_bits(out, half[0])
    assert same_bits(lse, half[1])


@every_backend
def test_autocast_leaves_float64_alone(backend: Backend) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert backend.attend(*tensors(6, 6), Causal().layout(6))[0].dtype == torch.float64


@pytest.mark.parametrize(
    "build",
    [
        lambda: MultiHeadAttention(12, 4, dropout=0.1),
        lambda: SparseSelfAttention(12, 4, Full(), dropout=0.1),
        lambda: sparse_attention(*tensors(6, 6), Full().layout(6), dropout=0.1),
    ],
    ids=["dense module", "sparse module", "function"],
)
def test_dropout_of_attention_weights_is_refused(build) -> None:
    with pytest.raises(TypeError, match="dropout"):
        build()


def test_dropout_of_a_layer_leaves_attention_weights_alone() -> None:
    layer = TransformerLayer(12, 4, Full(), cross_attention=True, dropout=0.5).train()
    x = torch.randn(1, 5, 12)
    assert torch.equal(layer.self_attn(x), layer.self_attn(x))
    assert torch.equal(layer.multihead_attn(x), layer.multihead_attn(x))


@pytest.mark.parametrize("name", ["auto", "reference", "gather", "flex"])
def test_backend_that_is_named_is_used_and_no_other(name, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    for module in (reference, gather, flex):

        def stub(q: Tensor, *_: object, module=module, **__: object) -> Tensor:
            used.append(module.__name__)
            return q

        monkeypatch.setattr(module, "attention", stub)
    sparse_attention(*tensors(6, 6), Causal().layout(6), backend=name)
    assert used == [f"tsparse.{'gather' if name == 'auto' else name}"]


@every_backend
def test_layouts_of_one_size_never_share_what_is_kept_with_them(backend: Backend) -> None:
    q, k, v = tensors(20, 20)
    layouts = [SlidingWindow(width).layout(20, block=8) for width in (2, 9)]
    masks = [SlidingWindow(width).mask(20) for width in (2, 9)]
    for layout, mask in [*zip(layouts, masks, strict=True)] * 2:
        want = reference.attention(q, k, v, mask, return_lse=True)
        torch.testing.assert_close(backend.attend(q, k, v, layout), want)
