"""What grading a sheet found, for people and for programs: text, JSON, HTML."""

from __future__ import annotations

import html
import json
import textwrap
from dataclasses import dataclass
from typing import Any

from tsparse.grade.checking import Verdict
from tsparse.grade.display import verdict_html
from tsparse.grade.page import document

WIDTH = 100


@dataclass(frozen=True, eq=False)
class Graded:
    """One exercise of a sheet: its verdict, how long it took, and what its process printed."""

    title: str
    verdict: Verdict
    seconds: float
    printed: str = ""


@dataclass(frozen=True, eq=False)
class SheetReport:
    """One sheet. `limits` says what the answers were held to, `not_run` which cells were left out."""

    sheet: str
    seed: int
    master: str | None
    exercises: tuple[Graded, ...]
    not_run: tuple[str, ...]
    limits: dict[str, str]
    seconds: float

    @property
    def passed(self) -> int:
        """How many exercises passed."""
        return sum(one.verdict.status == "PASS" for one in self.exercises)

    @property
    def earned(self) -> float:
        """Points earned."""
        return sum(one.verdict.earned for one in self.exercises)

    @property
    def points(self) -> float:
        """Points that can be earned."""
        return sum(one.verdict.points for one in self.exercises)

    @property
    def all_passed(self) -> bool:
        """Whether every exercise passed."""
        return self.passed == len(self.exercises)


def summary(report: SheetReport) -> str:
    """One line: how many passed, and the points."""
    return (
        f"{report.passed} of {len(report.exercises)} passed, "
        f"{report.earned:g} of {report.points:g} points in {report.seconds:.1f} s"
    )


def as_text(report: SheetReport) -> str:
    """The report for a terminal: a table, and below each exercise that did not pass what to do about it."""
    lines = [f"{report.sheet}: {summary(report)}", ""]
    for one in report.exercises:
        verdict = one.verdict
        lines.append(f"{verdict.status:8}{verdict.earned:>5g} /{verdict.points:>3g}  {verdict.exercise}")
        if verdict.status != "PASS":
            lines += _wrapped(verdict.message, "    ")
    lines.append("")
    for name, text in _notes(report):
        lines += _wrapped(f"{name}: {text}", "", "    ")
    return printable("\n".join(lines))


def printable(text: str) -> str:
    """Text that may hold names from a sheet, without what moves a terminal's cursor or what XML has not."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def as_json(report: SheetReport) -> str:
    """The report for programs; pictures and printed text are left out."""
    content: dict[str, Any] = {
        "sheet": report.sheet,
        "seed": report.seed,
        "master": report.master,
        "passed": report.passed,
        "earned": report.earned,
        "points": report.points,
        "exercises": [_exercise_json(one) for one in report.exercises],
        "not_run": list(report.not_run),
        "limits": report.limits,
        "seconds": round(report.seconds, 3),
    }
    return json.dumps(content, indent=1) + "\n"


def as_html(report: SheetReport) -> str:
    """The report as one page that needs nothing else: a table, then each exercise with its picture."""
    rows = "".join(
        f'<tr><th scope="row"><a href="#{one.verdict.exercise}">{one.verdict.exercise}</a></th>'
        f"<td>{html.escape(one.title)}</td><td>{one.verdict.status}</td>"
        f"<td>{one.verdict.earned:g} of {one.verdict.points:g}</td></tr>"
        for one in report.exercises
    )
    sections = "".join(_section(one) for one in report.exercises)
    notes = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in _notes(report))
    body = f"""<p>{summary(report)}.</p>
<table>
<thead><tr><th scope="col">exercise</th><th scope="col">title</th><th scope="col">verdict</th>
<th scope="col">points</th></tr></thead>
<tbody>{rows}</tbody>
</table>
{sections}
<h2>How it was graded</h2>
<dl>{notes}</dl>"""
    title = f"{report.sheet}: {report.passed} of {len(report.exercises)} passed"
    return document(report.sheet, body, title)


def _section(one: Graded) -> str:
    printed = f"<p>Printed:</p><pre>{html.escape(one.printed)}</pre>" if one.printed.strip() else ""
    name = one.verdict.exercise
    return f'<h2 id="{name}">{html.escape(one.title)}</h2>{verdict_html(one.verdict)}{printed}'


def _exercise_json(one: Graded) -> dict[str, Any]:
    verdict = one.verdict
    return {
        "id": verdict.exercise,
        "title": one.title,
        "status": verdict.status,
        "message": verdict.message,
        "mistake": verdict.mistake,
        "earned": verdict.earned,
        "points": verdict.points,
        "parts": [vars(part) for part in verdict.parts],
        "seconds": round(one.seconds, 3),
    }


def _notes(report: SheetReport) -> list[tuple[str, str]]:
    """What a reader of the report should know about how it came about."""
    setup = f"that of {report.master}" if report.master else "the usual imports (no solved sheet was found)"
    return [
        ("not run", ", ".join(report.not_run) or "nothing but checks and setup"),
        ("setup", setup),
        *report.limits.items(),
        ("seed", f"{report.seed} (the same inputs again: --seed {report.seed})"),
    ]


def _wrapped(text: str, first: str, more: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=first if more is None else more)
