"""Gradients of backend="gather": those of the reference, in memory linear in N."""

import pytest
import torch

from tests.backends import tensors
from tests.test_gather import LargestTensor
from tsparse import (
    BlockLayout,
    Causal,
    Documents,
    Full,
    Global,
    Padding,
    SlidingWindow,
    chunks,
    sparse_attention,
)


def gradients(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, layout: BlockLayout, backend="gather", **options
) -> tuple[torch.Tensor, ...]:
    """Of random weights of the output and of the finite entries of lse."""
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    out, lse = sparse_attention(q, k, v, layout, return_lse=True, backend=backend, **options)
    generator = torch.Generator().manual_seed(7)
    weights = (torch.randn(x.shape, generator=generator, dtype=torch.float64) for x in (out, lse))
    dout, dlse = (w.to(x) for w, x in zip(weights, (out, lse), strict=True))
    return torch.autograd.grad((out, lse), (q, k, v), (dout, dlse))


@pytest.mark.parametrize(("keys_at_once", "scores_at_once"), [(1, 1), (8, 64), (12, 1 << 19)])
def test_gradients_of_long_rows_in_pieces(
    keys_at_once: int, scores_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", keys_at_once)
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", scores_at_once)
    q, k, v = tensors(40, 40, batch=2)
    for pattern in (Causal() & Padding([40, 11]), SlidingWindow(6) | Global([0, 9, 30]), ~Causal()):
        layout = pattern.layout(40, block=4)
        torch.testing.assert_close(gradients(q, k, v, layout), gradients(q, k, v, layout, "reference"))


def test_gradients_pass_gradcheck() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(7, 9, batch=1))
    layout = (Causal() | Global([3])).layout(7, 9, block=(4, 2))

    def output_and_lse(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return sparse_attention(q, k, v, layout, softcap=2.0, return_lse=True)

    assert torch.autograd.gradcheck(output_and_lse, (q, k, v), fast_mode=False)


def test_output_alone_and_lse_alone_have_gradients() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(12, 12))
    layout = Causal().layout(12, block=4)
    for which in (0, 1):
        both = (
            sparse_attention(q, k, v, layout, return_lse=True, backend=b)[which].square().sum()
            for b in ("gather", "reference")
        )
        got, want = (torch.autograd.grad(x, (q, k, v), materialize_grads=True) for x in both)
        torch.testing.assert_close(got, want)


def test_only_the_gradients_that_are_wanted_are_given() -> None:
    q, k, v = tensors(12, 12)
    layout = Causal().layout(12, block=4)
    sparse_attention(q, k.requires_grad_(), v, layout).sum().backward()
    assert q.grad is None
    assert v.grad is None
    assert k.grad is not None


def test_lse_of_a_query_that_sees_nothing_has_no_gradient_whatever_comes_back() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(6, 6))
    _, lse = sparse_attention(q, k, v, (~Causal()).layout(6, block=4), return_lse=True)
    dq, dk = torch.autograd.grad(lse.square().sum(), (q, k))  # that of -inf squared is -inf
    assert dq.isfinite().all()
    assert dk.isfinite().all()


def test_queries_past_the_end_do_not_overflow() -> None:
    q, k, v = tensors(9, 1000)
    layout = Full().layout(9, 1000, block=8)
    options = {"alibi_slopes": torch.full((4,), -10.0)}
    torch.testing.assert_close(
        gradients(q, k, v, layout, **options), gradients(q, k, v, layout, "reference", **options)
    )


def test_a_gradient_of_a_gradient_is_refused_and_never_missing() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(8, 8))
    out = sparse_attention(q, k, v, Causal().layout(8, block=4), backend="gather")
    for loss in (out.square().sum(), out.sum()):  # the gradient of a sum is a constant, 1
        (dq,) = torch.autograd.grad(loss, q, create_graph=True)
        with pytest.raises(RuntimeError, match='"gather" has first derivatives only: use backend="reference'):
            torch.autograd.grad(loss + dq.square().sum(), (q, k, v), retain_graph=True)
        with pytest.raises(RuntimeError, match='"gather" has first derivatives only: use backend="reference'):
            (loss + dq.square().sum()).backward(retain_graph=True)


def test_torch_func_differentiates_it_once_and_does_not_map_it() -> None:
    q, k, v = tensors(8, 8)
    layout = Causal().layout(8, block=4)

    def loss(q: torch.Tensor, backend: str = "gather") -> torch.Tensor:
        return sparse_attention(q, k, v, layout, backend=backend).square().sum()

    torch.testing.assert_close(torch.func.grad(loss)(q), torch.func.grad(loss)(q, "reference"))
    with pytest.raises(RuntimeError, match="has first derivatives only"):
        torch.func.grad(lambda q: torch.func.grad(loss)(q).sum())(q)
    for several in (loss, torch.func.grad(loss)):
        with pytest.raises(NotImplementedError, match=r"not mapped by torch\.vmap: use"):
            torch.vmap(several)(q[None])


def test_gradients_are_the_same_bit_for_bit_in_every_run() -> None:
    q, k, v = tensors(64, 64, dtype=torch.float32)
    layout = (SlidingWindow(9) | Global([0, 30])).layout(64, block=8)
    first, second = gradients(q, k, v, layout), gradients(q, k, v, layout)
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_inference_keeps_nothing_for_a_backward_pass() -> None:
    kept: list[torch.Tensor] = []
    q, k, v = (x.requires_grad_() for x in tensors(8, 8))
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x)
    with torch.no_grad(), hooks:
        out = sparse_attention(q, k, v, Causal().layout(8, block=4), backend="gather")
    assert not kept
    assert not out.requires_grad


def test_training_makes_no_tensor_larger_than_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 1 << 8)
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", 1 << 13)
    q, k, v = tensors(2048, 2048, batch=1, heads=1, kv_heads=1, dtype=torch.float32)
    layout = (SlidingWindow(64) | Global([0, 1000])).layout(2048, block=16)
    with LargestTensor() as seen:
        gradients(q, k, v, layout)
    assert seen.bytes <= 2 * q.untyped_storage().nbytes()  # the test's own weights are float64


def test_gradients_reach_inputs_that_are_not_contiguous() -> None:
    q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in tensors(24, 24))
    layout = Full().layout(24, block=8)
    torch.testing.assert_close(gradients(q, k, v, layout), gradients(q, k, v, layout, "reference"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gradients_on_a_gpu() -> None:
    q, k, v = tensors(40, 40)
    for pattern in (Documents.from_lengths([15, 25]) & Causal(), SlidingWindow(5) | Global([3])):
        layout = pattern.layout(40, block=8)
        got = gradients(*(x.cuda() for x in (q, k, v)), layout.to("cuda"))
        again = gradients(*(x.cuda() for x in (q, k, v)), layout.to("cuda"))
        assert all(torch.equal(x, y) for x, y in zip(got, again, strict=True))
        torch.testing.assert_close([x.cpu() for x in got], [*gradients(q, k, v, layout, "reference")])
