"""Several processes that grade sheets, each with its own process for answers; one that dies costs one sheet.

A job gets one sheet at a time. It may crash, hang, or be killed by an answer: the sheet that it had is not
run, a new job takes its place, and all other sheets are graded.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch
from tqdm import tqdm

from tsparse.grade.cohort.finding import Handed
from tsparse.grade.cohort.result import Result, graded
from tsparse.grade.report import as_html
from tsparse.grade.runner import grade_sheet
from tsparse.grade.submission import SheetError, read_submission
from tsparse.grade.worker import Limits, Sandbox, Workers, clean

MOST_SECONDS = 1800.0
"""After so long a sheet is given up: fifteen exercises that use all of their time."""

_FILE_NAME = re.compile(r"[\w.() -]{1,100}\.ipynb")


@dataclass(frozen=True)
class Orders:
    """How all sheets of a run are graded: on the same inputs, with the same limits."""

    seed: int
    master: Path | None = None
    limits: Limits = field(default_factory=Limits)
    sandbox: Sandbox = "best"
    most_seconds: float = MOST_SECONDS


@dataclass(frozen=True)
class Task:
    """A submission and what the file holds."""

    handed: Handed
    content: bytes


@dataclass(frozen=True)
class Done:
    """A result, and the student's page where the sheet was graded."""

    result: Result
    page: str = ""


def grade_all(tasks: Iterable[Task], count: int, orders: Orders) -> Iterator[tuple[Task, Done]]:
    """Grade with `count` processes at once and yield results with their tasks as they come.

    A task is taken from `tasks` when a job is free for it, so that few are in memory at a time.
    """
    waiting = iter(tasks)
    jobs: list[Job] = []
    try:
        for task in waiting:
            jobs.append(Job(orders, task))
            if len(jobs) == count:
                break
        while jobs:
            soonest = min(job.until for job in jobs)
            ready = wait([job.pipe for job in jobs], timeout=max(0.0, soonest - time.monotonic()))
            for place, job in enumerate(jobs):
                if job.pipe not in ready and time.monotonic() < job.until:
                    continue
                yield job.task, job.reply() if job.pipe in ready else job.give_up()
                following = next(waiting, None)
                if following is None:
                    job.end()
                elif job.ended or not job.give(following):
                    job.end()
                    jobs[place] = Job(orders, following)
            jobs = [job for job in jobs if not job.ended]
    finally:
        for job in jobs:
            job.end()


class Job:
    """The teacher's side of one process that grades."""

    def __init__(self, orders: Orders, task: Task) -> None:
        """Start the process and give it its first task."""
        context = multiprocessing.get_context("spawn")  # a fork would take torch's threads half along
        self.pipe, theirs = context.Pipe()
        self.orders, self.ended = orders, False
        self.process = context.Process(target=serve, args=(theirs, orders), daemon=True)
        self.process.start()
        theirs.close()
        self.give(task)

    def give(self, task: Task) -> bool:
        """Hand a task over; False if the process is gone."""
        self.task, self.until = task, time.monotonic() + self.orders.most_seconds
        try:
            self.pipe.send(task)
        except OSError:
            return False
        return True

    def reply(self) -> Done:
        """What the process found, or that it has ended."""
        try:
            done = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            code = self.process.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"status {code}"
            return self._not_run(f"the process that graded it ended ({how}); grade it again")
        assert isinstance(done, Done)
        return done

    def give_up(self) -> Done:
        """End a process that takes too long."""
        self.end()
        return self._not_run(f"it was not graded within {self.orders.most_seconds:g} s")

    def end(self) -> None:
        """End the process; what it started for the answers ends with it."""
        self.ended = True
        self.pipe.close()
        self.process.kill()
        self.process.join()

    def _not_run(self, fault: str) -> Done:
        handed = self.task.handed
        return Done(Result(handed.student, handed.file, self.orders.seed, fault))


def serve(pipe: Connection, orders: Orders) -> None:
    """Grade what comes through the pipe until it is closed: what a job's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the teacher's side decides
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # one progress bar on the screen is enough
    tqdm.set_lock(threading.RLock())  # its own lock would outlive a process that is killed
    torch.set_num_threads(1)
    with Workers(orders.limits, orders.sandbox) as workers:
        while True:
            try:
                task = pipe.recv()
            except EOFError:
                return
            pipe.send(grade_one(task, orders, workers))


def grade_one(task: Task, orders: Orders, workers: Workers) -> Done:
    """Grade one sheet in a folder of its own, so that nothing beside it is taken for its master."""
    handed = task.handed
    name = Path(handed.file).name
    try:
        with tempfile.TemporaryDirectory(prefix="sheet-") as scratch:
            path = Path(scratch, "handed", name if _FILE_NAME.fullmatch(name) else "sheet.ipynb")
            path.parent.mkdir()
            path.write_bytes(task.content)
            report = grade_sheet(path, orders.seed, master=orders.master, workers=workers)
            answers = read_submission(path).answers
    except (SheetError, OSError) as error:
        return Done(Result(handed.student, handed.file, orders.seed, clean(str(error))))
    except Exception as error:  # a fault of the grader must not cost the other sheets
        fault = clean(f"the grader failed on it ({type(error).__name__}: {error}); please report it")
        return Done(Result(handed.student, handed.file, orders.seed, fault))
    asked = (one.verdict.exercise for one in report.exercises)
    result = graded(handed, report, tuple(id for id in asked if id not in answers))
    return Done(result, as_html(replace(report, sheet=f"{handed.student}: {name}")))
