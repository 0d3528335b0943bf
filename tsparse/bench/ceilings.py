"""What a GPU can do at best, measured: a large matrix product, exponentials in registers, a copy.

Needs Triton; imported only where something is measured on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..cost import Ceilings

SIDE = 8192  # of the square matrices
CHAIN = 512  # exponentials that each element goes through, one after the other
RUNS = 20


@triton.jit
def chained_exponentials(x_ptr, CHAIN: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Each of BLOCK elements x a program becomes 2^-x, CHAIN times; x ends near 0.641, where 2^-x = x."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    for _ in range(CHAIN):
        x = tl.exp2(-x)
    tl.store(x_ptr + at, x)


def exponentials(x: Tensor, chain: int) -> None:
    """Run the kernel over `x`, float32, in place; its size must be a multiple of 4096."""
    chained_exponentials[(x.numel() // 4096,)](x, CHAIN=chain, BLOCK=4096)


def measure(clock: Callable[[Callable[[], object]], float]) -> Ceilings:
    """The ceilings of this GPU in bfloat16: medians of RUNS runs."""

    def seconds(call: Callable[[], object]) -> float:
        call()
        return median(clock(call) for _ in range(RUNS))

    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    x = torch.rand(1 << 24, device="cuda")
    source, target = (torch.empty(1 << 30, dtype=torch.uint8, device="cuda") for _ in range(2))
    return Ceilings(
        flops=2 * SIDE**3 / seconds(lambda: a @ b),
        exponentials=CHAIN * x.numel() / seconds(lambda: exponentials(x, CHAIN)),
        bytes=2 * source.numel() / seconds(lambda: target.copy_(source)),
    )
