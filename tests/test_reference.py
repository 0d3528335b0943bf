"""The reference: equal to PyTorch where that goes, to a loop over single elements where it does not."""

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tsparse import Causal, reference

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def tensors(
    batch: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    n_q: int = 6,
    n_kv: int = 7,
    dtype: torch.dtype = torch.float64,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, heads, n_q, 8), (batch, kv_heads, n_kv, 8), (batch, kv_heads, n_kv, 8)
    q, k, v = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
    return q, k, v


def by_hand(q, k, v, mask, scale, slope, softcap, q_offset) -> tuple[list[list[float]], list[float]]:
    """Output and lse of one head, one element at a time, in Python floats."""
    out, lse = [], []
    for i, query in enumerate(q.tolist()):
        scores = {}
        for j, key in enumerate(k.tolist()):
            if mask[i, j]:
                score = scale * sum(a * b for a, b in zip(query, key, strict=True))
                scores[j] = softcap * math.tanh(score / softcap) - slope * abs(i + q_offset - j)
        total = sum(math.exp(score) for score in scores.values())
        rows = {j: math.exp(score) / total for j, score in scores.items()}
        out.append([sum(p * v[j, d].item() for j, p in rows.items()) for d in range(v.shape[1])])
        lse.append(math.log(total) if total else -math.inf)
    return out, lse


def test_reference_equals_pytorch_with_a_mask_and_grouped_heads() -> None:
    q, k, v = tensors()
    mask = torch.rand(2, 4, 6, 7) < 0.7
    mask[..., 0] = True
    want = scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(reference.attention(q, k, v, mask), want)
    want = scaled_dot_product_attention(q, k, v, scale=0.3, enable_gqa=True)
    torch.testing.assert_close(reference.attention(q, k, v, scale=0.3), want)


def test_softcap_comes_before_alibi_and_lse_holds_both() -> None:
    q, k, v = tensors(batch=1, heads=2, kv_heads=1)
    mask = Causal().mask(6, 7, q_offset=3)
    mask[2] = False
    slopes = torch.tensor([0.5, 0.125])
    out, lse = reference.attention(
        q, k, v, mask, scale=0.7, alibi_slopes=slopes, softcap=1.5, q_offset=3, return_lse=True
    )
    for head in range(2):
        values, sums = by_hand(q[0, head], k[0, 0], v[0, 0], mask, 0.7, slopes[head].item(), 1.5, 3)
        torch.testing.assert_close(out[0, head], torch.tensor(values, dtype=torch.float64))
        torch.testing.assert_close(lse[0, head], torch.tensor(sums, dtype=torch.float64))


def test_slopes_may_differ_by_batch_entry() -> None:
    q, k, v = tensors()
    slopes = torch.rand(2, 4, dtype=torch.float64)
    both = reference.attention(q, k, v, alibi_slopes=slopes)
    for b in range(2):
        alone = reference.attention(q[b : b + 1], k[b : b + 1], v[b : b + 1], alibi_slopes=slopes[b])
        torch.testing.assert_close(both[b : b + 1], alone)


def test_query_that_sees_nothing_gets_zero_and_minus_infinity() -> None:
    q, k, v = tensors()
    mask = torch.ones(6, 7, dtype=torch.bool)
    mask[3] = False
    out, lse = reference.attention(q, k, v, mask, return_lse=True)
    assert (out[:, :, 3] == 0).all()
    assert (lse[:, :, 3] == -math.inf).all()
    assert out[:, :, 2].abs().sum() > 0


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_query_that_sees_nothing_has_zero_gradients_and_no_nan() -> None:
    q, k, v = (x.requires_grad_() for x in tensors())
    mask = torch.ones(6, 7, dtype=torch.bool)
    mask[3] = False
    with torch.autograd.detect_anomaly():  # raises where a NaN turns up on the way back
        out, lse = reference.attention(q, k, v, mask, return_lse=True)
        (out.sum() + lse[lse.isfinite()].sum()).backward()
    for x in (q, k, v):
        assert x.grad is not None
        assert x.grad.isfinite().all()
    assert q.grad is not None
    assert (q.grad[:, :, 3] == 0).all()
    assert (q.grad[:, :, 2] != 0).all()


def test_gradients_agree_with_finite_differences() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(batch=1, n_q=3, n_kv=4))
    mask = Causal().mask(3, 4)
    slopes = torch.rand(4, dtype=torch.float64)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor):
        return reference.attention(q, k, v, mask, alibi_slopes=slopes, softcap=2.0, return_lse=True)

    assert torch.autograd.gradcheck(attend, (q, k, v))


@pytest.mark.parametrize("dtype", DTYPES)
def test_output_has_the_dtype_of_q_and_lse_at_least_float32(dtype: torch.dtype) -> None:
    out, lse = reference.attention(*tensors(dtype=dtype), return_lse=True)
    assert out.dtype == dtype
    assert lse.dtype == torch.promote_types(dtype, torch.float32)


def test_values_may_have_another_head_size() -> None:
    q, k, v = tensors()
    assert reference.attention(q, k, v[..., :3]).shape == (2, 4, 6, 3)
