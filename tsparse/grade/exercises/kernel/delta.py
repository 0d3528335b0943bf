"""`kernel.delta`: one number for each query, the sum of o * do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Exercise, Kernel, Mistake, Wrong
from tsparse.grade.launches import Launch, cdiv, kernel_text, output, padded

TEXT = kernel_text(Path(__file__).with_name("backward_kernels.py"), "kernel_delta")
BLOCK_M = 16


def kernel_delta(o: Tensor, do: Tensor) -> Tensor:
    """The sum over channels of o * do, both `[n_q, HEAD_DIM]`: in float64 for float64, else in float32."""
    found = (o.double() * do.double()).sum(-1)
    return found if o.dtype == torch.float64 else found.float()


def launch(o: Tensor, do: Tensor) -> Launch:
    """A program for 16 queries; rows of o and do lie apart, and not alike."""
    n_q, head_dim = o.shape
    sums = torch.float64 if o.dtype == torch.float64 else torch.float32
    o, do = padded(o, 3), padded(do, 5)
    arguments: dict[str, Any] = {
        "o_ptr": o,
        "do_ptr": do,
        "delta_ptr": output(n_q, dtype=sums, extra=0),
        "n_q": n_q,
        "stride_o": o.stride(0),
        "stride_do": do.stride(0),
    }
    constants = {"HEAD_DIM": head_dim, "BLOCK_M": BLOCK_M}
    return Launch((cdiv(n_q, BLOCK_M),), arguments, constants, ("delta_ptr",))


def cases(rng: Generator) -> list[Case]:
    """One block, several, a ragged end; float16 that cancels."""

    def case(name: str, n_q: int, dim: int, edge: bool = False, dtype: torch.dtype = torch.float32) -> Case:
        return Case(name, (normal(rng, n_q, dim, dtype=dtype), normal(rng, n_q, dim, dtype=dtype)), edge)

    return [
        case("16 queries, 8 channels", 16, 8),
        case("48 queries, 16 channels", 48, 16),
        case("16 queries, 16 channels", 16, 16),
        case("37 queries, 32 channels", 37, 32),
        cancelling(rng),
        case("float64", 19, 8, edge=True, dtype=torch.float64),
        case("one query", 1, 16, edge=True),
    ]


def cancelling(rng: Generator) -> Case:
    """float16 with two products near 144 that cancel: each is rounded to an eighth there."""
    o = 0.1 * normal(rng, 20, 16, dtype=torch.float16)
    do = normal(rng, 20, 16, dtype=torch.float16)
    large = (12 + torch.rand(4, 20, generator=rng) / 4).half()
    o[:, 0], do[:, 0], o[:, 11], do[:, 11] = large[0], large[1], large[2], -large[3]
    return Case("float16, where 144 comes and goes", (o, do))


def mean(mistake: Mistake) -> str:
    """How many times too small."""
    return f"{mistake.case.args[0].shape[1]} times too small: the sum over the channels, not their mean."


def rows_not_masked(mistake: Mistake) -> str:
    """Which rows do not exist."""
    n_q = len(mistake.case.args[0])
    last = cdiv(n_q, BLOCK_M) * BLOCK_M - 1
    which = f"rows {n_q} to {last}" if n_q < last else f"row {n_q}"
    return f"n_q = {n_q}: you read and wrote {which}, which do not exist. Mask the loads and the store."


def first_block_only(mistake: Mistake) -> str:
    """Which queries were not written."""
    n_q = len(mistake.case.args[0])
    return f"Queries {BLOCK_M} to {n_q - 1} were never written: program i has rows i * BLOCK_M and on."


def other_stride(mistake: Mistake) -> str:
    """How far apart the rows lie."""
    dim = mistake.case.args[0].shape[1]
    return f"Rows of do lie `stride_do` = {dim + 5} apart; you took `stride_o` = {dim + 3}."


LOADS = ("o_ptr + rows[:, None] * stride_o + d", "do_ptr + rows[:, None] * stride_do + d")
MASKED = ", mask=rows[:, None] < n_q, other=0.0)"
PRODUCT = "tl.sum(o_i.to(sums) * do_i.to(sums), 1)"

DELTA = Exercise(
    id="kernel.delta",
    title="One number for each query",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=kernel_delta,
    cases=cases,
    kernel=Kernel(TEXT, launch),
    hints=(
        "A program has BLOCK_M queries: `rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)`; their "
        "elements lie at `rows[:, None] * stride_o + tl.arange(0, HEAD_DIM)[None, :]`.",
        "Load o and do with `mask=rows[:, None] < n_q, other=0.0`, each with its own stride.",
        "Convert both to `delta_ptr.dtype.element_ty` before you multiply; `tl.sum(..., 1)` gives one number "
        "for each row; mask the store.",
    ),
    wrong=(
        Wrong("mean", mean, TEXT.but(PRODUCT, f"{PRODUCT} / HEAD_DIM")),
        Wrong(
            "do with itself",
            "You multiply do by itself: delta is the sum of o * do.",
            TEXT.but("tl.sum(o_i", "tl.sum(do_i"),
        ),
        Wrong(
            "o with itself",
            "You multiply o by itself: delta is the sum of o * do.",
            TEXT.but("* do_i.to(sums)", "* o_i.to(sums)"),
        ),
        Wrong(
            "rows not masked",
            rows_not_masked,
            TEXT.but(LOADS[0] + MASKED, LOADS[0] + ")", LOADS[1] + MASKED, LOADS[1] + ")").but(
                "delta_i, mask=rows < n_q)", "delta_i)"
            ),
        ),
        Wrong(
            "over queries",
            "One number for each query: sum over axis 1, the channels. Axis 0 adds queries together.",
            TEXT.but(PRODUCT, PRODUCT.replace("1)", "0)")),
            raises=True,
        ),
        Wrong(
            "summed in float16",
            "Near 144 float16 has steps of 0.125, and the sum is small: convert before you multiply.",
            TEXT.but(PRODUCT, "tl.sum(o_i * do_i, 1).to(sums)"),
        ),
        Wrong(
            "sign",
            "delta is subtracted later, in the kernels that use it: store it positive.",
            TEXT.but("delta_i = tl.sum", "delta_i = -tl.sum"),
        ),
        Wrong("first block only", first_block_only, TEXT.but("rows = i * BLOCK_M + ", "rows = ")),
        Wrong("stride of o for do", other_stride, TEXT.but("stride_do + d", "stride_o + d")),
    ),
)
