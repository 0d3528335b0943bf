"""Half precision, autocast and devices: what modules compute there, beside float32."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.nn.weights import randomised, tokens, words
from tsparse import Causal, SlidingWindow
from tsparse.nn import (
    ALiBi,
    Classifier,
    LanguageModel,
    MultiHeadAttention,
    Rotary,
    Sinusoidal,
    SparseSelfAttention,
    Transformer,
    rotary,
    sinusoidal,
)

MODELS = {
    "rotary language model": lambda backend: (
        LanguageModel(11, 16, 4, 2, SlidingWindow(7), Rotary(4), 8, kv_heads=2, backend=backend),
        (words(2, 21),),
    ),
    "ALiBi language model": lambda backend: (
        LanguageModel(11, 16, 4, 2, Causal(), ALiBi(4), 8, backend=backend),
        (words(2, 21),),
    ),
    "classifier": lambda backend: (
        Classifier(11, 3, 16, 4, 2, SlidingWindow(7), Sinusoidal(16), 8, backend=backend),
        (words(2, 21), [21, 6]),
    ),
    "transformer": lambda backend: (
        Transformer(11, 11, 16, 4, 1, position=ALiBi(4), block=8, backend=backend),
        (words(2, 21), words(2, 13), [21, 6], [13, 9]),
    ),
}
models = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
backends = pytest.mark.parametrize("backend", ["auto", "reference"])
Build = Callable[[str], tuple[nn.Module, tuple]]


def outputs_and_gradients(model: nn.Module, inputs: tuple) -> tuple[Tensor, list[Tensor]]:
    out = model(*inputs)
    return out, list(torch.autograd.grad(out.float().square().mean(), list(model.parameters())))


def is_close(got: Tensor, want: Tensor) -> bool:
    """Within 4% of the size of what is wanted: bfloat16 has 8 bits, and the layers add up their errors."""
    return bool((got.float() - want).norm() <= 0.04 * want.norm())


@models
@backends
def test_model_under_autocast_computes_and_trains_in_bfloat16(build: Build, backend: str) -> None:
    torch.manual_seed(0)
    model, inputs = build(backend)
    want, of_want = outputs_and_gradients(model, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, of_got = outputs_and_gradients(model, inputs)
    assert got.dtype == torch.bfloat16
    assert is_close(got, want)
    assert not torch.equal(got.float(), want)
    assert all(gradient.dtype == torch.float32 for gradient in of_got)
    assert is_close(nn.utils.parameters_to_vector(of_got), nn.utils.parameters_to_vector(of_want))


@models
@backends
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_model_cast_to_half_precision_computes_and_trains(
    build: Build, backend: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    model, inputs = build(backend)
    model.to(dtype).float()  # the weights that both have
    want, of_want = outputs_and_gradients(model, inputs)
    got, of_got = outputs_and_gradients(model.to(dtype), inputs)
    assert got.dtype == dtype
    assert is_close(got, want)
    got_all, want_all = (torch.cat([g.flatten().float() for g in of]) for of in (of_got, of_want))
    assert is_close(got_all, want_all)


@pytest.mark.parametrize("mask", [None, Causal().mask(9)], ids=["dense", "masked"])
@pytest.mark.parametrize("position", [None, Rotary(4), ALiBi(2)], ids=repr)
def test_multi_head_attention_without_a_layout_follows_autocast(
    position: nn.Module | None, mask: Tensor | None
) -> None:
    module = MultiHeadAttention(8, 2, position=position)
    x = tokens(2, 9, 8).float()
    want = module(x, mask=mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = module(x, mask=mask)
    assert got.dtype == torch.bfloat16
    assert is_close(got, want)


@backends
def test_autocast_leaves_float64_alone(backend: str) -> None:
    module = randomised(SparseSelfAttention(8, 2, SlidingWindow(4), 4, position=ALiBi(2), backend=backend))
    x = tokens(2, 9, 8)
    want = module(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(x), want)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_rounds_what_is_turned_or_added_and_not_its_angles(dtype: torch.dtype) -> None:
    x, places = tokens(1, 2, 3, 8).to(dtype), torch.tensor([5, 1_000_003, 70_001])
    assert torch.equal(rotary(x, places), rotary(x.float(), places).to(dtype))
    flat = torch.zeros(1, 3, 8, dtype=dtype)
    assert torch.equal(Sinusoidal(8)(flat, offset=1_000_003)[0], sinusoidal(3, 8, offset=1_000_003).to(dtype))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@models
@backends
def test_model_on_a_gpu_equals_that_on_the_cpu(build: Build, backend: str) -> None:
    torch.manual_seed(0)
    model, inputs = build(backend)
    want, of_want = outputs_and_gradients(model, inputs)
    moved = tuple(x.cuda() if isinstance(x, Tensor) else x for x in inputs)
    got, of_got = outputs_and_gradients(model.cuda(), moved)
    assert got.is_cuda
    torch.testing.assert_close(got.cpu(), want, rtol=0, atol=1e-4)
    torch.testing.assert_close([g.cpu() for g in of_got], of_want, rtol=0, atol=1e-4)
