"""`kernel.forward`: the list of blocks drives the loop; all of them are full."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong, poisoned_tiles
from tsparse.grade.exercises.blocks.lists import csr
from tsparse.grade.exercises.flash.forward import drawn
from tsparse.grade.exercises.kernel.lists import (
    BLOCK_M,
    BLOCK_N,
    attended,
    elements,
    launched,
    listed,
    tiles,
    visited_tiles,
)
from tsparse.grade.launches import Launch, cdiv, kernel_text

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "kernel_forward")


def kernel_forward(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, sm_scale: float
) -> tuple[Tensor, Tensor]:
    """Attention over the listed blocks: out like q, and lse `[Z, n_q]`; an empty row gets 0 and -inf."""
    n_q, n_kv = q.shape[1], k.shape[1]
    return attended(q, k, v, sm_scale, elements(table(k, crow, col), n_q, n_kv))


def table(k: Tensor, crow: Tensor, col: Tensor) -> Tensor:
    """Which blocks are listed, `[R, C]`."""
    return listed(crow, col, cdiv(k.shape[1], BLOCK_N))


def launch(q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, sm_scale: float) -> Launch:
    """A program for 32 queries of a head, as in lesson 14."""
    return launched(q, k, v, sm_scale, {"crow_ptr": crow, "col_ptr": col}, {})


def blocks(q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, sm_scale: float) -> Blocks:
    """The listed blocks, and two products for each."""
    return tiles(table(k, crow, col), len(q))


def cases(rng: Generator) -> list[Case]:
    """One block, several, with gaps; a row that lists nothing, ragged ends, two heads; then the cost."""

    def case(name: str, rows: str, n_q: int = 0, n_kv: int = 0, z: int = 1, edge: bool = False) -> Case:
        found = torch.tensor([[place == "#" for place in row] for row in rows.split()])
        n_q, n_kv = n_q or len(found) * BLOCK_M, n_kv or found.shape[1] * BLOCK_N
        q, k, v, sm_scale = drawn(rng, z, n_q, n_kv)
        return Case(name, (q, k, v, *csr(found), sm_scale), edge)

    gaps = case("three rows, with gaps", ".#.# #.#. ..##")
    q, k, v, crow, col, sm_scale = case("", "#.# .##").args
    half = (q.half(), k.half(), v.half(), crow, col, sm_scale)
    return [
        case("two rows that list block 0", "#.. #.."),
        case("two rows that list blocks 0 and 1", "##. ##."),
        case("two rows that list block 2", "..# ..#"),
        case("two rows, no two blocks alike", "#.#. .#.#"),
        gaps,
        case("a row that lists nothing", "#.# ... .##"),
        case("2 heads", "#. .# ##", z=2),
        case("75 queries, 53 keys, the last block of keys is not listed", "#.#. .##. ..#.", 75, 53, 2),
        case("one query, 40 keys", ".#.", 1, 40, 3, edge=True),
        case("no row lists anything", ".. ..", edge=True),
        case("first and last row list nothing", ".... #.## ....", 90, 64, edge=True),
        case("every block listed", "##### #####", 64, 80, edge=True),
        Case("scores up to 800", (150.0 * q, k, v, crow, col, sm_scale), edge=True),
        Case("float16", half, edge=True),
        *poisoned_tiles(gaps, blocks(*gaps.args)),
    ]


def numbers(mistake: Mistake) -> tuple[list[int], list[int]]:
    """crow and col of the case."""
    return mistake.case.args[3].tolist(), mistake.case.args[4].tolist()


def far_block(mistake: Mistake) -> int:
    """A listed block that does not begin at key 0."""
    _, col = numbers(mistake)
    return next(block for block in (*col, 0) if block or block == col[-1])


def all_masked(mistake: Mistake) -> str:
    """How many products there were, and how many are needed."""
    assert mistake.launched is not None
    many, enough = visited_tiles(mistake)
    return (
        f"Right values, but {mistake.launched.dots} dots over {many} tiles where the layout lists {enough}: "
        "let the loop run over the list, so that nothing else is ever loaded."
    )


def counter(mistake: Mistake) -> str:
    """An entry that is another block than its place in the row."""
    crow, col = numbers(mistake)
    for row, (first, end) in enumerate(pairwise(crow)):
        for place in range(first, end):
            if col[place] != place - first:
                return (
                    f"Entry {place - first} of row {row} is block {col[place]}, and you took block "
                    f"{place - first}: the place in the list is not the block. Read col there."
                )
    raise ValueError("here the two are one")


def place_for_block(mistake: Mistake) -> str:
    """A place in col that holds another number."""
    _, col = numbers(mistake)
    place = next(place for place, block in enumerate(col) if block != place)
    return (
        f"col[{place}] is block {col[place]}, and you took block {place}: `place` says where to look in col, "
        "not what stands there."
    )


def last_left_out(mistake: Mistake) -> str:
    """A row and the block that it lost."""
    crow, col = numbers(mistake)
    row = next(row for row in range(len(crow) - 1) if crow[row] < crow[row + 1])
    return (
        f"Row {row} never visited block {col[crow[row + 1] - 1]}, the last of its list: the list ends before "
        f"crow[{row + 1}] = {crow[row + 1]}, and `range` stops before its end by itself."
    )


def next_row(mistake: Mistake) -> str:
    """Which row read on, and what."""
    crow, col = numbers(mistake)
    row = next(row for row in range(len(crow) - 1) if crow[row + 1] < len(col) or row == len(crow) - 2)
    what = (
        f"the first block of the row after it, block {col[crow[row + 1]]}"
        if crow[row + 1] < len(col)
        else "what stands behind the end of `col`"
    )
    return f"Row {row} also read {what}: its list ends before crow[{row + 1}]."


def from_the_start(mistake: Mistake) -> str:
    """A row whose list begins further on."""
    crow, _ = numbers(mistake)
    row = next(row for row in range(1, len(crow)) if crow[row])
    if row == len(crow) - 1:
        raise ValueError("here every list begins at 0")
    return (
        f"Row {row}'s list starts at crow[{row}] = {crow[row]}, not at 0: you read the list of row 0 again."
    )


def empty_row(mistake: Mistake) -> str:
    """A row that lists nothing."""
    crow, _ = numbers(mistake)
    row = next(row for row in range(len(crow) - 1) if crow[row] == crow[row + 1])
    return (
        f"Row {row} lists nothing: acc and l are 0 there, and 0/0 is NaN. Divide by 1 where l is 0; lse "
        "becomes `-inf` by itself."
    )


def not_multiplied(mistake: Mistake) -> str:
    """Where a block begins."""
    block = far_block(mistake)
    return f"Block {block} begins at key {block * BLOCK_N}, not at key {block}: multiply by BLOCK_N."


def by_block_m(mistake: Mistake) -> str:
    """Where a block begins, and where it was taken to begin."""
    block = far_block(mistake)
    return (
        f"Key blocks are BLOCK_N = {BLOCK_N} long: block {block} begins at key {block * BLOCK_N}, you took "
        f"key {block * BLOCK_M}."
    )


LOOP = "for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):"
BLOCK = "j = tl.load(col_ptr + place)"
START = "j * BLOCK_N + tl.arange(0, BLOCK_N)"
REACH = 'tl.where(m_new == float("-inf"), 0.0, m_new)'

EXERCISE = Exercise(
    id="kernel.forward",
    title="The list of blocks drives the loop",
    minutes=30,
    points=20,
    difficulty="medium",
    spec=kernel_forward,
    cases=cases,
    kernel=Kernel(TEXT, launch, blocks),
    hints=(
        "Only *which blocks*, *mask* and *store* differ from `flash_forward`. Row i's list is the places "
        "crow[i] to crow[i + 1] - 1 of col.",
        "`for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):` and inside it the number of "
        "the block, `tl.load(col_ptr + place)`. Its keys begin at that number times BLOCK_N.",
        "A full block has all its keys and hides none: no mask. For a row without blocks l is 0 after the "
        "loop; put 1 in its place before you divide. m is still -inf there, and so is lse.",
    ),
    wrong=(
        Wrong(
            "all blocks, masked",
            all_masked,
            TEXT.but(
                LOOP,
                "first, end = tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)\n"
                "    for j in range(0, tl.cdiv(n_kv, BLOCK_N)):",
                BLOCK,
                "listed = 0\n"
                "        for place in range(first, end):\n"
                "            listed += (tl.load(col_ptr + place) == j).to(tl.int32)",
                "tl.load(k_ptr + at)",
                "tl.load(k_ptr + at, mask=columns[:, None] < n_kv, other=0.0)",
                "tl.load(v_ptr + at)",
                "tl.load(v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)",
                "# mask: a full block needs none",
                's = tl.where((columns[None, :] < n_kv) & (listed > 0), s, float("-inf"))',
                "p = tl.exp(s - m_new[:, None])",
                f"reach = {REACH}\n        p = tl.exp(s - reach[:, None])",
                "tl.exp(m_i - m_new)",
                "tl.exp(m_i - reach)",
            ),
        ),
        Wrong(
            "acc not rescaled",
            "Right for rows with one block only: from the second block on acc must be multiplied by alpha.",
            TEXT.but("        acc = acc * alpha[:, None]\n", ""),
        ),
        Wrong("counter for the block", counter, TEXT.but(BLOCK, "j = place - tl.load(crow_ptr + i)")),
        Wrong("place for the block", place_for_block, TEXT.but(BLOCK, "j = place")),
        Wrong("last block left out", last_left_out, TEXT.but("crow_ptr + i + 1))", "crow_ptr + i + 1) - 1)")),
        Wrong(
            "next row's first block too", next_row, TEXT.but("crow_ptr + i + 1))", "crow_ptr + i + 1) + 1)")
        ),
        Wrong(
            "read from the start of col",
            from_the_start,
            TEXT.but(LOOP, "for place in range(0, tl.load(crow_ptr + i + 1) - tl.load(crow_ptr + i)):"),
        ),
        Wrong("empty rows NaN", empty_row, TEXT.but("    l_i = tl.where(l_i == 0.0, 1.0, l_i)\n", "")),
        Wrong("block number not multiplied", not_multiplied, TEXT.but(START, "j + tl.arange(0, BLOCK_N)")),
        Wrong("BLOCK_M for the keys", by_block_m, TEXT.but(START, "j * BLOCK_M + tl.arange(0, BLOCK_N)")),
    ),
)
