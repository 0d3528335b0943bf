"""`speed.pick_tile`: which of several compiled tiles to run, by reports that are data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer

Report = dict[str, Any]


def pick_tile(reports: list[Report], shared_limit: int) -> str | None:
    """Reference: what fits, with matrix instructions if any has them; then by size."""
    return choose(reports, shared_limit)


def fits(report: Report, shared_limit: int) -> bool:
    """Whether a tile spills nothing and its shared memory is there."""
    return bool(report["spills"] == 0 and report["shared"] <= shared_limit)


def area(report: Report) -> int:
    """Score elements of the tile."""
    return int(report["block_m"] * report["block_n"])


def rank(report: Report) -> tuple[int, ...]:
    """Larger is better."""
    return area(report), report["block_m"], -report["registers"]


def choose(
    reports: Sequence[Report],
    shared_limit: int,
    possible: Callable[[Report, int], bool] = fits,
    better: Callable[[Report], tuple[int, ...]] = rank,
) -> str | None:
    """The rule with another condition, or another order."""
    left = [report for report in reports if possible(report, shared_limit)]
    with_mma = [report for report in left if report["mma"] > 0] or left
    return max(with_mma, key=better)["name"] if with_mma else None


def report(
    name: str,
    block_m: int,
    block_n: int,
    registers: int,
    spills: int = 0,
    shared: int = 50_000,
    mma: int = 64,
) -> Report:
    """One line of the table."""
    return {
        "name": name,
        "block_m": block_m,
        "block_n": block_n,
        "registers": registers,
        "spills": spills,
        "shared": shared,
        "mma": mma,
    }


LIMIT = 232_448


def tile_cases(rng: Generator) -> list[Case]:
    """One feature each; neither the place in the list nor the name says which one is right."""
    spilled, over = 8 * integer(rng, 2, 9), LIMIT + 1024 * integer(rng, 1, 9)
    fewer, more = integer(rng, 80, 120), integer(rng, 150, 250)
    small, large = report("f", 32, 32, fewer), report("c", 64, 64, more)
    one_row = [report(name, 64, 64, more, shared=over) for name in "ab"]
    return [
        Case("a small and a large tile", ([large, small], LIMIT)),
        Case("the largest spills", ([report("a", 128, 64, 255, spills=spilled), small, large], LIMIT)),
        Case(
            "the largest needs too much shared memory",
            ([small, report("e", 128, 128, more, shared=over), large], LIMIT),
        ),
        Case(
            "the largest has no matrix instruction",
            ([small, large, report("s", 128, 64, more, mma=0)], LIMIT),
        ),
        Case(
            "a long and narrow tile",
            ([report("w", 128, 16, more), small, large], LIMIT),
        ),
        Case(
            "the larger one has fewer matrix instructions",
            ([report("h", 32, 64, more, mma=128), large, small], LIMIT),
        ),
        Case(
            "two of one area, the wider one first",
            ([report("b", 32, 128, fewer), report("d", 128, 32, more), small], LIMIT),
        ),
        Case(
            "two of one shape",
            ([report("x", 64, 64, more), report("y", 64, 64, fewer, mma=32), small], LIMIT),
        ),
        Case("a smaller card", ([large, small], 49_999 + 1)),
        Case("no tile has matrix instructions", ([large | {"mma": 0}, small | {"mma": 0}], LIMIT)),
        Case("eleven tiles", (many_tiles(rng), LIMIT)),
        Case("as much shared memory as there is", ([small, large | {"shared": LIMIT}], LIMIT), edge=True),
        Case("nothing fits", (one_row, LIMIT), edge=True),
        Case("everything spills", ([large | {"spills": spilled}, small | {"spills": 8}], LIMIT), edge=True),
        Case("no tiles", ([], LIMIT), edge=True),
        Case(
            "matrix instructions only where it spills",
            (
                [
                    large | {"spills": spilled},
                    report("g", 16, 32, fewer, mma=0),
                    report("h", 16, 16, 40, mma=0),
                ],
                LIMIT,
            ),
            edge=True,
        ),
    ]


def many_tiles(rng: Generator) -> list[Report]:
    """Eleven tiles in a drawn order, no two with the same number of registers."""
    registers = (torch.randperm(160, generator=rng)[:11] + 90).tolist()
    sides = [16, 32, 64, 128]
    drawn = [
        report(
            name,
            sides[integer(rng, 0, 3)],
            sides[integer(rng, 0, 3)],
            registers[place],
            spills=8 * integer(rng, 0, 2),
            shared=1024 * integer(rng, 100, 280),
            mma=32 * integer(rng, 0, 2),
        )
        for place, name in enumerate("klmnopqrtuv")
    ]
    return [drawn[place] for place in torch.randperm(11, generator=rng).tolist()]


def named(mistake: Mistake, name: str | None) -> Report:
    """The report of a tile of the case."""
    return next(one for one in mistake.case.args[0] if one["name"] == name)


def says_spills(mistake: Mistake) -> str:
    """For a tile that spills."""
    return f'"{mistake.got}" spills {named(mistake, mistake.got)["spills"]} bytes for every thread.'


def says_shared(mistake: Mistake) -> str:
    """For a tile that does not fit."""
    needs = named(mistake, mistake.got)["shared"]
    return f'"{mistake.got}" needs {needs:,} bytes; the limit is {mistake.case.args[1]:,}.'


def says_tensor_cores(mistake: Mistake) -> str:
    """For a tile that multiplies on the ordinary units."""
    return f'"{mistake.got}" is larger and has no matrix instruction; "{mistake.want}" has.'


def says_registers(mistake: Mistake) -> str:
    """For the fewest registers."""
    got, want = (named(mistake, name) for name in (mistake.got, mistake.want))
    return (
        f'Registers decide last, not first: "{mistake.got}" takes {got["registers"]} of them, and '
        f'"{mistake.want}" is larger ({area(want):,} score elements, not {area(got):,}).'
    )


def says_smallest(mistake: Mistake) -> str:
    """For the smallest tile."""
    got, want = (named(mistake, name) for name in (mistake.got, mistake.want))
    return (
        f'A larger tile reads each key less often: "{mistake.want}" has {want["block_m"]} queries for every '
        f'key it loads, "{mistake.got}" {got["block_m"]}.'
    )


def says_sides(mistake: Mistake) -> str:
    """For sides that were added."""
    got, want = (named(mistake, name) for name in (mistake.got, mistake.want))
    sides = " and ".join(f"{one['block_m']} x {one['block_n']} are {area(one):,}" for one in (got, want))
    return f"Size is one side times the other: {sides} score elements."


def says_tie(mistake: Mistake) -> str:
    """For the wider tile of two with one area."""
    return f'"{mistake.got}" and "{mistake.want}" are equally large: more queries per tile wins.'


def smallest(one: Report) -> tuple[int, ...]:
    """The rule turned round."""
    return -area(one), one["block_m"], -one["registers"]


def required(one: Report, limit: int) -> bool:
    """Nothing without matrix instructions."""
    return fits(one, limit) and one["mma"] > 0


def cores_not_asked_for(reports: list[Report], shared_limit: int) -> str | None:
    """All that fits, whatever multiplies."""
    left = [one for one in reports if fits(one, shared_limit)]
    return max(left, key=rank)["name"] if left else None


def cores_before_fitting(reports: list[Report], shared_limit: int) -> str | None:
    """Tiles without matrix instructions thrown away before looking at what fits."""
    with_mma = [one for one in reports if one["mma"] > 0] or reports
    return choose(with_mma, shared_limit)


def anything_at_last(reports: list[Report], shared_limit: int) -> str | None:
    """The best of all where none fits."""
    return choose(reports, shared_limit) or choose(reports, shared_limit, lambda one, limit: True)


PICK_TILE = Exercise(
    id="speed.pick_tile",
    title="Pick a tile",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=pick_tile,
    cases=tile_cases,
    hints=(
        "Two steps: first throw away what may not run at all, then choose the best of what is left. What is "
        "left can be empty.",
        "Three filters: spills, shared memory (the limit itself is allowed), and matrix instructions. The "
        "third one is different: it applies only if some tile that is left has them.",
        "`max(left, key=...)` with a tuple compares the first entries, on a tie the second ones, and so on. "
        "Fewer registers is better: a minus sign turns the order round.",
    ),
    wrong=(
        Wrong(
            "spills allowed", says_spills, lambda r, limit: choose(r, limit, lambda o, b: o["shared"] <= b)
        ),
        Wrong(
            "shared limit ignored",
            says_shared,
            lambda r, limit: choose(r, limit, lambda o, b: o["spills"] == 0),
        ),
        Wrong("tensor cores not asked for", says_tensor_cores, cores_not_asked_for),
        Wrong(
            "fewest registers",
            says_registers,
            lambda r, limit: choose(r, limit, better=lambda o: (-o["registers"], area(o))),
        ),
        Wrong("smallest tile", says_smallest, lambda r, limit: choose(r, limit, better=smallest)),
        Wrong(
            "tie the wrong way",
            says_tie,
            lambda r, limit: choose(r, limit, better=lambda o: (area(o), o["block_n"], -o["registers"])),
        ),
        Wrong(
            "None without tensor cores",
            lambda m: (
                f'No tile that is left has matrix instructions: choose among the others, here "{m.want}".'
            ),
            lambda r, limit: choose(r, limit, required),
        ),
        Wrong(
            "most registers",
            lambda m: (
                f'"{m.got}" and "{m.want}" have one shape; the one with fewer registers wins, so that more '
                "programs run side by side."
            ),
            lambda r, limit: choose(r, limit, better=lambda o: (area(o), o["block_m"], o["registers"])),
        ),
        Wrong(
            "sides added",
            says_sides,
            lambda r, limit: choose(
                r, limit, better=lambda o: (o["block_m"] + o["block_n"], o["block_m"], -o["registers"])
            ),
        ),
        Wrong(
            "most matrix instructions",
            lambda m: (
                f'How many matrix instructions a tile has does not count, only whether: "{m.got}" has more, '
                f'"{m.want}" is larger.'
            ),
            lambda r, limit: choose(r, limit, better=lambda o: (o["mma"], *rank(o))),
        ),
        Wrong(
            "less than the limit",
            lambda m: f"A tile may need all the shared memory there is: {m.case.args[1]:,} bytes fit.",
            lambda r, limit: choose(r, limit, lambda o, b: o["spills"] == 0 and o["shared"] < b),
        ),
        Wrong(
            "tensor cores before fitting",
            lambda m: (
                "The tile with matrix instructions does not fit, and you have thrown the others away before "
                f'you saw that; "{m.want}" was left.'
            ),
            cores_before_fitting,
        ),
        Wrong(
            "anything rather than None",
            lambda m: (
                f'No tile fits here, and you return "{m.got}" all the same: there is no name to return.'
            ),
            anything_at_last,
        ),
    ),
)
