"""The peers compute what the bench says they compute."""

import importlib.util
import math
import sys

import pytest
import torch
import torch.nn.functional as F

from tsparse import Local
from tsparse.bench import peers
from tsparse.bench.apart import inputs, layout_subject
from tsparse.bench.racing import NotMeasured
from tsparse.bench.subjects import Subject, global_window, random_window, window

N, HEADS, DIM, BLOCK = 512, 2, 16, 32
SUBJECTS = [
    window(N, 100),
    global_window(N, 48, 3),
    random_window(N, BLOCK),
    layout_subject("window", N, BLOCK),
]

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed: pip install -e '.[bench]'",
)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.title)
def test_mask_mod_of_the_bench_is_the_pattern(subject: Subject) -> None:
    assert torch.equal(
        peers.dense_mask(subject.mask_mod, N), subject.pattern.layout(N, block=BLOCK).dense_mask()
    )


@pytest.mark.parametrize("causal", [True, False])
def test_dense_peer_sees_every_earlier_key_or_every_key(causal: bool) -> None:
    q, k, v = inputs(N, HEADS, DIM)
    mask = torch.ones(N, N, dtype=torch.bool)
    want = F.scaled_dot_product_attention(q, k, v, mask.tril() if causal else mask)
    torch.testing.assert_close(peers.dense(causal)(q, k, v), want)


def test_inputs_are_the_same_every_time() -> None:
    assert all(map(torch.equal, inputs(8, 1, 2), inputs(8, 1, 2)))


def test_ours_and_masked_sdpa_have_the_same_gradients() -> None:
    subject = SUBJECTS[0]
    q, k, v = (x.requires_grad_() for x in inputs(N, HEADS, DIM))
    dout = torch.ones_like(q)
    ours = peers.gradients(peers.ours(subject.pattern.layout(N, block=BLOCK)), q, k, v, dout)
    masked = peers.gradients(peers.masked(peers.dense_mask(subject.mask_mod, N)), q, k, v, dout)
    torch.testing.assert_close(ours, masked)


def test_flex_without_a_compiler_is_a_reason_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*args: object, **options: object) -> torch.Tensor:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", lambda function, **options: no_compiler)
    with pytest.raises(NotMeasured, match="install g"):
        peers.flex(SUBJECTS[0].mask_mod, N, BLOCK)(*inputs(N, HEADS, DIM))


def test_missing_transformers_is_told_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in [name for name in sys.modules if name.startswith("transformers.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(NotMeasured, match=r"pip install -e '\.\[bench\]'"):
        peers.longformer_module(HEADS * DIM, HEADS, 32, torch.zeros(1, N, HEADS * DIM))


@needs_transformers
def test_longformer_module_equals_ours_between_its_projections() -> None:
    x = torch.randn(1, N, HEADS * DIM, generator=torch.Generator().manual_seed(0))
    module, call = peers.longformer_module(HEADS * DIM, HEADS, 32, x)
    ours = peers.between_projections(module, Local(32).layout(N, block=BLOCK), HEADS, x)
    torch.testing.assert_close(ours(), call())


@needs_transformers
def test_bigbird_module_takes_block_0_in_place_of_its_random_blocks() -> None:
    """What the bench says about it: block 0 weighs 1 + 3 times, but for the rows of the global blocks."""
    x = torch.randn(1, N, HEADS * DIM, generator=torch.Generator().manual_seed(0))
    module, call = peers.bigbird_module(HEADS * DIM, HEADS, BLOCK, 3, x)
    q, k, v = (
        project(x).unflatten(2, (HEADS, -1)).transpose(1, 2)
        for project in (module.query, module.key, module.value)
    )
    block = torch.arange(N) // BLOCK
    i, j, last = block[:, None], block, N // BLOCK - 1
    seen = ((i - j).abs() <= 1) | (i == 0) | (j == 0) | (i == last) | (j == last)
    bias = torch.where(seen, 0.0, -math.inf)
    bias[(i > 0) & (i < last) & (j == 0)] = math.log(1 + 3)
    want = F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2)
    torch.testing.assert_close(call(), want, atol=1e-5, rtol=1e-5)
