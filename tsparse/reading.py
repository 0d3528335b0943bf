"""Reading attention: the weights of a trained model, and numbers that say what they look at.

Weights are `[..., N, M]`: rows are queries, columns keys, and each row sums to 1, or to 0 where a query sees
nothing. What these numbers say about the model, and what they do not, is lesson 07.

    weights = attention_weights(model, tokens)  # [L, B, H, N, N]
    entropy(weights), kept_mass(weights, SlidingWindow(16).mask(tokens.shape[1]))  # each [L, B, H]
"""

from __future__ import annotations

from functools import partial, reduce

import torch
from torch import Tensor, nn

from . import reference
from .nn import SparseSelfAttention


def attention_weights(model: nn.Module, tokens: Tensor) -> Tensor:
    """The weights `[L, B, H, N, N]` of each self-attention of `model`, in the order in which they run.

    `model` is called with `tokens`. Attention gives its weights away when its values are the identity
    matrix, so they are computed from q and k once more, with positions and pattern. Raises ValueError if the
    model runs no `SparseSelfAttention`, or if layers differ in their numbers of heads.
    """
    kept: list[Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, SparseSelfAttention)]
    hooks = [layer.register_forward_hook(partial(_keep, kept)) for layer in layers]
    try:
        with torch.no_grad():
            model(tokens)
    finally:
        for hook in hooks:
            hook.remove()
    if not kept:
        raise ValueError("model runs no SparseSelfAttention; attention_weights reads those of tsparse.nn")
    if len({one.shape for one in kept}) > 1:
        shapes = [list(one.shape) for one in kept]
        raise ValueError(f"layers must have one number of heads and of tokens, got weights {shapes}")
    return torch.stack(kept)


def entropy(weights: Tensor) -> Tensor:
    """How widely each head looks, `[...]` nats from `weights [..., N, M]`: the mean over queries.

    0 where every query looks at one key, log M where all M keys get the same. A weight of 0 adds nothing.
    """
    return torch.special.entr(weights).sum(-1).mean(-1)


def rollout(weights: Tensor) -> Tensor:
    """How much of each input each output is made of, `[N, N]` from `weights [L, H, N, N]`.

    Each layer is half its mean over heads and half the identity, for what passes by; layer 1 acts first and
    stands rightmost in the product. Values, norms and feed-forward parts are left out: a rough guess.
    Source: Abnar and Zuidema, "Quantifying attention flow in transformers", 2020.
    """
    layers = (weights.mean(1) + torch.eye(weights.shape[-1], dtype=weights.dtype)) / 2
    return reduce(lambda below, layer: layer @ below, layers)


def kept_mass(weights: Tensor, mask: Tensor) -> Tensor:
    """The share of the weight that a pattern would keep, `[...]` from `weights [..., N, M]`.

    `mask` is bool and broadcasts to the weights, True = may attend; the mean over queries.
    """
    return (weights * mask).sum(-1).mean(-1)


def other_weights(weights: Tensor, values: Tensor) -> Tensor:
    """Another row of weights `[M]` with the output of `weights [M]` under `values [M, D]`.

    It is not negative, has the same sum, and uses at most D + 1 keys: the row walks along directions that
    change neither output nor sum, away from where its weight lies, until a weight is 0; that key stays out.
    With at most D + 1 keys in use it is the row itself. Give float64 for a sum and an output that agree to
    many digits.
    """
    out, equations = weights.clone(), torch.cat([values, torch.ones_like(values[:, :1])], 1)  # [M, D + 1]
    while len(used := out.nonzero()[:, 0]) > equations.shape[1]:
        unchanged = torch.linalg.svd(equations[used].T).Vh[equations.shape[1] :]  # [directions, keys]
        step = -unchanged.T @ (unchanged @ out[used])
        reach = torch.where(step < 0, out[used] / -step, torch.inf)  # how far until each weight is 0
        out[used] = (out[used] + reach.min() * step).clamp(min=0)
        out[used[reach.argmin()]] = 0
    return out


def _keep(kept: list[Tensor], layer: SparseSelfAttention, inputs: tuple[Tensor, ...], _: Tensor) -> None:
    """Compute the layer's weights from its input and add them to `kept`."""
    x = inputs[0]
    q, k, _values = layer.project(x, x, x, q_offset=0)
    n = x.shape[1]
    identity = torch.eye(n, dtype=q.dtype, device=q.device).expand(*k.shape[:3], n)
    mask = layer.pattern.mask(n).to(q.device)
    out = reference.attention(q, k, identity, mask, alibi_slopes=layer.slopes(q.device))
    assert isinstance(out, Tensor)  # no lse was asked for
    kept.append(out)
