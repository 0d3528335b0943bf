"""What a grader on another machine needs of this course: the package, one sheet, and what to install.

It travels as files: nothing is on a package index, a repository may be private, and a class should be graded
by one version from the first day to the last. Of the sheet the unsolved form travels, for its setup cells.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tsparse.grade import notebooks
from tsparse.grade.exercise import Exercise
from tsparse.grade.exercises import all_exercises
from tsparse.grade.submission import read_submission
from tsparse.grade.worker import Limits


@dataclass(frozen=True)
class Sheet:
    """An exercise sheet of the course whose folder is `course`, such as "02_masks"."""

    course: Path
    name: str

    @property
    def path(self) -> Path:
        """The unsolved sheet."""
        return self.course / "exercises" / f"{self.name}.ipynb"

    @property
    def exercises(self) -> list[Exercise]:
        """The exercises on it, in the order of the course."""
        answers = read_submission(self.path).answers
        return [one for one in all_exercises() if one.id in answers]

    @property
    def minutes(self) -> int:
        """How long grading takes at most, when every answer runs into its time limit."""
        return 2 + round(len(self.exercises) * Limits().exercise_seconds / 60)


def find_sheet(name: str) -> Sheet:
    """The sheet of this name in the checkout that the current folder is in.

    Raises:
        ValueError: There is no such sheet, or the current folder is in no checkout.
    """
    course = notebooks.course_folder()
    sheet = Sheet(course, name.removesuffix(".ipynb").rpartition("/")[2])
    if not sheet.path.is_file():
        known = ", ".join(sorted(path.stem for path in (course / "exercises").glob("*.ipynb")))
        raise ValueError(f"no sheet {name!r}; there are {known}")
    return sheet


def bundle(sheet: Sheet) -> dict[str, bytes]:
    """The files by their place in a folder: `tsparse/`, `sheet.ipynb`, and what pip is to install."""
    course = sheet.course
    package = {
        str(path.relative_to(course)): path.read_bytes()
        for path in sorted((course / "tsparse").rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    project = tomllib.loads((course / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return package | {
        "sheet.ipynb": sheet.path.read_bytes(),
        "requirements.txt": "".join(f"{line}\n" for line in project["dependencies"]).encode(),
        "constraints.txt": (course / "constraints.txt").read_bytes(),
    }


def template(name: str) -> str:
    """The text of a file in `files/`."""
    return (Path(__file__).parent / "files" / name).read_text(encoding="utf-8")


def package_index(address: str) -> str:
    """`address` if it is one that pip may take PyTorch from, or nothing.

    Raises:
        ValueError: It is something else.
    """
    if address and not re.fullmatch(r"https://[\w.:/+-]+", address, re.ASCII):
        raise ValueError(f"--torch-index must be an address (https://...), got {address!r}")
    return address
