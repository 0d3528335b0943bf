"""Grading a class: all submissions of a run on the same inputs, kept as they come, summed up at the end."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tsparse.grade.cohort import formats, summary
from tsparse.grade.cohort.archives import HandedInError, read
from tsparse.grade.cohort.finding import Handed
from tsparse.grade.cohort.jobs import Done, Orders, Task, grade_all
from tsparse.grade.cohort.keeping import OutFolder, write
from tsparse.grade.cohort.result import Result
from tsparse.grade.worker import Limits, Sandbox, Workers


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def grade_class(
    handed: Sequence[Handed],
    out: Path | None = None,
    seed: int | None = None,
    *,
    master: Path | None = None,
    count: int | None = None,
    again: bool = False,
    limits: Limits | None = None,
    sandbox: Sandbox = "best",
) -> list[Result]:
    """Grade submissions and write what was found.

    All are graded on the same inputs: nobody has luckier ones, and equal sheets get equal points.

    Args:
        handed: The submissions.
        out: The folder to write; what is graded there already is not graded again. None writes nothing.
        seed: Draws the inputs. None takes that of the run which `out` holds, or else a fresh one.
        master: The solved notebook of the sheets; None looks for it in a checkout.
        count: How many are graded at once; None takes one for each core.
        again: Grade what is graded already, too.
        limits: What an answer may use.
        sandbox: Whether answers get a world of their own; where one is required and cannot be had, nothing is
            graded.

    Returns:
        The results in the order of `handed`.

    Raises:
        OSError: The folder cannot be written, or this system cannot fork.
    """
    folder = None if out is None else OutFolder(out, handed)
    if folder is not None:
        seed = folder.seed(seed, again)
    seed = secrets.randbits(32) if seed is None else seed
    run = ClassRun(handed, Orders(seed, master, Workers(limits).limits, sandbox), folder, again)
    with tqdm(total=len(handed), desc="grading", unit="sheet", disable=None) as run.bar:
        for task, done in grade_all(run.tasks(), count or cores(), run.orders):
            run.note(task.handed, done)
            if folder is not None and not done.result.fault:
                folder.keep(task, run.orders, done.result)
    results = [run.found[one] for one in handed]
    if folder is not None:
        write_class(results, folder)
    return results


class ClassRun:
    """A class being graded."""

    bar: tqdm[Any]

    def __init__(
        self, handed: Sequence[Handed], orders: Orders, folder: OutFolder | None, again: bool
    ) -> None:
        """Nothing is graded yet."""
        self.handed, self.orders, self.folder, self.again = handed, orders, folder, again
        self.found: dict[Handed, Result] = {}

    def tasks(self) -> Iterator[Task]:
        """What there is to grade; what cannot be read, and what is kept, is noted on the way."""
        for one in self.handed:
            try:
                if one.fault:
                    raise HandedInError(one.fault)
                task = Task(one, read(one.way))
            except HandedInError as error:
                self.note(one, Done(Result(one.student, one.file, self.orders.seed, str(error))))
                continue
            kept = self.folder.kept(task, self.orders) if self.folder and not self.again else None
            if kept is None:
                yield task
            else:
                self.note(one, Done(kept), old=True)

    def note(self, one: Handed, done: Done, old: bool = False) -> None:
        """Write down a result, and the student's page unless it is an old one."""
        self.found[one] = done.result
        if self.folder is not None and not old:
            write(self.folder.page(one), done.page or summary.page_of_fault(done.result))
        self.bar.update()


def write_class(results: Sequence[Result], folder: OutFolder) -> None:
    """Write what is about all submissions together."""
    pages = [f"students/{name}.html" for name in folder.names.values()]
    write(folder.path / "index.html", summary.as_html(results, pages))
    for name, render in (
        ("class.json", formats.as_json),
        ("class.csv", formats.as_csv),
        ("class.xml", formats.as_junit),
    ):
        write(folder.path / name, render(results))
    if len(results) == 1:
        write(folder.path / "results.json", formats.as_gradescope(results[0]))
