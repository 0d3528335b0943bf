"""Multi-head attention in five steps, which its wrong answers can change one by one."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from tsparse.grade.exercises.attention.sdpa import attention
from tsparse.grade.exercises.heads.merge import merge
from tsparse.grade.exercises.heads.split import split

Weights = dict[str, Tensor]
Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
IN, IN_BIAS, OUT, OUT_BIAS = "in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"


def multi_head(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    """Reference: what `nn.MultiheadAttention` computes; a query that sees nothing gets `out_proj.bias`."""
    return computed(x, weights, heads, mask, split, attention, merge)


def computed(
    x: Tensor,
    weights: Weights,
    heads: int,
    mask: Tensor | None,
    split: Callable[[Tensor, int], Tensor],
    attention: Attention,
    merge: Callable[[Tensor], Tensor],
) -> Tensor:
    """The five steps, with ways to split, attend and merge."""
    projected = F.linear(x, weights[IN], weights[IN_BIAS]).chunk(3, dim=2)  # q, k, v, each [B, N, E]
    q, k, v = (split(part, heads) for part in projected)  # [B, H, N, D]
    return F.linear(merge(attention(q, k, v, mask)), weights[OUT], weights[OUT_BIAS])
