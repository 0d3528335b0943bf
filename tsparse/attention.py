"""`sparse_attention`: checks its input and hands it to one implementation, never silently to another."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention.flex_attention import BlockMask

from . import flex, gather, reference
from .arguments import check_attention
from .kernels import op
from .layout import BlockLayout
from .patterns import Pattern

Backend = Literal["auto", "reference", "gather", "flex", "triton"]


def sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: BlockLayout,
    scale: float | None = None,
    alibi_slopes: Tensor | None = None,
    softcap: float | None = None,
    return_lse: bool = False,
    backend: Backend = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention of `q [B, H, N, D]` to `k [B, H_kv, M, D]`, `v [B, H_kv, M, Dv]` where `layout` allows it.

    H must be a multiple of H_kv (grouped-query attention). `layout` is made by `pattern.layout(N, M)`; its
    batch and head dimensions are 1 or B and H. `scale` defaults to 1/sqrt(D). The score of query q and key k

        softcap * tanh(scale * q.k / softcap) - slope * |q_position - k_position|

    is capped where `softcap` is given and lowered with distance where `alibi_slopes` are (`[H]` or `[B, H]`,
    constants). Query i stands at position `layout.q_offset + i`, key j at j, whatever the layout's own order:
    q, k and v are permuted for a layout with a `permutation`, and what is returned is restored.

    `backend="triton"` are the kernels of `tsparse.kernels`, compiled on a GPU and interpreted on a CPU (slow,
    and not bfloat16). `"gather"` is plain PyTorch that visits the listed blocks only, `"reference"` dense
    attention with the layout's mask (memory N x M), `"flex"` PyTorch's FlexAttention, compiled on the first
    call with a layout (on a CPU: no gradients, lse or float64). `"auto"` is triton on a GPU and gather on a
    CPU. All have gradients to q, k and v, but for flex on a CPU; gradients of gradients, forward-mode
    derivatives (`jvp`) and `torch.vmap` are the reference's alone, and refused by the others.

    Returns the output `[B, H, N, Dv]` in the dtype of q and, with `return_lse`, the natural logarithm of the
    sum of exponentials of each query's scores `[B, H, N]`, at least float32. A query that may see nothing
    gets output 0, lse -inf and zero gradients. NaN in q or k reaches the outputs of the queries that see it
    and no others; NaN in v may reach every query whose visited blocks hold it (with "reference" every query).
    Under autocast q, k and v are cast as PyTorch's own attention casts them.

    Raises TypeError or ValueError naming the argument that does not fit, also where only the named backend
    cannot take it, NotImplementedError for what FlexAttention lacks on a CPU, and RuntimeError where what a
    backend needs is missing, a compiler or Triton.
    """
    q, k, v = (_autocast(x) for x in (q, k, v))
    scale = check_attention(q, k, v, scale, alibi_slopes, softcap)
    _check_layout(layout, q, k)
    if backend == "auto":
        backend = "triton" if q.is_cuda else "gather"
    if backend not in ("reference", "gather", "flex", "triton"):
        raise ValueError(
            f'backend must be "auto", "reference", "gather", "flex" or "triton", got {backend!r}'
        )
    if backend != "reference":
        _refuse_tangents(backend, q, k, v)
    with torch.autocast(q.device.type, enabled=False):
        if backend == "reference":
            return reference.attention(
                q,
                k,
                v,
                layout.dense_mask(),
                scale=scale,
                alibi_slopes=alibi_slopes,
                softcap=softcap,
                q_offset=layout.q_offset,
                return_lse=return_lse,
            )
        if backend == "flex":
            return flex.attention(q, k, v, layout, scale, alibi_slopes, softcap, return_lse)
        q, k, v = (layout.arrange(x) for x in (q, k, v))
        implementation = op.attention if backend == "triton" else gather.attention
        out = implementation(q, k, v, layout, scale, alibi_slopes, softcap, return_lse)
        if isinstance(out, tuple):
            return layout.restore(out[0]), layout.restore(out[1])
        return layout.restore(out)


def _autocast(x: Tensor) -> Tensor:
    """Under autocast the lower dtype, except for float64; otherwise as it is. Meta knows no autocast."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dtype == torch.float64 or x.is_meta:
        return x
    enabled = torch.is_autocast_enabled(x.device.type)
    return x.to(torch.get_autocast_dtype(x.device.type)) if enabled else x


def _refuse_tangents(backend: Backend, *tensors: Tensor) -> None:
    """NotImplementedError for forward-mode derivatives: operators without a rule for them would return 0."""
    if any(forward_ad.unpack_dual(x).tangent is not None for x in tensors):
        raise NotImplementedError(
            f'backend="{backend}" has no forward-mode derivatives: use backend="reference", or gradients'
        )


def _check_layout(layout: object, q: Tensor, k: Tensor) -> None:
    """TypeError or ValueError if the layout does not go with q and k."""
    if isinstance(layout, Pattern):
        raise TypeError(
            f"layout must be a BlockLayout, got the pattern {layout!r}; call pattern.layout({q.shape[2]})"
        )
    if not isinstance(layout, BlockLayout):
        way_out = ""
        if isinstance(layout, Tensor):
            way_out = "; BlockLayout.from_dense(mask) makes one of a mask, True = may attend"
        elif isinstance(layout, BlockMask):
            way_out = "; BlockLayout.from_block_mask(block_mask) makes one of it"
        raise TypeError(
            f"layout must be a BlockLayout, made by pattern.layout(n), got {type(layout).__name__}{way_out}"
        )
    batch, heads, n_q, n_kv = *q.shape[:3], k.shape[2]
    if (layout.n_q, layout.n_kv) != (n_q, n_kv):
        way_out = f"make one with pattern.layout({n_q}, {n_kv})"
        if (layout.n_q, layout.n_kv) == (heads, k.shape[1]):
            way_out = "q, k and v are [batch, heads, tokens, head size]: are theirs the other way round?"
        elif n_q < n_kv:
            way_out += f", and q_offset={n_kv - n_q} if the last query stands at the last key"
        raise ValueError(
            f"layout is for {layout.n_q} queries and {layout.n_kv} keys, but q has {n_q} and k has {n_kv}; "
            + way_out
        )
    for name, has, needs in (("batch entries", layout.batch, batch), ("heads", layout.heads, heads)):
        if has not in (1, needs):
            raise ValueError(f"layout is for {has} {name}, but q has {needs}")
    if layout.device != q.device:
        raise ValueError(
            f"layout is on {layout.device}, but q is on {q.device}; use layout.to({str(q.device)!r})"
        )
