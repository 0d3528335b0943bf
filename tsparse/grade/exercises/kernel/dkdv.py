"""`kernel.dkdv`: the gradients of keys and values, over the transposed lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong, poisoned_tiles
from tsparse.grade.exercises.kernel import backward
from tsparse.grade.exercises.kernel.backward import ASYMMETRIC, TALL, Inputs, inputs
from tsparse.grade.exercises.kernel.lists import listed
from tsparse.grade.launches import Launch, cdiv, kernel_text, output

TEXT = kernel_text(Path(__file__).with_name("backward_kernels.py"), "kernel_dkdv")


def table_of(x: Inputs) -> Tensor:
    """The blocks that are listed, `[R, C]`."""
    return listed(x.first, x.second, cdiv(len(x.q), x.block[0])).T


def kernel_dkdv(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor,
    ccol: Tensor, row: Tensor, sm_scale: float, window: int, block: tuple[int, int] = TALL,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradients of k and v over the blocks of the transposed lists, where 0 <= i - j < window."""
    x = Inputs(q, k, v, do, lse, delta, ccol, row, sm_scale, window, block)
    found = backward.gradients(x, table_of(x))
    return found.dk, found.dv


def launch(*args: Any) -> Launch:
    """A program for each block of keys."""
    x = Inputs(*args)
    outputs = {name: output(*x.k.shape, dtype=x.k.dtype, extra=7) for name in ("dk_ptr", "dv_ptr")}
    pointers = backward.pointers(x) | outputs
    arguments = pointers | {"ccol_ptr": x.first, "row_ptr": x.second} | backward.numbers(x, pointers, "dk")
    return Launch((cdiv(len(x.k), x.block[1]),), arguments, backward.constants(x), ("dk_ptr", "dv_ptr"))


def blocks(*args: Any) -> Blocks:
    """The listed blocks, a row for each program, and four products for each block.

    Tiles are told by delta: it goes into dk and not into dv, so NaN in it says who read it.
    """
    x = Inputs(*args)
    table = table_of(x).T
    names = ("key block", "query tile")
    return Blocks(table, x.block[::-1], "dk_ptr", "delta_ptr", 4 * int(table.sum()), names)


def cases(rng: Generator) -> list[Case]:
    """The cases of `backward`, and the cost on lists that are not symmetric."""
    found = backward.cases(rng, transposed=True)
    lists = next(case for case in found if case.name == ASYMMETRIC)
    return [*found, *poisoned_tiles(lists, blocks(*lists.args))]


def rule_forgotten(mistake: Mistake) -> str:
    """A pair that is hidden in the forward pass."""
    return backward.hidden_counts(inputs(mistake), table_of(inputs(mistake)))


def row_lists(mistake: Mistake) -> str:
    """A key block, who reads it, and whom the row list names.

    Raises ValueError where both are the same.
    """
    table = table_of(inputs(mistake))
    size = max(table.shape)
    square = torch.zeros(size, size, dtype=torch.bool)
    square[: table.shape[0], : table.shape[1]] = table
    differs = (square != square.T).any(0)[: table.shape[1]].nonzero()
    if not len(differs):
        raise ValueError("here the table is symmetric")
    j = int(differs[0])
    right, wrong = (found.nonzero()[:, 0].tolist() for found in (square[:, j], square[j]))
    return (
        f"Key block {j} is read by query blocks {named(right)}; you took {named(wrong)}, the list of "
        f"query block {j}. It is right on symmetric layouts only."
    )


def named(blocks: list[int]) -> str:
    """Numbers of blocks: "0 and 2", "none"."""
    return " and ".join(filter(None, [", ".join(map(str, blocks[:-1])), *map(str, blocks[-1:])])) or "none"


def roles(mistake: Mistake) -> str:
    """What the first entry of the lists means."""
    x = inputs(mistake)
    j = int((x.first.diff() > 0).int().argmax())
    return (
        f"Program {j} owns key block {j}, and `row_ptr` lists query blocks (the first is "
        f"{int(x.second[x.first[j]])}): rows come from the list, columns from the program."
    )


def last_left_out(mistake: Mistake) -> str:
    """The first key block whose list was cut short."""
    x = inputs(mistake)
    j = int((x.first.diff() > 0).int().argmax())
    return (
        f"Key block {j} misses query block {int(x.second[x.first[j + 1] - 1])}, the last that reads it: its "
        f"list ends before ccol[{j + 1}], and you stop one earlier."
    )


def replaced(mistake: Mistake) -> str:
    """What was left of a key block.

    Raises ValueError where no key block is read twice.
    """
    x = inputs(mistake)
    counts = x.first.diff()
    j = int(counts.argmax())
    if int(counts[j]) < 2:
        raise ValueError("here no key block is read twice")
    return (
        f"Key block {j} is read by {int(counts[j])} query blocks; only the last, "
        f"{int(x.second[x.first[j + 1] - 1])}, is left: `+=`."
    )


def scale_missing(mistake: Mistake) -> str:
    """By how much dk is off."""
    scale = inputs(mistake).sm_scale
    return f"dv is right, dk is {1 / scale:.2f} = 1/sm_scale times too large: the score is q·k · sm_scale."


def scale_twice(mistake: Mistake) -> str:
    """By how much dk is off."""
    scale = inputs(mistake).sm_scale
    return f"dv is right, dk is {scale} = sm_scale times what it should be: the chain rule has it once."


DS = "ds = p * (dp - delta_i[:, None])"
SEEN = "tl.where(seen, tl.exp(s - lse_i[:, None]), 0.0)"
DV = "dv += tl.dot(tl.trans(p).to(do_i.dtype), do_i"
DK = "dk += tl.dot(tl.trans(ds).to(q_i.dtype), q_i"
WALK = """for place in range(tl.load(ccol_ptr + j), tl.load(ccol_ptr + j + 1)):
        i = tl.load(row_ptr + place)"""
BY_ROWS = """for other in range(0, tl.cdiv(n_kv, BLOCK_N)):
      for place in range(tl.load(ccol_ptr + other), tl.load(ccol_ptr + other + 1)):
       if tl.load(row_ptr + place) == j:
        i = other"""

DKDV = Exercise(
    id="kernel.dkdv",
    title="The gradients of keys and values",
    minutes=45,
    points=20,
    difficulty="hard",
    spec=kernel_dkdv,
    cases=cases,
    kernel=Kernel(TEXT, launch, blocks),
    hints=(
        "Turn `kernel_dq` over: a program owns the key block j = program_id(0), loads k and v once, and "
        "walks the query blocks that `row_ptr` lists between ccol[j] and ccol[j + 1].",
        "s, the rule, p, dp and ds are the lines of `kernel_dq`, letter for letter. q, do, lse and delta are "
        "loaded inside the loop, for the rows of block i.",
        "dv += pᵀ · do and dk += dsᵀ · q (`tl.trans`), both [BLOCK_N, HEAD_DIM]. `sm_scale` goes into dk "
        "only, at the store; both stores are masked with `columns[:, None] < n_kv`.",
    ),
    wrong=(
        Wrong("scale missing in dk", scale_missing, TEXT.but("(dk * sm_scale)", "dk")),
        Wrong("scale twice in dk", scale_twice, TEXT.but(DS, f"{DS} * sm_scale")),
        Wrong(
            "scale in dv too",
            "dk is right, dv is not: v is not multiplied by the scale, so its gradient is not either.",
            TEXT.but("dv_ptr + at, dv.to(", "dv_ptr + at, (dv * sm_scale).to("),
        ),
        Wrong(
            "delta forgotten",
            "dv is right, dk is not: ds = p · (dp - delta), you use p · dp.",
            TEXT.but(DS, "ds = p * dp"),
        ),
        Wrong("rule not applied again", rule_forgotten, TEXT.but(SEEN, "tl.exp(s - lse_i[:, None])")),
        Wrong(
            "rule turned round",
            "You ask 0 <= key - query: gap is the query's position minus the key's.",
            TEXT.but("rows[:, None] - columns[None, :]", "columns[None, :] - rows[:, None]"),
        ),
        Wrong(
            "dk and dv exchanged",
            "dk holds what dv should be, and dv what dk should be: look at the two stores.",
            TEXT.but(
                "dk_ptr + at", "dv_ptr + AT", "dv_ptr + at", "dk_ptr + at", "dv_ptr + AT", "dv_ptr + at"
            ),
        ),
        Wrong(
            "-inf minus -inf",
            backward.minus_infinity,
            TEXT.but(SEEN, 'tl.exp(tl.where(seen, s, float("-inf")) - lse_i[:, None])'),
        ),
        Wrong(
            "p not transposed",
            "dv = pᵀ · do: p is queries x keys, and dv has a row for each key.",
            TEXT.but(DV, "dv += tl.dot(p.to(do_i.dtype), do_i"),
        ),
        Wrong(
            "ds not transposed",
            "dk = dsᵀ · q: ds is queries x keys, and dk has a row for each key.",
            TEXT.but(DK, "dk += tl.dot(ds.to(q_i.dtype), q_i"),
        ),
        Wrong(
            "dk from k",
            "dk = dsᵀ · q: the score is q·k, so its derivative by k is q. You multiply by k.",
            TEXT.but(DK, "dk += tl.dot(tl.trans(ds).to(k_j.dtype), k_j"),
        ),
        Wrong(
            "dv from ds",
            "dk is right, dv is not: the output is the sum of p · v, so dv = pᵀ · do. You use ds, or q.",
            TEXT.but(
                DV,
                'dv += tl.dot(tl.trans(p * (tl.dot(do_i, tl.trans(v_j), input_precision="ieee") - '
                "delta_i[:, None])).to(do_i.dtype), do_i",
            ),
        ),
        Wrong("row lists used", row_lists, TEXT.but(WALK, BY_ROWS)),
        Wrong(
            "roles not exchanged",
            roles,
            TEXT.but(
                "rows = i * BLOCK_M + tl.arange(0, BLOCK_M)",
                "rows = j * BLOCK_M + tl.arange(0, BLOCK_M)\n"
                "        columns = i * BLOCK_N + tl.arange(0, BLOCK_N)",
            ),
        ),
        Wrong(
            "other= forgotten on do",
            "Rows past the end are undefined, and 0 · NaN is NaN: load q, do, lse, delta with `other=0.0`.",
            TEXT.but(
                "do_ptr + rows[:, None] * stride_q + d, mask=rows[:, None] < n_q, other=0.0)",
                "do_ptr + rows[:, None] * stride_q + d, mask=rows[:, None] < n_q)",
            ),
        ),
        Wrong(
            "last block left out",
            last_left_out,
            TEXT.but("tl.load(ccol_ptr + j + 1))", "tl.load(ccol_ptr + j + 1) - 1)"),
        ),
        Wrong("replaced", replaced, TEXT.but("dv += ", "dv = ", "dk += ", "dk = ")),
    ),
)
