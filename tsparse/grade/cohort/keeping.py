"""The folder that a run writes: what is graded already, so that a run that was stopped goes on.

index.html  class.json  class.csv  class.xml     the class
results.json                                     of a single submission, as Gradescope reads it
students/NAME.html                               a page for each student
graded/NAME.json  graded/seed                    what is kept between runs
graded/lock                                      held while a run writes the folder
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from tsparse.grade.cohort.finding import Handed
from tsparse.grade.cohort.jobs import Orders, Task
from tsparse.grade.cohort.result import Result


class OutFolder:
    """The folder of one run; making it makes the folder."""

    def __init__(self, path: Path, handed: Iterable[Handed]) -> None:
        """Give each submission the name that its files have.

        Raises:
            OSError: The folder cannot be made, or another run writes it.
        """
        self.path = path
        self.names = file_names(list(handed))
        for folder in ("students", "graded"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        self._lock = (path / "graded" / "lock").open("w")
        if hasattr(os, "fork"):  # else nothing is graded
            self._hold()

    def _hold(self) -> None:
        """Keep other runs out; the system lets go of the lock when this process ends."""
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = f"another run is writing {self.path}: wait for its end, or take another folder"
            raise OSError(reason) from None
        except OSError:  # a file system without locks
            pass

    def seed(self, asked: int | None, again: bool) -> int:
        """The seed of this run: the one asked for, else that of the run which goes on, else a fresh one."""
        file = self.path / "graded" / "seed"
        kept = None
        if not again and file.exists():
            text = file.read_text(encoding="utf-8").strip()
            kept = int(text) if text.isdecimal() else None
        seed = next((one for one in (asked, kept) if one is not None), secrets.randbits(32))
        write(file, f"{seed}\n")
        return seed

    def page(self, handed: Handed) -> Path:
        """Where the student's page lies."""
        return self.path / "students" / f"{self.names[handed]}.html"

    def kept(self, task: Task, orders: Orders) -> Result | None:
        """What an earlier run found for the same sheet, seed, limits and version of the grader."""
        try:
            kept = json.loads(self._record(task.handed).read_text(encoding="utf-8"))
            same = kept["key"] == key(task, orders) and self.page(task.handed).is_file()
            return Result.from_data(kept["result"]) if same else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, task: Task, orders: Orders, result: Result) -> None:
        """Keep the result of a sheet that was graded, once its page is written."""
        record = {"key": key(task, orders), "result": result.as_data()}
        write(self._record(task.handed), json.dumps(record, indent=1) + "\n")

    def _record(self, handed: Handed) -> Path:
        return self.path / "graded" / f"{self.names[handed]}.json"


def file_names(handed: Sequence[Handed]) -> dict[Handed, str]:
    """A name for the files of each submission: the student's, and the sheet's where there are several."""
    students = [one.student for one in handed]
    names: dict[Handed, str] = {}
    taken: set[str] = set()
    for one in handed:
        several = students.count(one.student) > 1
        wanted = f"{one.student}-{Path(one.file).stem}" if several else one.student
        plain = re.sub(r"[^\w.-]+", "_", wanted)[:60].strip("._-") or "student"
        name, number = plain, 2
        while name.lower() in taken:  # some file systems take capitals for small letters
            name, number = f"{plain}-{number}", number + 1
        taken.add(name.lower())
        names[one] = name
    return names


def key(task: Task, orders: Orders) -> str:
    """What a result depends on, as one short text."""
    master = orders.master.read_bytes() if orders.master else b""
    facts = [task.handed.student, task.handed.file, orders.seed, repr(orders.limits), orders.sandbox]
    facts.append(grader_version())
    digest = hashlib.sha256(json.dumps(facts).encode())
    for content in (master, task.content):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


@cache
def grader_version() -> str:
    """A digest of the grader, its exercises and the solved sheets: a change of any grades anew."""
    grader = Path(__file__).parents[1]
    files = [*grader.rglob("*.py"), *(grader.parents[1] / "solutions").glob("*.ipynb")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a run which is stopped leaves no half of one."""
    number, new = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with open(number, "w", encoding="utf-8", newline="\n", errors="replace") as file:
            file.write(text)
        os.chmod(new, 0o644)
        os.replace(new, path)
    finally:
        Path(new).unlink(missing_ok=True)
