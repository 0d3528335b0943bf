"""`speed.row_order`: the row with most blocks is started first."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer


def row_order(crow: Tensor) -> Tensor:
    """Reference: rows by length, longest first, ties by number."""
    return torch.argsort(crow.diff(), descending=True, stable=True).int()


def offsets(*lengths: int, first: int = 0) -> Tensor:
    """`crow` of rows with so many blocks."""
    return torch.tensor([first, *lengths], dtype=torch.int32).cumsum(0).int()


def order_cases(rng: Generator) -> list[Case]:
    """No ties, ties, empty rows; lists that start later; then what is drawn."""
    a, b = integer(rng, 1, 3), integer(rng, 5, 9)
    drawn = torch.randint(0, 5, (23,), generator=rng).tolist()
    return [
        Case("3 rows, all different", (offsets(1, 3, 2),)),
        Case("5 rows, all different", (offsets(b, a, b + 2, a + 1, b + 1),)),
        Case("two rows of one length", (offsets(2, 5, 2),)),
        Case("a causal layout", (offsets(*range(1, 9)),)),
        Case("23 rows", (offsets(*drawn),)),
        Case("rows without blocks", (offsets(0, b, 0, a, 0),), edge=True),
        Case("the list of a second head: it starts later", (offsets(a, 0, b, a, first=37),), edge=True),
        Case("all rows of one length", (offsets(a, a, a, a),), edge=True),
        Case("one row", (offsets(b),), edge=True),
        Case("no rows", (offsets(),), edge=True),
        Case("a view", (torch.stack([offsets(1, 4, 2), offsets(9, 9, 9)], 1)[:, 0],), edge=True),
    ]


def backwards(crow: Tensor) -> Tensor:
    """Longest first, ties by number from the end."""
    return torch.argsort(crow.diff(), stable=True).flip(0).int()


def says_lightest(mistake: Mistake) -> str:
    """For the shortest first."""
    longest = int(mistake.want[0])
    length = int(mistake.case.args[0].diff()[longest])
    return f"The longest row, {longest} with {length} blocks, started last, and everybody waits for it."


def says_ties(mistake: Mistake) -> str:
    """For ties from the end."""
    place = int((mistake.got != mistake.want).nonzero()[0])
    first, other = int(mistake.want[place]), int(mistake.got[place])
    return f"Rows {first} and {other} weigh the same: {first} first."


def says_place(mistake: Mistake) -> str:
    """For the inverse."""
    return (
        f"You say where each row goes ({mistake.got.tolist()[:4]}); wanted is which row comes next "
        f"({mistake.want.tolist()[:4]})."
    )


def says_offset(mistake: Mistake) -> str:
    """For rows sorted by where they end."""
    return (
        f"You sorted where rows end, not how long they are: row {int(mistake.got[0])} ends last and has "
        f"{int(mistake.case.args[0].diff()[int(mistake.got[0])])} blocks."
    )


ROW_ORDER = Exercise(
    id="speed.row_order",
    title="Heaviest row first",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=row_order,
    cases=order_cases,
    hints=(
        "Row i holds crow[i + 1] - crow[i] blocks. Compute that for all rows first; `torch.diff` does it.",
        "`argsort` of the lengths says which row comes next. Descending, for the longest first.",
        "Rows of one length must stay in their order: that is what `stable=True` is for. And the result is "
        "int32.",
    ),
    wrong=(
        Wrong("lightest first", says_lightest, lambda crow: torch.argsort(crow.diff(), stable=True).int()),
        Wrong("ties backwards", says_ties, backwards),
        Wrong("place of each row", says_place, lambda crow: torch.argsort(row_order(crow)).int()),
        Wrong("sorted by offset", says_offset, lambda crow: torch.arange(len(crow) - 1).flip(0).int()),
        Wrong(
            "counts",
            "You return the weights, not the rows: how many blocks, in place of which row.",
            lambda crow: crow.diff().sort(descending=True).values.int(),
        ),
        Wrong("int64", "int32, please: a kernel reads it.", lambda crow: row_order(crow).long()),
        Wrong(
            "not sorted",
            "You return the rows in the order they stand in: the longest one may come last.",
            lambda crow: torch.arange(len(crow) - 1).int(),
        ),
        Wrong(
            "one row too many",
            "crow has an entry more than there are rows: its differences are the lengths.",
            lambda crow: torch.argsort(crow, descending=True, stable=True).int(),
        ),
    ),
)
