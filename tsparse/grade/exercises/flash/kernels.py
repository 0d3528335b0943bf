"""The kernels of lesson 14, solved. The exercises read them as text; nothing imports this file."""

import triton
import triton.language as tl


@triton.jit
def update(m_i, l_i, acc, s, v):
    """One step of the online softmax, with scores s [M, C] and values v [C, D]."""
    m_new = tl.maximum(m_i, tl.max(s, 1))
    p = tl.exp(s - m_new[:, None])
    alpha = tl.exp(m_i - m_new)
    l_i = l_i * alpha + tl.sum(p, 1)
    acc = acc * alpha[:, None]
    acc += tl.dot(p.to(v.dtype), v, input_precision="ieee")
    return m_new, l_i, acc


@triton.jit
def flash_forward(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr, n_q, n_kv,
    stride_qz, stride_qn, stride_kz, stride_kn, stride_oz, stride_on, sm_scale,
    HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Write BLOCK_M rows of the output of one head, and their lse, the natural logarithm."""
    i, z, d = tl.program_id(0), tl.program_id(1), tl.arange(0, HEAD_DIM)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    # load
    q_i = tl.load(q_ptr + z * stride_qz + rows[:, None] * stride_qn + d, mask=rows[:, None] < n_q, other=0.0)
    sums = lse_ptr.dtype.element_ty
    m_i = tl.full([BLOCK_M], float("-inf"), dtype=sums)
    l_i = tl.zeros([BLOCK_M], dtype=sums)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], dtype=sums)
    # which blocks
    for j in range(0, tl.cdiv(n_kv, BLOCK_N)):
        columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
        # load
        at = z * stride_kz + columns[:, None] * stride_kn + d
        k_j = tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
        v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
        # score
        s = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale
        # mask
        s = tl.where(columns[None, :] < n_kv, s, float("-inf"))
        # update
        m_new = tl.maximum(m_i, tl.max(s, 1))
        p = tl.exp(s - m_new[:, None])
        alpha = tl.exp(m_i - m_new)
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]
        acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")
        m_i = m_new
    # store
    at = z * stride_oz + rows[:, None] * stride_on + d
    tl.store(o_ptr + at, (acc / l_i[:, None]).to(o_ptr.dtype.element_ty), mask=rows[:, None] < n_q)
    tl.store(lse_ptr + z * n_q + rows, m_i + tl.log(l_i), mask=rows < n_q)


@triton.jit
def flash_causal(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr, n_q, n_kv,
    stride_qz, stride_qn, stride_kz, stride_kn, stride_oz, stride_on, sm_scale,
    HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The same where query i sees keys 0 to i: tiles that lie wholly in the future are skipped."""
    i, z, d = tl.program_id(0), tl.program_id(1), tl.arange(0, HEAD_DIM)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    # load
    q_i = tl.load(q_ptr + z * stride_qz + rows[:, None] * stride_qn + d, mask=rows[:, None] < n_q, other=0.0)
    sums = lse_ptr.dtype.element_ty
    m_i = tl.full([BLOCK_M], float("-inf"), dtype=sums)
    l_i = tl.zeros([BLOCK_M], dtype=sums)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], dtype=sums)
    # which blocks
    for j in range(0, tl.cdiv(tl.minimum(n_kv, (i + 1) * BLOCK_M), BLOCK_N)):
        columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
        # load
        at = z * stride_kz + columns[:, None] * stride_kn + d
        k_j = tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
        v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
        # score
        s = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale
        # mask
        seen = (columns[None, :] <= rows[:, None]) & (columns[None, :] < n_kv)
        s = tl.where(seen, s, float("-inf"))
        # update
        m_new = tl.maximum(m_i, tl.max(s, 1))
        p = tl.exp(s - m_new[:, None])
        alpha = tl.exp(m_i - m_new)
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]
        acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")
        m_i = m_new
    # store
    at = z * stride_oz + rows[:, None] * stride_on + d
    tl.store(o_ptr + at, (acc / l_i[:, None]).to(o_ptr.dtype.element_ty), mask=rows[:, None] < n_q)
    tl.store(lse_ptr + z * n_q + rows, m_i + tl.log(l_i), mask=rows < n_q)
