"""`triton.scale_rows`: a factor for each row, the first kernel."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Exercise, Kernel, Mistake, Wrong
from tsparse.grade.launches import Launch, cdiv, kernel_text, output, padded
from tsparse.kernels.memory import places, shown

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "scale_rows")


def scale_rows(x: Tensor, s: Tensor) -> Tensor:
    """x[i, j] * s[i] of x `[rows, columns]` and s `[rows]`."""
    return x * s[:, None]


def launch(x: Tensor, s: Tensor) -> Launch:
    """A program for BLOCK columns of a row; rows of x and y lie apart."""
    BLOCK = block(x)
    x, y = padded(x, 3), output(*x.shape, dtype=x.dtype, extra=5)
    arguments = {
        "x_ptr": x,
        "s_ptr": s,
        "y_ptr": y,
        "n_cols": x.shape[1],
        "stride_x": x.stride(0),
        "stride_y": y.stride(0),
    }
    return Launch((len(x), cdiv(x.shape[1], BLOCK)), arguments, {"BLOCK": BLOCK}, ("y_ptr",))


def block(x: Tensor) -> int:
    """BLOCK of a launch; not always the same, or a kernel may know it by heart."""
    return 16 if x.dtype == torch.float64 else 8


def cases(rng: Generator) -> list[Case]:
    """Whole pieces, a shorter one, pieces of 16; one column; rows that end just behind a piece, or before."""

    def case(
        name: str, rows: int, columns: int, edge: bool = False, dtype: torch.dtype = torch.float32
    ) -> Case:
        return Case(name, (normal(rng, rows, columns, dtype=dtype), normal(rng, rows, dtype=dtype)), edge)

    return [
        case("3 rows of 16 columns, two whole pieces", 3, 16),
        case("5 rows of 21 columns", 5, 21),
        case("as many rows as columns, BLOCK 16", 18, 18, dtype=torch.float64),
        case("one column", 7, 1, edge=True),
        case("one row of 9 columns", 1, 9, edge=True, dtype=torch.float16),
        case("2 rows of 7 columns", 2, 7, edge=True),
    ]


def columns(mistake: Mistake) -> int:
    """How long a row of the case is."""
    return mistake.case.args[0].shape[1]


def no_mask(mistake: Mistake) -> str:
    """Which program left its row, and by how much."""
    fault = mistake.launched and mistake.launched.fault("read")
    assert fault
    return (
        f"Program {shown(fault.program)} read and wrote {places(fault.count)} past the end of its row: "
        f"rows have {columns(mistake)} columns, and `mask=` leaves out what lies behind."
    )


def row_length_for_stride(mistake: Mistake) -> str:
    """How far apart the rows lie."""
    n = columns(mistake)
    return f"Rows of x lie {n + 3} apart, not {n}: use `stride_x`. Only rows that touch each other hide this."


def factor_of_the_column(mistake: Mistake) -> str:
    """Which factors were loaded."""
    last = min(block(mistake.case.args[0]), columns(mistake)) - 1
    loaded = f"s[0] to s[{last}]" if last else "s[0]"
    return f"Program (1, 0) loaded {loaded}; row 1 has one factor, s[1]: load `s_ptr + row`."


def first_columns_only(mistake: Mistake) -> str:
    """Which columns stayed empty."""
    first, last = block(mistake.case.args[0]), columns(mistake) - 1
    return f"Columns {first} to {last} were never written: add `tl.program_id(1) * BLOCK` to the columns."


def one_too_many(mistake: Mistake) -> str:
    """The column that is none."""
    n = columns(mistake)
    return f"Column {n} does not exist: columns are 0 to {n - 1}, so the mask is `cols < n_cols`, not `<=`."


def store_not_masked(mistake: Mistake) -> str:
    """How much was overwritten."""
    fault = mistake.launched and mistake.launched.fault("wrote")
    assert fault
    return f"The load is masked, the store is not: {places(fault.count)} behind row 0 were overwritten."


LOAD_MASK = "cols, mask=inside, other=0.0)"
STORE_MASK = "x * s, mask=inside)"

EXERCISE = Exercise(
    id="triton.scale_rows",
    title="A factor for each row",
    minutes=15,
    points=10,
    difficulty="easy",
    spec=scale_rows,
    cases=cases,
    kernel=Kernel(TEXT, launch),
    hints=(
        "A program has BLOCK columns of a row: `tl.program_id(0)` is the row, `tl.program_id(1)` the piece.",
        "Columns are `tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)`; the element [i, j] of x lies at "
        "`x_ptr + i * stride_x + j`.",
        "The last piece may reach past the row: say `mask=cols < n_cols` in the load and in the store.",
    ),
    wrong=(
        Wrong("no mask", no_mask, TEXT.but(LOAD_MASK, "cols)", STORE_MASK, "x * s)")),
        Wrong("row length for stride", row_length_for_stride, TEXT.but("row * stride_x", "row * n_cols")),
        Wrong(
            "factor of the column",
            factor_of_the_column,
            TEXT.but("s_ptr + row)", "s_ptr + cols, mask=inside, other=0.0)"),
        ),
        Wrong("first BLOCK columns only", first_columns_only, TEXT.but("tl.program_id(1) * BLOCK + ", "")),
        Wrong(
            "grid axes swapped",
            "Axis 0 of the grid counts rows, axis 1 pieces of a row; you took them the other way round.",
            TEXT.but(
                "row = tl.program_id(0)",
                "row = tl.program_id(1)",
                "cols = tl.program_id(1)",
                "cols = tl.program_id(0)",
            ),
        ),
        Wrong("one column too many", one_too_many, TEXT.but("cols < n_cols", "cols <= n_cols")),
        Wrong("store not masked", store_not_masked, TEXT.but(STORE_MASK, "x * s)")),
    ),
)
