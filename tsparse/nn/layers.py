"""One layer of a transformer: self-attention, cross-attention where asked for, and a feed-forward part."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import whole
from ..attention import Backend
from ..patterns import Padding, Pattern
from .attention import MultiHeadAttention, SparseSelfAttention, check_tokens
from .positions import ALiBi, Rotary


class TransformerLayer(nn.Module):
    """x + attention, then x + feed-forward, each with its norm.

    Weights are named, and computed with, as in `nn.TransformerEncoderLayer`; with `cross_attention` as in
    `nn.TransformerDecoderLayer`. `norm_first` normalises what goes into each part (pre-norm) instead of each
    sum (post-norm). `feed_forward` is the width of the feed-forward part, 4 * dim by default. `dropout` acts
    inside the feed-forward part and on what is added, never on attention weights. `pattern` to `backend` are
    those of `SparseSelfAttention`; cross-attention is dense and has no positions.

    Raises TypeError or ValueError for sizes that do not fit. Source: Vaswani et al., 2017, section 3.1; on
    the place of the norms: Xiong et al., "On layer normalization in the transformer architecture", 2020.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        pattern: Pattern,
        block: int | tuple[int, int] = 64,
        kv_heads: int | None = None,
        bias: bool = True,
        position: Rotary | ALiBi | None = None,
        backend: Backend = "auto",
        cross_attention: bool = False,
        norm_first: bool = True,
        feed_forward: int | None = None,
        activation: Callable[[Tensor], Tensor] = F.gelu,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not callable(activation):
            raise TypeError(f"activation must be a function such as F.gelu, got {activation!r}")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float):
            raise TypeError(f"dropout must be a number, got {dropout!r}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be 0 to 1, got {dropout}")
        self.self_attn = SparseSelfAttention(dim, heads, pattern, block, kv_heads, bias, position, backend)
        self.norm1, self.norm2 = nn.LayerNorm(dim, bias=bias), nn.LayerNorm(dim, bias=bias)
        if cross_attention:
            how: Backend = "reference" if backend == "reference" else "auto"
            self.multihead_attn = MultiHeadAttention(dim, heads, kv_heads, bias, backend=how)
            self.norm3 = nn.LayerNorm(dim, bias=bias)
        width = 4 * dim if feed_forward is None else whole("feed_forward", feed_forward, least=1)
        self.linear1, self.linear2 = nn.Linear(dim, width, bias=bias), nn.Linear(width, dim, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.activation, self.norm_first, self.cross_attention = activation, norm_first, cross_attention

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        padding: Padding | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """`[B, N, E]` from `x [B, N, E]`.

        `padding` holds the real lengths of x. A layer with cross-attention needs `memory [B, M, E]`, of which
        x sees what `memory_mask` (bool, broadcastable to `[B, H, N, M]`, True = may attend) allows.
        Raises TypeError or ValueError naming the argument that does not fit.
        """
        check_tokens("x", x, self.linear1.weight)
        if memory is None and (self.cross_attention or memory_mask is not None):
            raise ValueError("memory is missing: cross-attention reads it")
        if memory is not None:
            check_tokens("memory", memory, self.linear1.weight)
            if not self.cross_attention:
                raise ValueError("memory is read by cross-attention only: build with cross_attention=True")
        x = self._add(x, self.norm1, lambda y: self.self_attn(y, padding))
        if memory is None:
            return self._add(x, self.norm2, self._feed_forward)
        x = self._add(x, self.norm2, lambda y: self.multihead_attn(y, memory, mask=memory_mask))
        return self._add(x, self.norm3, self._feed_forward)

    def _add(self, x: Tensor, norm: nn.LayerNorm, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x and what one part makes of it, with the norm inside (pre-norm) or outside (post-norm)."""
        if self.norm_first:
            return x + self.dropout(part(norm(x)))
        return norm(x + self.dropout(part(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        """Each token by itself: wide, activated, narrow."""
        return self.linear2(self.dropout(self.activation(self.linear1(x))))
