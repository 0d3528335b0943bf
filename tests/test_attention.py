"""`sparse_attention` at its door, and `import tsparse`."""

import os
import re
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

import tsparse
from tsparse import Causal, Full, Padding, PerHead, SlidingWindow, Strided, sparse_attention


def tensors(n_q: int = 6, n_kv: int = 6, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 4, n_q, 8), (2, 2, n_kv, 8), (2, 2, n_kv, 8)
    return tuple(torch.randn(shape, generator=generator).to(dtype) for shape in shapes)


@pytest.mark.parametrize("backend", ["auto", "gather", "reference"])
def test_every_backend_computes_masked_attention(backend) -> None:
    q, k, v = tensors()
    want = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(sparse_attention(q, k, v, Causal().layout(6, block=4), backend=backend), want)


def test_reference_backend_trains() -> None:
    q, k, v = (x.requires_grad_() for x in tensors())
    sparse_attention(q, k, v, Causal().layout(6), backend="reference").sum().backward()
    assert q.grad is not None


@pytest.mark.parametrize("backend", ["gather", "reference"])
def test_last_query_of_a_decoder_sees_everything(backend) -> None:
    q, k, v = tensors(n_q=1, n_kv=7)
    layout = Causal().layout(1, 7, q_offset=6, block=4)
    want = scaled_dot_product_attention(q, k, v, enable_gqa=True)
    torch.testing.assert_close(sparse_attention(q, k, v, layout, backend=backend), want)


@pytest.mark.parametrize("backend", ["gather", "reference"])
def test_autocast_casts_as_pytorch_attention_does(backend) -> None:
    q, k, v = tensors()
    layout = Causal().layout(6, block=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, lse = sparse_attention(q, k, v.bfloat16(), layout, return_lse=True, backend=backend)
        assert out.dtype == scaled_dot_product_attention(q, k, v, enable_gqa=True).dtype == torch.bfloat16
    half = sparse_attention(
        q.bfloat16(), k.bfloat16(), v.bfloat16(), layout, return_lse=True, backend=backend
    )
    assert lse.dtype == torch.float32
    assert torch.equal(out, half[0])
    assert torch.equal(lse, half[1])


def test_autocast_leaves_float64_alone() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert sparse_attention(*tensors(dtype=torch.float64), Causal().layout(6)).dtype == torch.float64


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"layout": Causal()}, TypeError, "got the pattern Causal(); call pattern.layout(6)"),
        (
            {"layout": torch.ones(6, 6)},
            TypeError,
            "layout must be a BlockLayout, made by pattern.layout(n), got Tensor",
        ),
        (
            {"layout": Causal().layout(8)},
            ValueError,
            "layout is for 8 queries and 8 keys, but q has 6 and k has 6",
        ),
        ({"layout": Causal().layout(6, 7)}, ValueError, "make one with pattern.layout(6, 6)"),
        ({"layout": Padding([1, 2, 3]).layout(6)}, ValueError, "layout is for 3 batch entries, but q has 2"),
        ({"layout": Causal().layout(6).to("meta")}, ValueError, "use layout.to('cpu')"),
        (
            {"backend": "cuda"},
            ValueError,
            """backend must be "auto", "reference", "gather", "flex" or "triton", got 'cuda'""",
        ),
        ({"backend": None}, ValueError, "backend must be"),
        ({"q": torch.zeros(2, 3, 6, 8)}, ValueError, "q has 3 heads, which is not a multiple of the 2"),
        ({"q": None}, TypeError, "q must be a tensor, got NoneType"),
        ({"k": torch.zeros(2, 2, 6, 8).double()}, TypeError, "q, k and v must have one dtype"),
        ({"v": torch.zeros(2, 2, 6, 8).int()}, TypeError, "v must be float16, bfloat16, float32 or float64"),
        ({"q": torch.zeros(2, 4, 0, 8)}, ValueError, "none of them 0"),
        ({"scale": -1.0}, ValueError, "scale must be above 0"),
        ({"softcap": 0}, ValueError, "softcap must be above 0"),
        ({"alibi_slopes": torch.zeros(2)}, ValueError, "alibi_slopes must be [4] or [2, 4]"),
        ({"alibi_slopes": torch.zeros(4, requires_grad=True)}, ValueError, "alibi_slopes.detach()"),
    ],
)
def test_bad_argument_is_named(changed: dict[str, object], error: type[Exception], message: str) -> None:
    q, k, v = tensors()
    with pytest.raises(error, match=re.escape(message)):
        sparse_attention(**{"q": q, "k": k, "v": v, "layout": Causal().layout(6), **changed})


def test_layout_for_another_number_of_heads_is_refused() -> None:
    layout = PerHead([Causal(), SlidingWindow(2), Full()]).layout(6)
    with pytest.raises(ValueError, match="layout is for 3 heads, but q has 4"):
        sparse_attention(*tensors(), layout)


def in_a_fresh_process(code: str, **environment: str) -> str:
    """What the code prints; TRITON_INTERPRET is unset unless given."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**inherited, **environment},
    )
    return done.stdout.strip()


def test_import_works_without_triton_and_matplotlib() -> None:
    code = """
import sys
sys.modules["triton"] = sys.modules["matplotlib"] = None
import torch, tsparse
q = torch.randn(1, 1, 4, 8)
print(tuple(tsparse.sparse_attention(q, q, q, tsparse.Causal().layout(4)).shape))
"""
    assert in_a_fresh_process(code) == "(1, 1, 4, 8)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU kernels are compiled, not interpreted")
def test_import_switches_the_interpreter_on_where_there_is_no_gpu() -> None:
    assert in_a_fresh_process("import os, tsparse; print(os.environ['TRITON_INTERPRET'])") == "1"


def test_import_respects_the_interpreter_switch_and_touches_no_gpu() -> None:
    code = "import os, tsparse, torch; print(os.environ['TRITON_INTERPRET'], torch.cuda.is_initialized())"
    assert in_a_fresh_process(code, TRITON_INTERPRET="0") == "0 False"


def test_all_public_names_are_there() -> None:
    assert all(hasattr(tsparse, name) for name in tsparse.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = tsparse.no_such_name


def test_every_head_has_its_own_pattern() -> None:
    q, k, v = tensors(n_q=21, n_kv=21, dtype=torch.float64)
    pattern = PerHead([Causal(), Strided(4), SlidingWindow(3), ~Causal()]) & Padding([21, 13])
    layout = pattern.layout(21, block=(4, 8), heads=4)
    assert (layout.batch, layout.heads) == (2, 4)
    out = sparse_attention(q, k, v, layout, backend="gather")
    query, key = torch.arange(21)[:, None], torch.arange(21)
    near = (key <= query) & (query - key < 3)
    heads = torch.stack([key <= query, (query - key) % 4 == 0, near, key > query])
    mask = heads & (key < torch.tensor([21, 13])[:, None, None, None])
    want = scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(out, want.nan_to_num(0.0))
