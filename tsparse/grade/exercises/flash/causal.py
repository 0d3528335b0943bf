"""`flash.causal`: tiles of the future are skipped, not masked."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong, poisoned_tiles
from tsparse.grade.exercises.flash.forward import (
    STARTS_FINITE,
    TALL,
    WIDE,
    Tile,
    attended,
    drawn,
    far_below,
    launch,
)
from tsparse.grade.launches import cdiv, kernel_text
from tsparse.grade.outside import visited

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "flash_causal")


def flash_causal(
    q: Tensor, k: Tensor, v: Tensor, sm_scale: float, tile: Tile = TALL
) -> tuple[Tensor, Tensor]:
    """Attention of query i over keys 0 to i, whatever the lengths: out like q, and lse `[Z, n_q]`."""
    mask = torch.arange(k.shape[1]) <= torch.arange(q.shape[1])[:, None]
    return attended(q, k, v, sm_scale, mask)


def blocks(q: Tensor, k: Tensor, v: Tensor, sm_scale: float, tile: Tile = TALL) -> Blocks:
    """Row i of blocks needs the tiles that begin before key (i + 1) * BLOCK_M.

    Products of tiles past the last key are allowed: nothing outside can see them, so they cost no points.
    """
    ends = (torch.arange(cdiv(q.shape[1], tile[0])) + 1) * tile[0]
    starts = torch.arange(cdiv(k.shape[1], tile[1])) * tile[1]
    products = 2 * len(q) * sum(cdiv(int(end), tile[1]) for end in ends)
    return Blocks(starts < ends[:, None], tile, "o_ptr", "v_ptr", products)


def cases(rng: Generator) -> list[Case]:
    """Square, more keys, more queries, ragged, wide tiles; then the cost, a tile of NaN at a time."""
    square = Case("1 head, 64 queries, 64 keys", drawn(rng, 1, 64, 64))
    wide = Case("1 head, 40 queries, 72 keys, tiles of 16 x 32", (*drawn(rng, 1, 40, 72), WIDE))
    return [
        square,
        Case("1 head, 32 queries, 80 keys", drawn(rng, 1, 32, 80)),
        Case("1 head, 64 queries, 41 keys", drawn(rng, 1, 64, 41)),
        Case("2 heads, 45 queries, 53 keys", drawn(rng, 2, 45, 53)),
        wide,
        Case("one query, 20 keys", drawn(rng, 2, 1, 20), edge=True),
        Case("scores up to 800", drawn(rng, 1, 40, 40, times=150.0), edge=True),
        far_below(drawn(rng, 2, 17, 1)),
        *poisoned_tiles(square, blocks(*square.args)),
        *poisoned_tiles(wide, blocks(*wide.args)),
    ]


def all_visited(mistake: Mistake) -> str:
    """How many tiles were visited, of how many that hold a visible key."""
    assert mistake.launched is not None
    assert mistake.blocks is not None
    many, enough = int(visited(mistake.launched, mistake.blocks).sum()), int(mistake.blocks.wanted.sum())
    return (
        f"Right values, but you visited {many} tiles; {enough} can hold a visible key. "
        "End the loop where the future begins."
    )


def one_too_many(mistake: Mistake) -> str:
    """The first row that visited a tile of the future, and that tile."""
    assert mistake.launched is not None
    assert mistake.blocks is not None
    extra = (visited(mistake.launched, mistake.blocks) & ~mistake.blocks.wanted).nonzero()
    row, tile = extra[0].tolist()
    return f"Row {row} of blocks visited key tile {tile}, which lies wholly in its future: one tile too many."


def at_the_end(mistake: Mistake) -> str:
    """Where query 0 stands, and where it was taken to stand."""
    n_q, n_kv = mistake.case.args[0].shape[1], mistake.case.args[1].shape[1]
    if n_q == n_kv:
        raise ValueError("here both rules are one")
    return f"{n_q} queries and {n_kv} keys: here query 0 stands at key 0; you put it at key {n_kv - n_q}."


def rounded_down(mistake: Mistake) -> str:
    """The first row that stopped before a tile that it needs."""
    assert mistake.launched is not None
    assert mistake.blocks is not None
    missing = (mistake.blocks.wanted & ~visited(mistake.launched, mistake.blocks)).nonzero()
    row, tile = missing[0].tolist()
    return f"Row {row} of blocks stops before key tile {tile}, of which it needs a part: round up, `tl.cdiv`."


def absent_keys(mistake: Mistake) -> str:
    """How many keys there are, and a query that is told of more."""
    n_q, n_kv = mistake.case.args[0].shape[1], mistake.case.args[1].shape[1]
    if n_q <= n_kv:
        raise ValueError("here no query stands behind the last key")
    return (
        f"Only {n_kv} keys exist, and query {n_kv} gave weight to key {n_kv}: a key counts if it is not "
        "after the query *and* below n_kv."
    )


BOUND = "tl.minimum(n_kv, (i + 1) * BLOCK_M)"
RULE = "columns[None, :] <= rows[:, None]"

EXERCISE = Exercise(
    id="flash.causal",
    title="Causal attention that skips the future",
    minutes=20,
    points=15,
    difficulty="medium",
    spec=flash_causal,
    cases=cases,
    kernel=Kernel(TEXT, launch, blocks),
    hints=(
        "Two steps change. *Which blocks*: the last key that a block of queries may see is that of its last "
        "query. *Mask*: on the diagonal.",
        "Block i ends before query (i + 1) * BLOCK_M, and no key lies past n_kv: the loop ends where the "
        "smaller of both does, rounded up to whole tiles of BLOCK_N.",
        "Tiles on the diagonal hold some future: keep scores only where `columns[None, :] <= rows[:, None]` "
        "and, as before, `columns[None, :] < n_kv`.",
    ),
    wrong=(
        Wrong("all tiles visited", all_visited, TEXT.but(BOUND, "n_kv")),
        Wrong(
            "diagonal tiles left out",
            "BLOCK_M is larger than BLOCK_N: the diagonal crosses two tiles, and you stop after one.",
            TEXT.but("(i + 1) * BLOCK_M", "i * BLOCK_M + BLOCK_N"),
        ),
        Wrong(
            "one tile too many", one_too_many, TEXT.but("(i + 1) * BLOCK_M", "(i + 1) * BLOCK_M + BLOCK_N")
        ),
        Wrong(
            "bound rounded down", rounded_down, TEXT.but(f"tl.cdiv({BOUND}, BLOCK_N)", f"{BOUND} // BLOCK_N")
        ),
        Wrong("absent keys seen", absent_keys, TEXT.but(" & (columns[None, :] < n_kv)", "")),
        Wrong(
            "own key hidden",
            "Query 0 sees nothing: a token may see itself, so the rule is `<=`.",
            TEXT.but(RULE, RULE.replace("<=", "<")),
        ),
        Wrong(
            "upside down",
            "Queries see what comes after them and not what came before: turn the comparison round.",
            TEXT.but(RULE, RULE.replace("<=", ">=")),
        ),
        Wrong(
            "diagonal not masked",
            "Skipping is not enough: on the diagonal a part of a tile is future, so query 0 saw key 1.",
            TEXT.but(f"({RULE}) & ", ""),
        ),
        Wrong(
            "hidden keys score -1e9",
            "The scores are around -1e12, and hidden keys have a larger, finite one: they take all the "
            "weight. Set theirs to `-inf`.",
            TEXT.but('tl.where(seen, s, float("-inf"))', "tl.where(seen, s, -1e9)"),
        ),
        Wrong(
            "maximum starts at -1e9", STARTS_FINITE, TEXT.but('float("-inf"), dtype=sums', "-1e9, dtype=sums")
        ),
        Wrong(
            "aligned at the end",
            at_the_end,
            TEXT.but(
                *(BOUND, "tl.minimum(n_kv, (i + 1) * BLOCK_M + n_kv - n_q)"),
                *(RULE, "columns[None, :] <= rows[:, None] + n_kv - n_q"),
            ),
        ),
    ),
)
