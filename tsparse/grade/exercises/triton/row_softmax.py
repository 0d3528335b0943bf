"""`triton.row_softmax`: a row at a time, with a reduction over lanes that may be absent."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Exercise, Kernel, Mistake, Wrong
from tsparse.grade.launches import Launch, kernel_text, output, padded
from tsparse.kernels.memory import places

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "row_softmax")


def row_softmax(x: Tensor) -> Tensor:
    """The softmax of each row of x `[rows, columns]`."""
    return x.double().softmax(dim=-1).to(x.dtype)


def launch(x: Tensor) -> Launch:
    """A program for each row; BLOCK is the next power of two."""
    columns = x.shape[1]
    x, y = padded(x, 3), output(*x.shape, dtype=x.dtype, extra=5)
    arguments = {
        "x_ptr": x,
        "y_ptr": y,
        "n_cols": columns,
        "stride_x": x.stride(0),
        "stride_y": y.stride(0),
    }
    return Launch((len(x),), arguments, {"BLOCK": block(columns)}, ("y_ptr",))


def block(columns: int) -> int:
    """The power of two that holds so many columns."""
    return 1 << (columns - 1).bit_length()


def cases(rng: Generator) -> list[Case]:
    """Rows that fill their block, rows that do not, large numbers, hidden entries, one column, one row.

    No float16: compiled, `tl.exp` takes float32 and float64 only.
    """
    far, hidden = normal(rng, 3, 11, dtype=torch.float32), normal(rng, 4, 7, dtype=torch.float32)
    hidden[0, 1:], hidden[1, :6], hidden[2, ::2] = -math.inf, -math.inf, -math.inf
    return [
        Case("3 rows of 8 columns, BLOCK 8", (normal(rng, 3, 8, dtype=torch.float32),)),
        Case("5 rows of 13 columns, BLOCK 16", (normal(rng, 5, 13, dtype=torch.float32),)),
        Case("numbers around 800", (far + 800,)),
        Case("numbers around -800", (far - 800,)),
        Case("as many rows as columns", (normal(rng, 6, 6),)),
        Case("one column", (normal(rng, 4, 1, dtype=torch.float32),), edge=True),
        Case("one row of 9 columns, BLOCK 16", (normal(rng, 1, 9, dtype=torch.float32),), edge=True),
        Case("entries of -inf", (hidden,), edge=True),
    ]


def absent(mistake: Mistake) -> int:
    """How many lanes of a program lie behind its row."""
    columns = mistake.case.args[0].shape[1]
    return block(columns) - columns


def counted_as_zero(mistake: Mistake) -> str:
    """How many columns too many took part."""
    many = absent(mistake)
    lanes = "1 lane is" if many == 1 else f"{many} lanes are"
    return (
        f"{lanes} absent and counted: loaded as 0, each may be the maximum, and adds to the sum. Only "
        '`other=-float("inf")` is never the maximum and adds nothing.'
    )


def no_maximum(mistake: Mistake) -> str:
    """The number whose exponential is too large, or all too small."""
    largest = float(mistake.case.args[0].max())
    what = "overflows to infinity" if largest > 0 else "is 0 in float32, for a whole row"
    return f"exp({largest:.0f}) {what}: subtract the row's maximum first."


def row_length_for_stride(mistake: Mistake) -> str:
    """How far apart the rows lie."""
    n = mistake.case.args[0].shape[1]
    return f"Rows of x lie {n + 3} apart, not {n}: use `stride_x`."


def store_not_masked(mistake: Mistake) -> str:
    """How much was overwritten."""
    return f"You wrote {places(absent(mistake))} past the end of each row: mask the store too."


def load_not_masked(mistake: Mistake) -> str:
    """How much was read."""
    return f"You read {places(absent(mistake))} past the end of each row: mask the load too."


def not_divided(mistake: Mistake) -> str:
    """What the first row sums to."""
    return f"Row 0 sums to {float(mistake.got[0].double().sum()):.2f}: divide by the sum of the exponentials."


LOAD_MASK = ', mask=inside, other=-float("inf"))'

EXERCISE = Exercise(
    id="triton.row_softmax",
    title="The softmax of each row",
    minutes=15,
    points=10,
    difficulty="easy",
    spec=row_softmax,
    cases=cases,
    kernel=Kernel(TEXT, launch),
    row_sums=True,
    hints=(
        "One program holds one row: `cols = tl.arange(0, BLOCK)`; `cols < n_cols` says which are there.",
        "What is absent must not count: load it as `-inf` (`other=`), whose exponential is 0.",
        "Subtract `tl.max(x, axis=0)`, take `tl.exp`, divide by `tl.sum(..., axis=0)`, mask the store.",
    ),
    wrong=(
        Wrong("other=0.0", counted_as_zero, TEXT.but(LOAD_MASK, ", mask=inside, other=0.0)")),
        Wrong(
            "other= left out",
            "Rows with an absent lane are NaN: without `other=` it holds anything on a GPU, here NaN. Say "
            '`other=-float("inf")`, and subtract the maximum, the only thing that `-inf` does not move.',
            TEXT.but(LOAD_MASK, ", mask=inside)"),
        ),
        Wrong("no maximum", no_maximum, TEXT.but("x - tl.max(x, axis=0)", "x")),
        Wrong("row length for stride", row_length_for_stride, TEXT.but("row * stride_x", "row * n_cols")),
        Wrong("store not masked", store_not_masked, TEXT.but("y, mask=inside)", "y)")),
        Wrong("not divided", not_divided, TEXT.but(" / tl.sum(weights, axis=0)", "")),
        Wrong("load not masked", load_not_masked, TEXT.but(LOAD_MASK, ")")),
    ),
)
