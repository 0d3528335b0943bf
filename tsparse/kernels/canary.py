"""A kernel too small to be wrong, run before any other: if it computes nonsense, the interpreter does.

It does what every attention kernel does: a loop of a length known only when it runs, masked loads, a dot
product, a row sum, masked stores.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

ROWS, COLUMNS = 13, 7
"""Not multiples of a tile, so that the masks matter."""


@triton.jit
def scores_and_sums(x_ptr, y_ptr, scores_ptr, sums_ptr, rows, columns, BLOCK: tl.constexpr):
    """`scores = x @ y.T` and `sums = scores.sum(1)` for x, y `[rows, columns]`, both at most BLOCK."""
    row = tl.arange(0, BLOCK)
    column = tl.arange(0, BLOCK)
    y_inside = (row[:, None] < rows) & (column[None, :] < columns)
    y = tl.load(y_ptr + row[:, None] * columns + column[None, :], mask=y_inside, other=0.0)
    for start in range(0, rows, BLOCK):  # Triton 3.6 fails on a bound like this with NumPy 2.4
        x_row = start + row[:, None]
        x_inside = (x_row < rows) & (column[None, :] < columns)
        x = tl.load(x_ptr + x_row * columns + column[None, :], mask=x_inside, other=0.0)
        scores = tl.dot(x, tl.trans(y), input_precision="ieee")  # [BLOCK, BLOCK]
        inside = (x_row < rows) & (column[None, :] < rows)
        tl.store(scores_ptr + x_row * rows + column[None, :], scores, mask=inside)
        tl.store(sums_ptr + start + row, tl.sum(scores, axis=1), mask=start + row < rows)


def agrees(dtype: torch.dtype) -> bool:
    """Whether the kernel equals PyTorch for inputs of this dtype, to the accumulator's rounding."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    x = torch.sin(torch.arange(ROWS * COLUMNS)).reshape(ROWS, COLUMNS).to(dtype)
    y = torch.cos(3 * torch.arange(ROWS * COLUMNS)).reshape(ROWS, COLUMNS).to(dtype)
    scores = torch.full((ROWS, ROWS), torch.nan, dtype=wide)
    sums = torch.full((ROWS,), torch.nan, dtype=wide)
    scores_and_sums[(1,)](x, y, scores, sums, ROWS, COLUMNS, BLOCK=16)
    wanted = x.to(wide) @ y.to(wide).T
    tolerance = 1e3 * torch.finfo(wide).eps
    return all(
        torch.allclose(got, want, rtol=tolerance, atol=tolerance)
        for got, want in ((scores, wanted), (sums, wanted.sum(1)))
    )
