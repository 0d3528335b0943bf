"""The kernels of lesson 16, solved. The exercises read them as text; nothing imports this file."""

import triton
import triton.language as tl


@triton.jit
def kernel_delta(
    o_ptr, do_ptr, delta_ptr, n_q, stride_o, stride_do,
    HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """The sum of o * do over the channels, for BLOCK_M queries of one head."""
    i, d = tl.program_id(0), tl.arange(0, HEAD_DIM)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    # load
    o_i = tl.load(o_ptr + rows[:, None] * stride_o + d, mask=rows[:, None] < n_q, other=0.0)
    do_i = tl.load(do_ptr + rows[:, None] * stride_do + d, mask=rows[:, None] < n_q, other=0.0)
    # update
    sums = delta_ptr.dtype.element_ty
    delta_i = tl.sum(o_i.to(sums) * do_i.to(sums), 1)
    # store
    tl.store(delta_ptr + rows, delta_i, mask=rows < n_q)


@triton.jit
def kernel_dq(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dq_ptr, crow_ptr, col_ptr, n_q, n_kv,
    stride_q, stride_k, stride_dq, sm_scale,
    WINDOW: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Gradient of BLOCK_M queries of one head, over the key blocks that their row lists."""
    i, d = tl.program_id(0), tl.arange(0, HEAD_DIM)[None, :]
    rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
    # load
    q_i = tl.load(q_ptr + rows[:, None] * stride_q + d, mask=rows[:, None] < n_q, other=0.0)
    do_i = tl.load(do_ptr + rows[:, None] * stride_q + d, mask=rows[:, None] < n_q, other=0.0)
    lse_i = tl.load(lse_ptr + rows, mask=rows < n_q, other=0.0)
    delta_i = tl.load(delta_ptr + rows, mask=rows < n_q, other=0.0)
    sums = lse_ptr.dtype.element_ty
    acc = tl.zeros([BLOCK_M, HEAD_DIM], dtype=sums)
    # which blocks
    for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):
        j = tl.load(col_ptr + place)
        columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
        # load
        at = columns[:, None] * stride_k + d
        k_j = tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
        v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
        # score
        s = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale
        # mask
        gap = rows[:, None] - columns[None, :]
        seen = (gap >= 0) & (gap < WINDOW) & (columns[None, :] < n_kv)
        # update
        p = tl.where(seen, tl.exp(s - lse_i[:, None]), 0.0)
        dp = tl.dot(do_i, tl.trans(v_j), input_precision="ieee")
        ds = p * (dp - delta_i[:, None])
        acc += tl.dot(ds.to(k_j.dtype), k_j, input_precision="ieee")
    # store
    at = rows[:, None] * stride_dq + d
    tl.store(dq_ptr + at, (acc * sm_scale).to(dq_ptr.dtype.element_ty), mask=rows[:, None] < n_q)


@triton.jit
def kernel_dkdv(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr, ccol_ptr, row_ptr, n_q, n_kv,
    stride_q, stride_k, stride_dk, sm_scale,
    WINDOW: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Gradients of BLOCK_N keys and values of one head, over the query blocks that list them."""
    j, d = tl.program_id(0), tl.arange(0, HEAD_DIM)[None, :]
    columns = j * BLOCK_N + tl.arange(0, BLOCK_N)
    # load
    at = columns[:, None] * stride_k + d
    k_j = tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
    v_j = tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)
    sums = lse_ptr.dtype.element_ty
    dk = tl.zeros([BLOCK_N, HEAD_DIM], dtype=sums)
    dv = tl.zeros([BLOCK_N, HEAD_DIM], dtype=sums)
    # which blocks
    for place in range(tl.load(ccol_ptr + j), tl.load(ccol_ptr + j + 1)):
        i = tl.load(row_ptr + place)
        rows = i * BLOCK_M + tl.arange(0, BLOCK_M)
        # load
        q_i = tl.load(q_ptr + rows[:, None] * stride_q + d, mask=rows[:, None] < n_q, other=0.0)
        do_i = tl.load(do_ptr + rows[:, None] * stride_q + d, mask=rows[:, None] < n_q, other=0.0)
        lse_i = tl.load(lse_ptr + rows, mask=rows < n_q, other=0.0)
        delta_i = tl.load(delta_ptr + rows, mask=rows < n_q, other=0.0)
        # score
        s = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale
        # mask
        gap = rows[:, None] - columns[None, :]
        seen = (gap >= 0) & (gap < WINDOW) & (columns[None, :] < n_kv)
        # update
        p = tl.where(seen, tl.exp(s - lse_i[:, None]), 0.0)
        dv += tl.dot(tl.trans(p).to(do_i.dtype), do_i, input_precision="ieee")
        dp = tl.dot(do_i, tl.trans(v_j), input_precision="ieee")
        ds = p * (dp - delta_i[:, None])
        dk += tl.dot(tl.trans(ds).to(q_i.dtype), q_i, input_precision="ieee")
    # store
    at = columns[:, None] * stride_dk + d
    tl.store(dk_ptr + at, (dk * sm_scale).to(dk_ptr.dtype.element_ty), mask=columns[:, None] < n_kv)
    tl.store(dv_ptr + at, dv.to(dv_ptr.dtype.element_ty), mask=columns[:, None] < n_kv)
