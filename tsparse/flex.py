"""Block-sparse attention through PyTorch's FlexAttention, compiled: one compiled function per layout.

FlexAttention is `torch.compile`d code made for one mask. Compiled once and called with many masks, it gives
up after eight of them and goes dense in silence; so every layout has a function of its own here, and where it
cannot be compiled in one piece, that is an error. What FlexAttention cannot do on a CPU (gradients, lse,
float64) is refused before it tries.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, flex_attention

from .layout import BlockLayout

_Compiled = Callable[[Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor | None]]
_Options = tuple[float, float | None, bool]  # scale, softcap, return_lse
_compiled: WeakKeyDictionary[BlockLayout, dict[_Options, _Compiled]] = WeakKeyDictionary()


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: BlockLayout,
    scale: float,
    alibi_slopes: Tensor | None = None,
    softcap: float | None = None,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """What `reference.attention` computes with `layout.dense_mask()`, by compiled FlexAttention.

    Called by `sparse_attention`, which describes the arguments and has checked them. The first call with a
    layout compiles for 5 to 20 seconds; another scale, softcap, dtype or batch compiles again.

    Raises NotImplementedError on a CPU if a gradient or lse is wanted or q is float64, and RuntimeError where
    there is no C++ compiler.
    """
    on_cpu = q.device.type == "cpu"
    if on_cpu:
        _check_cpu(q, k, v, return_lse)
    if on_cpu or not torch.is_grad_enabled():
        # on a CPU FlexAttention stops at requires_grad alone, and in torch 2.11 at one tensor given twice
        q, k, v = q.detach(), k.detach(), v.detach()
    work = torch.promote_types(q.dtype, torch.float32)
    slopes = None if alibi_slopes is None else alibi_slopes.to(work).expand(q.shape[0], -1)  # [B, H]
    options = (scale, softcap, return_lse)
    functions = _compiled.setdefault(layout, {})
    if options not in functions:
        functions[options] = _compile(layout, *options)
    try:
        out, lse = functions[options](q, k, v, slopes)
    except RuntimeError as error:
        if "InvalidCxxCompiler" not in str(error):
            raise
        raise RuntimeError(
            'backend="flex" on a CPU compiles C++, and no C++ compiler was found: install g++ or clang (or '
            'name one in the environment variable CXX), or use backend="gather", which needs none'
        ) from error
    return out if lse is None else (out, lse)


def _check_cpu(q: Tensor, k: Tensor, v: Tensor, return_lse: bool) -> None:
    """NotImplementedError for what FlexAttention has not on a CPU."""
    if torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)):
        raise NotImplementedError(
            'backend="flex" has no backward pass on a CPU: use backend="gather" or "reference" to train, or '
            "wrap the call in torch.no_grad() to only evaluate"
        )
    if return_lse:
        raise NotImplementedError('backend="flex" gives no lse on a CPU: use backend="gather" or "reference"')
    if q.dtype == torch.float64:
        raise NotImplementedError(
            'backend="flex" has no float64 on a CPU: use backend="gather" or "reference", or q.float()'
        )


def _compile(layout: BlockLayout, scale: float, softcap: float | None, return_lse: bool) -> _Compiled:
    """FlexAttention for one layout and these options."""
    block_mask, q_offset = layout.to_block_mask(), layout.q_offset

    def attend(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        def score_mod(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
            if softcap is not None:
                score = softcap * torch.tanh(score / softcap)
            if slopes is not None:
                score = score - slopes[b, h] * (q_idx + q_offset - kv_idx).abs()
            return score

        out, extra = flex_attention(
            q,
            k,
            v,
            score_mod=None if softcap is None and slopes is None else score_mod,
            block_mask=block_mask,
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
            return_aux=AuxRequest(lse=return_lse),
        )
        return out, extra.lse

    attend.__code__ = attend.__code__.replace()  # compiled code is kept, and counted, by code object
    return torch.compile(attend, fullgraph=True, dynamic=False)
