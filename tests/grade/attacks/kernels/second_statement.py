"""Puts a second statement on the line of a constant, which stays with it."""

import triton
import triton.language as tl

# fmt: off
TILES = 4; __import__("os").system("echo pwned")  # noqa: E702


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    tl.store(o_ptr, 0.0)
