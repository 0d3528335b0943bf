"""Block-sparse attention in PyTorch: gather the blocks a layout lists, attend, next. Memory linear in N.

The work comes in chunks that fit the cache, see `chunks.py`: load tiles, one matrix product, mask, softmax,
one matrix product. What a chunk computes is written over what the last one did: fresh memory costs more than
the softmax. A row of blocks with many keys is in several chunks, one after the other, each of which joins its
output and lse to what is there, weighed by the sums of exponentials. The backward pass (Dao et al.,
"FlashAttention", 2022, algorithm 4) walks the same chunks and computes their scores once more.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from .chunks import Chunk, Windows, chunks
from .layout import BlockLayout

LOG2E = 1 / math.log(2)  # scores are multiplied by it, since exp2 is several times faster than exp
NO_VMAP = 'backend="gather" is not mapped by torch.vmap: use backend="reference", or a batch dimension'


@torch.compiler.disable
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
    the layout (`layout.arrange`). Beside its inputs and results a pass needs memory for one chunk, and in
    half precision for the results in float32.
    Gradients are the same in every run; they cannot be differentiated again (RuntimeError). NaN in a key
    reaches only the outputs of queries that see it; NaN in a value, and NaN in gradients, may reach
    everything whose blocks hold it. The backward pass has each weight from its score and lse: where scores
    are as large as s, weights are wrong by s * eps of themselves. `torch.func.grad` works, `torch.vmap` is
    refused (NotImplementedError).
    `torch.compile` leaves this as it is and compiles what is around it: it would unroll all chunks.
    """
    out, lse = _Attention.apply(q, k, v, layout, scale, alibi_slopes, softcap)
    return (out, lse) if return_lse else out


class _Attention(torch.autograd.Function):
    """Keeps q, k, v, out and lse for the backward pass, which computes the scores once more."""

    @staticmethod
    def forward(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        layout: BlockLayout,
        scale: float,
        alibi_slopes: Tensor | None,
        softcap: float | None,
    ) -> tuple[Tensor, Tensor]:
        """Output and lse."""
        return _forward(q, k, v, layout, scale, alibi_slopes, softcap)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """What the backward pass needs."""
        q, k, v, *ctx.rule = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(q, k, v, *output)

    @staticmethod
    def backward(ctx: Any, dout: Tensor | None, dlse: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v."""
        return *_Gradients.apply(*ctx.saved_tensors, dout, dlse, *ctx.rule), None, None, None, None

    @staticmethod
    def vmap(*_: Any) -> NoReturn:
        """Not over a dimension that the layout does not know."""
        raise NotImplementedError(NO_VMAP)


class _Gradients(torch.autograd.Function):
    """The backward pass: a function of its own, so that a derivative of a gradient is refused, not 0."""

    @staticmethod
    def forward(q: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of q, k and v."""
        with torch.autocast(q.device.type, enabled=False):  # whoever calls backward() inside of one
            return _backward(q, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> NoReturn:
        """There are no second derivatives."""
        raise RuntimeError(
            'backend="gather" has first derivatives only: use backend="reference" for those of gradients'
        )

    @staticmethod
    def vmap(*_: Any) -> NoReturn:
        """Not over several gradients at once."""
        raise NotImplementedError(NO_VMAP)


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

    made = chunks(layout, q.shape[0], q.shape[1], k.shape[1])
    lse = torch.full((*q_tiles.shape[:2], 1), -math.inf, dtype=work, device=q.device)  # to the base 2
    out = torch.empty(*q_tiles.shape[:2], v.shape[-1], dtype=work, device=q.device)
    if sum(chunk.pieces * chunk.height for chunk in made if chunk.begins) < lse.numel():
        out.zero_()  # of queries that are in no chunk
    scores, here, room_k, room_v = (x.new_empty(0) for x in (out, out, k, v))  # memory that chunks share

    # which blocks
    for chunk in made:
        at = chunk.queries
        q_rows, out_rows, lse_rows = _rows(chunk, q_tiles, out, lse)

        # load
        queries = q_rows[at].to(work)  # [n, queries, D]
        keys = _load(k_tiles, chunk, room_k).to(work)  # [n, keys, D]
        values = _load(v_tiles, chunk, room_v).to(work)  # [n, keys, Dv]

        # score
        _scores(scores, queries, keys, scale * LOG2E)  # [n, queries, keys]
        if softcap is not None:
            scores.div_(softcap * LOG2E).tanh_().mul_(softcap * LOG2E)
        if alibi_slopes is not None:
            _lower(scores, alibi_slopes, chunk, layout)

        # mask
        for hidden in chunk.hidden:
            hidden.hide(scores)

        # update
        largest = scores.amax(dim=-1, keepdim=True)  # [n, queries, 1]
        largest.clamp_(min=torch.finfo(work).min)  # nothing seen: every exp2 is 0, not NaN
        total = scores.sub_(largest).exp2_().sum(dim=-1, keepdim=True)  # at least 1, or 0 if nothing is seen
        torch.bmm(scores, values, out=here.resize_(0))  # [n, queries, Dv]
        here.div_(total.clamp(min=1.0))
        lse_here = largest + total.log2()  # [n, queries, 1]
        if chunk.begins:
            out_rows[at], lse_rows[at] = here, lse_here
        else:
            lse_both = torch.logaddexp2(lse_rows[at], lse_here)
            share = torch.exp2(lse_here - lse_both.masked_fill(lse_both == -math.inf, 0.0))
            out_rows[at], lse_rows[at] = torch.lerp(out_rows[at], here, share), lse_both

    # store
    return _whole(out, q).to(q.dtype), _whole(lse, q).squeeze(-1) / LOG2E


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
    delta = (delta if dlse is None else delta - dlse).masked_fill(lse == -math.inf, 0.0) * scale
    reach = lse.masked_fill(lse == -math.inf, math.inf) * LOG2E  # nothing seen: every exp2 is 0, not NaN
    dout_tiles = _tiles(dout, layout.block[0])
    reach = _tiles(reach[..., None], layout.block[0], math.inf)  # [B * H * R, block_q, 1]
    delta = _tiles(delta[..., None], layout.block[0])  # [B * H * R, block_q, 1]
    dq, dk, dv = (torch.zeros_like(x, dtype=work) for x in (q_tiles, k_tiles, v_tiles))
    p, dscores, room_k, room_v = (x.new_empty(0) for x in (dq, dq, k, v))  # memory that chunks share

    # which blocks
    for chunk in chunks(layout, q.shape[0], q.shape[1], k.shape[1]):
        at = chunk.queries
        q_rows, dout_rows, reach_rows, delta_rows, dq_rows = _rows(
            chunk, q_tiles, dout_tiles, reach, delta, dq
        )

        # load
        queries = q_rows[at].to(work)  # [n, queries, D]
        keys = _load(k_tiles, chunk, room_k).to(work)  # [n, keys, D]
        values = _load(v_tiles, chunk, room_v).to(work)  # [n, keys, Dv]
        douts = dout_rows[at].to(work)  # [n, queries, Dv]

        # score
        _scores(p, queries, keys, scale * LOG2E)  # [n, queries, keys]
        if softcap is not None:
            bend = p.div_(softcap * LOG2E).tanh_().square().neg_().add_(1.0)  # how steep the cap is here
            p.mul_(softcap * LOG2E)
        if alibi_slopes is not None:
            _lower(p, alibi_slopes, chunk, layout)

        # mask
        for hidden in chunk.hidden:
            hidden.hide(p)

        # update
        p.sub_(reach_rows[at]).exp2_()
        _add(dv, chunk, p, douts)
        _scores(dscores, douts, values, scale).sub_(delta_rows[at]).mul_(p)
        if softcap is not None:
            dscores.mul_(bend)
        _add(dk, chunk, dscores, queries)
        rows = dq_rows[at]  # no row is in a chunk twice
        torch.baddbmm(rows, dscores, keys, out=rows)
        if isinstance(at, Tensor):
            dq_rows[at] = rows

    # store
    return _whole(dq, q).to(q.dtype), _whole(dk, k).to(k.dtype), _whole(dv, v).to(v.dtype)


def _all_tiles(q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v as `_tiles`."""
    block_q, block_k = layout.block
    return _tiles(q, block_q), _tiles(k, block_k), _tiles(v, block_k)


def _whole(tiles: Tensor, like: Tensor) -> Tensor:
    """Tiles back as `[B, H, N, ...]`, with B, H and N of `like`; the padding is dropped."""
    batch, heads, n = like.shape[:3]
    return tiles.view(batch, heads, -1, *tiles.shape[2:])[:, :, :n].contiguous()


def _rows(chunk: Chunk, *tiles: Tensor) -> list[Tensor]:
    """Tiles as rows of as many queries as a piece has: views, to read from and write to."""
    return [x.view(-1, chunk.height, x.shape[2]) for x in tiles]


def _load(tiles: Tensor, chunk: Chunk, room: Tensor) -> Tensor:
    """The keys of each piece: `[n, keys, D]`, a view where that can be, otherwise copied into `room`."""
    if isinstance(chunk.keys, Windows):
        first, step, width = chunk.keys
        return tiles.flatten(0, 1)[first:].unfold(0, width, step)[: chunk.pieces].mT
    torch.index_select(tiles, 0, chunk.keys.flatten(), out=room.resize_(0))
    return room.view(chunk.pieces, -1, tiles.shape[2])


def _scores(room: Tensor, queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """`queries @ keys.mT * scale`, computed into `room`."""
    room.resize_(*queries.shape[:2], keys.shape[1])
    return torch.baddbmm(room, queries, keys.mT, beta=0, alpha=scale, out=room)


def _lower(scores: Tensor, slopes: Tensor, chunk: Chunk, layout: BlockLayout) -> None:
    """Lower scores with the distance; `slopes [H]` or `[B, H]`."""
    n_q, n_kv = layout.n_q_blocks * layout.block[0], layout.n_kv_blocks * layout.block[1]  # filled up
    queries, keys = chunk.places(layout.block[1], scores.device)
    slope = slopes.to(scores.dtype).flatten() * LOG2E  # [H] or [B * H]
    slope = slope[queries[:, 0] // n_q % len(slope)]  # [n]
    q_idx, kv_idx = layout.positions(queries % n_q + layout.q_offset), layout.positions(keys % n_kv)
    scores.sub_(slope[:, None, None] * (q_idx[:, :, None] - kv_idx[:, None, :]).abs())


def _add(tiles: Tensor, chunk: Chunk, weights: Tensor, x: Tensor) -> None:
    """Add `weights.mT @ x` to the keys of a chunk, one piece after the other where a key is in several.

    `weights [n, queries, keys]`, `x [n, queries, D]`.
    """
    if isinstance(chunk.keys, Windows):
        step, keys = chunk.keys.step, tiles.flatten(0, 1)[chunk.keys.first :]
        for some in weights.split(step, dim=2):  # [n, queries, w]: as many keys as windows are apart
            apart = keys.unfold(0, some.shape[2], step)[: len(x)].mT  # [n, w, D], none overlaps
            torch.baddbmm(apart, some.mT, x, out=apart)
            keys = keys[step:]
        return
    more = torch.bmm(weights.mT, x).view(*chunk.keys.shape, *tiles.shape[1:])
    if tiles.is_cuda:
        tiles.index_put_((chunk.keys,), more, accumulate=True)  # index_add_ adds in any order there
    else:
        tiles.index_add_(0, chunk.keys.flatten(), more.flatten(0, 1))


def _tiles(x: Tensor, block: int, padding: float = 0.0) -> Tensor:
    """`[B, H, N, D]` as tiles `[B * H * blocks, block, D]`, the last one filled up with `padding`."""
    missing = -x.shape[2] % block
    whole = F.pad(x, (0, 0, 0, missing), value=padding) if missing else x  # padding by nothing would copy
    return whole.reshape(-1, block, x.shape[3]).contiguous()
