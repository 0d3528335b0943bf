"""Dense attention in plain PyTorch: what every other implementation must equal.

    score = softcap * tanh(scale * q.k / softcap) - slope * |q_position - k_position|
    out   = softmax(score) v

It makes the N x M scores. Written to be read and trusted, not to be fast; autograd goes through it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .arguments import check_attention, whole


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    softcap: float | None = None,
    q_offset: int = 0,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention of `q [B, H, N, D]` to `k [B, H_kv, M, D]`, `v [B, H_kv, M, Dv]`.

    H must be a multiple of H_kv (grouped-query attention). `mask` is bool, broadcastable to `[B, H, N, M]`,
    True = may attend. `scale` defaults to 1/sqrt(D). `softcap` bounds scores, `alibi_slopes` (`[H]` or
    `[B, H]`, constants) lowers them with distance; query i stands at position `q_offset + i`.

    Returns the output `[B, H, N, Dv]` in the dtype of q and, with `return_lse`, the natural logarithm of the
    sum of exponentials of each query's scores `[B, H, N]`, at least float32. The softmax is computed in at
    least float32. A query that may see nothing gets output 0, lse -inf and zero gradients. NaN in a key
    reaches only the queries that see it; NaN in a value reaches every query, since 0 * NaN = NaN.

    Raises TypeError or ValueError naming the argument that does not fit.
    """
    scale = check_attention(q, k, v, scale, alibi_slopes, softcap)
    whole("q_offset", q_offset, least=0)
    shape = (*q.shape[:3], k.shape[2])  # [B, H, N, M]
    if mask is not None:
        check_mask(mask, shape)

    work = torch.promote_types(q.dtype, torch.float32)
    group = q.shape[1] // k.shape[1]
    keys, values = (x.to(work).repeat_interleave(group, dim=1) for x in (k, v))  # [B, H, M, D]
    scores = q.to(work) @ keys.mT * scale  # [B, H, N, M]
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if alibi_slopes is not None:
        positions = torch.arange(shape[2], device=q.device) + q_offset
        distance = (positions[:, None] - torch.arange(shape[3], device=q.device)).abs()
        scores = scores - alibi_slopes.to(work)[..., None, None] * distance
    if mask is None:
        mask = torch.ones((), dtype=torch.bool, device=q.device)
    nothing = ~mask.expand(shape).any(dim=-1, keepdim=True)  # [B, H, N, 1]
    scores = scores.masked_fill(~mask, -math.inf).masked_fill(nothing, 0.0)  # a row of -inf would become NaN
    out = torch.softmax(scores, dim=-1).masked_fill(nothing, 0.0) @ values
    if not return_lse:
        return out.to(q.dtype)
    return out.to(q.dtype), scores.logsumexp(dim=-1).masked_fill(nothing[..., 0], -math.inf)


def check_mask(mask: Tensor, shape: tuple[int, ...]) -> None:
    """TypeError or ValueError if `mask` is not boolean or does not broadcast to `shape`."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"mask must be a bool tensor, True = may attend, got {got}")
    fits = mask.ndim <= 4 and all(m in (1, s) for m, s in zip(mask.shape[::-1], shape[::-1], strict=False))
    if not fits:
        raise ValueError(f"mask must broadcast to [B, H, N, M] = {list(shape)}, got {list(mask.shape)}")
