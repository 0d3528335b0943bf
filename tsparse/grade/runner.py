"""Grading a sheet: each answer runs in a process of its own, and is judged here.

Of a sheet only the answer cells run, after the setup cells of its master. Each exercise gets a fresh process
with the cells that it needs: its own, and the answers whose names it uses. So one answer cannot spoil
another. Inputs, expected values, the seed and the verdict never leave this process. What that is worth
against a submission that attacks, with a sandbox and without one, stands in `THREATS.md` beside this file.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tsparse.grade.checking import judge
from tsparse.grade.exercise import Exercise
from tsparse.grade.exercises import all_exercises, lesson_of
from tsparse.grade.kernel_cells import NotAKernel, kernels_of, names_of
from tsparse.grade.report import Graded, SheetReport
from tsparse.grade.running import Outcome, Run
from tsparse.grade.submission import LONGEST_CELL, Cell, SheetError, Submission, read_submission
from tsparse.grade.worker import Worker, Workers

PREAMBLE = Cell(
    "setup",
    """\
import math
from collections.abc import Callable

import torch
from torch import Tensor
from tsparse.grade import check, hint
""",
)
"""What runs before the answers where no master is found."""


def grade_sheet(
    path: str | Path,
    seed: int | None = None,
    *,
    master: str | Path | None = None,
    workers: Workers | None = None,
) -> SheetReport:
    """Grade a filled-in sheet.

    Args:
        path: The sheet, a notebook.
        seed: Draws the inputs; None draws fresh ones, and the report tells which.
        master: The solved notebook that the sheet was made from; None looks for it in a checkout, then in a
            folder `solutions` beside the sheet's own, then beside the sheet.
        workers: Where the answers run, with their limits; several sheets may share one.

    Raises:
        SheetError: The sheet cannot be read; the message says why.
        OSError: The file cannot be opened, or no process could be started.
    """
    path = Path(path)
    started = time.monotonic()
    sheet = read_submission(path)
    known = {one.id: one for one in all_exercises()}
    master = find_master(path, sheet) if master is None else Path(master)
    solved = None if master is None else read_submission(master)
    asked = asked_exercises(sheet, solved, known)
    seed = secrets.randbits(32) if seed is None else seed
    with Workers() if workers is None else nullcontext(workers) as workers:
        sitting = Sitting(sheet, solved.setup if solved else (PREAMBLE,), workers, seed)
        graded = tuple(map(sitting.grade, tqdm(asked, desc=path.name, unit="exercise", disable=None)))
    return SheetReport(
        sheet=path.name,
        seed=seed,
        master=None if master is None else master.name,
        exercises=graded,
        not_run=tuple(left_out(sheet, solved, known)),
        limits=sitting.limits(),
        seconds=time.monotonic() - started,
    )


def find_master(path: Path, sheet: Submission) -> Path | None:
    """The solved notebook of the lesson that the sheet's answers belong to, if it is on this machine."""
    lesson = next(filter(None, map(lesson_of, sheet.answers)), path.stem)
    course, here = Path(__file__).parents[2] / "solutions", path.resolve().parent
    found = (folder / f"{lesson}.ipynb" for folder in (course, here.parent / "solutions", here))
    return next(
        (one for one in found if one.is_file() and (one.parent == course or not one.samefile(path))), None
    )


def asked_exercises(
    sheet: Submission, solved: Submission | None, known: dict[str, Exercise]
) -> list[Exercise]:
    """What the sheet should answer: all that its master does, without one all of the lessons that it touches.

    Raises:
        SheetError: Nothing that it answers is an exercise of this course.
    """
    lessons = {lesson_of(id) for id in sheet.answers if id in known}
    wanted = solved.answers if solved else [id for id in known if lesson_of(id) in lessons]
    asked = [one for id, one in known.items() if id in wanted or id in sheet.answers]
    if not asked:
        raise SheetError(f"{sheet.name} answers {', '.join(sheet.answers)}, which this version does not know")
    return asked


def left_out(sheet: Submission, solved: Submission | None, known: dict[str, Exercise]) -> Iterator[str]:
    """The code cells that were not run, but for checks and what stands in every copy of the sheet."""
    usual = {cell.source.strip() for cell in solved.cells} if solved else set()
    for place, cell in enumerate(sheet.cells, start=1):
        name = cell.id or f"code cell {place}, without an id"
        if cell.exercise and cell.exercise not in known:
            yield f"{name}: no such exercise"
        elif not cell.exercise and not cell.id.startswith("check-") and cell.source.strip() not in usual:
            yield name


class Sitting:
    """One sheet being graded."""

    def __init__(self, sheet: Submission, setup: Sequence[Cell], workers: Workers, seed: int) -> None:
        """Nothing has run yet."""
        self.sheet, self.setup, self.workers, self.seed = sheet, setup, workers, seed
        self.given = frozenset[str]().union(*(cell.names[0] for cell in setup))
        self.facts: dict[str, str] = {}
        self.unfinished: set[Cell] = set()
        self.deadly: set[Cell] = set()

    def grade(self, exercise: Exercise) -> Graded:
        """Judge one exercise in a process of its own."""
        started = time.monotonic()
        cells = self.sheet.answers.get(exercise.id, ())
        if len(cells) != 1:
            name = f"`answer-{exercise.id.replace('.', '-')}`"
            reason = (
                f"{len(cells)} cells have the id {name}: keep one."
                if cells
                else f"The cell {name} is missing."
            )
            verdict = judge(exercise, partial(_stopped, reason), self.seed)
            return Graded(exercise.title, replace(verdict, failing=None), time.monotonic() - started)
        run: Run | None = None
        while run is None:  # once more where a cell that this one needs has ended the process
            with self.workers.worker() as worker:
                run = self._run(cells[0], exercise, worker)
                if run is None and time.monotonic() - started > self.workers.limits.exercise_seconds:
                    run = partial(_stopped, "The cells whose names it uses end the process, one by one.")
                if run is not None:
                    verdict = judge(exercise, run, self.seed)
                    self.facts.update(worker.facts)
        if cells[0] in self.unfinished:  # then no case has anything to do with it
            verdict = replace(verdict, failing=None)
        if verdict.status != "PASS":
            verdict = replace(verdict, message=" ".join([verdict.message, *self._remarks(cells[0])]))
        return Graded(exercise.title, verdict, time.monotonic() - started, worker.printed)

    def _run(self, cell: Cell, exercise: Exercise, worker: Worker) -> Run | None:
        """Run the cells and return what calls the answer; None if a cell that is needed ended the process."""
        if len(cell.source) > LONGEST_CELL:
            return partial(
                _stopped, f"The cell is {len(cell.source):,} characters long; {LONGEST_CELL:,} are read."
            )
        for one in self.setup:
            outcome = worker.run_cell(one.id, one.source, setup=True)
            if outcome.status != "returned":
                return partial(_stopped, f"The sheet's own setup failed. {_sentence(outcome)}")
        for one in self.sheet.needed(cell, self.given):
            if one not in self.deadly and not self._finishes(one, exercise, worker):
                self.unfinished.add(one)
                if worker.failed:
                    self.deadly.add(one)
                    return None
        try:
            outcome = worker.run_cell(cell.id, self._source(cell, exercise))
        except NotAKernel as refusal:
            return partial(_stopped, str(refusal))
        if outcome.status != "returned":
            self.unfinished.add(cell)
            if worker.failed:
                self.deadly.add(cell)
            return partial(_stopped, _sentence(outcome))
        return partial(worker.call, exercise.name)

    def _finishes(self, cell: Cell, exercise: Exercise, worker: Worker) -> bool:
        try:
            return worker.run_cell(cell.id, self._source(cell, exercise)).status == "returned"
        except NotAKernel:
            return False

    def _source(self, cell: Cell, exercise: Exercise) -> str:
        """What is run of a cell: all of it, or where the answer is a kernel only the kernels.

        Raises:
            NotAKernel: One of them is more than a kernel can be.
        """
        if exercise.kernel is None:
            return cell.source
        if cell.exercise == exercise.id and exercise.name in cell.names[0] - names_of(cell.source):
            raise NotAKernel(f"Put `@triton.jit` above `{exercise.name}`: the grader launches it.")
        given = (*self.setup, *(one for one in self.sheet.needed(cell, self.given)))
        try:
            return kernels_of(cell.source, frozenset().union(*(names_of(one.source) for one in given)))
        except SyntaxError as error:
            raise NotAKernel(f"Line {error.lineno} of the cell raised SyntaxError: {error.msg}.") from None
        except NotAKernel:
            raise
        except (ValueError, RecursionError, MemoryError) as error:
            reason = str(error) or "it is nested too deeply"
            raise NotAKernel(f"Python cannot read the cell: {reason}.") from None

    def _remarks(self, cell: Cell) -> Iterator[str]:
        """What a learner whose notebook works should know about this cell alone."""
        needed = self.sheet.needed(cell, self.given)
        given = self.given.union(*(one.names[0] for one in needed))
        for one in needed:
            if one in self.unfinished:
                yield f"It uses names of the cell `{one.id}`, which did not come to its end."
        for one in self.sheet.cells:
            for name in sorted(one.names[0] & cell.names[1] - given):
                yield f"`{name}` stands in a cell that is not run: put it into the answer cell."

    def limits(self) -> dict[str, str]:
        """What was in force, in words."""
        call, exercise = self.workers.limits.seconds, self.workers.limits.exercise_seconds
        return {
            "time": f"{call:g} s for a cell or a call, {exercise:g} s for an exercise",
            **self.facts,
        }


def _stopped(reason: str, args: tuple[Any, ...]) -> Outcome:
    """The outcome of every call of an answer that could not be run."""
    return Outcome("stopped", detail=reason)


def _sentence(outcome: Outcome) -> str:
    """Why a cell did not come to its end."""
    if outcome.raised is not None:
        line = "The cell" if outcome.raised.line is None else f"Line {outcome.raised.line} of the cell"
        return f"{line} raised {outcome.raised.type}: {outcome.raised.message}."
    if outcome.status == "timed out":
        return f"The cell did not come to its end within {outcome.detail} s."
    return outcome.detail
