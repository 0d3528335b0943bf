"""The calls people know from OpenAI's sparse attention code: tokens `[B, L, E]` go in and come out.

Heads are split inside, scores are divided by the root of the head size E / heads. No mode sees the future: of
the keys up to its own position a query sees, in mode

    "all"      every one
    "local"    those with q - k < local_attn_ctx
    "strided"  those with (q - k) % local_attn_ctx == 0
    "fixed"    its own chunk of local_attn_ctx positions, and of every earlier chunk one sub-block: head h the
               h-th last, beginning again at the last when a chunk has no more

A sub-block is a quarter of a chunk (rounded down, at least one position), or `vertsize` blocks of `blocksize`
positions where that is given. With `num_verts` only so many of them are used: head h takes the
(h % num_verts)-th last, and with 1 all heads take the last. Other modes read neither.

The meaning of a mode does not depend on the blocks, and any L will do: blocks need not divide L, nor the
context, which the original asks for. Its `recompute=True` is left out: the backward pass always recomputes.
Source: Child et al., "Generating long sequences with sparse transformers", 2019, and its published code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .arguments import whole
from .attention import Backend, sparse_attention
from .nn.layouts import kept_layout
from .patterns import Causal, Fixed, Pattern, SlidingWindow, Strided

Mode = Literal["all", "local", "strided", "fixed"]


def attention_impl(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    attn_mode: Mode,
    local_attn_ctx: int | None = None,
    blocksize: int = 32,
    num_verts: int | None = None,
    vertsize: int | None = None,
) -> Tensor:
    """What `blocksparse_attention_impl` computes for the same arguments, with all L x L scores.

    Here `blocksize` is no more than the unit of `vertsize`. Raises as `blocksparse_attention_impl` does.
    """
    pattern = _pattern(heads, attn_mode, local_attn_ctx, blocksize, num_verts, vertsize)
    return _attend(q, k, v, heads, pattern, blocksize, "reference")


def blocksparse_attention_impl(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    attn_mode: Mode,
    local_attn_ctx: int | None = None,
    blocksize: int = 32,
    num_verts: int | None = None,
    vertsize: int | None = None,
) -> Tensor:
    """Attention of `q [B, L, E]` to `k`, `v [B, L, E]` under a mode, on the blocks that hold anything.

    `heads` must divide E; every mode but "all" needs `local_attn_ctx`. Strided attention is computed in
    the order of positions in which it is block-diagonal. Returns `[B, L, E]`.

    Raises TypeError or ValueError naming the argument that does not fit.
    """
    pattern = _pattern(heads, attn_mode, local_attn_ctx, blocksize, num_verts, vertsize)
    return _attend(q, k, v, heads, pattern, blocksize, "auto")


class SparseAttention(nn.Module):
    """`blocksparse_attention_impl` with everything but q, k and v said beforehand. It has no parameters.

    >>> q, k, v = torch.randn(3, 2, 100, 64)
    >>> SparseAttention(block_size=32)(q, k, v).shape  # four heads, each of which sees all of the past
    torch.Size([2, 100, 64])
    >>> SparseAttention(8, "local", 16)
    SparseAttention(8, 'local', 16, block_size=32)
    """

    def __init__(
        self,
        heads: int = 4,
        attn_mode: Mode = "all",
        local_attn_ctx: int | None = None,
        block_size: int = 32,
        num_verts: int | None = None,
        vertsize: int | None = None,
    ) -> None:
        super().__init__()
        self.pattern = _pattern(heads, attn_mode, local_attn_ctx, block_size, num_verts, vertsize)
        self.heads, self.attn_mode, self.local_attn_ctx = heads, attn_mode, local_attn_ctx
        self.block_size = block_size

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`[B, L, E]` from q, k and v `[B, L, E]`; raises as `blocksparse_attention_impl` does."""
        return _attend(q, k, v, self.heads, self.pattern, self.block_size, "auto")

    def extra_repr(self) -> str:
        """The mode and the sizes, for `print(model)`."""
        return f"{self.heads}, {self.attn_mode!r}, {self.local_attn_ctx}, block_size={self.block_size}"


@torch.compiler.disable
@lru_cache(typed=True)  # 8.0 is no 8: it is refused, not found
def _pattern(
    heads: int,
    attn_mode: Mode,
    local_attn_ctx: int | None,
    blocksize: int,
    num_verts: int | None,
    vertsize: int | None,
) -> Pattern:
    """The pattern of a mode, one object for equal arguments, so that its layouts are kept.

    Raises TypeError or ValueError naming the argument that does not fit.
    """
    if attn_mode not in get_args(Mode):
        raise ValueError(f"attn_mode must be one of {', '.join(get_args(Mode))}, got {attn_mode!r}")
    whole("heads", heads, least=1)
    whole("blocksize", blocksize, least=1)
    if attn_mode == "all":
        return Causal()
    if local_attn_ctx is None:
        raise ValueError(f'local_attn_ctx is missing: attn_mode="{attn_mode}" needs it')
    context = whole("local_attn_ctx", local_attn_ctx, least=1)
    if attn_mode == "local":
        return SlidingWindow(context)
    if attn_mode == "strided":
        return Strided(context) & Causal()

    width = max(1, context // 4) if vertsize is None else whole("vertsize", vertsize, least=1) * blocksize
    if width > context:
        raise ValueError(
            f"vertsize must fit into local_attn_ctx={context} positions, got {vertsize} blocks of {blocksize}"
        )
    if num_verts is None:
        return Fixed(context, width, heads) & Causal()
    if heads % whole("num_verts", num_verts, least=1):
        raise ValueError(f"heads must be a multiple of num_verts, got {heads} and {num_verts}")
    if num_verts > context // width:
        raise ValueError(
            f"num_verts must be at most {context // width}, the sub-blocks of {width} that a chunk of "
            f"{context} has, got {num_verts}"
        )
    return Fixed(context, width, num_verts) & Causal()


def _attend(
    q: Tensor, k: Tensor, v: Tensor, heads: int, pattern: Pattern, blocksize: int, backend: Backend
) -> Tensor:
    """Attention under `pattern`; heads h, h + pattern.heads, h + 2 * pattern.heads ... follow it alike."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(x).__name__}")
        if x.ndim != 3 or 0 in x.shape or x.shape[2] % heads:
            raise ValueError(
                f"{name} must be [B, L, E], none of them 0, E a multiple of {heads} heads, "
                f"got {list(x.shape)}"
            )
        if x.shape != q.shape:
            raise ValueError(f"{name} must be {list(q.shape)} like q, got {list(x.shape)}")
    n, alike = q.shape[1], heads // pattern.heads
    q, k, v = (
        x.unflatten(2, (alike, pattern.heads, -1)).permute(0, 2, 3, 1, 4).flatten(0, 1) for x in (q, k, v)
    )  # [B * alike, pattern.heads, L, D]: heads that see the same are like further batch entries
    layout = kept_layout(pattern, None, n, n, 0, blocksize, pattern.heads, q.device)
    out = sparse_attention(q, k, v, layout, backend=backend)
    assert isinstance(out, Tensor)  # no lse was asked for
    return out.unflatten(0, (-1, alike)).permute(0, 3, 1, 2, 4).flatten(2)  # [B, L, E]
