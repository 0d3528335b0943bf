"""`tsparse exam`: one exam per student of a roster, and grading what they hand in.

The seed is the teacher's secret: with it and a name anybody who has the package can draw the same questions
and read the key. Solutions of the sheets are public; marks can come from here.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from tsparse.grade.exam import marks, pages
from tsparse.grade.exam.pages import Exam
from tsparse.grade.exam.questions import KINDS, draw, known_name

FOR_SPREADSHEETS = "utf-8-sig"
"""UTF-8 with the mark by which Excel knows it."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse exam`."""
    parser.add_argument(
        "--roster", type=Path, required=True, metavar="FILE",
        help="the students: one name or number a line, or a .csv file with a column `student`",
    )  # fmt: skip
    parser.add_argument(
        "--seed", required=True, metavar="S", help="any text; whoever knows it can draw the answers: keep it"
    )
    parser.add_argument("--questions", type=int, default=len(KINDS), metavar="N", help="for each student")
    parser.add_argument(
        "--grade", type=Path, nargs="+", metavar="ANSWERS",
        help="grade these answer files, or all .json files of these folders, drawn with the same seed",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path,
        help="the folder for the sheets; with --grade the .csv or .json file for the marks (default: print)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write the exam, or grade it: 0, or 1 if a file counted for nobody."""
    exam = draw_all(args.seed, read_roster(args.roster), args.questions)
    if args.grade:
        return _grade(exam, args.grade, args.out)
    if args.out is None:
        raise ValueError("--out FOLDER is needed: where the sheets go")
    write(exam, args.out)
    print(
        f"{args.out}: {len(exam)} sheets in sheets/, blank answer files in answers/, and key.html and "
        "key.csv, which are for you alone"
    )
    return 0


def read_roster(path: Path) -> list[str]:
    """The names on a roster.

    Raises:
        ValueError: It is empty or not UTF-8, names somebody twice, or is a table without a column `student`.
        OSError: The file cannot be opened.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is no text in UTF-8; save it as that") from None
    if path.suffix == ".csv":
        begins = lines[0] if lines else ""
        table = csv.DictReader(lines, delimiter=";" if begins.count(";") > begins.count(",") else ",")
        if "student" not in (table.fieldnames or ()):
            raise ValueError(f"{path.name} needs a column `student` in its first line")
        lines = [row["student"] or "" for row in table]
    names = [name for name in map(known_name, lines) if name]
    if not names:
        raise ValueError(f"{path.name} names no student")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{path.name} names {', '.join(twice)} more than once: add a number that tells them apart"
        )
    return names


def draw_all(seed: str, students: list[str], questions: int) -> Exam:
    """The questions of everybody.

    Raises:
        ValueError: Too many questions or none, or two students would have all answers in common.
    """
    exam = {
        student: draw(seed, student, questions) for student in tqdm(students, unit="student", disable=None)
    }
    owners: dict[tuple[object, ...], str] = {}
    for student, drawn in exam.items():
        answers = tuple(one.answer for one in drawn)
        if answers in owners:
            raise ValueError(
                f"{owners[answers]} and {student} would have the same answers: take another seed or more "
                "questions"
            )
        owners[answers] = student
    return exam


def write(exam: Exam, folder: Path) -> None:
    """The sheets, the blank answer files and the key.

    Raises:
        OSError: A file cannot be written.
    """
    for name in ("sheets", "answers"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for student, file in zip(exam, file_names(list(exam)), strict=True):
        page = pages.sheet(student, exam[student], f"{file}.json")
        (folder / "sheets" / f"{file}.html").write_text(page, encoding="utf-8")
        blank = pages.form(student, exam[student])
        (folder / "answers" / f"{file}.json").write_text(blank, encoding="utf-8")
    (folder / "key.html").write_text(pages.key_page(exam), encoding="utf-8")
    (folder / "key.csv").write_text(pages.key_table(exam), encoding=FOR_SPREADSHEETS)


def file_names(students: list[str]) -> list[str]:
    """A name for each student that any system can use for a file, all different."""
    plain = [re.sub(r"\W+", "_", student).strip("_").lower()[:60] or "student" for student in students]
    return [
        name if plain.count(name) == 1 else f"{name}_{plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    ]


def _grade(exam: Exam, sources: list[Path], out: Path | None) -> int:
    files = sorted(chain.from_iterable(one.glob("*.json") if one.is_dir() else [one] for one in sources))
    graded, refused = marks.mark_all(exam, files)
    text = marks.as_json(graded) if out is not None and out.suffix == ".json" else marks.as_table(graded)
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8" if out.suffix == ".json" else FOR_SPREADSHEETS)
        print(f"{out}: the marks of {len(graded)} students from {len(files)} files")
    for sentence in refused:
        print(f"not graded: {sentence}", file=sys.stderr)
    return 1 if refused else 0
