"""`triton.matmul`: a tile of a product for each program, with a loop over the inner axis."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Exercise, Kernel, Mistake, Wrong
from tsparse.grade.launches import Launch, cdiv, kernel_text, output, padded
from tsparse.kernels.memory import places

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "matmul")


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a `[m, k]` times b `[k, n]`."""
    return (a.double() @ b.double()).to(a.dtype)


def launch(a: Tensor, b: Tensor) -> Launch:
    """A program for each tile of the result."""
    (m, k), n = a.shape, b.shape[1]
    BM, BN, BK = tiles(m, n)
    a, b, c = padded(a, 3), padded(b, 5), output(m, n, dtype=a.dtype, extra=7)
    arguments = {"a_ptr": a, "b_ptr": b, "c_ptr": c, "m": m, "n": n, "k": k}
    arguments |= {"stride_a": a.stride(0), "stride_b": b.stride(0), "stride_c": c.stride(0)}
    return Launch((cdiv(m, BM), cdiv(n, BN)), arguments, {"BM": BM, "BN": BN, "BK": BK}, ("c_ptr",))


def tiles(m: int, n: int) -> tuple[int, int, int]:
    """BM, BN and BK: all different, and not always the same, or a kernel may take one for another."""
    return (32, 16, 64) if m == n else (16, 64, 32)


def cases(rng: Generator) -> list[Case]:
    """One tile, several pieces of k, then sizes that are no multiple of a tile; float16 that cancels."""

    def case(m: int, n: int, k: int, edge: bool = False) -> Case:
        a, b = normal(rng, m, k, dtype=torch.float32), normal(rng, k, n, dtype=torch.float32)
        return Case(f"{m} x {k} times {k} x {n}", (a, b), edge)

    return [
        case(16, 64, 32),
        case(16, 64, 96),
        case(16, 64, 35),
        case(20, 70, 35),
        case(33, 33, 70),
        cancelling(rng),
        nearly_cancelling(rng),
        case(1, 5, 7, edge=True),
        case(17, 1, 3, edge=True),
    ]


def cancelling(rng: Generator) -> Case:
    """float16 with a large term in the first piece of k, its opposite in the last, and small ones between."""
    a = 0.1 * normal(rng, 16, 96, dtype=torch.float16)
    b = normal(rng, 96, 64, dtype=torch.float16)
    a[:, 0], a[:, 95], b[0], b[95] = 60, -60, 60, 60
    return Case("float16, where 3600 comes and goes", (a, b))


def nearly_cancelling(rng: Generator) -> Case:
    """float32 with 1000 in each number of a, which cancels: rounding the inputs shows, to TF32 as well."""
    a, b = normal(rng, 16, 64, dtype=torch.float32), normal(rng, 64, 64, dtype=torch.float32)
    a[:, :32] += 1000
    a[:, 32:] -= 1000
    b[32:] = b[:32]
    return Case("float32, where 1000 comes and goes", (a, b))


def sizes(mistake: Mistake) -> tuple[int, int, int]:
    """m, n and k of the case."""
    (m, k), n = mistake.case.args[0].shape, mistake.case.args[1].shape[1]
    return m, n, k


def end_of_k(mistake: Mistake) -> str:
    """By how much the last piece reaches past k."""
    m, n, k = sizes(mistake)
    _, _, piece = tiles(m, n)
    return (
        f"k = {k} is no multiple of {piece}: the last piece read {places(-k % piece)} too far along k. "
        "Mask the inner axis, in a and in b."
    )


def swapped(mistake: Mistake) -> str:
    """A tile that no program wrote."""
    m, n, _ = sizes(mistake)
    BM, BN, _ = tiles(m, n)
    down, across = cdiv(m, BM), cdiv(n, BN)
    tile = (0, across - 1) if across > down else (down - 1, 0)
    return f"Tile {tile} was never written: axis 0 of the grid counts tiles of rows, axis 1 of columns."


def stride_of_a(mistake: Mistake) -> str:
    """How far apart the rows of b lie."""
    _, n, k = sizes(mistake)
    return f"Rows of b lie `stride_b` = {n + 5} apart; you took `stride_a` = {k + 3}."


def left_out(mistake: Mistake) -> str:
    """Which columns of a were not added."""
    m, n, k = sizes(mistake)
    _, _, piece = tiles(m, n)
    first = k // piece * piece
    which = f"column {first} of a was" if first == k - 1 else f"columns {first} to {k - 1} of a were"
    return f"k = {k}: {which} not added. The loop has to take the last, shorter piece too."


def not_masked(mistake: Mistake) -> str:
    """Where the store left the result."""
    m, n, _ = sizes(mistake)
    _, BN, _ = tiles(m, n)
    where = f"column {n - 1}" if n % BN else f"row {m - 1}"
    return f"You wrote past {where} of c, the last one: mask the store."


OTHER = ", other=0.0)"

EXERCISE = Exercise(
    id="triton.matmul",
    title="A product of matrices, tile by tile",
    minutes=30,
    points=15,
    difficulty="medium",
    spec=matmul,
    cases=cases,
    kernel=Kernel(TEXT, launch),
    hints=(
        "A program writes one tile: rows `tl.program_id(0) * BM + tl.arange(0, BM)`, columns with BN.",
        "Keep `acc = tl.zeros((BM, BN), tl.float32)`; for each piece of k load a tile [BM, BK] of a and one "
        '[BK, BN] of b, and add their `tl.dot`, with `input_precision="ieee"`.',
        "Three masks: rows and the inner axis for a, the inner axis and columns for b, rows and columns for "
        "c. What is absent in a or b must be 0.",
    ),
    wrong=(
        Wrong(
            "end of k not masked",
            end_of_k,
            TEXT.but(
                " & (inner[None, :] < k)",
                "",
                "(inner[:, None] < k) & (cols[None, :] < n)",
                "cols[None, :] < n",
            ),
        ),
        Wrong(
            "acc replaced",
            "Only the last piece of k is in the result: add each piece to `acc` (`+=`).",
            TEXT.but("acc += tl.dot", "acc = tl.dot"),
        ),
        Wrong(
            "grid axes swapped",
            swapped,
            TEXT.but(
                "rows = tl.program_id(0)",
                "rows = tl.program_id(1)",
                "cols = tl.program_id(1)",
                "cols = tl.program_id(0)",
            ),
        ),
        Wrong(
            "stride of a for b",
            stride_of_a,
            TEXT.but("inner[:, None] * stride_b", "inner[:, None] * stride_a"),
        ),
        Wrong(
            "summed in float16",
            "3600 + 0.3 is 3600 in float16: keep `acc` in float32 until the store.",
            TEXT.but(
                "tl.float32",
                "tl.float16",
                'acc += tl.dot(a, b, input_precision="ieee")',
                'acc = (acc + tl.dot(a, b, input_precision="ieee")).to(tl.float16)',
            ),
        ),
        Wrong("last piece left out", left_out, TEXT.but("range(0, k, BK)", "range(0, k // BK * BK, BK)")),
        Wrong("store not masked", not_masked, TEXT.but("acc, mask=c_mask)", "acc)")),
    ),
)
