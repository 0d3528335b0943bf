"""The kernels of lesson 15, solved. The exercises read them as text; nothing imports this file."""

import triton
import triton.language as tl


@triton.jit
def kernel_forward(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr, crow_ptr, col_ptr, n_q, n_kv,
    stride_qz, stride_qn, stride_kz, stride_kn, stride_oz, stride_on, sm_scale,
    HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Output and lse of BLOCK_M queries of one head, over the key blocks that their row lists."""
    i, z, d = tl.program_id(0), tl.program_id(1), tl.arange(0, HEAD_DIM)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    # load
    q_i = tl.load(q_ptr + z * stride_qz + rows[:, None] * stride_qn + d, mask=rows[:, None] < n_q, other=0.0)
    sums = lse_ptr.dtype.element_ty
    m_i = tl.full([BLOCK_M], float("-inf"), dtype=sums)
    l_i = tl.zeros([BLOCK_M], dtype=sums)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], dtype=sums)
    # which blocks
    for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):
        j = tl.load(col_ptr + place)
        columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
        # load
        at = z * stride_kz + columns[:, None] * stride_kn + d
        k_j = tl.load(k_ptr + at)
        v_j = tl.load(v_ptr + at)
        # score
        s = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale
        # mask: a full block needs none
        # update
        m_new = tl.maximum(m_i, tl.max(s, 1))
        p = tl.exp(s - m_new[:, None])
        alpha = tl.exp(m_i - m_new)
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]
        acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")
        m_i = m_new
    # store
    l_i = tl.where(l_i == 0.0, 1.0, l_i)
    at = z * stride_oz + rows[:, None] * stride_on + d
    tl.store(o_ptr + at, (acc / l_i[:, None]).to(o_ptr.dtype.element_ty), mask=rows[:, None] < n_q)
    tl.store(lse_ptr + z * n_q + rows, m_i + tl.log(l_i), mask=rows < n_q)


@triton.jit
def kernel_partial(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr, full_crow_ptr, full_col_ptr, crow_ptr, col_ptr, n_q, n_kv,
    stride_qz, stride_qn, stride_kz, stride_kn, stride_oz, stride_on, sm_scale,
    WINDOW: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The same over full blocks, without a mask, and then over partial ones, with the rule of a window."""
    i, z, d = tl.program_id(0), tl.program_id(1), tl.arange(0, HEAD_DIM)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    # load
    q_i = tl.load(q_ptr + z * stride_qz + rows[:, None] * stride_qn + d, mask=rows[:, None] < n_q, other=0.0)
    sums = lse_ptr.dtype.element_ty
    m_i = tl.full([BLOCK_M], float("-inf"), dtype=sums)
    l_i = tl.zeros([BLOCK_M], dtype=sums)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], dtype=sums)
    # which blocks
    for PARTIAL in tl.static_range(2):
        list_ptr, columns_ptr = (crow_ptr, col_ptr) if PARTIAL else (full_crow_ptr, full_col_ptr)
        for place in range(tl.load(list_ptr + i), tl.load(list_ptr + i + 1)):
            j = tl.load(columns_ptr + place)
            columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
            # load
            at = z * stride_kz + columns[:, None] * stride_kn + d
            k_j = tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
            v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
            # score
            s = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale
            # mask
            if PARTIAL:
                gap = rows[:, None] - columns[None, :]
                seen = (gap >= 0) & (gap < WINDOW) & (columns[None, :] < n_kv)
                s = tl.where(seen, s, float("-inf"))
            # update
            m_new = tl.maximum(m_i, tl.max(s, 1))
            reach = tl.where(m_new == float("-inf"), 0.0, m_new)
            p = tl.exp(s - reach[:, None])
            alpha = tl.exp(m_i - reach)
            l_i = l_i * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None]
            acc += tl.dot(p.to(v_j.dtype), v_j, input_precision="ieee")
            m_i = m_new
    # store
    l_i = tl.where(l_i == 0.0, 1.0, l_i)
    at = z * stride_oz + rows[:, None] * stride_on + d
    tl.store(o_ptr + at, (acc / l_i[:, None]).to(o_ptr.dtype.element_ty), mask=rows[:, None] < n_q)
    tl.store(lse_ptr + z * n_q + rows, m_i + tl.log(l_i), mask=rows < n_q)
