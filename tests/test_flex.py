"""backend="flex": what the reference computes, through FlexAttention. Few runs compile: that is slow."""

import functools
import gc
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests import closed_forms as forms
from tsparse import BlockLayout, Causal, Pattern, SlidingWindow, flex, sparse_attention
from tsparse.runs import UNDECIDED, Grid, Runs

FORMS = [
    (forms.window(6) | forms.first_tokens(3)) & forms.causal(),
    forms.local(4) & ~forms.local(1),
    forms.padding([40, 0, 13]),
    forms.documents([[0] * 20 + [1] * 20, [3, 1] * 20]),
    forms.marked_tokens([[i % 13 == 4 for i in range(forms.N)]]),
    forms.strided(5),
    forms.fixed(8, 3) | forms.dilated(3, 4),
    forms.random_blocks(2, 4, seed=0),
]


class Stacked(Pattern):
    """Batch entries of several patterns, one after the other: all of them in one compiled function."""

    def __init__(self, patterns: list[Pattern]) -> None:
        self.patterns = patterns

    @property
    def batch(self) -> int:
        return sum(pattern.batch for pattern in self.patterns)

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        seen, start = (b < 0) & (q_idx < 0) & (kv_idx < 0), 0
        for pattern in self.patterns:
            own = (b - start).clamp(0, pattern.batch - 1)
            seen = seen | ((b - start == own) & pattern(own, h, q_idx, kv_idx))
            start += pattern.batch
        return seen

    def runs(self, grid: Grid) -> Runs:
        runs = Runs.uniform(UNDECIDED, grid)
        return Runs(*(x.expand(self.batch, -1, -1, -1) for x in (runs.bounds, runs.labels)))


def tensors(batch: int, n_q: int, n_kv: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(n_q)
    shapes = (batch, 4, n_q, 8), (batch, 2, n_kv, 8), (batch, 2, n_kv, 5)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


@functools.cache
def compiled() -> tuple[BlockLayout, list[torch.Tensor], dict[str, object]]:
    """Compiled once: ragged, an offset, grouped heads, a cap and slopes. All patterns: test_matrix.py."""
    stacked = Stacked([form.pattern for form in FORMS])
    slopes = torch.rand(stacked.batch, 4, generator=torch.Generator().manual_seed(1))
    options = {"scale": 0.9, "softcap": 1.5, "alibi_slopes": slopes}
    return stacked.layout(37, 39, block=(8, 16), q_offset=3), tensors(stacked.batch, 37, 39), options


def test_compiled_flex_attention_equals_the_reference() -> None:
    layout, (q, k, v), options = compiled()
    assert not layout.dense_mask().any(dim=-1).all()  # some queries see nothing
    out = sparse_attention(q, k, v, layout, **options, backend="flex")
    torch.testing.assert_close(out, sparse_attention(q, k, v, layout, **options, backend="reference"))


@pytest.mark.parametrize("value", [1000.0, math.nan, math.inf])
def test_hidden_key_changes_no_bit_of_what_compiled_flex_attention_computes(value: float) -> None:
    layout, (q, k, v), options = compiled()
    sees = layout.dense_mask()[:, 0, :, 11]  # [B, N]
    changed = k.index_fill(2, torch.tensor([11]), value)
    before, after = (
        sparse_attention(q, keys, v, layout, **options, backend="flex").transpose(1, 2)  # [B, N, H, Dv]
        for keys in (k, changed)
    )
    assert torch.equal(after[~sees], before[~sees])
    assert not torch.equal(after[sees], before[sees])


def test_compiled_flex_attention_reads_masks_of_batches_and_heads_from_tables() -> None:
    mask = torch.rand(2, 4, 21, 50, generator=torch.Generator().manual_seed(0)) < 0.1
    mask[0, 1, 4:9] = mask[1, 3] = False
    layout = BlockLayout.from_dense(mask, (4, 8))
    q, k, v = tensors(2, 21, 50, torch.bfloat16)
    with torch.no_grad():
        out = sparse_attention(q.requires_grad_(), k, v, layout, backend="flex")
    assert out.dtype == torch.bfloat16
    assert not out[1, 3].any()
    want = sparse_attention(q.detach().double(), k.double(), v.double(), layout)
    torch.testing.assert_close(out.double(), want, atol=0.03, rtol=0.02)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention is traced for each layout but not compiled, which would take seconds."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))


@pytest.mark.usefixtures("traced")
def test_every_one_of_many_layouts_has_its_own_function() -> None:
    q, k, v = tensors(1, 16, 16)
    layouts = [SlidingWindow(width).layout(16, block=4) for width in range(1, 13)]
    for layout in layouts:
        out = sparse_attention(q, k, v, layout, backend="flex")
        torch.testing.assert_close(out, sparse_attention(q, k, v, layout, backend="reference"))


@pytest.mark.usefixtures("traced")
def test_function_of_a_layout_is_made_once_and_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    compile_one = flex._compile
    monkeypatch.setattr(flex, "_compile", lambda *args: made.append(args[1:]) or compile_one(*args))
    q, k, v = tensors(1, 16, 16)
    layout = Causal().layout(16, block=4)
    for scale in (0.5, 0.5, 0.25):
        out = sparse_attention(q, k, v, layout, scale=scale, backend="flex")
        want = sparse_attention(q, k, v, layout, scale=scale, backend="reference")
        torch.testing.assert_close(out, want)
    assert made == [(0.5, None, False), (0.25, None, False)]
    before = len(flex._compiled)
    del layout
    gc.collect()
    assert len(flex._compiled) == before - 1


@pytest.mark.parametrize(
    ("dtype", "grad", "lse", "message"),
    [
        (torch.float32, True, False, 'no backward pass on a CPU: use backend="gather" or "reference"'),
        (torch.float32, False, True, "gives no lse on a CPU"),
        (torch.float64, False, False, "no float64 on a CPU"),
    ],
)
def test_what_flex_attention_cannot_do_on_a_cpu_is_refused(
    dtype: torch.dtype, grad: bool, lse: bool, message: str
) -> None:
    q, k, v = tensors(1, 6, 6, dtype)
    with pytest.raises(NotImplementedError, match=message):
        sparse_attention(q, k.requires_grad_(grad), v, Causal().layout(6), return_lse=lse, backend="flex")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows looks for its compiler elsewhere")
def test_missing_compiler_is_named(tmp_path: Path) -> None:
    code = """
import torch
from tsparse import Causal, sparse_attention
q = torch.ones(1, 1, 6, 8)
sparse_attention(q, q, q, Causal().layout(6), backend="flex")
"""
    environment = os.environ | {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert 'RuntimeError: backend="flex" on a CPU compiles C++, and no C++ compiler' in done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_flex_attention_trains_on_a_gpu() -> None:
    layout = (SlidingWindow(100) & ~SlidingWindow(3)).layout(300, block=128, device="cuda")
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, 300, 64, generator=generator).cuda() for heads in (4, 2, 2))
    found = {}
    for backend in ("flex", "reference"):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        slopes = torch.tensor([0.5, 0.25, 0.0, 0.1], device="cuda")
        out, lse = sparse_attention(
            *inputs, layout, alibi_slopes=slopes, softcap=5.0, return_lse=True, backend=backend
        )
        found[backend] = (out, lse, *torch.autograd.grad(out.square().sum(), inputs))
    for mine, want in zip(found["flex"], found["reference"], strict=True):
        torch.testing.assert_close(mine, want, atol=5e-3, rtol=5e-3)
