"""TransformerLayer, against the encoder layer and the decoder layer of PyTorch with their weights."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.nn.weights import randomised, tokens
from tsparse import Causal, Full, Padding, SlidingWindow
from tsparse.nn import TransformerLayer

BACKENDS = ["auto", "gather", "reference"]
norm_first = pytest.mark.parametrize("norm_first", [True, False], ids=["pre-norm", "post-norm"])
backends = pytest.mark.parametrize("backend", BACKENDS)
LENGTHS = torch.tensor([13, 6])


@norm_first
@backends
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_layer_equals_the_encoder_layer_of_pytorch(norm_first, backend, bias) -> None:
    theirs = randomised(
        nn.TransformerEncoderLayer(12, 4, 20, batch_first=True, norm_first=norm_first, bias=bias)
    )
    ours = TransformerLayer(
        12,
        4,
        SlidingWindow(5),
        8,
        bias=bias,
        backend=backend,
        norm_first=norm_first,
        feed_forward=20,
        activation=F.relu,
    ).double()
    ours.load_state_dict(theirs.state_dict())
    x = tokens(2, 13, 12)
    with torch.no_grad():
        want = theirs(x, src_mask=~SlidingWindow(5).mask(13))
        torch.testing.assert_close(ours(x), want)


@backends
def test_padding_equals_that_of_the_encoder_layer_of_pytorch(backend) -> None:
    theirs = randomised(nn.TransformerEncoderLayer(12, 4, 48, activation="gelu", batch_first=True)).train()
    theirs.dropout1.p = theirs.dropout2.p = theirs.dropout.p = theirs.self_attn.dropout = 0.0
    ours = TransformerLayer(12, 4, Full(), 8, backend=backend, norm_first=False).double()
    ours.load_state_dict(theirs.state_dict())
    x = tokens(2, 13, 12)
    hidden = torch.arange(13) >= LENGTHS[:, None]
    with torch.no_grad():
        want = theirs(x, src_key_padding_mask=hidden)
        torch.testing.assert_close(ours(x, padding=Padding(LENGTHS)), want)


@norm_first
@backends
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_layer_equals_the_decoder_layer_of_pytorch(norm_first, backend, bias) -> None:
    theirs = randomised(
        nn.TransformerDecoderLayer(12, 4, 48, 0, F.gelu, batch_first=True, norm_first=norm_first, bias=bias)
    )
    ours = TransformerLayer(
        12, 4, Causal(), 8, bias=bias, backend=backend, cross_attention=True, norm_first=norm_first
    ).double()
    assert (ours.multihead_attn.backend == "reference") == (backend == "reference")
    ours.load_state_dict(theirs.state_dict())
    x, memory = tokens(2, 9, 12), tokens(2, 13, 12)
    real = torch.arange(13) < LENGTHS[:, None]
    with torch.no_grad():
        want = theirs(x, memory, tgt_mask=~Causal().mask(9), memory_key_padding_mask=~real)
        torch.testing.assert_close(ours(x, memory, memory_mask=real[:, None, None]), want)


@norm_first
def test_gradients_equal_those_of_pytorch(norm_first) -> None:
    theirs = randomised(
        nn.TransformerDecoderLayer(12, 4, 48, 0, F.gelu, batch_first=True, norm_first=norm_first)
    )
    ours = TransformerLayer(
        12, 4, Causal(), backend="reference", cross_attention=True, norm_first=norm_first
    ).double()
    ours.load_state_dict(theirs.state_dict())
    x, memory = tokens(2, 9, 12), tokens(2, 13, 12)
    (ours(x, memory) ** 2).sum().backward()
    (theirs(x, memory, tgt_mask=~Causal().mask(9)) ** 2).sum().backward()
    want = {name: weight.grad for name, weight in theirs.named_parameters()}
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, want[name], msg=name)


def test_dropout_acts_in_training_only() -> None:
    layer = TransformerLayer(12, 4, Full(), backend="reference", dropout=0.5)
    x = torch.ones(1, 5, 12)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dim": 10}, ValueError, "dim must be a multiple of heads, got dim=10 and heads=4"),
        ({"pattern": None}, TypeError, "pattern must be a Pattern, such as Causal(), got NoneType"),
        ({"feed_forward": 0}, ValueError, "feed_forward must be 1 or more, got 0"),
        ({"activation": "gelu"}, TypeError, "activation must be a function such as F.gelu, got 'gelu'"),
        ({"dropout": 1.5}, ValueError, "dropout must be 0 to 1, got 1.5"),
        ({"dropout": "0.1"}, TypeError, "dropout must be a number, got '0.1'"),
    ],
)
def test_bad_sizes_are_refused_by_name(arguments, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        TransformerLayer(**({"dim": 12, "heads": 4, "pattern": Full()} | arguments))


@pytest.mark.parametrize(
    ("cross_attention", "arguments", "error", "message"),
    [
        (False, {"x": tokens(2, 5, 8)}, ValueError, "x must be [batch, tokens, 12]"),
        (True, {}, ValueError, "memory is missing: cross-attention reads it"),
        (False, {"memory_mask": torch.ones(5, 5) > 0}, ValueError, "memory is missing"),
        (False, {"memory": tokens(2, 5, 12)}, ValueError, "build with cross_attention=True"),
        (True, {"memory": tokens(2, 5, 8)}, ValueError, "memory must be [batch, tokens, 12]"),
        (True, {"memory": tokens(3, 5, 12)}, ValueError, "query, key and value must share B"),
        (True, {"memory": tokens(2, 5, 12), "memory_mask": torch.ones(5, 5)}, TypeError, "must be a bool"),
    ],
)
def test_bad_input_is_refused_by_name(cross_attention, arguments, error, message) -> None:
    layer = TransformerLayer(12, 4, Full(), cross_attention=cross_attention).double()
    with pytest.raises(error, match=re.escape(message)), torch.no_grad():
        layer(**({"x": tokens(2, 5, 12)} | arguments))
