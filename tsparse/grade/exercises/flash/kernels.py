"""The kernels of lesson 14, solved. The exercises read them as text; nothing imports this file."""

import triton
import triton.language as tl


@triton.jit
def update(m_i, l_i, acc, s, v):
    """One step of the online softmax, with scores s [M, C] and values v [C, D]."""
    m_new = tl.maximum(m_i, tl.max(s, axis=1))
    alpha = tl.exp(m_i - m_new)
    p = tl.exp(s - m_new[:, None])
    l_i = l_i * alpha + tl.sum(p, axis=1)
    acc = acc * alpha[:, None] + tl.dot(p, v, input_precision="ieee")
    return m_new, l_i, acc


@triton.jit
def flash_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    o_ptr,
    lse_ptr,
    n_q,
    n_kv,
    stride_qz,
    stride_qn,
    stride_kz,
    stride_kn,
    stride_oz,
    stride_on,
    sm_scale,
    HEAD_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Attention of BLOCK_M queries of one head; lse is the natural logarithm."""
    z = tl.program_id(1)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, HEAD_DIM)
    row_mask = rows < n_q
    q_places = q_ptr + z * stride_qz + rows[:, None] * stride_qn + dims[None, :]
    q = tl.load(q_places, mask=row_mask[:, None], other=0.0)
    m_i = tl.full((BLOCK_M,), -float("inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, HEAD_DIM), tl.float32)
    # which blocks
    for start in range(0, n_kv, BLOCK_N):
        cols = start + tl.arange(0, BLOCK_N)
        col_mask = cols < n_kv
        # load
        places = z * stride_kz + cols[:, None] * stride_kn + dims[None, :]
        k = tl.load(k_ptr + places, mask=col_mask[:, None], other=0.0)
        v = tl.load(v_ptr + places, mask=col_mask[:, None], other=0.0)
        # score
        s = tl.dot(q, tl.trans(k), input_precision="ieee") * (sm_scale * 1.4426950408889634)
        # mask
        s = tl.where(col_mask[None, :], s, -float("inf"))
        # update
        m_new = tl.maximum(m_i, tl.max(s, axis=1))
        alpha = tl.exp2(m_i - m_new)
        p = tl.exp2(s - m_new[:, None])
        l_i = l_i * alpha + tl.sum(p, axis=1)
        acc = acc * alpha[:, None] + tl.dot(p.to(v.dtype), v, input_precision="ieee")
        m_i = m_new
    # store
    o_places = o_ptr + z * stride_oz + rows[:, None] * stride_on + dims[None, :]
    tl.store(o_places, acc / l_i[:, None], mask=row_mask[:, None])
    tl.store(lse_ptr + z * n_q + rows, (m_i + tl.log2(l_i)) * 0.6931471805599453, mask=row_mask)


@triton.jit
def flash_causal(
    q_ptr,
    k_ptr,
    v_ptr,
    o_ptr,
    lse_ptr,
    n_q,
    n_kv,
    stride_qz,
    stride_qn,
    stride_kz,
    stride_kn,
    stride_oz,
    stride_on,
    sm_scale,
    HEAD_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """The same, causal: tiles that lie wholly in the future are skipped."""
    z = tl.program_id(1)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, HEAD_DIM)
    row_mask = rows < n_q
    q_places = q_ptr + z * stride_qz + rows[:, None] * stride_qn + dims[None, :]
    q = tl.load(q_places, mask=row_mask[:, None], other=0.0)
    m_i = tl.full((BLOCK_M,), -float("inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, HEAD_DIM), tl.float32)
    # which blocks
    end = tl.minimum((tl.program_id(0) + 1) * BLOCK_M, n_kv)
    for start in range(0, end, BLOCK_N):
        cols = start + tl.arange(0, BLOCK_N)
        col_mask = cols < n_kv
        # load
        places = z * stride_kz + cols[:, None] * stride_kn + dims[None, :]
        k = tl.load(k_ptr + places, mask=col_mask[:, None], other=0.0)
        v = tl.load(v_ptr + places, mask=col_mask[:, None], other=0.0)
        # score
        s = tl.dot(q, tl.trans(k), input_precision="ieee") * (sm_scale * 1.4426950408889634)
        # mask
        s = tl.where(col_mask[None, :] & (cols[None, :] <= rows[:, None]), s, -float("inf"))
        # update
        m_new = tl.maximum(m_i, tl.max(s, axis=1))
        alpha = tl.exp2(m_i - m_new)
        p = tl.exp2(s - m_new[:, None])
        l_i = l_i * alpha + tl.sum(p, axis=1)
        acc = acc * alpha[:, None] + tl.dot(p.to(v.dtype), v, input_precision="ieee")
        m_i = m_new
    # store
    o_places = o_ptr + z * stride_oz + rows[:, None] * stride_on + dims[None, :]
    tl.store(o_places, acc / l_i[:, None], mask=row_mask[:, None])
    tl.store(lse_ptr + z * n_q + rows, (m_i + tl.log2(l_i)) * 0.6931471805599453, mask=row_mask)
