"""The backward kernels: `delta`, then `dkdv` over the transposed lists and `dq` over the lists.

With p = exp(score - lse) the gradient of a score is p * (dout.v - delta), where delta = out.dout - dlse. Each
gradient is summed by one program, in one order: no atomics, so the same input gives the same bits. The price
is that scores are computed in both kernels: seven matrix products a block in place of five.
Source: Dao et al., "FlashAttention", 2022, appendix B.2 and algorithm 4.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tsparse.kernels.steps import LOG2E, exist, finish, head_at, load_rows, position, rows_at, visible


@triton.jit
def delta(
    out_ptr, dout_ptr, lse_ptr, dlse_ptr, delta_ptr, stride_out, stride_dout, heads, n_q,
    VALUE_DIM: tl.constexpr, BLOCK_DV: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """`delta = (out * dout).sum(-1) - dlse` of `BLOCK_M` queries of one head, 0 for one that sees nothing.

    The grid is (heads of all batch entries, tiles of a head).
    """
    head, rows = tl.program_id(0), tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    out_ptr = head_at(out_ptr, stride_out, head // heads, head % heads)
    dout_ptr = head_at(dout_ptr, stride_dout, head // heads, head % heads)
    out = load_rows(out_ptr, stride_out[2], rows, n_q, VALUE_DIM, BLOCK_DV, RAGGED=True)
    dout = load_rows(dout_ptr, stride_dout[2], rows, n_q, VALUE_DIM, BLOCK_DV, RAGGED=True)
    at = head.to(tl.int64) * n_q + rows
    lse = tl.load(lse_ptr + at, mask=rows < n_q, other=0.0)
    dlse = tl.load(dlse_ptr + at, mask=rows < n_q, other=0.0)
    di = tl.sum(out.to(lse.dtype) * dout.to(lse.dtype), 1) - dlse
    tl.store(delta_ptr + at, tl.where(lse == float("-inf"), 0.0, di), mask=rows < n_q)


@triton.jit
def dkdv(
    q_ptr, k_ptr, v_ptr, dout_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr,
    stride_q, stride_k, stride_v, stride_dout, stride_dk, stride_dv,
    full_crow_ptr, full_col_ptr, crow_ptr, col_ptr, zones_ptr, bits_ptr, heaviest_ptr, stride_slot,
    slopes_ptr, positions_ptr, heads, group, n_q, n_kv, n_kv_blocks, q_offset, sm_scale, softcap,
    ALIBI: tl.constexpr, SOFTCAP: tl.constexpr, PERMUTED: tl.constexpr, HAS_BITS: tl.constexpr,
    HEAD_DIM: tl.constexpr, VALUE_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of `BLOCK_N` keys and values, over all heads of their group; `col_ptr` lists query blocks.

    Scores are transposed here, `[BLOCK_N, BLOCK_M]`, as both products that use them need them. The grid is
    (batch * key heads * tiles of a head,).
    """
    # which blocks: those of my column
    tiles = n_kv_blocks * (BLOCK_K // BLOCK_N)
    kv_head, turn = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    b, kv_h = kv_head // (heads // group), kv_head % (heads // group)
    slot = b * stride_slot[0] + kv_h * group * stride_slot[1]  # of the group's first head in the layout
    column = tl.load(heaviest_ptr + slot * n_kv_blocks + turn // (BLOCK_K // BLOCK_N))
    j = turn % (BLOCK_K // BLOCK_N) * BLOCK_N + tl.arange(0, BLOCK_N)  # keys, counted in their block
    columns = column * BLOCK_K + j

    # load
    k_ptr = head_at(k_ptr, stride_k, b, kv_h)
    v_ptr = head_at(v_ptr, stride_v, b, kv_h)
    k = load_rows(k_ptr, stride_k[2], columns, n_kv, HEAD_DIM, BLOCK_D, RAGGED=True)
    v = load_rows(v_ptr, stride_v[2], columns, n_kv, VALUE_DIM, BLOCK_DV, RAGGED=True)
    kv_pos = position(columns, positions_ptr, 0, n_kv, PERMUTED)

    sums: tl.constexpr = tl.float64 if k.dtype == tl.float64 else tl.float32
    dk = tl.zeros([BLOCK_N, BLOCK_D], sums)
    dv = tl.zeros([BLOCK_N, BLOCK_DV], sums)
    parts: tl.constexpr = BLOCK_Q // BLOCK_M
    for member in range(group):
        h = kv_h * group + member
        head = b * heads + h
        slot = b * stride_slot[0] + h * stride_slot[1]
        q_head_ptr = head_at(q_ptr, stride_q, b, h)
        dout_head_ptr = head_at(dout_ptr, stride_dout, b, h)
        slope = tl.load(slopes_ptr + head) if ALIBI else 0.0
        for PARTIAL in tl.static_range(2):
            list_ptr, rows_ptr = (crow_ptr, col_ptr) if PARTIAL else (full_crow_ptr, full_col_ptr)
            list_ptr += slot * (n_kv_blocks + 1) + column
            for part in range(tl.load(list_ptr) * parts, tl.load(list_ptr + 1) * parts):
                # which blocks: the next one, or the next part of it
                i = part % parts * BLOCK_M + tl.arange(0, BLOCK_M)  # queries, counted in their block
                rows = tl.load(rows_ptr + part // parts) * BLOCK_Q + i

                # load
                q = load_rows(q_head_ptr, stride_q[2], rows, n_q, HEAD_DIM, BLOCK_D, RAGGED=True)
                dout = load_rows(dout_head_ptr, stride_dout[2], rows, n_q, VALUE_DIM, BLOCK_DV, RAGGED=True)
                at = head.to(tl.int64) * n_q + rows
                lse = tl.load(lse_ptr + at, mask=rows < n_q, other=float("inf")) * LOG2E
                lse = tl.where(lse == float("-inf"), float("inf"), lse)  # sees nothing: exp2 gives 0, not NaN
                di = tl.load(delta_ptr + at, mask=rows < n_q, other=0.0)
                q_pos = position(rows, positions_ptr, q_offset, n_q, PERMUTED)

                # score
                s = tl.dot(k, tl.trans(q), input_precision=PRECISION)  # [BLOCK_N, BLOCK_M]
                s, unit, steep = finish(
                    s, q_pos[None, :], kv_pos[:, None], slope, sm_scale, softcap, ALIBI, SOFTCAP
                )

                # mask
                if PARTIAL:
                    zone_ptr = zones_ptr + part // parts * 4
                    seen = visible(i[None, :], j[:, None], zone_ptr, bits_ptr, BLOCK_Q, BLOCK_K, HAS_BITS)
                    s = tl.where(seen, s, float("-inf"))

                # update
                p = tl.exp2(s * unit - lse[None, :])
                dv += tl.dot(p.to(dout.dtype), dout, input_precision=PRECISION)
                dp = tl.dot(v, tl.trans(dout), input_precision=PRECISION)  # [BLOCK_N, BLOCK_M]
                ds = p * (dp - di[None, :]) * steep
                dk += tl.dot(ds.to(q.dtype), q, input_precision=PRECISION)

    # store
    at = rows_at(head_at(dk_ptr, stride_dk, b, kv_h), stride_dk[2], columns, BLOCK_D)
    tl.store(at, (dk * sm_scale).to(dk_ptr.dtype.element_ty), mask=exist(columns, n_kv, HEAD_DIM, BLOCK_D))
    at = rows_at(head_at(dv_ptr, stride_dv, b, kv_h), stride_dv[2], columns, BLOCK_DV)
    tl.store(at, dv.to(dv_ptr.dtype.element_ty), mask=exist(columns, n_kv, VALUE_DIM, BLOCK_DV))


@triton.jit
def dq(
    q_ptr, k_ptr, v_ptr, dout_ptr, lse_ptr, delta_ptr, dq_ptr,
    stride_q, stride_k, stride_v, stride_dout, stride_dq,
    full_crow_ptr, full_col_ptr, crow_ptr, col_ptr, zones_ptr, bits_ptr, heaviest_ptr, stride_slot,
    slopes_ptr, positions_ptr, heads, group, n_q, n_kv, n_q_blocks, q_offset, sm_scale, softcap,
    ALIBI: tl.constexpr, SOFTCAP: tl.constexpr, PERMUTED: tl.constexpr, HAS_BITS: tl.constexpr,
    HEAD_DIM: tl.constexpr, VALUE_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of `BLOCK_M` queries of one head. The grid is (batch * heads * tiles of a head,)."""
    # which blocks: those of my row
    tiles = n_q_blocks * (BLOCK_Q // BLOCK_M)
    head, turn = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    b, h = head // heads, head % heads
    slot = b * stride_slot[0] + h * stride_slot[1]  # of this head in the layout
    row = tl.load(heaviest_ptr + slot * n_q_blocks + turn // (BLOCK_Q // BLOCK_M))
    crow_ptr += slot * (n_q_blocks + 1) + row
    full_crow_ptr += slot * (n_q_blocks + 1) + row
    i = turn % (BLOCK_Q // BLOCK_M) * BLOCK_M + tl.arange(0, BLOCK_M)  # queries, counted in their block
    rows = row * BLOCK_Q + i

    # load
    k_ptr = head_at(k_ptr, stride_k, b, h // group)
    v_ptr = head_at(v_ptr, stride_v, b, h // group)
    dout_ptr = head_at(dout_ptr, stride_dout, b, h)
    q = load_rows(head_at(q_ptr, stride_q, b, h), stride_q[2], rows, n_q, HEAD_DIM, BLOCK_D, RAGGED=True)
    dout = load_rows(dout_ptr, stride_dout[2], rows, n_q, VALUE_DIM, BLOCK_DV, RAGGED=True)
    at = head.to(tl.int64) * n_q + rows
    lse = tl.load(lse_ptr + at, mask=rows < n_q, other=float("inf")) * LOG2E
    lse = tl.where(lse == float("-inf"), float("inf"), lse)  # sees nothing: exp2 gives 0, not NaN
    di = tl.load(delta_ptr + at, mask=rows < n_q, other=0.0)
    q_pos = position(rows, positions_ptr, q_offset, n_q, PERMUTED)
    slope = tl.load(slopes_ptr + head) if ALIBI else 0.0

    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float64 if q.dtype == tl.float64 else tl.float32)
    parts: tl.constexpr = BLOCK_K // BLOCK_N
    for PARTIAL in tl.static_range(2):
        list_ptr, columns_ptr = (crow_ptr, col_ptr) if PARTIAL else (full_crow_ptr, full_col_ptr)
        for part in range(tl.load(list_ptr) * parts, tl.load(list_ptr + 1) * parts):
            # which blocks: the next one, or the next part of it
            j = part % parts * BLOCK_N + tl.arange(0, BLOCK_N)  # keys, counted in their block
            columns = tl.load(columns_ptr + part // parts) * BLOCK_K + j

            # load
            k = load_rows(k_ptr, stride_k[2], columns, n_kv, HEAD_DIM, BLOCK_D, RAGGED=PARTIAL)
            v = load_rows(v_ptr, stride_v[2], columns, n_kv, VALUE_DIM, BLOCK_DV, RAGGED=PARTIAL)

            # score
            kv_pos = position(columns, positions_ptr, 0, n_kv, PERMUTED)
            s = tl.dot(q, tl.trans(k), input_precision=PRECISION)  # [BLOCK_M, BLOCK_N]
            s, unit, steep = finish(
                s, q_pos[:, None], kv_pos[None, :], slope, sm_scale, softcap, ALIBI, SOFTCAP
            )

            # mask
            if PARTIAL:
                zone_ptr = zones_ptr + part // parts * 4
                seen = visible(i[:, None], j[None, :], zone_ptr, bits_ptr, BLOCK_Q, BLOCK_K, HAS_BITS)
                s = tl.where(seen, s, float("-inf"))

            # update
            p = tl.exp2(s * unit - lse[:, None])
            dp = tl.dot(dout, tl.trans(v), input_precision=PRECISION)  # [BLOCK_M, BLOCK_N]
            ds = p * (dp - di[:, None]) * steep
            acc += tl.dot(ds.to(k.dtype), k, input_precision=PRECISION)

    # store
    at = rows_at(head_at(dq_ptr, stride_dq, b, h), stride_dq[2], rows, BLOCK_D)
    tl.store(at, (acc * sm_scale).to(dq_ptr.dtype.element_ty), mask=exist(rows, n_q, HEAD_DIM, BLOCK_D))
