"""The weights of a model are its own, and the numbers about them are what they say."""

import math

import pytest
import torch
from torch import nn

from tsparse import Causal, SlidingWindow
from tsparse.nn import ALiBi, LanguageModel, Rotary, SparseSelfAttention
from tsparse.reading import attention_weights, entropy, kept_mass, other_weights, rollout

TOKENS = torch.randint(11, (2, 9), generator=torch.Generator().manual_seed(0))


def model(position=None, pattern=None, backend="auto", kv_heads=None) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(11, 16, 4, 3, pattern, position, backend=backend, kv_heads=kv_heads).double()


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("position", [None, Rotary(4), ALiBi(4)], ids=str)
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_weights_times_values_are_what_the_layer_computes(position, backend, kv_heads):
    net = model(position, SlidingWindow(4), backend, kv_heads)
    seen = {}
    layer = net.body.layers[1].self_attn
    layer.register_forward_hook(lambda _, inputs, out: seen.update(x=inputs[0], out=out))
    weights = attention_weights(net, TOKENS)
    assert weights.shape == (3, 2, 4, 9, 9)
    _, _, v = layer.project(seen["x"], seen["x"], seen["x"], 0)
    mixed = weights[1] @ v.repeat_interleave(4 // kv_heads, 1)  # [B, H, N, D]
    torch.testing.assert_close(layer.out_proj(mixed.transpose(1, 2).flatten(2)), seen["out"])


def test_weights_follow_the_pattern_and_sum_to_one():
    weights = attention_weights(model(pattern=SlidingWindow(3)), TOKENS)
    assert not weights[..., ~SlidingWindow(3).mask(9)].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 4, 9, dtype=torch.float64))


def test_weights_leave_no_hook_behind_even_when_the_model_raises():
    net = model()
    with pytest.raises(ValueError, match="tokens"):
        attention_weights(net, TOKENS[0])
    assert not any(layer.self_attn._forward_hooks for layer in net.body.layers)


def test_model_without_attention_of_this_package_is_refused():
    with pytest.raises(ValueError, match="runs no SparseSelfAttention"):
        attention_weights(nn.Embedding(11, 4), TOKENS)


def test_layers_of_different_head_counts_are_refused_with_their_shapes():
    net = nn.Sequential(nn.Embedding(11, 8), *(SparseSelfAttention(8, heads, Causal()) for heads in (2, 4)))
    with pytest.raises(ValueError, match=r"\[2, 2, 9, 9\], \[2, 4, 9, 9\]"):
        attention_weights(net, TOKENS)


def test_entropy_is_zero_for_one_key_and_log_m_for_equal_keys():
    sharp, flat = torch.eye(4), torch.full((4, 8), 1 / 8)
    assert entropy(sharp) == 0
    assert entropy(flat).item() == pytest.approx(math.log(8))
    torch.testing.assert_close(entropy(torch.stack([flat, flat])), torch.full((2,), math.log(8)))


def test_rollout_lets_the_first_layer_act_first():
    """Layer 1: token 1 reads token 0. Layer 2: token 2 reads token 1. So token 0 reaches token 2."""
    weights = torch.eye(3).repeat(2, 1, 1, 1)
    weights[0, 0, 1] = torch.tensor([1.0, 0.0, 0.0])
    weights[1, 0, 2] = torch.tensor([0.0, 1.0, 0.0])
    assert rollout(weights)[2].tolist() == [0.25, 0.25, 0.5]
    assert rollout(weights.flip(0))[2].tolist() == [0.0, 0.5, 0.5]


def test_rollout_is_the_derivative_of_layers_that_only_mix_tokens():
    weights = torch.randn(3, 2, 5, 5, dtype=torch.float64).softmax(-1)

    def mixed(x: torch.Tensor) -> torch.Tensor:
        for layer in weights:
            x = (x + layer.mean(0) @ x) / 2
        return x

    x = torch.randn(5, dtype=torch.float64)
    torch.testing.assert_close(rollout(weights), torch.autograd.functional.jacobian(mixed, x))


def test_kept_mass_of_everything_is_one_and_a_row_that_sees_nothing_keeps_nothing():
    weights = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    assert kept_mass(weights, torch.ones(2, 2, dtype=torch.bool)) == 1
    assert kept_mass(weights, torch.tensor([[False, True], [False, False]])) == 0.375


@pytest.mark.parametrize("seed", range(5))
def test_other_weights_give_the_same_output_on_few_keys(seed):
    rng = torch.Generator().manual_seed(seed)
    w = torch.randn(30, generator=rng, dtype=torch.float64).softmax(-1)
    v = torch.randn(30, 6, generator=rng, dtype=torch.float64)
    other = other_weights(w, v)
    assert (other >= 0).all()
    assert other.count_nonzero() <= 7
    torch.testing.assert_close(other @ v, w @ v)
    assert other.sum().item() == pytest.approx(1, abs=1e-12)
    assert (w - other).abs().sum() > 0.5


def test_weights_on_d_plus_1_keys_stay_what_they_are():
    w, v = torch.rand(5, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    assert torch.equal(other_weights(w, v), w)
