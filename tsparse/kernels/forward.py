"""The forward kernel: FlashAttention over the blocks that a layout lists.

A program makes `BLOCK_M` rows of the output of one head. It walks the full blocks of their row of blocks and
then the partial ones, with what an online softmax carries along: the largest score so far `m_i`, the sum of
exponentials `l_i`, and the sum of values weighed by them, `acc`.
Source: Dao, "FlashAttention-2", 2023, algorithm 1.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tsparse.kernels.steps import LN2, exist, finish, head_at, load_rows, position, rows_at, visible


@triton.jit
def forward(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, stride_q, stride_k, stride_v, stride_out,
    full_crow_ptr, full_col_ptr, crow_ptr, col_ptr, zones_ptr, bits_ptr, heaviest_ptr, stride_slot,
    slopes_ptr, positions_ptr, heads, group, n_q, n_kv, n_q_blocks, q_offset, sm_scale, softcap,
    ALIBI: tl.constexpr, SOFTCAP: tl.constexpr, PERMUTED: tl.constexpr, HAS_BITS: tl.constexpr,
    HEAD_DIM: tl.constexpr, VALUE_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Output and lse of `BLOCK_M` queries of one head. The grid is (batch * heads * tiles of a head,)."""
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
    q = load_rows(head_at(q_ptr, stride_q, b, h), stride_q[2], rows, n_q, HEAD_DIM, BLOCK_D, RAGGED=True)
    q_pos = position(rows, positions_ptr, q_offset, n_q, PERMUTED)
    slope = tl.load(slopes_ptr + head) if ALIBI else 0.0

    sums: tl.constexpr = tl.float64 if q.dtype == tl.float64 else tl.float32
    m_i = tl.full([BLOCK_M], float("-inf"), sums)
    l_i = tl.zeros([BLOCK_M], sums)
    acc = tl.zeros([BLOCK_M, BLOCK_DV], sums)
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
            s, unit, _ = finish(s, q_pos[:, None], kv_pos[None, :], slope, sm_scale, softcap, ALIBI, SOFTCAP)

            # mask
            if PARTIAL:
                zone_ptr = zones_ptr + part // parts * 4
                seen = visible(i[:, None], j[None, :], zone_ptr, bits_ptr, BLOCK_Q, BLOCK_K, HAS_BITS)
                s = tl.where(seen, s, float("-inf"))

            # update
            m_new = tl.maximum(m_i, tl.max(s, 1) * unit)
            reach = tl.where(m_new == float("-inf"), 0.0, m_new)  # nothing seen yet: exp2 gives 0, not NaN
            p = tl.exp2(s * unit - reach[:, None])
            alpha = tl.exp2(m_i - reach)
            l_i = l_i * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None]
            acc += tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
            m_i = m_new

    # store
    l_i = tl.where(l_i == 0.0, 1.0, l_i)  # a query that sees nothing gets 0, and lse -inf as m_i is
    at = rows_at(head_at(out_ptr, stride_out, b, h), stride_out[2], rows, BLOCK_DV)
    tl.store(
        at, (acc / l_i[:, None]).to(out_ptr.dtype.element_ty), mask=exist(rows, n_q, VALUE_DIM, BLOCK_DV)
    )
    tl.store(lse_ptr + head.to(tl.int64) * n_q + rows, (m_i + tl.log2(l_i)) * LN2, mask=rows < n_q)
