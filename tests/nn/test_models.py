"""Stacks and models: PyTorch's weights, a pattern per layer, padding, causality, training."""

import copy
import io
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.nn.weights import randomised, tokens, words
from tsparse import Causal, Full, PerHead, Prefix, SlidingWindow, Strided
from tsparse.nn import (
    ALiBi,
    Classifier,
    Decoder,
    Encoder,
    LanguageModel,
    Rotary,
    Sinusoidal,
    Transformer,
    TransformerLayer,
)

BACKENDS = ["auto", "gather", "reference"]
backends = pytest.mark.parametrize("backend", BACKENDS)
POSITIONS = [None, Sinusoidal(16), Rotary(4), ALiBi(4)]


def models(**arguments) -> list[nn.Module]:
    """One of each that takes a single text."""
    sizes = {"dim": 16, "heads": 4, "depth": 2, "block": 8} | arguments
    return [LanguageModel(11, **sizes), Classifier(11, 3, **sizes)]


@backends
@pytest.mark.parametrize("norm_first", [True, False], ids=["pre-norm", "post-norm"])
def test_encoder_and_decoder_equal_the_transformer_of_pytorch(backend, norm_first) -> None:
    theirs = randomised(nn.Transformer(12, 4, 2, 2, 48, 0, F.gelu, batch_first=True, norm_first=norm_first))
    encoder = Encoder(12, 4, 2, block=8, backend=backend, norm_first=norm_first).double()
    decoder = Decoder(12, 4, 2, block=8, backend=backend, norm_first=norm_first).double()
    encoder.load_state_dict(theirs.encoder.state_dict())
    decoder.load_state_dict(theirs.decoder.state_dict())
    source, target = tokens(2, 13, 12), tokens(2, 9, 12)
    hidden = torch.arange(13) >= torch.tensor([13, 6])[:, None]
    with torch.no_grad():
        want = theirs.decoder(
            target, theirs.encoder(source), tgt_mask=~Causal().mask(9), memory_key_padding_mask=hidden
        )
        got = decoder(target, encoder(source), memory_lengths=[13, 6])
    torch.testing.assert_close(got, want)


@backends
def test_each_layer_follows_its_own_pattern(backend) -> None:
    patterns = [SlidingWindow(3), Causal()]
    stack = randomised(Encoder(12, 4, 2, patterns, 8, backend=backend))
    x = tokens(2, 20, 12)
    with torch.no_grad():
        want = x
        for layer, pattern in zip(stack.layers, patterns, strict=True):
            alone = TransformerLayer(12, 4, pattern, 8, backend="reference").double()
            alone.load_state_dict(layer.state_dict())
            want = alone(want)
        torch.testing.assert_close(stack(x), stack.norm(want))
        swapped = Encoder(12, 4, 2, patterns[::-1], 8, backend=backend).double()
        swapped.load_state_dict(stack.state_dict())
        assert not torch.allclose(swapped(x), stack(x))


@backends
@pytest.mark.parametrize("position", POSITIONS, ids=repr)
def test_future_leaves_the_past_of_a_language_model_bit_identical(backend, position) -> None:
    model = randomised(models(position=position, backend=backend)[0])
    text = words(2, 30)
    changed = text.clone()
    changed[:, 17:] = (changed[:, 17:] + 1) % 11
    with torch.no_grad():
        before, after = model(text), model(changed)
    assert torch.equal(before[:, :17], after[:, :17])
    assert not torch.equal(before[:, 17:], after[:, 17:])


@backends
def test_future_target_leaves_the_past_of_a_transformer_bit_identical(backend) -> None:
    model = randomised(Transformer(11, 11, 16, 4, 2, position=Sinusoidal(16), block=8, backend=backend))
    source, target = words(2, 12), words(2, 20)
    changed, other_source = target.clone(), source.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 11
    other_source[:, -1] = (source[:, -1] + 1) % 11
    with torch.no_grad():
        before, after, elsewhere = model(source, target), model(source, changed), model(other_source, target)
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.equal(before[:, 9:], after[:, 9:])
    assert not torch.isclose(before[:, 0], elsewhere[:, 0]).all()  # the first token sees the whole source


def test_prefix_language_model_looks_ahead_in_its_prefix_only() -> None:
    model = randomised(models(pattern=Causal() | Prefix(4))[0])
    text = words(1, 12)
    changed = text.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 11
    with torch.no_grad():
        assert not torch.equal(model(text)[:, 0], model(changed)[:, 0])


@backends
@pytest.mark.parametrize("position", POSITIONS, ids=repr)
def test_padding_changes_no_score(backend, position) -> None:
    classifier = randomised(models(position=position, backend=backend)[1])
    text = words(2, 13)
    with torch.no_grad():
        got = classifier(text, lengths=[13, 6])
        torch.testing.assert_close(got[:1], classifier(text[:1]))
        torch.testing.assert_close(got[1:], classifier(text[1:, :6]))
        text[1, 6:] = (text[1, 6:] + 1) % 11
        assert torch.equal(classifier(text, lengths=torch.tensor([13, 6])), got)
        assert classifier(text, lengths=[13, 0]).isfinite().all()


@backends
def test_padding_of_source_and_target_changes_no_score(backend) -> None:
    model = randomised(Transformer(11, 7, 16, 4, 2, Full(), Full(), Rotary(4), block=8, backend=backend))
    source, target = words(2, 13), words(2, 9) % 7
    with torch.no_grad():
        got = model(source, target, [13, 6], [9, 5])
        torch.testing.assert_close(got[1:, :5], model(source[1:, :6], target[1:, :5]))
        torch.testing.assert_close(got[:1], model(source[:1], target[:1]))


def test_without_positions_a_classifier_reads_a_set_and_with_them_a_text() -> None:
    text = words(1, 9)
    for position in POSITIONS:
        model = randomised(models(position=position)[1])
        with torch.no_grad():
            assert torch.allclose(model(text), model(text.flip(1))) == (position in (None, POSITIONS[3]))


def test_state_dict_makes_the_round_trip() -> None:
    sizes = {"dim": 16, "heads": 4, "depth": 2, "block": 8}
    words_in, tokens_in = words(2, 9), tokens(2, 9, 16)
    for build, inputs in (
        (lambda: LanguageModel(11, **sizes, position=Rotary(4), kv_heads=2), (words_in,)),
        (lambda: Classifier(11, 3, **sizes, position=Sinusoidal(16)), (words_in,)),
        (lambda: Transformer(11, 7, **sizes, position=ALiBi(4)), (words_in, words_in % 7)),
        (lambda: Encoder(**sizes, pattern=[SlidingWindow(3), Full()], norm_first=False), (tokens_in,)),
        (lambda: Decoder(**sizes, bias=False), (tokens_in, tokens_in)),
    ):
        model, fresh = randomised(build()), build().double()
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file, weights_only=True))
        with torch.no_grad():
            assert torch.equal(fresh(*inputs), model(*inputs))
            assert torch.equal(copy.deepcopy(model)(*inputs), model(*inputs))


def test_language_model_learns_to_repeat() -> None:
    torch.manual_seed(0)
    model = LanguageModel(7, 16, 2, 1, SlidingWindow(4), Rotary(8), backend="reference")
    step = torch.optim.Adam(model.parameters(), 0.02)
    text = torch.tensor([[1, 5, 2, 6, 3] * 4])
    for _ in range(30):
        loss = F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
        step.zero_grad()
        loss.backward()
        step.step()
    assert torch.equal(model(text[:, :-1]).argmax(-1), text[:, 1:])


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Encoder(12, 4, 0), ValueError, "depth must be 1 or more, got 0"),
        (lambda: Encoder(12, 5, 1), ValueError, "dim must be a multiple of heads"),
        (lambda: Encoder(12, 4, 2, [Full()]), ValueError, "one entry for each of 2 layers, got 1"),
        (lambda: Encoder(12, 4, 1, ["causal"]), TypeError, "pattern must be a Pattern, such as Causal()"),
        (
            lambda: Decoder(12, 4, 1, "causal"),
            TypeError,
            "pattern must be a Pattern or a list of them, got str",
        ),
        (lambda: Decoder(12, 4, 1, backend="fast"), ValueError, "backend must be one of"),
        (lambda: LanguageModel(0, 12, 4, 1), ValueError, "vocabulary must be 1 or more, got 0"),
        (lambda: LanguageModel(9, 0, 4, 1), ValueError, "dim must be 1 or more, got 0"),
        (
            lambda: LanguageModel(9, 12, 4, 1, position=Sinusoidal(6)),
            ValueError,
            "position is Sinusoidal(6), but dim is 12",
        ),
        (lambda: LanguageModel(9, 12, 4, 1, position=1), TypeError, "position must be a Rotary"),
        (lambda: LanguageModel(9, 12, 4, 1, dropout=-1), ValueError, "dropout must be 0 to 1, got -1"),
        (lambda: Classifier(9, 0, 12, 4, 1), ValueError, "classes must be 1 or more, got 0"),
        (lambda: Transformer(9, 0, 12, 4, 1), ValueError, "target_vocabulary must be 1 or more, got 0"),
        (lambda: Transformer(2.5, 9, 12, 4, 1), TypeError, "source_vocabulary must be an integer, got 2.5"),
    ],
)
def test_bad_sizes_are_refused_by_name(build, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        build()


@backends
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tokens": tokens(2, 5)}, TypeError, "tokens must be an int32 or int64 tensor, got torch.float64"),
        ({"tokens": [[1, 2]]}, TypeError, "tokens must be an int32 or int64 tensor, got list"),
        ({"tokens": words(5)}, ValueError, "tokens must be [batch, tokens], none of them 0, got [5]"),
        ({"tokens": words(2, 0)}, ValueError, "none of them 0, got [2, 0]"),
        ({"lengths": [5]}, ValueError, "lengths must be 2 numbers, each at most 5, got [5]"),
        ({"lengths": [5, 6]}, ValueError, "lengths must be 2 numbers, each at most 5, got [5, 6]"),
        ({"lengths": [5, -1]}, ValueError, "lengths must be [B], each 0 or more"),
        ({"lengths": [5, 1.5]}, TypeError, "lengths must be integers"),
    ],
)
def test_bad_input_of_models_is_refused_by_name(backend, arguments, error, message) -> None:
    for model in models(backend=backend):
        with pytest.raises(error, match=re.escape(message)), torch.no_grad():
            model(**({"tokens": words(2, 5)} | arguments))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": 3}, TypeError, "x must be a floating point tensor, got int"),
        ({"memory": tokens(2, 4, 8)}, ValueError, "memory must be [batch, tokens, 12]"),
        ({"memory": None}, TypeError, "memory must be a floating point tensor, got NoneType"),
        ({"memory_lengths": [4]}, ValueError, "memory_lengths must be 2 numbers, each at most 4, got [4]"),
        ({"lengths": [4, 4]}, ValueError, "lengths must be 2 numbers, each at most 3, got [4, 4]"),
    ],
)
def test_bad_input_of_a_decoder_is_refused_by_name(arguments, error, message) -> None:
    decoder = Decoder(12, 4, 1).double()
    with pytest.raises(error, match=re.escape(message)), torch.no_grad():
        decoder(**({"x": tokens(2, 3, 12), "memory": tokens(2, 4, 12)} | arguments))


def test_bad_input_of_an_encoder_and_a_transformer_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=re.escape("x must be [batch, tokens, 12]")):
        Encoder(12, 4, 1)(torch.ones(2, 12))
    with pytest.raises(TypeError, match="target must be an int32 or int64 tensor"), torch.no_grad():
        Transformer(9, 9, 12, 4, 1)(words(1, 3) % 9, torch.ones(1, 3))


@pytest.mark.parametrize(
    "pattern",
    [SlidingWindow(5), PerHead([Causal(), SlidingWindow(3)] * 2), Strided(4) & Causal()],
    ids=repr,
)
def test_language_model_trains_on_the_listed_blocks_as_on_the_dense_mask(pattern) -> None:
    text = words(2, 21)
    gradients = []
    for backend in ("auto", "reference"):
        torch.manual_seed(0)
        model = LanguageModel(
            11, dim=16, heads=4, depth=2, block=8, pattern=pattern, backend=backend
        ).double()
        F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for sparse, dense in zip(*gradients, strict=True):
        torch.testing.assert_close(sparse, dense, rtol=0, atol=1e-12)


def test_transformer_trains_on_the_listed_blocks_as_on_the_dense_mask() -> None:
    source, target = words(2, 13), words(2, 9)
    gradients = []
    for backend in ("auto", "reference"):
        torch.manual_seed(0)
        model = Transformer(11, 11, 16, 4, 2, SlidingWindow(5), backend=backend, position=ALiBi(4), block=4)
        scores = model.double()(source, target[:, :-1], [13, 6], [8, 5])
        F.cross_entropy(scores.flatten(0, 1), target[:, 1:].flatten()).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for sparse, dense in zip(*gradients, strict=True):
        torch.testing.assert_close(sparse, dense, rtol=0, atol=1e-12)


def test_pattern_for_another_number_of_heads_is_refused() -> None:
    with pytest.raises(ValueError, match="is for 3 heads, but heads is 4"):
        LanguageModel(11, dim=16, heads=4, depth=2, pattern=PerHead([Causal()] * 3))
