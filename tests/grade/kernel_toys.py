"""A small exercise about a kernel, made up for the tests: sums of rows up to the end of the own block."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from tests.grade.toys import toy
from tsparse.grade.exercise import Blocks, Case, Kernel, Wrong, poisoned_tiles
from tsparse.grade.launches import KernelText, Launch, cdiv, output, padded

BLOCK, DIM = 4, 8

TEXT = KernelText(
    "prefix",
    """\
import triton
import triton.language as tl


@triton.jit
def prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK: tl.constexpr, DIM: tl.constexpr):
    block = tl.program_id(0)
    dims = tl.arange(0, DIM)
    total = tl.zeros((DIM,), tl.float32)
    for tile in range(0, block + 1):
        rows = tile * BLOCK + tl.arange(0, BLOCK)
        places = v_ptr + rows[:, None] * stride_v + dims[None, :]
        v = tl.load(places, mask=rows[:, None] < n, other=0.0)
        total += tl.sum(v, axis=0)
    rows = block * BLOCK + tl.arange(0, BLOCK)
    places = o_ptr + rows[:, None] * stride_o + dims[None, :]
    tl.store(places, tl.broadcast_to(total[None, :], (BLOCK, DIM)), mask=rows[:, None] < n)
""",
)
LOOP = "range(0, block + 1)"
ADD = "total += tl.sum(v, axis=0)"
ALL_TILES = TEXT.but(
    LOOP, "range(0, tl.cdiv(n, BLOCK))", ADD, "total += tl.sum(v, axis=0) * (tile <= block).to(tl.float32)"
)
SCRUBBED = ALL_TILES.but("tl.sum(v, axis=0)", "tl.sum(tl.where(v == v, v, 0.0), axis=0)")


def prefix(v: Tensor) -> Tensor:
    """Row i is the sum of all rows of v up to the end of its block of 4."""
    ends = [min(len(v), (row // BLOCK + 1) * BLOCK) for row in range(len(v))]
    return torch.stack([v[:end].sum(0) for end in ends])


def launch(v: Tensor) -> Launch:
    """A program for each block."""
    v, o = padded(v), output(*v.shape)
    arguments = {"v_ptr": v, "o_ptr": o, "n": len(v), "stride_v": v.stride(0), "stride_o": o.stride(0)}
    return Launch((cdiv(len(v), BLOCK),), arguments, {"BLOCK": BLOCK, "DIM": DIM}, ("o_ptr",))


def blocks(v: Tensor) -> Blocks:
    """Each block needs the tiles before it and its own."""
    size = cdiv(len(v), BLOCK)
    return Blocks(torch.ones(size, size, dtype=torch.bool).tril(), (BLOCK, BLOCK), "o_ptr", "v_ptr")


def cases(rng: Generator) -> list[Case]:
    """One block, three, a ragged end, and the cost of three."""
    three = Case("12 rows", (torch.randn(12, DIM, generator=rng),))
    return [
        Case("4 rows", (torch.randn(4, DIM, generator=rng),)),
        three,
        Case("10 rows", (torch.randn(10, DIM, generator=rng),), edge=True),
        *poisoned_tiles(three, blocks(*three.args)),
    ]


PREFIX = replace(
    toy(
        prefix,
        cases=cases,
        wrong=(Wrong("own block left out", "Your own block counts.", TEXT.but("block + 1", "block")),),
    ),
    kernel=Kernel(TEXT, launch, blocks),
)
