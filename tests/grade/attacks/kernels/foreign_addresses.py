"""Reads and writes a million addresses that belong to nobody."""

import triton
import triton.language as tl


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    far = tl.arange(0, 1024)
    v = tl.load(v_ptr + far[:, None] * 1000000007 + tl.arange(0, 1024)[None, :])
    tl.store(o_ptr - far[:, None] * 1000000007 + tl.arange(0, 1024)[None, :], v)
