"""The implementations under test, one entry of a table each, and PyTorch's attention to compare them with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, flex_attention, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from tests.closed_forms import Form, causal, per_head
from tsparse import BlockLayout, attention, flex, sparse_attention
from tsparse.arguments import DTYPES
from tsparse.kernels.interpret import INTERPRETED_DTYPES

Attend = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, ...]]
Results = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Size:
    """How many queries and keys, where the first query stands, and the block."""

    name: str
    n_q: int
    n_kv: int
    q_offset: int
    block: tuple[int, int]

    def __repr__(self) -> str:
        return self.name


SIZES = (
    Size("whole blocks", 40, 40, 0, (8, 8)),
    Size("ragged", 37, 37, 0, (8, 4)),
    Size("below a block", 7, 9, 0, (64, 64)),
    Size("decoding", 5, 39, 34, (4, 16)),
    Size("fewer keys", 33, 10, 0, (16, 3)),
    Size("one token", 1, 1, 0, (4, 4)),
)
TILED_SIZES = (  # few tiles, since one takes Triton's interpreter milliseconds, of 16 x 16 at least
    Size("whole tiles", 32, 32, 0, (16, 32)),
    Size("ragged tiles", 37, 37, 0, (32, 64)),
    Size("below a tile", 7, 9, 0, (16, 16)),
    Size("decoding with tiles", 5, 39, 34, (16, 32)),
)


@dataclass(frozen=True)
class Backend:
    """An implementation and what may be asked of it on a CPU."""

    name: attention.Backend
    dtypes: tuple[torch.dtype, ...] = DTYPES
    gradients: bool = True
    skips: bool = True  # it reads no key and no value of a block that is not listed
    sizes: tuple[Size, ...] = SIZES  # that all patterns are tried at
    sizes_per_head: tuple[Size, ...] = SIZES  # likewise, with a pattern for each head
    batch: int = 2  # of patterns that are the same for all batch entries
    heads: int = 4  # of patterns that are the same for all heads

    def __repr__(self) -> str:
        return self.name

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout, **options) -> tuple[Tensor, ...]:
        """Output and lse."""
        out = sparse_attention(q, k, v, layout, **options, return_lse=True, backend=self.name)
        assert isinstance(out, tuple)
        return out


TRITON = Backend(
    "triton", INTERPRETED_DTYPES, sizes=TILED_SIZES, sizes_per_head=TILED_SIZES[1:2], batch=1, heads=2
)
# FlexAttention is compiled by test_flex.py. Here it runs as the Python it is made of, which is quick, knows
# float64 and lse, and asks the mask_mod and the score_mod about every element, whatever blocks are listed.
BACKENDS = (
    Backend("reference", skips=False),
    Backend("gather"),
    Backend("flex", gradients=False, skips=False),
    *([TRITON] if find_spec("triton") else []),
)
every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=repr, indirect=True)


def run_flex_attention_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift what holds for compiled code only."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(flex, "_check_cpu", lambda *_: None)
    monkeypatch.setattr(flex_attention, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs, a layout, the mask it stands for `[B', H', N, M]`, and gradients to send back."""

    inputs: tuple[Tensor, Tensor, Tensor]
    layout: BlockLayout
    mask: Tensor
    weights: tuple[Tensor, Tensor]

    def results(self, attend: Attend) -> Results:
        """Output and lse, and through both the gradients of q, k and v."""
        leaves = [x.detach().requires_grad_() for x in self.inputs]
        outputs = attend(*leaves)
        return tuple(x.detach() for x in outputs), torch.autograd.grad(outputs, leaves, self.weights)


def tensors(
    n_q: int, n_kv: int, batch: int = 3, heads: int = 4, kv_heads: int = 2, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v of heads of size 8, v of heads of size 5."""
    generator = torch.Generator().manual_seed(n_q + n_kv)
    shapes = (batch, heads, n_q, 8), (batch, kv_heads, n_kv, 8), (batch, kv_heads, n_kv, 5)
    q, k, v = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
    return q, k, v


def make_case(form: Form, size: Size, batch: int, heads: int, kv_heads: int) -> Case:
    """A form at a size, in float64."""
    layout = form.pattern.layout(size.n_q, size.n_kv, block=size.block, q_offset=size.q_offset)
    mask = form.masks(size.n_q, size.n_kv, size.q_offset)
    return case_of(layout, mask, batch, heads, kv_heads)


def case_of(layout: BlockLayout, mask: Tensor, batch: int, heads: int, kv_heads: int) -> Case:
    """A layout that stands for `mask [B', H', N, M]`, in float64."""
    inputs = tensors(layout.n_q, layout.n_kv, batch, heads, kv_heads)
    generator = torch.Generator().manual_seed(7)
    shapes = (batch, heads, layout.n_q, 5), (batch, heads, layout.n_q)
    dout, dlse = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return Case(inputs, layout, mask, (dout, dlse))


@lru_cache(64)
def grouped(form: Form, size: Size, batch: int, heads: int) -> Case:
    """Two query heads or more share a key head."""
    heads = form.heads if form.heads > 1 else heads
    kv_heads = heads // 2 if heads % 2 == 0 else 1
    return make_case(form, size, max(batch, form.batch), heads, kv_heads)


@lru_cache(64)
def every_head_its_own(form: Form, size: Size, batch: int) -> Case:
    """Each head has a pattern and keys of its own, the form among others."""
    several = form if form.heads > 1 else per_head([form, causal(), ~form])
    return make_case(several, size, max(batch, form.batch), several.heads, several.heads)


def pytorch(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """PyTorch's attention and the lse of its scores; a query that sees nothing gets 0 and -inf."""
    with sdpa_kernel(SDPBackend.MATH):
        out = scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    keys = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = (q @ keys.mT / math.sqrt(q.shape[3])).masked_fill(~mask, -math.inf)
    return out, scores.logsumexp(dim=-1)


@lru_cache(64)
def expected(case: Case) -> Results:
    """What PyTorch computes from the dense mask."""
    return case.results(lambda q, k, v: pytorch(q, k, v, case.mask))


def assert_results(backend: Backend, case: Case, want: Results, **options) -> None:
    """Output, lse and, where the backend has them, gradients."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        return backend.attend(q, k, v, case.layout, **options)

    if backend.gradients:
        torch.testing.assert_close(case.results(attend), want)
    else:
        torch.testing.assert_close(attend(*case.inputs), want[0])


def same_bits(x: Tensor, y: Tensor) -> bool:
    """Equal in every bit: NaN equals itself, and 0 is not -0."""
    return torch.equal(x.contiguous().view(torch.uint8), y.contiguous().view(torch.uint8))


def assert_hidden_keys_change_nothing(backend: Backend, case: Case, key: Tensor) -> None:
    """Queries that may not see the one key of each key head, `key [B, H_kv]`, keep their results bit for bit.

    Their output, lse and gradient, whether k or v is what changes there.
    """
    q, k, v = case.inputs
    sees = at_key(case.mask, key, case)

    def results(k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        if not backend.gradients:
            return backend.attend(q, k, v, case.layout)
        leaf = q.detach().requires_grad_()
        outputs = backend.attend(leaf, k, v, case.layout)
        return *(x.detach() for x in outputs), *torch.autograd.grad(outputs, leaf, case.weights)

    before = results(k, v)
    for after, reached in ((results(replaced(k, key, 1e3), v), 1), (results(k, replaced(v, key, 1e3)), 0)):
        for x, y in zip(before, after, strict=True):
            assert same_bits(x[~sees], y[~sees])
        assert (
            before[reached][sees] != after[reached][sees]
        ).all()  # lse knows the key, the output its value


def at_key(mask: Tensor, key: Tensor, case: Case) -> Tensor:
    """What `mask [B', H', N, M]` says of every query and the one `key [B, H_kv]` of its head: `[B, H, N]`."""
    q, k, _ = case.inputs
    mask = mask.expand(*q.shape[:3], k.shape[2])
    of_head = key.repeat_interleave(q.shape[1] // k.shape[1], dim=1)  # [B, H]
    return mask.gather(3, of_head[:, :, None, None].expand(*q.shape[:3], 1))[..., 0]


def replaced(x: Tensor, token: Tensor, value: float) -> Tensor:
    """x in which one token of each head, `token [B, H]`, is `value`."""
    x = x.clone()
    x[torch.arange(len(token))[:, None], torch.arange(token.shape[1]), token] = value
    return x
