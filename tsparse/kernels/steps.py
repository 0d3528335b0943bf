"""Steps that all kernels share: loading rows, finishing scores, and what a partial block shows.

Kernels compute powers of two, `exp2` and `log2`, which is what a GPU has; `lse` is natural in memory.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

LOG2E = tl.constexpr(1 / math.log(2))
LN2 = tl.constexpr(math.log(2))


@triton.jit
def head_at(ptr, stride, b, h):
    """Pointer to one head of one batch entry."""
    return ptr + b.to(tl.int64) * stride[0] + h.to(tl.int64) * stride[1]


@triton.jit
def rows_at(ptr, stride_n, rows, BLOCK_D: tl.constexpr):
    """Pointers to rows of one head, `[len(rows), BLOCK_D]`."""
    return ptr + rows[:, None].to(tl.int64) * stride_n + tl.arange(0, BLOCK_D)[None, :]


@triton.jit
def exist(rows, n, DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Which places of these rows exist, if there are `n` rows of `DIM` numbers: `[len(rows), BLOCK_D]`."""
    return (rows < n)[:, None] & (tl.arange(0, BLOCK_D) < DIM)[None, :]


@triton.jit
def load_rows(ptr, stride_n, rows, n, DIM: tl.constexpr, BLOCK_D: tl.constexpr, RAGGED: tl.constexpr):
    """Rows of one head, with 0 where nothing is; without `RAGGED` all of them must exist."""
    at = rows_at(ptr, stride_n, rows, BLOCK_D)
    if RAGGED or DIM != BLOCK_D:
        return tl.load(at, mask=exist(rows, n, DIM, BLOCK_D), other=0.0)
    else:
        return tl.load(at)


@triton.jit
def position(places, positions_ptr, offset, n, PERMUTED: tl.constexpr):
    """Where in the sequence the tokens at these places of the layout's order stand."""
    if PERMUTED:
        return tl.load(positions_ptr + places, mask=places < n, other=0).to(tl.int32)
    else:
        return places + offset


@triton.jit
def finish(s, q_pos, kv_pos, slope, sm_scale, softcap, ALIBI: tl.constexpr, SOFTCAP: tl.constexpr):
    """Scores from products `s` of queries and keys, the `unit` they are in, and how steep the cap is.

    The exponential of `softcap * tanh(sm_scale * s / softcap) - slope * gap` is `2 ** (s * unit)`: where
    there is nothing to cap or to lower, `unit` scales, in one instruction with what is added next.
    """
    steep = 1.0
    unit = tl.full([], sm_scale * LOG2E, s.dtype)
    if SOFTCAP:
        bent = 1 - 2 / (tl.exp2(s * (2 * LOG2E * sm_scale / softcap)) + 1)  # tanh
        steep = 1 - bent * bent
        s = bent * (softcap * LOG2E)
        unit = 1.0
    if ALIBI:
        s = s * unit - slope * LOG2E * tl.abs(q_pos - kv_pos).to(s.dtype)
        unit = 1.0
    return s, unit, steep


@triton.jit
def visible(i, j, zone_ptr, bits_ptr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, HAS_BITS: tl.constexpr):
    """Whether queries i of a partial block may see its keys j, which broadcast; see `tsparse.zones`."""
    low, high = tl.load(zone_ptr), tl.load(zone_ptr + 1)
    left, right = tl.load(zone_ptr + 2), tl.load(zone_ptr + 3)
    first, stop = tl.maximum(left, i - high), tl.minimum(right, i - low + 1)  # of the keys that i sees
    seen = (j >= first) & (j < stop)
    if HAS_BITS:
        # no branch on low > high: Triton 3.7 cannot give its mask to a product without tensor cores
        words: tl.constexpr = (BLOCK_K + 31) // 32
        bits_ptr += right.to(tl.int64) * (BLOCK_Q * words)
        packed = low > high + 0 * (i + j)  # a block, since the interpreter of Triton 3.9 takes no single mask
        word = tl.load(bits_ptr + i * words + j // 32, mask=packed, other=0)
        seen |= (word >> (j % 32)) & 1 != 0
    return seen
