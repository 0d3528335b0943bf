"""Who handed in what: sheets below folders, inside of zips, and by themselves.

Exports differ, and so do the places where they put a student's name:

    Moodle              Ann Example_123_assignsubmission_file_/02_masks.ipynb, or one flat name
    Canvas              exampleann_LATE_123_456_02_masks.ipynb
    nbgrader            submitted/ann/02_masks/02_masks.ipynb
    GitHub Classroom    masks-submissions/masks-ann/exercises/02_masks.ipynb
    by hand             ann.ipynb, ann/02_masks.ipynb, ann.zip

Where Moodle's or Canvas's is not recognised, it is the first part in which the submissions' paths differ.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tsparse.grade.cohort.archives import HandedInError, members, open_plain, read
from tsparse.grade.exercises import LESSONS
from tsparse.grade.worker import clean

LEFT_OUT = {"__MACOSX", "solutions", "notebooks"}
"""Folders below a path that are not searched, nor are hidden ones: a copy of the course holds answers too."""

MOST_SHEETS = 20
"""Sheets of one student; more are taken for an attempt to keep the grader busy."""

DEEPEST = 20
"""Folders inside of one another."""

_MOODLE = re.compile(r"(?P<student>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+(_|$)")
_CANVAS = re.compile(r"(?P<student>[^\W_]+)(_LATE)?_(?P<number>\d+)_\d+_.+\.(ipynb|zip)")


@dataclass(frozen=True)
class Handed:
    """One sheet of one student, or the reason (`fault`) why there is none to grade.

    `file` is its place below the given path; `way` is how to read it (see `archives.read`).
    """

    student: str
    file: str
    way: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Found:
    """A file: the parts of its place from the first given path on, names inside of zips among them."""

    parts: tuple[str, ...]
    way: tuple[str, ...]
    fault: str = ""

    @property
    def is_sheet(self) -> bool:
        """Whether it is to be graded, or to be complained about."""
        return bool(self.fault) or self.parts[-1].lower().endswith(".ipynb")


def handed_in(paths: Sequence[str | Path]) -> list[Handed]:
    """All submissions below the paths, in the order of the students' names.

    Args:
        paths: Sheets, folders, zips, or patterns of these.

    Raises:
        ValueError: A path leads nowhere, or nothing was handed in.
    """
    given = list(dict.fromkeys(one for path in paths for one in _spread(Path(path))))
    base = given[0] if len(given) == 1 and given[0].is_dir() else Path(os.path.commonpath([
        one.absolute().parent for one in given
    ]))  # fmt: skip
    found = [
        one for path in given for one in _below(path, path.absolute().relative_to(base.absolute()).parts)
    ]
    places = [one.parts for one in found]
    shared = shared_parts(places)
    by_student: dict[str, list[Found]] = {}
    for student, one in zip(students(places, shared), found, strict=True):
        by_student.setdefault(clean(student).strip() or "no name", []).append(one)
    handed = [
        one for student, files in sorted(by_student.items()) for one in _of_student(student, files, shared)
    ]
    if not handed:
        raise ValueError(f"no notebook (.ipynb) in {', '.join(str(path) for path in paths)}")
    return handed


def _spread(path: Path) -> list[Path]:
    """The paths that a pattern stands for."""
    if path.exists() or path.is_symlink():
        return [path]
    matching = sorted(Path(one) for one in glob.glob(str(path), recursive=True))
    if not matching:
        raise ValueError(f"there is no {path}")
    return matching


def _below(path: Path, parts: tuple[str, ...]) -> Iterator[Found]:
    """All files at or below a path that was given."""
    if path.is_symlink():
        yield Found(parts, (), _link(path))
        return
    if not path.is_dir():
        yield from _file(parts, (str(path),))
        return
    unreadable: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=unreadable.append):
        here = Path(folder).relative_to(path).parts
        kept = [name for name in folders if name not in LEFT_OUT and not name.startswith(".")]
        folders[:] = sorted(kept) if len(here) < DEEPEST else []
        for name in () if here else folders:  # a student's whole folder; others hold what is beside a sheet
            if fault := _link(Path(folder, name)):
                yield Found((*parts, name), (), fault)
        for name in sorted(name for name in names if not name.startswith(".")):
            yield from _file((*parts, *here, name), (os.path.join(folder, name),))
    for error in unreadable:
        here = Path(str(error.filename)).relative_to(path).parts
        yield Found((*parts, *here, "?"), (), f"the folder cannot be read: {error.strerror}")


def _file(parts: tuple[str, ...], way: tuple[str, ...]) -> Iterator[Found]:
    """A file, or what is in it if it is a zip."""
    if not parts[-1].lower().endswith(".zip"):
        sheet = len(way) == 1 and parts[-1].lower().endswith(".ipynb")
        yield Found(parts, way, _link(Path(way[0])) if sheet else "")
    elif len(way) > 2:
        yield Found(parts, way, "it is a zip inside of a zip inside of a zip")
    else:
        try:
            with BytesIO(read(way)) if len(way) > 1 else open_plain(Path(way[0])) as file:
                listed = list(members(file))
        except (HandedInError, OSError) as error:
            yield Found(parts, way, str(error))
            return
        for name, fault in listed:
            inner = tuple(part for part in re.split(r"[/\\]", name) if part not in ("", ".", ".."))
            if inner and not any(part in LEFT_OUT or part.startswith(".") for part in inner):
                if fault:
                    yield Found((*parts, *inner), (), fault)
                else:
                    yield from _file((*parts, *inner), (*way, name))


def _link(path: Path) -> str:
    """Why a path on the disk is not read, if it is a link."""
    return f"{path.name} is a link, and links are not followed" if path.is_symlink() else ""


def _of_student(student: str, files: Sequence[Found], shared: int) -> Iterator[Handed]:
    """The sheets of a student, or one complaint; a file in none of the students' folders is nobody's."""
    sheets = [one for one in files if one.is_sheet]
    if len(sheets) > MOST_SHEETS:
        yield Handed(
            student, "", fault=f"{len(sheets)} notebooks were handed in; {MOST_SHEETS} are graded at most"
        )
    elif sheets:
        for one in sheets:
            yield Handed(student, clean("/".join(one.parts)), one.way, clean(one.fault))
    elif any(len(one.parts) > shared + 1 for one in files):
        names = ", ".join(clean(one.parts[-1]) for one in files[:5])
        yield Handed(student, "", fault=f"no notebook (.ipynb) was handed in, only {names}")


def shared_parts(places: Sequence[tuple[str, ...]]) -> int:
    """How many folders all submissions share; what lies beside them, as a list of grades, is not asked."""
    sheets = [parts for parts in places if parts[-1].lower().endswith((".ipynb", ".zip"))]
    shared = 0
    while sheets and all(len(parts) > shared + 1 for parts in sheets):
        if len({parts[shared] for parts in places if len(parts) > shared + 1}) > 1:
            break
        shared += 1
    return shared


def students(places: Sequence[tuple[str, ...]], shared: int) -> list[str]:
    """The students' names in the places of their files; see the top of this file.

    Only the first part in which the submissions differ is believed: what lies below is named by the student.
    """
    exported = [_exported(parts, shared) for parts in places]
    numbers: dict[str, set[str]] = {}
    for match in filter(None, exported):
        numbers.setdefault(match["student"], set()).add(match["number"])
    return [
        _differing(parts, shared)
        if match is None
        else f"{match['student']} ({match['number']})"  # of two with one name
        if len(numbers[match["student"]]) > 1
        else match["student"]
        for parts, match in zip(places, exported, strict=True)
    ]


def _exported(parts: tuple[str, ...], shared: int) -> re.Match[str] | None:
    """Name and number, where Moodle or Canvas wrote them; a single submission shares all of its folders."""
    tried = (parts[min(shared, len(parts) - 1)], *reversed(parts[:shared]))
    return next((match for one in tried if (match := _MOODLE.match(one) or _CANVAS.fullmatch(one))), None)


def _differing(parts: tuple[str, ...], shared: int) -> str:
    """The first part after those that all share; before it, where that is only the name of a lesson."""
    outward = (parts[min(shared, len(parts) - 1)], *reversed(parts[:shared]))
    named = next((part for part in outward if not part.startswith(tuple(LESSONS.values()))), outward[0])
    return re.sub(r"\.(ipynb|zip)$", "", named, flags=re.IGNORECASE)
