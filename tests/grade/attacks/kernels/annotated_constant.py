"""Runs Python in the annotation of a constant."""

import triton
import triton.language as tl

TILES: __import__("os").system("echo pwned") = 4


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    tl.store(o_ptr, 0.0)
