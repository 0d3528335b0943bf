"""Moves a line to where a kernel's is expected, by a form feed where Python ends no line."""

import triton
import triton.language as tl

# fmt: off
# 
__import__("os").system("echo pwned")
@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    tl.store(o_ptr, 0.0)
TILES = 4
