"""Block-sparse attention in PyTorch: gather the blocks a layout lists, attend, next. Memory linear in N.

The work is cut into *pieces*: one query block with up to `KEYS_AT_ONCE` keys of its row. Pieces with equally
many partial and full blocks are computed together, at most `SCORES_AT_ONCE` scores at a time: gather
tiles, one matrix product, mask, softmax, one matrix product. A row with more keys than that has several
pieces, one after the other, that go on from the largest score and the sum so far, as in FlashAttention
(Dao et al., 2022, algorithm 1); so a token that sees everything costs no padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import BlockLayout

KEYS_AT_ONCE = 1024
SCORES_AT_ONCE = 1 << 22


class _Chunk(NamedTuple):
    """n pieces that look alike: the p partial key blocks of each, then its full ones."""

    row: Tensor  # [n] rows of blocks, counted through batch entries and heads: (b * H + h) * R + r
    partial: Tensor  # [n, p] key blocks
    full: Tensor  # [n, f] key blocks


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

    Called by `sparse_attention`, which describes the arguments, has checked them and put them in the order of
    the layout (`layout.arrange`). Beside its result it needs memory for one chunk, and in half precision for
    the output in float32. NaN in a key reaches only the queries that see it; NaN in a value may reach every
    query whose blocks hold it.

    Raises NotImplementedError if a gradient is wanted: it has no backward pass yet.
    """
    if torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)):
        raise NotImplementedError(
            'backend="gather" has no backward pass yet: use backend="reference" (dense, memory N x M) to '
            "train, or wrap the call in torch.no_grad() to only evaluate"
        )
    batch, heads, n_q, _ = q.shape
    work = torch.promote_types(q.dtype, torch.float32)
    (block_q, block_k), rows, columns = layout.block, layout.n_q_blocks, layout.n_kv_blocks
    q_tiles, k_tiles, v_tiles = _tiles(q, block_q), _tiles(k, block_k), _tiles(v, block_k)
    slopes = None if alibi_slopes is None else alibi_slopes.to(work).expand(batch, heads).flatten()

    # of each query: the largest score so far, the sum of exp(score - largest), and that sum with the values
    m_i = torch.full((len(q_tiles), block_q), -math.inf, dtype=work, device=q.device)
    l_i = torch.zeros_like(m_i)
    acc = torch.zeros(len(q_tiles), block_q, v.shape[-1], dtype=work, device=q.device)

    for row, partial, full in _chunks(layout, batch, heads):
        # load
        b, h, r = row // (heads * rows), row // rows % heads, row % rows
        shelf = (b * k.shape[1] + h // (heads // k.shape[1])) * columns  # where the tiles of its head begin
        listed = torch.cat([partial, full], dim=1)  # [n, p + f]
        queries = _pick(q_tiles, row[:, None], work)  # [n, block_q, D]
        keys, values = (_pick(x, shelf[:, None] + listed, work) for x in (k_tiles, v_tiles))

        # score
        scores = torch.bmm(queries.mul_(scale), keys.mT)  # [n, block_q, (p + f) * block_k]
        if softcap is not None:
            scores.div_(softcap).tanh_().mul_(softcap)
        if slopes is not None:
            scores.sub_(slopes[row // rows][:, None, None] * _distance(layout, r, listed))

        # mask
        if p := partial.shape[1]:
            masks, which = layout.tile_masks(b[:, None], h[:, None], r[:, None], partial)
            hidden = (~masks)[which].transpose(1, 2)  # [n, block_q, p, block_k]
            scores[:, :, : p * block_k].unflatten(2, (p, block_k)).masked_fill_(hidden, -math.inf)  # in place

        # update
        m_old, m_new = m_i[row], torch.maximum(m_i[row], scores.amax(dim=-1))
        reach = m_new.masked_fill(m_new == -math.inf, 0.0)  # nothing seen so far: every exp is 0, not NaN
        decay = torch.exp(m_old - reach)
        scores.sub_(reach[..., None]).exp_()
        m_i[row] = m_new
        l_i[row] = l_i[row] * decay + scores.sum(dim=-1)
        acc[row] = torch.baddbmm(acc[row].mul_(decay[..., None]), scores, values)

    # store
    out = acc.div_(l_i.masked_fill(l_i == 0, 1.0)[..., None])
    out = out.view(batch, heads, -1, v.shape[-1])[:, :, :n_q].to(q.dtype).contiguous()
    if not return_lse:
        return out
    return out, (m_i + l_i.log()).view(batch, heads, -1)[:, :, :n_q].contiguous()


def _tiles(x: Tensor, block: int) -> Tensor:
    """`[B, H, N, D]` as tiles `[B * H * blocks, block, D]`, the last one padded with zeros."""
    missing = -x.shape[2] % block
    whole = F.pad(x, (0, 0, 0, missing)) if missing else x  # padding by nothing would copy
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
    return (layout.positions(q_idx)[:, :, None] - layout.positions(kv_idx)[:, None, :]).abs()


def _chunks(layout: BlockLayout, batch: int, heads: int) -> Iterator[_Chunk]:
    """All pieces of all rows, in chunks of equal shape; the pieces of one row are in different chunks."""
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
            yield _Chunk(
                row[part],
                layout.col_indices[partial_at[part, None] + inside_p],
                layout.full_col_indices[full_at[part, None] + inside_f],
            )


def _extents(crow_indices: Tensor, batch: int, heads: int) -> tuple[Tensor, Tensor]:
    """Where the list of each row begins and how long it is, `[B * H * R]` each."""
    crow = crow_indices.expand(batch, heads, -1).long()
    return crow[..., :-1].flatten(), crow.diff(dim=-1).flatten()
