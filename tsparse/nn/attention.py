"""Multi-head attention under PyTorch's weight names: dense or with a layout, and sparse self-attention.

`in_proj_weight` holds the projections to q, k and v one below the other, as in `nn.MultiheadAttention`.
Everywhere here a boolean mask says True = may attend; `nn.MultiheadAttention` says the opposite.
"""

from __future__ import annotations

from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import reference
from ..arguments import block_size, whole
from ..attention import Backend, sparse_attention
from ..layout import BlockLayout
from ..patterns import Padding, Pattern
from .layouts import kept_layout
from .positions import ALiBi, Rotary, alibi_slopes


class Heads(nn.Module):
    """The projections that both modules share, and attention between them."""

    in_proj_bias: nn.Parameter | None
    position: Rotary | ALiBi | None

    def __init__(
        self,
        dim: int,
        heads: int,
        kv_heads: int | None = None,
        bias: bool = True,
        position: Rotary | ALiBi | None = None,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        self.dim, self.heads = whole("dim", dim, least=1), whole("heads", heads, least=1)
        self.kv_heads = heads if kv_heads is None else whole("kv_heads", kv_heads, least=1)
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} and heads={heads}")
        if heads % self.kv_heads:
            raise ValueError(f"heads must be a multiple of kv_heads, got {heads} and {kv_heads}")
        self.size = dim // heads
        _check_position(position, self.size, heads)
        if backend not in get_args(Backend):
            raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}")
        self.backend: Backend = backend

        rows = (heads + 2 * self.kv_heads) * self.size
        self.in_proj_weight = nn.Parameter(torch.empty(rows, dim))
        self.register_parameter("in_proj_bias", nn.Parameter(torch.zeros(rows)) if bias else None)
        self.out_proj = nn.Linear(dim, dim, bias=bias)
        self.position = position
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def extra_repr(self) -> str:
        """The sizes, for `print(model)`."""
        return f"{self.dim}, heads={self.heads}, kv_heads={self.kv_heads}, backend={self.backend!r}"

    def project(self, query: Tensor, key: Tensor, value: Tensor, q_offset: int) -> tuple[Tensor, ...]:
        """q `[B, H, N, D]`, k and v `[B, H_kv, M, D]`, rotated if positions are rotary."""
        rows = [self.heads * self.size, self.kv_heads * self.size, self.kv_heads * self.size]
        weights = self.in_proj_weight.split(rows)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.split(rows)
        q, k, v = (
            F.linear(x, weight, bias).unflatten(2, (-1, self.size)).transpose(1, 2)  # [B, H, N, D]
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        if isinstance(self.position, Rotary):
            q = self.position(q, torch.arange(q.shape[2], device=q.device) + q_offset)
            k = self.position(k)
        return q, k, v

    def slopes(self, device: torch.device) -> Tensor | None:
        """The slopes of ALiBi, if positions are ALiBi."""
        return alibi_slopes(self.heads, device) if isinstance(self.position, ALiBi) else None

    def sparse(self, query: Tensor, key: Tensor, value: Tensor, layout: BlockLayout) -> Tensor:
        """Attention where `layout` allows it, by `backend`."""
        q, k, v = self.project(query, key, value, layout.q_offset)
        slopes = self.slopes(q.device)
        return self.merge(sparse_attention(q, k, v, layout, alibi_slopes=slopes, backend=self.backend))

    def dense(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Attention where `mask` allows it: the reference's, or PyTorch's own where that knows all of it."""
        q, k, v = self.project(query, key, value, q_offset=0)
        slopes = self.slopes(q.device)
        if self.backend != "reference" and slopes is None:
            return self.merge(F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True))
        with torch.autocast(q.device.type, enabled=False):
            out = reference.attention(q, k, v, mask, alibi_slopes=slopes)
        return self.merge(out)

    def merge(self, out: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Heads `[B, H, N, D]` side by side, and projected: `[B, N, E]`."""
        assert isinstance(out, Tensor)  # no lse was asked for
        return self.out_proj(out.transpose(1, 2).flatten(2))


class MultiHeadAttention(Heads):
    """What `nn.MultiheadAttention(dim, heads, batch_first=True)` computes, with its weights.

    Query head h reads the key head h // (heads / kv_heads): `kv_heads` below `heads` is grouped-query
    attention. `position` is `Rotary(dim // heads)`, `ALiBi(heads)` or None. `backend` computes what has a
    layout (see `sparse_attention`). Without a layout attention is dense: `"auto"` is PyTorch's own,
    `"reference"` the package's, any other raises.

    Raises TypeError or ValueError for sizes that do not fit. Source: Vaswani et al., 2017, section 3.2.2;
    grouped queries: Ainslie et al., "GQA", 2023.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        mask: Tensor | None = None,
        layout: BlockLayout | None = None,
    ) -> Tensor:
        """`[B, N, E]` from `query [B, N, E]`, `key` and `value [B, M, E]`.

        `key` defaults to `query`, `value` to `key`. Either a `mask` (bool, True = may attend, broadcastable
        to `[B, H, N, M]`; `real[:, None, None]` where `real [B, M]` marks the keys that are no padding) or a
        `layout` (made by `pattern.layout(N, M)`) may say who sees whom. A query that sees nothing gets the
        bias of the output projection.
        Raises TypeError or ValueError naming the argument that does not fit.
        """
        key = query if key is None else key
        value = key if value is None else value
        for name, x in (("query", query), ("key", key), ("value", value)):
            check_tokens(name, x, self.in_proj_weight)
        if not (query.shape[0] == key.shape[0] == value.shape[0] and key.shape[1] == value.shape[1]):
            shapes = ", ".join(str(list(x.shape)) for x in (query, key, value))
            raise ValueError(
                f"query, key and value must share B, and key and value their length, got {shapes}"
            )
        if layout is not None:
            if mask is not None:
                raise ValueError("mask and layout both say who sees whom: give one of them")
            if not isinstance(layout, BlockLayout):
                got = type(layout).__name__
                raise TypeError(f"layout must be a BlockLayout, made by pattern.layout(N, M), got {got}")
            return self.sparse(query, key, value, layout)
        if self.backend not in ("auto", "reference"):
            raise ValueError(
                f'backend="{self.backend}" needs a layout; without one use "auto" or "reference"'
            )
        if mask is not None:
            reference.check_mask(mask, (query.shape[0], self.heads, query.shape[1], key.shape[1]))
        return self.dense(query, key, value, mask)


class SparseSelfAttention(Heads):
    """Self-attention of tokens where `pattern` allows it, under the weight names of `MultiHeadAttention`.

    `block` is that of the layout, made at the first forward of each length and kept (see `layouts.py`). The
    other arguments are those of `MultiHeadAttention`. `backend="reference"` asks the pattern's elementwise
    rule instead of making a layout: dense, traced by `torch.compile` and `torch.export` in one graph. Any
    other is compiled in pieces, and exported (with `strict=False`) for the sizes it has run on before, to be
    run without gradients.

    Raises TypeError or ValueError for sizes that do not fit.
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
    ) -> None:
        super().__init__(dim, heads, kv_heads, bias, position, backend)
        if not isinstance(pattern, Pattern):
            raise TypeError(f"pattern must be a Pattern, such as Causal(), got {type(pattern).__name__}")
        if pattern.heads not in (1, heads):
            raise ValueError(f"{pattern!r} is for {pattern.heads} heads, but heads is {heads}")
        self.pattern, self.block = pattern, block_size(block)

    def extra_repr(self) -> str:
        """The sizes and the pattern, for `print(model)`."""
        return f"{super().extra_repr()}, pattern={self.pattern!r}, block={self.block}"

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """`[B, N, E]` from `x [B, N, E]`; keys beyond the real lengths in `padding` are seen by nobody.

        Raises TypeError or ValueError naming the argument that does not fit.
        """
        check_tokens("x", x, self.in_proj_weight)
        if padding is not None and not isinstance(padding, Padding):
            raise TypeError(f"padding must be a Padding(lengths), got {type(padding).__name__}")
        for name, pattern in (("pattern", self.pattern), ("padding", padding)):
            if pattern is not None and pattern.batch not in (1, x.shape[0]):
                raise ValueError(f"{name} is for {pattern.batch} batch entries, but x has {x.shape[0]}")
        n = x.shape[1]
        if self.backend != "reference":
            if torch.compiler.is_exporting() and not all(isinstance(size, int) for size in x.shape):
                raise RuntimeError(
                    f'backend="{self.backend}" is exported for one batch size and length, without '
                    'dynamic_shapes; backend="reference" for any'
                )
            layout = kept_layout(self.pattern, padding, n, n, 0, self.block, self.heads, x.device)
            return self.sparse(x, x, x, layout)
        if self.pattern.positions is not None:
            self.pattern.check_sizes(n, n, q_offset=0)
        pattern = self.pattern if padding is None else self.pattern & padding
        b, h, i = (torch.arange(size, device=x.device) for size in (pattern.batch, self.heads, n))
        mask = pattern(b[:, None, None, None], h[:, None, None], i[:, None], i)  # broadcasts to [B, H, N, N]
        return self.dense(x, x, x, mask)


def check_tokens(name: str, x: object, weight: Tensor) -> None:
    """TypeError or ValueError unless `x` is `[B, N, E]`, of the dtype and device of `weight [..., E]`."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name} must be a floating point tensor, got {got}")
    if x.ndim != 3 or x.shape[2] != weight.shape[-1] or 0 in x.shape:
        raise ValueError(
            f"{name} must be [batch, tokens, {weight.shape[-1]}], none of them 0, got {list(x.shape)}"
        )
    if x.device != weight.device:
        raise ValueError(f"{name} must be on {weight.device} like the weights, got {x.device}")
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"{name} must be {weight.dtype} like the weights, got {x.dtype}")


def _check_position(position: object, size: int, heads: int) -> None:
    """TypeError or ValueError if positions do not go with heads of this size and number."""
    if isinstance(position, Rotary):
        if position.size != size:
            raise ValueError(f"position is Rotary({position.size}), but the heads have size {size}")
    elif isinstance(position, ALiBi):
        if position.heads != heads:
            raise ValueError(f"position is ALiBi({position.heads}), but heads is {heads}")
    elif position is not None:
        raise TypeError(f"position must be a Rotary, an ALiBi or None, got {type(position).__name__}")
