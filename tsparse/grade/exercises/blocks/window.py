"""`blocks.window_layout`: the lists of a causal window from arithmetic, for any length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.blocks.kinds import FULL, PARTIAL, classify
from tsparse.grade.exercises.blocks.lists import csr, table
from tsparse.grade.exercises.masks.positions import sliding_window
from tsparse.grade.exercises.masks.table import integer

Layout = tuple[Tensor, Tensor, Tensor, Tensor]

LONG = 1_048_576
"""Tokens of the heavy case: its mask would take 1 TiB, a table of its blocks 16 MiB."""


@dataclass(frozen=True)
class Row:
    """One row of blocks: its number, its first and last query, and the sizes it lives in."""

    number: int
    first_query: int
    last_query: int
    window: int
    block: int
    tokens: int

    @property
    def first_block(self) -> int:
        """The first key block that a query of the row sees."""
        return max(0, self.first_query - self.window + 1) // self.block

    def full(self, column: int) -> bool:
        """Whether every query of the row sees every key of a block, and no key is missing."""
        first_key, last_key = column * self.block, (column + 1) * self.block - 1
        return last_key <= self.first_query and self.last_query - first_key < self.window


def walk(
    n: int,
    window: int,
    block: int,
    touched: Callable[[Row], range] = lambda row: range(row.first_block, row.number + 1),
    full: Callable[[Row, int], bool] = Row.full,
) -> Layout:
    """The lists, row after row: partial blocks, then full ones, of those that a row touches."""
    crow, full_crow = [0], [0]
    col: list[int] = []
    full_col: list[int] = []
    for number in range(-(-n // block)):
        row = Row(number, number * block, min((number + 1) * block, n) - 1, window, block, n)
        for column in touched(row):
            (full_col if full(row, column) else col).append(column)
        crow.append(len(col))
        full_crow.append(len(full_col))
    first, second, third, fourth = (
        torch.tensor(one, dtype=torch.int32) for one in (crow, col, full_crow, full_col)
    )
    return first, second, third, fourth


def window_layout(n: int, window: int, block: int) -> Layout:
    """Reference: int32 crow [R + 1] and col of the partial blocks, then of the full ones."""
    return walk(n, window, block)


def cases(rng: Generator) -> list[Case]:
    """Whole blocks, windows around a block's length, a last row that is short; then tiny and very long."""
    drawn, window = integer(rng, 42, 47), integer(rng, 13, 15)
    return [
        Case("20 tokens, window 10, blocks of 4", (20, 10, 4)),
        Case("40 tokens, window 10, blocks of 8", (40, 10, 8)),
        *(Case(f"40 tokens, window {w}, blocks of 8", (40, w, 8)) for w in (1, 2, 7, 8, 9, 15, 16, 17)),
        Case("61 tokens, window 21, blocks of 8", (61, 21, 8)),
        Case(f"{drawn} tokens, window {window}, blocks of 4", (drawn, window, 4)),
        Case("640 tokens, window 20, blocks of 8", (640, 20, 8)),
        Case("1,600 tokens, window 2, blocks of 4", (1_600, 2, 4)),
        Case("one token more than the blocks hold", (33, 11, 8), edge=True),
        Case("one token less than the blocks hold", (31, 20, 8), edge=True),
        Case("a window longer than the sequence", (30, 100, 4), edge=True),
        Case("blocks of one token", (9, 3, 1), edge=True),
        Case("one block, not whole", (5, 3, 8), edge=True),
        Case("one token", (1, 1, 1), edge=True),
        Case(f"{LONG:,} tokens, window 2,048, blocks of 256", (LONG, 2_048, 256), edge=True, heavy=True),
    ]


def largest(case: Case) -> int:
    """64 numbers for each block that the rows can touch."""
    n, window, block = case.args
    return int(64 * -(-n // block) * (window / block + 2))


def differing(mistake: Mistake, part: int, missing: bool) -> tuple[int, int]:
    """The first (row, column) that the lists lack or have too much; `part` 0 partial, 2 full, 1 either.

    Raises IndexError where there is none.
    """
    n, _, block = mistake.case.args
    columns = -(-n // block)
    got, want = (
        torch.stack([table(side[0], side[1], columns), table(side[2], side[3], columns)])
        for side in (mistake.got, mistake.want)
    )
    got, want = ((one.any(0) if part == 1 else one[part // 2]) for one in (got, want))
    row, column = ((want & ~got) if missing else (got & ~want)).nonzero()[0].tolist()
    return row, column


def says_all_pairs(mistake: Mistake) -> str:
    """For masks."""
    n = mistake.case.args[0]
    return (
        f"You built {n * n:,} places for n={n}; at a million tokens that is a terabyte. Ask which blocks a "
        "row can touch."
    )


def says_all_blocks(mistake: Mistake) -> str:
    """For a table of all blocks."""
    n, window, block = mistake.case.args
    rows = -(-n // block)
    return (
        f"You built a table of all {rows * rows:,} blocks; a row with window {window} can touch "
        f"{(window - 1 + block - 1) // block + 1} of its {rows}."
    )


def says_too_few(mistake: Mistake) -> str:
    """For a first block that lies one too far right."""
    _, window, block = mistake.case.args
    row, column = differing(mistake, 1, missing=True)
    return (
        f"window {window}, block {block}: query {row * block} sees key {row * block - window + 1}, which is "
        f"in block {column}. The first block is (i·b - w + 1)//b."
    )


def says_too_many(mistake: Mistake) -> str:
    """For a first block that lies one too far left."""
    _, window, block = mistake.case.args
    row, column = differing(mistake, 1, missing=False)
    return (
        f"Row {row} lists block {column}, where it sees nothing: the first key of query {row * block} is "
        f"{row * block - window + 1}."
    )


def says_cut(mistake: Mistake) -> str:
    """For blocks that the window's edge cuts and that are called full."""
    block = mistake.case.args[2]
    row, column = differing(mistake, 2, missing=False)
    last = min((row + 1) * block, mistake.case.args[0]) - 1
    return (
        f"Row {row}'s leftmost block is cut by the window's edge: its query {last} does not see key "
        f"{column * block}."
    )


def says_diagonal(mistake: Mistake) -> str:
    """For full blocks on the diagonal."""
    row, column = differing(mistake, 2, missing=False)
    return f"In block ({row}, {column}) the upper half is the future: it is partial."


def says_last_row(mistake: Mistake) -> str:
    """For a last row judged by queries that do not exist."""
    n, _, block = mistake.case.args
    _, column = differing(mistake, 2, missing=True)
    have = n % block
    count = "1 query" if have == 1 else f"{have} queries"
    return f"The last row of blocks has {count}, not {block}: they see all of block {column}."


def says_future(mistake: Mistake) -> str:
    """For blocks right of the diagonal."""
    row, column = differing(mistake, 1, missing=False)
    return f"Row {row} lists block {column}: the window is causal."


def says_longer(mistake: Mistake) -> str:
    """For a window with one key too many."""
    window = mistake.case.args[1]
    return (
        f"These are the lists of window {window + 1}: the query's own key is one of the {window} that it "
        "sees."
    )


def through_mask(n: int, window: int, block: int) -> Layout:
    """The lists of the whole mask."""
    labels = classify(sliding_window(n, n, window), (block, block))
    return *csr(labels == PARTIAL), *csr(labels == FULL)


def through_table(n: int, window: int, block: int) -> Layout:
    """The lists of a table of all blocks."""
    columns = -(-n // block)
    crow, col, full_crow, full_col = window_layout(n, window, block)
    return *csr(table(crow, col, columns)), *csr(table(full_crow, full_col, columns))


def touching(rule: Callable[[Row], range]) -> Callable[..., Any]:
    """A wrong answer in which rows touch other blocks."""
    return lambda n, window, block: walk(n, window, block, touched=rule)


def called_full(rule: Callable[[Row, int], bool]) -> Callable[..., Any]:
    """A wrong answer in which other blocks are full."""
    return lambda n, window, block: walk(n, window, block, full=rule)


def full_twice(n: int, window: int, block: int) -> Layout:
    """All listed blocks in the first two lists, and the full ones once more."""
    return *walk(n, window, block, full=lambda row, column: False)[:2], *window_layout(n, window, block)[2:]


def whole(row: Row) -> Row:
    """The row with all the queries of a block."""
    last = row.first_query + row.block - 1
    return Row(row.number, row.first_query, last, row.window, row.block, row.tokens)


WINDOW_LAYOUT = Exercise(
    id="blocks.window_layout",
    title="A window's lists without its mask",
    minutes=30,
    points=20,
    difficulty="hard",
    spec=window_layout,
    cases=cases,
    largest=largest,
    hints=(
        "Row i of blocks has the queries i·b to min((i + 1)·b, n) - 1. Which is the first key that its first "
        "query sees, and in which block does that lie? The last block that it touches is i.",
        "A block that is touched is full if its last key is not the future of the row's *first* query, and "
        "its first key is still in the window of the row's *last* query. Everything else is partial.",
        "Two loops: over the rows, and over the blocks from max(0, i·b - w + 1)//b to i. Append each block "
        "to one of two Python lists; after each row note how long both are. At the end make int32 tensors.",
    ),
    wrong=(
        Wrong("N x N", says_all_pairs, through_mask),
        Wrong("R x C", says_all_blocks, through_table),
        Wrong(
            "one too few on the left",
            says_too_few,
            touching(
                lambda row: range(max(0, -(-(row.first_query - row.window + 1) // row.block)), row.number + 1)
            ),
        ),
        Wrong(
            "one too many on the left",
            says_too_many,
            touching(lambda row: range(max(0, row.first_query - row.window) // row.block, row.number + 1)),
        ),
        Wrong(
            "diagonal full",
            says_diagonal,
            called_full(lambda row, column: row.full(column) or column == row.number),
        ),
        Wrong(
            "nothing full",
            "Right output, but no block is spared its mask.",
            called_full(lambda row, column: False),
        ),
        Wrong(
            "all but the diagonal full",
            says_cut,
            called_full(lambda row, column: row.full(column) or column < row.number),
        ),
        Wrong(
            "last row as if whole",
            says_last_row,
            called_full(lambda row, column: whole(row).full(column)),
        ),
        Wrong(
            "future blocks",
            says_future,
            touching(lambda row: range(row.first_block, min(row.number + 2, -(-row.tokens // row.block)))),
        ),
        Wrong(
            "full ones in both lists",
            "The first two lists hold the partial blocks only; yours hold the full ones too.",
            full_twice,
        ),
        Wrong(
            "own block never full",
            "A block of one token holds one pair, the own key, and that is visible: it is full.",
            called_full(lambda row, column: row.full(column) and column < row.number),
        ),
        Wrong("w+1 keys", says_longer, lambda n, window, block: walk(n, window + 1, block)),
        Wrong(
            "full lists first",
            "The partial lists come first, then the full ones; yours stand the other way round.",
            lambda n, window, block: (*walk(n, window, block)[2:], *walk(n, window, block)[:2]),
        ),
        Wrong(
            "int64",
            "Right numbers, wrong type: kernels read int32.",
            lambda n, window, block: tuple(one.long() for one in walk(n, window, block)),
        ),
    ),
)
