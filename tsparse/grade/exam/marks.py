"""Grading filled-in answer files against the questions that the same seed draws again.

The files were written by strangers: what cannot be read gives no points, and a note says why.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tsparse.grade.exam.pages import Exam
from tsparse.grade.exam.questions import known_name, right

LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Mark:
    """What one student earned: 1 or 0 for each question, and a note where the teacher has to look."""

    student: str
    points: tuple[int, ...]
    note: str = ""


def mark_all(exam: Exam, files: Iterable[Path]) -> tuple[list[Mark], list[str]]:
    """A mark for everybody on the roster, and a sentence for each file that counts for nobody."""
    found: dict[str, list[dict[str, str]]] = {}
    refused = []
    for path in files:
        try:
            student, answers = read_answers(path)
            if student not in exam:
                raise ValueError(f"{student!r} is not on the roster")
            found.setdefault(student, []).append(answers)
        except (ValueError, OSError, RecursionError) as error:
            refused.append(f"{path.name}: {error}")
    return [_mark(student, exam, found.get(student, [])) for student in exam], refused


def _mark(student: str, exam: Exam, handed_in: list[dict[str, str]]) -> Mark:
    questions = exam[student]
    if len(handed_in) != 1:
        note = "no answers handed in"
        if handed_in:
            note = f"{len(handed_in)} files carry this name: keep the right one and grade again"
        return Mark(student, (0,) * len(questions), note)
    points = tuple(
        int(right(one, handed_in[0].get(str(place), ""))) for place, one in enumerate(questions, start=1)
    )
    return Mark(student, points)


def read_answers(path: Path) -> tuple[str, dict[str, str]]:
    """The student's name and the answers by the number of their question.

    Raises:
        ValueError: It is no answer file.
        OSError: It cannot be opened.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError("too large for an answer file")
    match json.loads(path.read_text(encoding="utf-8")):
        case {"student": str(student), "answers": dict(answers)}:
            kept = {number: text for number, text in answers.items() if isinstance(text, str)}
            return known_name(student), kept
    raise ValueError('not an answer file: it needs "student" and "answers"')


def as_table(marks: list[Mark]) -> str:
    """The marks as CSV: student, points, of, one column per question, note."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    count = len(marks[0].points)
    rows.writerow(
        ["student", "points", "of", *(f"question {place}" for place in range(1, count + 1)), "note"]
    )
    rows.writerows([one.student, sum(one.points), count, *one.points, one.note] for one in marks)
    return written.getvalue()


def as_json(marks: list[Mark]) -> str:
    """The same for programs."""
    content = [
        {"student": one.student, "points": sum(one.points), "of": len(one.points), "questions": one.points,
         "note": one.note}
        for one in marks
    ]  # fmt: skip
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
