"""Lists of blocks for the cases of this topic, the rule inside a block, and how large an answer may become.

A table `[R, C]` says which blocks are listed; the lists are the same for all heads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Mistake
from tsparse.grade.exercises.blocks.lists import csr

Rule = Callable[[Tensor, Tensor], Tensor]

LENGTH, BLOCK = 65_536, 512
"""Queries and keys of the heavy case, and its block: all scores of one head take 34 GB in float64."""


MOST_PAIRS = 1 << 24
"""Pairs that `visible` may be asked about at once: it computes in the process of the grader."""


class Visible:
    """Which query sees which key, as a function of their positions in the sequence."""

    def __init__(self, rule: Rule) -> None:
        """`rule` takes two integer tensors that broadcast."""
        self.rule = rule

    def __call__(self, q_idx: Tensor | int, kv_idx: Tensor | int) -> Tensor:
        """A bool tensor of the shape that both broadcast to. Raises ValueError for too many pairs at once."""
        q, k = torch.as_tensor(q_idx), torch.as_tensor(kv_idx)
        shape = torch.broadcast_shapes(q.shape, k.shape)
        if shape.numel() > MOST_PAIRS:
            raise ValueError(f"visible was asked about {shape.numel():,} pairs at once; ask for a block")
        return self.rule(q, k).expand(shape)

    def __repr__(self) -> str:
        """The same for every rule: it must be asked."""
        return "visible"


def causal(q: Tensor, k: Tensor) -> Tensor:
    """A query sees its own key and those before."""
    return q >= k


def everything(q: Tensor, k: Tensor) -> Tensor:
    """Every query sees every key."""
    return (q >= 0) & (k >= 0)


def scattered(q: Tensor, k: Tensor) -> Tensor:
    """About two pairs in three; every query sees one of two neighbouring keys."""
    return (q * 7 + k * 5 + q * k) % 3 > 0


def all_but_nine(q: Tensor, k: Tensor) -> Tensor:
    """As `scattered`, but query 9 sees nothing."""
    return scattered(q, k) & (q != 9)


def grid(n: int, m: int, block: int) -> tuple[int, int]:
    """Rows and columns of blocks."""
    return math.ceil(n / block), math.ceil(m / block)


def table_of(rows: Sequence[Sequence[int]], columns: int) -> Tensor:
    """The table `[R, C]` of rows that say which columns they list."""
    table = torch.zeros(len(rows), columns, dtype=torch.bool)
    for i, listed in enumerate(rows):
        table[i, list(listed)] = True
    return table


def table_from(crow: Tensor, col: Tensor, columns: int) -> Tensor:
    """The table `[R, C]` of lists."""
    return table_of([col[a:b].tolist() for a, b in itertools.pairwise(crow.tolist())], columns)


def transposed(crow: Tensor, col: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The lists that come out where the columns of a layout are taken for its rows."""
    table = torch.zeros(max(rows, columns), max(rows, columns), dtype=torch.bool)
    table[:rows, :columns] = table_from(crow, col, columns)
    return csr(table.T[:rows, :columns])


def places(blocks: Tensor, block: int, end: int) -> Tensor:
    """The positions in blocks `[c]`, in their order; those from `end` on do not exist."""
    found = (blocks.long()[:, None] * block + torch.arange(block)).flatten()
    return found[found < end]


def random_table(rng: Generator, rows: int, columns: int, share: float = 0.4) -> Tensor:
    """A table whose rows list one block at least and not all; where it is a square it is not symmetric."""
    table = torch.rand(rows, columns, generator=rng) < share
    listed = torch.randint(columns, (rows,), generator=rng)
    table[torch.arange(rows), listed] = True
    table[torch.arange(rows), (listed + 1) % columns] = False
    if rows == columns:
        table[0], table[:, 0] = False, False
        table[0, rows - 1], table[rows - 1, rows - 1] = True, True
        table[~table.any(1), 1] = True
    return table


def one_full_row(rows: int, columns: int) -> Tensor:
    """Row 1 lists every block, the others two: padding to the longest list costs."""
    table = table_of([[i % columns, (3 * i + 1) % columns] for i in range(rows)], columns)
    table[1] = True
    return table


def unlisted() -> Tensor:
    """Five rows by six columns of blocks: every column is missing in some row, and row 3 lists nothing."""
    return table_of([[1, 4], [0, 2, 5], [3], [], [1, 3, 5]], 6)


def few(rng: Generator, rows: int) -> Tensor:
    """Ten blocks of a large table."""
    table = torch.zeros(rows, rows, dtype=torch.bool)
    chosen = torch.randperm(rows, generator=rng)[:10]
    table[chosen, (chosen * 5 + 3) % rows] = True
    return table


def qkv(rng: Generator, h: int, n: int, m: int, d: int, e: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries `[h, n, d]`, keys `[h, m, d]`, values `[h, m, e]`."""
    return normal(rng, h, n, d), normal(rng, h, m, d), normal(rng, h, m, e)


def allowed(case: Case) -> int:
    """Three quarters of all scores, and what it takes to gather all listed blocks at once, or a row's."""
    q, k, v, _, col, block = by_name(case)
    (h, n, d), m, e = q.shape, k.shape[1], v.shape[2]
    width = max(block, d, e)
    listed = max(len(col), *grid(n, m, block))  # as many as there are blocks of q, k and v
    return h * max(3 * n * m // 4, listed * block * width)


def by_name(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, int]:
    """q, k, v, crow, col and block of a case of the forward or of the backward pass."""
    if len(case.args) == 8:
        q, k, v, crow, col, block = case.args[:6]
    else:
        q, k, v, _, _, _, crow, col, block = case.args[:9]
    return q, k, v, crow, col, block


def says_all(mistake: Mistake) -> str:
    """For scores of blocks that nobody listed."""
    q, k, _, _, col, block = by_name(mistake.case)
    rows, columns = grid(q.shape[1], k.shape[1], block)
    if len(col) == rows * columns:
        raise ValueError("all blocks are listed")
    return f"You computed all {rows * columns:,} blocks; the layout lists {len(col):,}."


def says_padded(mistake: Mistake) -> str:
    """For rows that were filled up to the longest list."""
    crow = by_name(mistake.case)[3]
    counts = crow[1:] - crow[:-1]
    longest, shortest = int(counts.max()), int(counts.min())
    if longest == shortest:
        raise ValueError("all rows list as many")
    return (
        f"You fill every row's list up to the longest: one row lists {longest} blocks, another {shortest}, "
        f"and you computed {longest} for all."
    )
