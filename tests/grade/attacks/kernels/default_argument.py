"""Runs Python in the annotation of an argument, where no kernel has begun yet."""

import triton
import triton.language as tl


@triton.jit
def prefix(
    v_ptr,
    o_ptr,
    n,
    stride_v,
    stride_o,
    BLOCK: tl.constexpr,
    DIM: __import__("os").system("echo pwned"),
):
    pass
