"""What the layers are made of, and what is drawn for their cases: weights, tokens, padding.

`layer_norm` and `multi_head` are given on the sheet, in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.watch import NO_ATTENTION

Weights = dict[str, Tensor]

NO_LAYER = NO_ATTENTION
"""To write the layer is the exercise: no `nn.Transformer*Layer`, and none of what they call for attention."""


def layer_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Each token of x [B, N, E] with mean 0 and variance 1, then scaled and moved by the norm's weights."""
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])


def multi_head(
    x: Tensor, memory: Tensor, weights: Weights, name: str, heads: int, mask: Tensor | None = None
) -> Tensor:
    """What each token of x [B, N, E] reads in memory [B, M, E], where the mask is True: [B, N, E].

    The mask broadcasts to [B, heads, N, M].
    """
    shares, v = attention_weights(x, memory, weights, name, heads, mask)
    out = (shares @ v).transpose(1, 2).flatten(2)  # [B, N, E]
    return out @ weights[f"{name}.out_proj.weight"].T + weights[f"{name}.out_proj.bias"]


def attention_weights(
    x: Tensor, memory: Tensor, weights: Weights, name: str, heads: int, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The attention weights [B, heads, N, M] and the values [B, heads, M, E / heads]."""

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, heads, N, E / heads]

    to_q, to_k, to_v = weights[f"{name}.in_proj_weight"].chunk(3)
    add_q, add_k, add_v = weights[f"{name}.in_proj_bias"].chunk(3)
    q, k = split(x @ to_q.T + add_q), split(memory @ to_k.T + add_k)
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # [B, heads, N, M]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1), split(memory @ to_v.T + add_v)


def feed_forward(x: Tensor, weights: Weights, activation: Callable[[Tensor], Tensor] = F.gelu) -> Tensor:
    """Each token by itself: wide, activated, narrow."""
    wide = activation(x @ weights["linear1.weight"].T + weights["linear1.bias"])
    return wide @ weights["linear2.weight"].T + weights["linear2.bias"]


def without_biases(x: Tensor, weights: Weights) -> Tensor:
    """The feed-forward part with its two biases forgotten."""
    none = {name: torch.zeros_like(weights[name]) for name in ("linear1.bias", "linear2.bias")}
    return feed_forward(x, weights | none)


def tanh_gelu(x: Tensor) -> Tensor:
    """GELU's approximation."""
    return F.gelu(x, approximate="tanh")


def draw_weights(
    rng: Generator, width: int, wide: int, cross: bool, dtype: torch.dtype = torch.float64
) -> Weights:
    """Weights of a layer under PyTorch's names; biases and norms are drawn too, so that none is 0 or 1.

    With `cross` there is a second attention and a third norm.
    """

    def drawn(*shape: int) -> Tensor:
        return normal(rng, *shape, dtype=dtype) / math.sqrt(shape[-1])

    weights: Weights = {}
    for name in ("self_attn", "multihead_attn")[: 1 + cross]:
        weights |= {
            f"{name}.in_proj_weight": 2 * drawn(3 * width, width),
            f"{name}.in_proj_bias": drawn(3 * width),
            f"{name}.out_proj.weight": drawn(width, width),
            f"{name}.out_proj.bias": drawn(width),
        }
    for name in ("norm1", "norm2", "norm3")[: 2 + cross]:
        weights |= {f"{name}.weight": 1 + drawn(width), f"{name}.bias": drawn(width)}
    return weights | {
        "linear1.weight": drawn(wide, width),
        "linear1.bias": drawn(wide),
        "linear2.weight": drawn(width, wide),
        "linear2.bias": drawn(width),
    }


def draw_padding(rng: Generator, batch: int, length: int) -> Tensor:
    """True for the real tokens [batch, length]: at least one in each row, and fillers in some row."""
    lengths = torch.randint(1, length, (batch, 1), generator=rng)
    return torch.arange(length) < lengths


def over_keys(padding: Tensor | None) -> Tensor | None:
    """Padding [B, M] as a mask [B, 1, 1, M]."""
    return None if padding is None else padding[:, None, None, :]


def padding_axes(name: str, axes: str) -> str:
    """The sentence for padding that is given to `multi_head` without axes for heads and queries."""
    return (
        f"Scores are [B, heads, {axes}], and axes line up from the right, so that the texts of your mask "
        f"meet heads or queries. Give `{name}` two axes of length 1 between the texts and the keys: "
        f"[B, 1, 1, {axes[-1]}]."
    )


def most_on_fillers(
    x: Tensor, memory: Tensor, weights: Weights, name: str, heads: int, padding: Tensor
) -> float:
    """The largest attention weight that a filler gets where padding is ignored."""
    shares, _ = attention_weights(x, memory, weights, name, heads)
    return float((shares * ~padding[:, None, None, :]).max())
