"""`kernel.judge`: the tiles that four kernels visited on one layout; which kernel is right?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.blocks.lists import csr
from tsparse.grade.exercises.kernel.lists import listed

NAMES = ("A", "B", "C", "D")


def judge(tiles: dict[str, Tensor], crow: Tensor, col: Tensor) -> str:
    """The name of the table that holds the blocks of the lists, all of them and no other."""
    return chosen(tiles, layout(tiles, crow, col))


def layout(tiles: dict[str, Tensor], crow: Tensor, col: Tensor) -> Tensor:
    """The table that the lists stand for."""
    return listed(crow, col, next(iter(tiles.values())).shape[1])


def chosen(tiles: dict[str, Tensor], table: Tensor) -> str:
    """The name of this table; the first name where it is none of the four."""
    return next((name for name, visited in tiles.items() if visited.equal(table)), next(iter(tiles)))


def every_tile(wanted: Tensor) -> Tensor:
    """The tiles of a kernel that visits all and masks."""
    return torch.ones_like(wanted)


def next_rows_first(wanted: Tensor) -> Tensor:
    """The tiles of a kernel whose rows take one entry of `col` too many; behind the last there is none."""
    crow, col = csr(wanted)
    return torch.stack([of_entries(wanted[0], col[a : b + 1]) for a, b in rows(crow)])


def counted(wanted: Tensor) -> Tensor:
    """The tiles of a kernel that takes the place in a row's list for the block."""
    crow, _ = csr(wanted)
    return torch.stack([of_entries(wanted[0], torch.arange(b - a)) for a, b in rows(crow)])


def last_left_out(wanted: Tensor) -> Tensor:
    """The tiles of a kernel that stops one entry early."""
    crow, col = csr(wanted)
    return torch.stack([of_entries(wanted[0], col[a : max(a, b - 1)]) for a, b in rows(crow)])


def from_the_start(wanted: Tensor) -> Tensor:
    """The tiles of a kernel that reads each list from the beginning of `col`."""
    crow, col = csr(wanted)
    return torch.stack([of_entries(wanted[0], col[: b - a]) for a, b in rows(crow)])


def turned(wanted: Tensor) -> Tensor:
    """The tiles of a kernel that was given the lists of columns; for square layouts."""
    return wanted.mT if wanted.shape[0] == wanted.shape[1] else every_tile(wanted)


def from_below(wanted: Tensor) -> Tensor:
    """The tiles of a kernel whose first program takes the list of the last row, and so on."""
    return wanted.flip(0)


def cut_elsewhere(wanted: Tensor) -> Tensor:
    """The same blocks in the same order, but the last of one row is taken by the row below.

    Where no row can do that without a change of the order, all stay where they are.
    """
    crow, col = csr(wanted)
    for row, (start, end) in enumerate(rows(crow)[:-1], 1):
        below = int(crow[row + 1])
        if start < end and (end == below or col[end - 1] < col[end]):
            moved = wanted.clone()
            moved[row - 1, col[end - 1]], moved[row, col[end - 1]] = False, True
            return moved
    return wanted


def of_entries(row: Tensor, col: Tensor) -> Tensor:
    """A row of a table that visits these blocks."""
    return torch.zeros_like(row).index_fill(0, col.long(), True)


def rows(crow: Tensor) -> list[tuple[int, int]]:
    """Where each row's list begins and ends."""
    return list(zip(crow.tolist()[:-1], crow.tolist()[1:], strict=True))


FAULTS = (
    every_tile,
    next_rows_first,
    counted,
    last_left_out,
    from_the_start,
    turned,
    from_below,
    cut_elsewhere,
)


def cases(rng: Generator) -> list[Case]:
    """Square layouts and others, an empty row, a single block; the four stand in an order that is drawn."""

    def case(
        name: str, n: int, m: int, faults: tuple[int, ...], empty: bool = False, edge: bool = False
    ) -> Case:
        while True:
            wanted = torch.rand(n, m, generator=rng) < 0.5
            wanted[1] &= not empty
            four = [wanted, *(FAULTS[fault](wanted) for fault in faults)]
            if wanted.any() and len({tuple(one.flatten().tolist()) for one in four}) == 4:
                break
        order = torch.randperm(4, generator=rng).tolist()
        tiles = {name: four[place].contiguous() for name, place in zip(NAMES, order, strict=True)}
        return Case(name, (tiles, *csr(wanted)), edge)

    return [
        case("4 x 4 blocks", 4, 4, (0, 1, 2)),
        case("3 x 5 blocks", 3, 5, (0, 1, 2)),
        case("4 x 4 blocks, one of the four was given columns", 4, 4, (5, 2, 3)),
        case("5 x 5 blocks, one begins at 0", 5, 5, (4, 5, 3)),
        case("6 x 4 blocks, one begins with the last row", 6, 4, (6, 2, 3)),
        case("5 x 4 blocks, a row of one begins elsewhere", 5, 4, (7, 0, 3)),
        case("a row that lists nothing", 4, 5, (1, 4, 0), empty=True, edge=True),
        case("5 x 5 blocks and an empty row", 5, 5, (1, 6, 5), empty=True, edge=True),
        case("6 x 5 blocks and an empty row", 6, 5, (7, 1, 6), empty=True, edge=True),
    ]


def choice(fault: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor], Tensor, Tensor], str]:
    """A judge that takes the kernel with this fault for the right one."""
    return lambda tiles, crow, col: chosen(tiles, fault(layout(tiles, crow, col)))


def said(about: str) -> Callable[[Mistake], str]:
    """A sentence that begins with the name that was returned."""
    return lambda mistake: f"You chose {mistake.got}, and {mistake.want} is right: {mistake.got} {about}"


EXERCISE = Exercise(
    id="kernel.judge",
    title="Which of four kernels is right?",
    minutes=5,
    points=10,
    difficulty="easy",
    spec=judge,
    cases=cases,
    hints=(
        "Row i of the right table is True at `col[crow[i] : crow[i + 1]]` and nowhere else.",
        "Start from `torch.zeros_like` of one of the tables, write the rows into it, and see which is equal.",
        "`for name, visited in tiles.items(): if visited.equal(wanted): return name`. A table that *holds* "
        "all listed blocks is not enough: it may hold more.",
    ),
    wrong=(
        Wrong(
            "all tiles",
            said("visits every tile: right values if it masks, and the cost of dense attention."),
            choice(every_tile),
        ),
        Wrong(
            "next row's first block",
            said("also visits the first block of the row below: its rows take one entry of col too many."),
            choice(next_rows_first),
        ),
        Wrong(
            "counter for block",
            said("takes the places 0, 1, 2 of a list for the blocks, and never looks into col."),
            choice(counted),
        ),
        Wrong(
            "last block left out",
            said("leaves out the last block of each row: a list ends before crow[i + 1]."),
            choice(last_left_out),
        ),
        Wrong(
            "read from the start of col",
            said("reads each list from the beginning of col and not from crow[i] on."),
            choice(from_the_start),
        ),
        Wrong(
            "lists of columns",
            said("walks lists of columns as if they were lists of rows: its table is the transpose."),
            choice(turned),
        ),
        Wrong(
            "rows from below",
            said("gives the first row the list of the last one: right blocks, but for other queries."),
            choice(from_below),
        ),
        Wrong(
            "cut elsewhere",
            said("has the blocks of col in their order, but a row begins at another place than crow says."),
            choice(cut_elsewhere),
        ),
    ),
)
