"""`flex.block_lists`: block lists as FlexAttention stores them, as wide as there are columns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.blocks.lists import csr

Lists = tuple[Tensor, Tensor]


def block_lists(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """Reference: counts int32 [1, 1, R] and indices int32 [1, 1, R, n_cols], unused places 0."""
    counts = crow.diff()
    indices = torch.zeros(len(counts), n_cols, dtype=torch.int32)
    indices[torch.arange(n_cols) < counts[:, None]] = col
    return counts[None, None], indices[None, None]


def lists(table: list[str]) -> tuple[Tensor, Tensor, int]:
    """`crow`, `col` and the number of columns of a table, drawn with an x for each listed block."""
    return of_table(torch.tensor([[cell == "x" for cell in row] for row in table]))


def of_table(table: Tensor) -> tuple[Tensor, Tensor, int]:
    """The same from booleans [R, C]."""
    return *csr(table), table.shape[1]


def block_lists_cases(rng: Generator) -> list[Case]:
    """A small drawn layout, then rows and columns that list nothing, everything, or one block."""

    def table(rows: int, columns: int) -> Tensor:
        return torch.rand(rows, columns, generator=rng) < 0.4

    some = table(5, 8)
    some[:, 6:] = False
    some[2, :2] = some[4, 1:4] = True
    some[4, 5] = False
    square = table(6, 6)
    square[0], square[1, 0] = torch.tensor([True, False, True, True, False, True]), False
    empty = table(6, 5)
    empty[[1, 5]] = False
    empty[0, :2] = torch.tensor([False, True])
    return [
        Case("4 rows, 5 columns", lists([".x.x.", "x....", ".x.xx", "..x.."])),
        Case("6 rows, 6 columns", of_table(square)),
        Case("the last two columns list nothing", of_table(some)),
        Case("rows 1 and 5 list nothing", of_table(empty)),
        Case("more rows than columns", lists(["x..", "xx.", ".x.", ".xx", "..x", "x.x", "..x"])),
        Case("every block is listed", lists(["xxxx"] * 3), edge=True),
        Case("no block is listed", lists(["...", "..."]), edge=True),
        Case("one row, only its last block", lists(["....x"]), edge=True),
        Case("one block", lists(["x"]), edge=True),
    ]


def widest(mistake: Mistake) -> int:
    """How many blocks the longest row lists."""
    return int(mistake.case.args[0].diff().max())


def changed(change: Callable[[Tensor, Tensor], Lists]) -> Callable[..., Lists]:
    """A wrong answer from the right one: (counts, indices) changed."""
    return lambda crow, col, n_cols: change(*block_lists(crow, col, n_cols))


def compact(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """As wide as the longest row."""
    return block_lists(crow, col, int(crow.diff().max()))


def filled(value: int) -> Callable[..., Lists]:
    """Another number in the unused places."""
    return changed(
        lambda n, i: (n, i.where(torch.arange(i.shape[-1]) < n[..., None], torch.tensor(value).int()))
    )


def rest_of_the_columns(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """The columns that are not listed in the unused places, as `create_block_mask` leaves them."""
    counts, indices = block_lists(crow, col, n_cols)
    table = marked(counts, indices)
    return counts, table.argsort(dim=-1, descending=True, stable=True).int()


def marked(counts: Tensor, indices: Tensor) -> Tensor:
    """The table [1, 1, R, C]: 1 where a block is listed."""
    rows = torch.arange(indices.shape[-1]) < counts[..., None]
    return torch.zeros_like(indices).scatter_add(-1, indices.long(), rows.int())


def at_the_end(counts: Tensor, indices: Tensor) -> Tensor:
    """The same numbers, moved to the end of each row."""
    unused = indices.shape[-1] - counts[..., None]
    return indices.gather(-1, (torch.arange(indices.shape[-1]) - unused) % indices.shape[-1])


def by_column(crow: Tensor, col: Tensor, n_cols: int) -> Lists:
    """The lists of the transposed layout."""
    table = marked(*block_lists(crow, col, n_cols))[0, 0] > 0
    return block_lists(*of_table(table.T))


BLOCK_LISTS = Exercise(
    id="flex.block_lists",
    title="Block lists for FlexAttention",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=block_lists,
    cases=block_lists_cases,
    hints=(
        "How many blocks row i lists is crow[i + 1] - crow[i]. That is the whole first result, but for its "
        "shape.",
        "Begin the second with zeros [R, n_cols]. Row i holds `col[crow[i]:crow[i + 1]]` at its beginning; a "
        "loop over the rows is fine.",
        "Both are int32, and `[None, None]` puts the batch and the head in front. The width is n_cols, "
        "however short the rows are.",
    ),
    wrong=(
        Wrong(
            "compact",
            lambda m: (
                f"Your lists are {widest(m)} wide, as the longest row; there are {m.case.args[2]} columns. "
                "FlexAttention takes the width for the number of columns and transposes wrongly."
            ),
            compact,
        ),
        Wrong(
            "-1",
            "Unused places hold -1. Past its count a row is not read, but an index should be valid: write 0.",
            filled(-1),
        ),
        Wrong(
            "rest of the columns",
            "Past its count a row of yours holds the columns it does not list. Harmless; the task wants 0.",
            rest_of_the_columns,
        ),
        Wrong(
            "offsets",
            lambda m: (
                f"The first result counts; yours says where rows start. Row 0 lists "
                f"{int(m.want[0][0, 0, 0])} blocks, you say {int(m.got[0].flatten()[0])}."
            ),
            lambda crow, col, n_cols: (crow[:-1][None, None], block_lists(crow, col, n_cols)[1]),
        ),
        Wrong(
            "running sums",
            "The first result counts the blocks of each row; yours sums up the rows before too.",
            lambda crow, col, n_cols: (crow[1:][None, None], block_lists(crow, col, n_cols)[1]),
        ),
        Wrong(
            "no batch, no head",
            lambda m: (
                f"Shapes begin with [1, 1], for batch and head: {list(m.want[0].shape)}, and yours is "
                f"{list(m.got[0].shape)}."
            ),
            changed(lambda n, i: (n[0, 0], i[0, 0])),
        ),
        Wrong(
            "int64",
            "Right numbers, wrong type: FlexAttention reads int32, and yours is int64.",
            changed(lambda n, i: (n.long(), i.long())),
        ),
        Wrong(
            "0/1 rows",
            "Each row lists the numbers of its columns; yours marks them with 1.",
            changed(lambda n, i: (n, marked(n, i))),
        ),
        Wrong(
            "at their own places",
            "A row's numbers stand at its beginning, side by side; yours stand in the columns they name.",
            changed(lambda n, i: (n, marked(n, i) * torch.arange(i.shape[-1], dtype=torch.int32))),
        ),
        Wrong(
            "at the end of the row",
            "A row's numbers stand at its beginning; yours stand at its end.",
            changed(lambda n, i: (n, at_the_end(n, i))),
        ),
        Wrong(
            "as wide as there are rows",
            lambda m: (
                f"Your lists are {m.got[1].shape[-1]} wide, as many as there are rows; wanted are the "
                f"{m.case.args[2]} columns."
            ),
            lambda crow, col, n_cols: block_lists(crow, col, len(crow) - 1),
        ),
        Wrong(
            "by column",
            "You list for each column its rows; wanted are the columns of each row.",
            by_column,
        ),
    ),
)
