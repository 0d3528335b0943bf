"""`blocks.csr` and `blocks.transpose`: the lists that a kernel walks, by query block and by key block."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer

Lists = tuple[Tensor, Tensor]

MANY, LISTED = 200_000, 400_000
"""Rows and columns of the heavy case and its blocks: a table of all pairs would take 40 GB."""

SPARSE_TENSORS = frozenset(
    {
        "torch.sparse_csr_tensor",
        "torch.sparse_csc_tensor",
        "torch.sparse_compressed_tensor",
        *(f"aten._to_sparse{kind}" for kind in ("", "_csr", "_csc", "_bsr", "_bsc")),
        "aten._convert_indices_from_coo_to_csr",
        "aten._convert_indices_from_csr_to_coo",
    }
)
"""PyTorch's own sparse formats *are* the lists."""


def csr(blocks: Tensor) -> Lists:
    """Reference: int32 crow [R + 1] and col [nnz] of a bool table [R, C]."""
    return starts(blocks.sum(1)), blocks.nonzero()[:, 1].int()


def transpose(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """Reference: int32 [C + 1] and [nnz], for each column the rows that list it, rising."""
    order = col.argsort(stable=True)
    return starts(torch.bincount(col, minlength=n_cols)), rows_of(crow)[order]


def starts(counts: Tensor) -> Tensor:
    """Int32 [n + 1]: where each of n lists begins, and where the last one ends."""
    return F.pad(counts.cumsum(0), (1, 0)).int()


def rows_of(crow: Tensor) -> Tensor:
    """Int32 [nnz]: the row of each listed block."""
    return torch.arange(len(crow) - 1, dtype=torch.int32).repeat_interleave(crow.diff())


def table(crow: Tensor, col: Tensor, columns: int) -> Tensor:
    """Bool [R, C]: the blocks that are listed."""
    blocks = torch.zeros(len(crow) - 1, columns, dtype=torch.bool)
    blocks[rows_of(crow).long(), col.long()] = True
    return blocks


def drawn_table(rng: Generator, rows: int, columns: int) -> Tensor:
    """Bool [R, C] with an empty row and an empty last column, a full row, and no symmetry."""
    blocks = torch.rand(rows, columns, generator=rng) < 0.4
    blocks[0, :3] = torch.tensor([False, True, True])
    blocks[2], blocks[:, -1] = False, False
    blocks[1, 0] = False
    blocks[rows - 2, : columns - 1] = True
    return blocks


def csr_cases(rng: Generator) -> list[Case]:
    """Tables wider and higher than they are long, square, then rows without blocks at the ends."""
    rows, columns = integer(rng, 7, 9), integer(rng, 10, 12)
    drawn = drawn_table(rng, rows, columns)
    nothing, everything = torch.zeros(3, 5, dtype=torch.bool), torch.ones(4, 3, dtype=torch.bool)
    ends = drawn_table(rng, 5, 6)
    ends[0], ends[-1] = False, False
    return [
        Case("4 x 6 blocks", (drawn_table(rng, 4, 6),)),
        Case("6 x 5 blocks", (drawn_table(rng, 6, 5),)),
        Case("6 x 6 blocks", (drawn_table(rng, 6, 6),)),
        Case(f"{rows} x {columns} blocks", (drawn,)),
        Case("the first and the last row have no block", (ends,), edge=True),
        Case("no block at all", (nothing,), edge=True),
        Case("every block", (everything,), edge=True),
        Case("one row", (torch.tensor([[False, True, True, False]]),), edge=True),
        Case("one block", (torch.tensor([[True]]),), edge=True),
        Case("a table that is not contiguous", (drawn.T.contiguous().T,), edge=True),
    ]


def transpose_cases(rng: Generator) -> list[Case]:
    """More columns than rows and fewer, as many, empty rows and columns; then many and very many."""

    def case(name: str, blocks: Tensor, edge: bool = False) -> Case:
        return Case(name, (*csr(blocks), blocks.shape[1]), edge)

    def spread(size: int, count: int, heavy: bool = False) -> Case:
        numbers = torch.randint(size * size, (count,), generator=rng).unique()
        crow = starts(torch.bincount(numbers // size, minlength=size))
        name = f"{size:,} x {size:,} blocks, {len(numbers):,} listed"
        return Case(name, (crow, (numbers % size).int(), size), edge=heavy, heavy=heavy)

    rows, columns = integer(rng, 7, 9), integer(rng, 10, 12)
    last_rows = drawn_table(rng, 6, 6)
    last_rows[-2:] = False
    last_rows[0, -2] = True
    return [
        case("5 x 5 blocks", drawn_table(rng, 5, 5)),
        case("4 x 7 blocks", drawn_table(rng, 4, 7)),
        case("8 x 5 blocks", drawn_table(rng, 8, 5)),
        case(f"{rows} x {columns} blocks", drawn_table(rng, rows, columns)),
        spread(400, 1_100),
        case("the last rows list nothing", last_rows, edge=True),
        case("no block at all", torch.zeros(3, 5, dtype=torch.bool), edge=True),
        case("every block", torch.ones(4, 3, dtype=torch.bool), edge=True),
        case("one row", torch.tensor([[False, True, True, False]]), edge=True),
        case("one block", torch.tensor([[True]]), edge=True),
        spread(MANY, LISTED, heavy=True),
    ]


def empty_row(mistake: Mistake) -> int:
    """The first row without a block; raises IndexError where there is none."""
    return int((~mistake.case.args[0].any(1)).nonzero()[0])


def says_counts(mistake: Mistake) -> str:
    """For counts in place of their running sum."""
    return (
        "crow[i] is where row i *starts*, yours is how many blocks a row has: take the running sum of the "
        f"counts. The last entry is {int(mistake.want[0][-1])}, the number of all blocks."
    )


def without_empty(lists: Lists) -> Lists:
    """Lists in which rows without blocks have no entry."""
    crow, col = lists
    kept = torch.cat([crow.diff() > 0, torch.tensor([True])])
    return crow[kept], col


def each_row(blocks: Tensor, order: Callable[[Tensor], Tensor]) -> Tensor:
    """Int32 [nnz]: the columns of each row, in another order."""
    found = [order(row.nonzero()[:, 0]).int() for row in blocks]
    return torch.cat(found)


CSR = Exercise(
    id="blocks.csr",
    title="From a table of blocks to lists",
    minutes=12,
    points=10,
    difficulty="easy",
    spec=csr,
    cases=csr_cases,
    forbidden=SPARSE_TENSORS,
    hints=(
        "How many blocks does each row have? Row 0 starts at 0, row 1 where row 0 ends, and so on: one entry "
        "for each row, and one for the end.",
        "`blocks.sum(1).cumsum(0)` is where each row *ends*. Put a 0 in front, and it is where each starts. "
        "A row without blocks starts where it ends, which needs nothing special.",
        "`blocks.nonzero()` walks row by row and gives (row, column) of each True; col is its second column. "
        "Both results are int32.",
    ),
    wrong=(
        Wrong("counts", says_counts, lambda b: (F.pad(b.sum(1), (1, 0)).int(), csr(b)[1])),
        Wrong("counts without a 0", says_counts, lambda b: (b.sum(1).int(), csr(b)[1])),
        Wrong(
            "leading 0 missing",
            lambda m: (
                f"crow has R + 1 = {len(m.want[0])} entries and begins with 0; yours has {len(m.got[0])}."
            ),
            lambda b: (csr(b)[0][1:], csr(b)[1]),
        ),
        Wrong(
            "column by column",
            "You walked down the columns; the lists go row by row.",
            lambda b: csr(b.T),
        ),
        Wrong(
            "rows in col",
            "col holds the column of each block; yours holds the row.",
            lambda b: (csr(b)[0], b.nonzero()[:, 0].int()),
        ),
        Wrong(
            "int64",
            "Right numbers, wrong type: kernels read int32.",
            lambda b: (csr(b)[0].long(), csr(b)[1].long()),
        ),
        Wrong(
            "empty rows left out",
            lambda m: f"Row {empty_row(m)} has no block and still has its entry in crow.",
            lambda b: without_empty(csr(b)),
        ),
        Wrong(
            "columns descending",
            "Inside a row columns ascend; yours descend.",
            lambda b: (csr(b)[0], each_row(b, lambda columns: columns.flip(0))),
        ),
        Wrong(
            "numbers in the whole table",
            "col holds columns, counted from 0 in each row; yours are counted on through all rows.",
            lambda b: (csr(b)[0], b.flatten().nonzero()[:, 0].int()),
        ),
        Wrong(
            "pair exchanged",
            "The pair is (crow, col), where the rows start and then the columns; yours is (col, crow).",
            lambda b: csr(b)[::-1],
        ),
    ),
)


def says_as_they_were(mistake: Mistake) -> str:
    """For the row lists in place of the column lists."""
    crow, col, n_cols = mistake.case.args
    forward, got = table(crow, col, n_cols), table(mistake.got[0], mistake.got[1], len(crow) - 1)
    back = torch.zeros_like(forward.T)
    rows = min(len(got), len(back))
    back[:rows, : got.shape[1]] = got[:rows]
    row, column = (forward & ~back.T).nonzero()[0].tolist()
    return (
        f"Row {row} lists column {column}, but column {column} does not list row {row}: these are the row "
        "lists again. Right for symmetric layouts only: a released kernel read them, and its gradients were "
        "off by a factor of 150 and more."
    )


def says_last_columns(mistake: Mistake) -> str:
    """For columns at the end that have no entry."""
    missing = len(mistake.want[0]) - len(mistake.got[0])
    column = mistake.case.args[2] - missing
    return f"Column {column} lists nothing and still has an entry: `minlength=n_cols`."


def says_table(mistake: Mistake) -> str:
    """For a table of all blocks."""
    crow, col, n_cols = mistake.case.args
    return f"You built {(len(crow) - 1) * n_cols:,} places for {len(col):,} blocks."


def rows_descending(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """The right columns, each from its last row to its first."""
    first, rows = transpose(crow, col, n_cols)
    return first, torch.cat([part.flip(0) for part in rows.split(first.diff().tolist())])


def list_by_list(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """The rows in the order in which they were listed, not gathered by column."""
    return transpose(crow, col, n_cols)[0], rows_of(crow)


TRANSPOSE = Exercise(
    id="blocks.transpose",
    title="Who reads this key block?",
    minutes=20,
    points=15,
    difficulty="medium",
    spec=transpose,
    cases=transpose_cases,
    forbidden=SPARSE_TENSORS,
    largest=lambda case: 4 * (len(case.args[0]) + case.args[2] + len(case.args[1])),
    hints=(
        "Write each listed block as a pair (row, column). The column is in `col`; for the row repeat row "
        "number i as often as row i has blocks: `crow.diff()` says how often.",
        "The transposed lists are the same pairs in the order of their columns. `col.argsort(stable=True)` "
        "is that order, and stable keeps the rows of one column ascending.",
        "`torch.bincount(col, minlength=n_cols)` counts the blocks of each column; where a column starts is "
        "the running sum, with a 0 in front, as in `csr`. Both results are int32.",
    ),
    wrong=(
        Wrong("lists as they were", says_as_they_were, lambda crow, col, n_cols: (crow.clone(), col.clone())),
        Wrong(
            "empty last columns lost",
            says_last_columns,
            lambda crow, col, n_cols: (starts(torch.bincount(col)), transpose(crow, col, n_cols)[1]),
        ),
        Wrong("rows descending", "Inside a column rows ascend; yours descend.", rows_descending),
        Wrong(
            "inside by chance",
            "Each column has its rows, and they do not ascend: `argsort(stable=True)` keeps the order of the "
            "row lists.",
            lambda crow, col, n_cols: (
                transpose(crow, col, n_cols)[0],
                rows_of(crow)[col.argsort()],
            ),
        ),
        Wrong(
            "columns, sorted",
            "The second array holds *rows*; yours holds the columns once more, sorted.",
            lambda crow, col, n_cols: (transpose(crow, col, n_cols)[0], col.sort().values),
        ),
        Wrong("through R x C", says_table, lambda crow, col, n_cols: csr(table(crow, col, n_cols).T)),
        Wrong(
            "positions in the list",
            "The second array holds *rows*; yours holds places in `col`.",
            lambda crow, col, n_cols: (
                transpose(crow, col, n_cols)[0],
                col.argsort(stable=True).int(),
            ),
        ),
        Wrong(
            "counts",
            "ccol[j] is where column j starts, yours is how many blocks a column has: take the running sum.",
            lambda crow, col, n_cols: (
                F.pad(torch.bincount(col, minlength=n_cols), (1, 0)).int(),
                transpose(crow, col, n_cols)[1],
            ),
        ),
        Wrong(
            "rows not gathered",
            "The rows stand in the order of the row lists; gather those of column 0 first, then column 1.",
            list_by_list,
        ),
        Wrong(
            "leading 0 missing",
            lambda m: (
                f"ccol has C + 1 = {len(m.want[0])} entries and begins with 0; yours has {len(m.got[0])}."
            ),
            lambda crow, col, n_cols: (
                transpose(crow, col, n_cols)[0][1:],
                transpose(crow, col, n_cols)[1],
            ),
        ),
        Wrong(
            "int64",
            "Right numbers, wrong type: kernels read int32.",
            lambda crow, col, n_cols: tuple(one.long() for one in transpose(crow, col, n_cols)),
        ),
    ),
)
