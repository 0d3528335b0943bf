"""`tsparse mutants`: the graders tested, with every wrong answer that they should know.

A wrong answer counts as rejected if it fails, and as named if it is told its own sentence, on every seed.
The reference counts if it passes on every seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from tsparse.grade.checking import judge
from tsparse.grade.exercise import Exercise
from tsparse.grade.exercises import all_exercises
from tsparse.grade.exercises import exercise as find
from tsparse.grade.running import run_here

SEEDS = 20
SECONDS = 60.0
"""Time for one call: here it is not the answer's speed that is judged."""

COLUMNS = ("exercise", "wrong answers", "rejected", "own sentence", "reference passes", "seeds")


@dataclass(frozen=True)
class Row:
    """One exercise: how many wrong answers it knows, and of these how many were rejected and named."""

    exercise: str
    wrong: int
    rejected: int
    named: int
    reference: bool
    seeds: int

    @property
    def proved(self) -> bool:
        """Whether everything is as it should be."""
        return self.reference and self.wrong == self.rejected == self.named


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse mutants`."""
    parser.add_argument("exercise", nargs="*", help="ids of exercises (default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many draws of inputs ({SEEDS})")


def run(args: argparse.Namespace) -> int:
    """Print the table: 0 if every wrong answer was rejected with its own sentence, otherwise 1."""
    if args.seeds < 1:
        raise ValueError(f"--seeds must be at least 1; it is {args.seeds}")
    chosen = [find(id) for id in args.exercise] or all_exercises()
    rows = [try_exercise(one, args.seeds) for one in tqdm(chosen, unit="exercise", disable=None)]
    print(table(rows))
    return 0 if all(row.proved for row in rows) else 1


def try_exercise(exercise: Exercise, seeds: int = SEEDS) -> Row:
    """Give the reference and every wrong answer to the checker, on each of so many seeds."""
    rejected = named = 0
    for wrong in exercise.wrong:
        verdicts = [judge(exercise, run_here(wrong.answer, SECONDS), seed) for seed in range(seeds)]
        rejected += all(one.status == "FAIL" and one.earned < one.points for one in verdicts)
        named += all(one.failing is not None and one.message == wrong.say(one.failing) for one in verdicts)
    reference = run_here(exercise.reference, SECONDS)
    passes = all(judge(exercise, reference, seed).status == "PASS" for seed in range(seeds))
    return Row(exercise.id, len(exercise.wrong), rejected, named, passes, seeds)


def table(rows: Sequence[Row]) -> str:
    """The rows under `COLUMNS`, with their sum in the last one."""
    cells = [
        (one.exercise, one.wrong, one.rejected, one.named, "yes" if one.reference else "NO", one.seeds)
        for one in rows
    ]
    sums = [sum(getattr(one, name) for one in rows) for name in ("wrong", "rejected", "named")]
    lines = [COLUMNS, *cells, (f"{len(rows)} exercises", *sums, "", "")]
    texts = [[str(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in texts) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in texts
    )
