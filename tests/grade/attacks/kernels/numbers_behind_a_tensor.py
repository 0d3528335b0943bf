"""Writes through the numpy array behind a tensor of the interpreter."""

import triton
import triton.language as tl


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    v = tl.load(v_ptr + tl.arange(0, DIM))
    v.handle.data[:] = 0
