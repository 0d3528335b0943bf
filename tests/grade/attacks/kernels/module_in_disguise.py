"""Reaches for Python through a module of Triton that imports it."""

import triton
import triton.language as tl


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    core = tl.math.core.inspect.sys.modules
    core.clear()
