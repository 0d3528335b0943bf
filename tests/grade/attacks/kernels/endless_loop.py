"""Loops for ever in the kernel and catches what would end it."""

import triton
import triton.language as tl


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    rows = tl.arange(0, BLOCK)
    while n == n:
        rows += 1
