"""Every pattern, on every backend, at every kind of size: what PyTorch computes from the dense mask."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tests import closed_forms as forms
from tests.backends import (
    BACKENDS,
    Backend,
    Size,
    assert_hidden_keys_change_nothing,
    assert_results,
    every_backend,
    every_head_its_own,
    expected,
    grouped,
    make_case,
    tensors,
)
from tests.closed_forms import ATOMS, EXPRESSIONS, PER_HEAD, Form
from tsparse import Global, SlidingWindow, reference

every_form = pytest.mark.parametrize("form", ATOMS + EXPRESSIONS + PER_HEAD, ids=repr)


@every_form
@pytest.mark.parametrize(
    ("backend", "size"),
    [(backend, size) for backend in BACKENDS for size in backend.sizes],
    ids=repr,
    indirect=["backend"],
)
def test_backend_computes_what_pytorch_computes_from_the_dense_mask(
    form: Form, backend: Backend, size: Size
) -> None:
    """Output, lse, and the gradients of q, k and v through both, where heads share keys."""
    case = grouped(form, size, backend.batch, backend.heads)
    assert_results(backend, case, expected(case))


@every_form
@pytest.mark.parametrize(
    ("backend", "size"),
    [(backend, size) for backend in BACKENDS for size in backend.sizes_per_head],
    ids=repr,
    indirect=["backend"],
)
def test_backend_computes_what_pytorch_computes_where_every_head_has_its_own_pattern(
    form: Form, backend: Backend, size: Size
) -> None:
    case = every_head_its_own(form, size, backend.batch)
    assert_results(backend, case, expected(case))


@every_backend
@every_form
def test_changing_a_key_that_a_query_may_not_see_changes_no_bit_of_its_results(
    form: Form, backend: Backend
) -> None:
    """Another key in every key head."""
    case = grouped(form, backend.sizes[1], backend.batch, backend.heads)
    keys = torch.randint(40, case.inputs[1].shape[:2], generator=torch.Generator().manual_seed(3))
    assert_hidden_keys_change_nothing(backend, case, keys % case.inputs[1].shape[2])


SLOPES = torch.tensor([[0.5, 0.25, 0.0, -0.1], [0.3, 0.0, 1.7, 0.2], [0.0, 0.0, 0.0, 0.9]])
SCORED = [
    (forms.window(9) | forms.tokens_at([2, 20]), Size("decoding", 21, 38, 17, (16, 32))),
    (forms.strided(4), Size("permuted", 37, 37, 0, (32, 16))),
    (forms.causal() & forms.strided(6), Size("permuted", 37, 37, 0, (16, 32))),
    (forms.fixed_heads(8, 2, heads=4) & forms.padding([30, 0, 3]), Size("ragged", 37, 37, 0, (32, 32))),
]


@every_backend
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("slopes", [None, SLOPES[0], SLOPES], ids=["no slopes", "H", "B, H"])
@pytest.mark.parametrize(("form", "size"), SCORED, ids=repr)
def test_scale_softcap_and_slopes_act_at_the_positions_of_the_sequence(
    form: Form, size: Size, slopes: Tensor | None, softcap: float | None, backend: Backend
) -> None:
    case = make_case(form, size, 3, 4, 2)
    options = {"scale": 0.9, "alibi_slopes": slopes, "softcap": softcap}

    def want(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        place = {"q_offset": size.q_offset, "return_lse": True}
        return reference.attention(q, k, v, case.mask, **options, **place)

    assert_results(backend, case, case.results(want), **options)


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [(backend, dtype) for backend in BACKENDS for dtype in backend.dtypes],
    ids=str,
    indirect=["backend"],
)
def test_error_is_no_worse_than_that_of_pytorch_at_the_same_dtype(
    backend: Backend, dtype: torch.dtype
) -> None:
    q, k, v = tensors(96, 96, 1, 2, 2, dtype)
    layout = (SlidingWindow(24) | Global(3)).layout(96, block=32)
    mask = layout.dense_mask()
    dout = torch.randn(1, 2, 96, 5, generator=torch.Generator().manual_seed(1)).to(dtype)

    def outputs(attend: Callable[..., Tensor], work: torch.dtype) -> tuple[Tensor, ...]:
        """The output and, where the backend has them, the gradients."""
        leaves = [x.to(work).detach().requires_grad_(backend.gradients) for x in (q, k, v)]
        out = attend(*leaves)
        assert out.dtype == work
        return out, *(torch.autograd.grad(out, leaves, dout.to(work)) if backend.gradients else ())

    exact = outputs(lambda q, k, v: reference.attention(q, k, v, mask), torch.float64)
    peer = outputs(lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=mask), dtype)
    ours = outputs(lambda q, k, v: backend.attend(q, k, v, layout)[0], dtype)
    for got, theirs, want in zip(ours, peer, exact, strict=True):
        rounding = 4 * torch.finfo(dtype).eps * want.abs().max()
        assert (got - want).abs().max() <= (theirs - want).abs().max() + rounding
    assert backend.attend(q, k, v, layout)[1].dtype == torch.promote_types(dtype, torch.float32)
