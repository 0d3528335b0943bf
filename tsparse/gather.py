"""Block-sparse attention in PyTorch: gather the blocks a layout lists, attend, next. Memory linear in N.

The work is cut into *pieces*: one query block with up to `KEYS_AT_ONCE` keys of its row. Pieces with equally
many partial and full blocks are computed together, at most `SCORES_AT_ONCE` scores at a time: gather
tiles, one matrix product, mask, softmax, one matrix product. A row with more keys than that has several
pieces, one after the other, that go on from the largest score and the sum so far, as in FlashAttention
(Dao et al., 2022, algorithm 1); so a token that sees everything costs no padding. The backward pass walks the
same chunks and computes their scores once more. Which chunks there are and what they mask depends on the
layout alone, and is kept with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .layout import BlockLayout

KEYS_AT_ONCE = 1024
SCORES_AT_ONCE = 1 << 19  # 2 MiB of float32: what a core has just computed is still in its cache
LOG2E = 1 / math.log(2)  # scores are multiplied by it, since exp2 is several times faster than exp


class _Chunk(NamedTuple):
    """n pieces that look alike: m key blocks each, the p partial ones first."""

    row: Tensor  # [n] rows of blocks, counted through batch entries and heads: (b * H + h) * R + r
    tiles: Tensor  # [n, m] key blocks, counted through batch entries and key heads: (b * H_kv + g) * C + c
    hidden: Tensor  # [u, block_q, block_k] what the pattern hides in partial blocks, each kind once
    which: Tensor  # [n, p] the kind of each partial block, or [1, p] if all pieces agree


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
    """What `reference.attention` computes with `layout.dense_mask()`, without the N x M scores.

    Called by `sparse_attention`, which describes the arguments and has checked them. Beside its inputs and
    results a pass needs memory for one chunk, and in half precision for the results in float32.
    Gradients are the same in every run; they cannot be differentiated again (RuntimeError). NaN in a key
    reaches only the outputs of queries that see it; NaN in a value, and NaN in gradients, may reach
    everything whose blocks hold it.
    """
    out, lse = _Attention.apply(q, k, v, layout, scale, alibi_slopes, softcap)
    return (out, lse) if return_lse else out


class _Attention(torch.autograd.Function):
    """Keeps q, k, v, out and lse for the backward pass, which computes the scores once more."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        layout: BlockLayout,
        scale: float,
        alibi_slopes: Tensor | None,
        softcap: float | None,
    ) -> tuple[Tensor, Tensor]:
        """Output and lse."""
        ctx.rule = layout, scale, alibi_slopes, softcap
        ctx.set_materialize_grads(False)
        out, lse = _forward(q, k, v, *ctx.rule)
        ctx.save_for_backward(q, k, v, out, lse)
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor | None, dlse: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v."""
        q, k, v, out, lse = ctx.saved_tensors
        return *_backward(q, k, v, out, lse, dout, dlse, *ctx.rule), None, None, None, None


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: BlockLayout,
    scale: float,
    alibi_slopes: Tensor | None,
    softcap: float | None,
) -> tuple[Tensor, Tensor]:
    """Output and lse."""
    work = torch.promote_types(q.dtype, torch.float32)
    q_tiles, k_tiles, v_tiles = _all_tiles(q, k, v, layout)

    # of each query: the largest score so far, the sum of exp(score - largest), and that sum with the values
    m_i = torch.full(q_tiles.shape[:2], -math.inf, dtype=work, device=q.device)
    l_i = torch.zeros_like(m_i)
    acc = torch.zeros(*m_i.shape, v.shape[-1], dtype=work, device=q.device)

    # which blocks
    for chunk in _chunks(layout, q.shape[0], q.shape[1], k.shape[1]):
        row, tiles = chunk.row, chunk.tiles

        # load
        queries = _pick(q_tiles, row[:, None], work).mul_(scale * LOG2E)  # [n, block_q, D]
        keys, values = _pick(k_tiles, tiles, work), _pick(v_tiles, tiles, work)  # [n, m * block_k, D]

        # score
        scores = torch.bmm(queries, keys.mT)  # [n, block_q, m * block_k]
        if softcap is not None:
            scores.div_(softcap * LOG2E).tanh_().mul_(softcap * LOG2E)
        if alibi_slopes is not None:
            _lower(scores, alibi_slopes, chunk, layout, q.shape[1])

        # mask
        _hide(scores, chunk)

        # update
        m_old, m_new = m_i[row], torch.maximum(m_i[row], scores.amax(dim=-1))
        reach = m_new.masked_fill(m_new == -math.inf, 0.0)  # nothing seen so far: every exp2 is 0, not NaN
        decay = torch.exp2(m_old - reach)
        scores.sub_(reach[..., None]).exp2_()
        m_i[row] = m_new
        l_i[row] = l_i[row] * decay + scores.sum(dim=-1)
        acc[row] = torch.baddbmm(acc[row].mul_(decay[..., None]), scores, values)

    # store
    out = acc.div_(l_i.masked_fill(l_i == 0, 1.0)[..., None])
    return _whole(out, q).to(q.dtype), _whole(m_i.add_(l_i.log2_()).div_(LOG2E), q)


def _backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    dout: Tensor | None,
    dlse: Tensor | None,
    layout: BlockLayout,
    scale: float,
    alibi_slopes: Tensor | None,
    softcap: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, from those of the output and of lse.

    With p = exp(score - lse) it is dscore = p * (dout.v - delta), where delta = out.dout - dlse.
    Source: Dao et al., 2022, appendix B.2.
    """
    work = torch.promote_types(q.dtype, torch.float32)
    q_tiles, k_tiles, v_tiles = _all_tiles(q, k, v, layout)

    dout = torch.zeros_like(out) if dout is None else dout
    delta = (out.to(work) * dout).sum(dim=-1)  # [B, H, N]
    delta = (delta if dlse is None else delta - dlse).masked_fill(lse == -math.inf, 0.0)
    reach = lse.masked_fill(lse == -math.inf, math.inf) * LOG2E  # nothing seen: every exp2 is 0, not NaN
    dout_tiles = _tiles(dout, layout.block[0])
    reach = _tiles(reach[..., None], layout.block[0], math.inf)  # [B * H * R, block_q, 1]
    delta = _tiles(delta[..., None], layout.block[0])  # [B * H * R, block_q, 1]
    dq, dk, dv = (torch.zeros_like(x, dtype=work) for x in (q_tiles, k_tiles, v_tiles))

    # which blocks
    for chunk in _chunks(layout, q.shape[0], q.shape[1], k.shape[1]):
        row, tiles = chunk.row, chunk.tiles

        # load
        queries = _pick(q_tiles, row[:, None], work).mul_(scale * LOG2E)  # [n, block_q, D]
        keys, values = _pick(k_tiles, tiles, work), _pick(v_tiles, tiles, work)  # [n, m * block_k, D]
        douts = _pick(dout_tiles, row[:, None], work)  # [n, block_q, Dv]

        # score
        scores = torch.bmm(queries, keys.mT)  # [n, block_q, m * block_k]
        if softcap is not None:
            bend = scores.div_(softcap * LOG2E).tanh_().square().neg_().add_(1.0)  # how steep the cap is here
            scores.mul_(softcap * LOG2E)
        if alibi_slopes is not None:
            _lower(scores, alibi_slopes, chunk, layout, q.shape[1])

        # mask
        _hide(scores, chunk)

        # update
        p = scores.sub_(reach[row]).exp2_()
        _add(dv, tiles, torch.bmm(p.mT, douts))
        dscores = torch.bmm(douts, values.mT).sub_(delta[row]).mul_(p)
        if softcap is not None:
            dscores.mul_(bend)
        _add(dk, tiles, torch.bmm(dscores.mT, queries))
        _add(dq, row[:, None], torch.bmm(dscores, keys))

    # store
    dq, dk = dq.mul_(scale), dk.div_(LOG2E)  # the queries above have both factors in them
    return _whole(dq, q).to(q.dtype), _whole(dk, k).to(k.dtype), _whole(dv, v).to(v.dtype)


def _all_tiles(q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v as `_tiles`."""
    block_q, block_k = layout.block
    return _tiles(q, block_q), _tiles(k, block_k), _tiles(v, block_k)


def _whole(tiles: Tensor, like: Tensor) -> Tensor:
    """Tiles back as `[B, H, N, ...]`, with B, H and N of `like`; the padding is dropped."""
    batch, heads, n = like.shape[:3]
    return tiles.view(batch, heads, -1, *tiles.shape[2:])[:, :, :n].contiguous()


def _lower(scores: Tensor, slopes: Tensor, chunk: _Chunk, layout: BlockLayout, heads: int) -> None:
    """Lower scores with the distance; `slopes [H]` or `[B, H]`."""
    rows, columns = layout.n_q_blocks, layout.n_kv_blocks
    b, h = chunk.row // (heads * rows), chunk.row // rows % heads
    slope = slopes.to(scores.dtype).expand(-1 if slopes.ndim == 2 else 1, heads)  # [B or 1, H]
    slope = slope[b if slopes.ndim == 2 else 0, h] * LOG2E  # [n]
    scores.sub_(slope[:, None, None] * _distance(layout, chunk.row % rows, chunk.tiles % columns))


def _hide(scores: Tensor, chunk: _Chunk) -> None:
    """Fill scores that the pattern hides with -inf."""
    if p := chunk.which.shape[1]:
        hidden = chunk.hidden[chunk.which].transpose(1, 2)  # [n or 1, block_q, p, block_k]
        width = p * hidden.shape[-1]
        scores[:, :, :width].unflatten(2, hidden.shape[2:]).masked_fill_(hidden, -math.inf)  # in place


def _add(tiles: Tensor, index: Tensor, more: Tensor) -> None:
    """Add `more [n, m * block, D]` to the tiles `index [n, m]`, one after the other where one repeats."""
    more = more.view(-1, *tiles.shape[1:])
    if tiles.is_cuda:
        tiles.index_put_((index.flatten(),), more, accumulate=True)  # index_add_ adds in any order there
    else:
        tiles.index_add_(0, index.flatten(), more)


def _tiles(x: Tensor, block: int, padding: float = 0.0) -> Tensor:
    """`[B, H, N, D]` as tiles `[B * H * blocks, block, D]`, the last one filled up with `padding`."""
    missing = -x.shape[2] % block
    whole = F.pad(x, (0, 0, 0, missing), value=padding) if missing else x  # padding by nothing would copy
    return whole.reshape(-1, block, x.shape[3])


def _pick(tiles: Tensor, index: Tensor, dtype: torch.dtype) -> Tensor:
    """For each row of `index [n, m]` its m tiles, one after the other: `[n, m * block, D]`, a copy."""
    picked = tiles.index_select(0, index.flatten())
    return picked.view(len(index), -1, tiles.shape[-1]).to(dtype)


def _distance(layout: BlockLayout, row: Tensor, listed: Tensor) -> Tensor:
    """`|q_position - k_position|` for rows `[n]` and key blocks `[n, m]`: `[n, block_q, m * block_k]`."""
    inside_q, inside_k = (torch.arange(width, device=row.device) for width in layout.block)
    q_idx = row[:, None] * layout.block[0] + inside_q + layout.q_offset
    kv_idx = (listed[..., None] * layout.block[1] + inside_k).flatten(1)
    return (q_idx[:, :, None] - kv_idx[:, None, :]).abs()


_KEPT: WeakKeyDictionary[BlockLayout, dict[tuple[int, int, int], list[_Chunk]]] = WeakKeyDictionary()


def _chunks(layout: BlockLayout, batch: int, heads: int, kv_heads: int) -> list[_Chunk]:
    """The chunks of a layout, made on its first use and kept as long as the layout itself."""
    kept = _KEPT.setdefault(layout, {})
    if (batch, heads, kv_heads) not in kept:
        kept[batch, heads, kv_heads] = [
            _chunk(layout, row, partial, full, heads, kv_heads)
            for row, partial, full in _pieces(layout, batch, heads)
        ]
    return kept[batch, heads, kv_heads]


def _chunk(
    layout: BlockLayout, row: Tensor, partial: Tensor, full: Tensor, heads: int, kv_heads: int
) -> _Chunk:
    """The chunk of pieces of the rows `row [n]` with key blocks `partial [n, p]` and `full [n, f]`."""
    rows = layout.n_q_blocks
    b, h, r = row // (heads * rows), row // rows % heads, row % rows
    shelf = (b * kv_heads + h // (heads // kv_heads)) * layout.n_kv_blocks  # where its tiles begin
    tiles = shelf[:, None] + torch.cat([partial, full], dim=1)
    # batch entries and heads that the layout does not tell apart share their masks
    b, h = b.clamp(max=layout.batch - 1), h.clamp(max=layout.heads - 1)
    masks, which = layout.tile_masks(b[:, None], h[:, None], r[:, None], partial)
    return _Chunk(row, tiles, ~masks, which[:1] if bool((which == which[:1]).all()) else which)


def _pieces(layout: BlockLayout, batch: int, heads: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All pieces of all rows, in groups of equal shape; the pieces of one row are in different groups.

    Of each group the rows `[n]`, counted through batch entries and heads, and their partial and full key
    blocks, `[n, p]` and `[n, f]`.
    """
    partial_start, partial_count = _extents(layout.crow_indices, batch, heads)
    full_start, full_count = _extents(layout.full_crow_indices, batch, heads)
    block_q, block_k = layout.block
    longest = max(1, KEYS_AT_ONCE // block_k)  # blocks of a piece

    count = partial_count + full_count
    pieces = (count + longest - 1) // longest
    row = torch.arange(len(count), device=layout.device).repeat_interleave(pieces)
    turn = torch.arange(len(row), device=layout.device) - (pieces.cumsum(0) - pieces)[row]  # in its row
    begin = turn * longest
    size = (count[row] - begin).clamp(max=longest)
    p = torch.minimum((partial_count[row] - begin).clamp(min=0), size)
    f = size - p
    partial_at = partial_start[row] + begin
    full_at = full_start[row] + (begin - partial_count[row]).clamp(min=0)

    kinds, which = torch.stack([turn, p, f]).unique(dim=1, return_inverse=True)
    members = which.argsort(stable=True).split(which.bincount().tolist())
    for (_, n_partial, n_full), group in zip(kinds.T.tolist(), members, strict=True):
        inside_p, inside_f = (torch.arange(n, device=layout.device) for n in (n_partial, n_full))
        for part in group.split(max(1, SCORES_AT_ONCE // (block_q * block_k * (n_partial + n_full)))):
            partial = layout.col_indices[partial_at[part, None] + inside_p]
            full = layout.full_col_indices[full_at[part, None] + inside_f]
            yield row[part], partial, full


def _extents(crow_indices: Tensor, batch: int, heads: int) -> tuple[Tensor, Tensor]:
    """Where the list of each row begins and how long it is, `[B * H * R]` each."""
    crow = crow_indices.expand(batch, heads, -1).long()
    return crow[..., :-1].flatten(), crow.diff(dim=-1).flatten()
