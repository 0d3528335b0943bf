"""A class for other programs: JSON, CSV for a table, JUnit XML for CI, and what Gradescope reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from xml.etree import ElementTree as xml

from tsparse.grade.cohort.result import Answered, Result
from tsparse.grade.page import marked
from tsparse.grade.report import printable


def as_json(results: Sequence[Result]) -> str:
    """Everything that is known."""
    content = {
        "seeds": sorted({one.seed for one in results}),
        "submissions": len(results),
        "not_run": sum(bool(one.fault) for one in results),
        "results": [one.as_data() for one in results],
    }
    return json.dumps(content, indent=1) + "\n"


def as_csv(results: Sequence[Result]) -> str:
    """A row for each submission, and a column with the points of each exercise.

    It begins with a byte order mark, by which Excel knows that it is UTF-8. All is in quotes, as in some
    countries a semicolon ends a cell, and what follows could be a formula.
    """
    exercises = exercises_of(results)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    table.writerow(["student", "file", "status", "points", "out of", *exercises, "missing", "reason", "seed"])
    for one in results:
        earned = {answer.id: f"{answer.earned:g}" for answer in one.answers}
        sums = ("", "") if one.fault else (f"{one.earned:g}", f"{one.points:g}")
        points = [earned.get(id, "") for id in exercises]
        words = [_plain(text) for text in (one.student, one.file, " ".join(one.missing), one.fault)]
        table.writerow([*words[:2], one.status, *sums, *points, *words[2:], one.seed])
    return "\ufeff" + text.getvalue()


def as_junit(results: Sequence[Result]) -> str:
    """A test suite for each submission, a test case for each exercise, an error where none was graded."""
    top = xml.Element("testsuites", name="tsparse grade")
    for one in results:
        failed = sum(answer.status != "PASS" for answer in one.answers)
        suite = xml.SubElement(
            top,
            "testsuite",
            name=f"{one.student}: {one.file}",
            tests=str(len(one.answers) or 1),
            failures=str(failed),
            errors=str(int(bool(one.fault))),
            time=f"{one.seconds:.3f}",
        )
        if one.fault:
            case = xml.SubElement(suite, "testcase", classname=one.student, name="sheet")
            xml.SubElement(case, "error", message=one.fault)
        for answer in one.answers:
            case = xml.SubElement(
                suite, "testcase", classname=one.student, name=answer.id, time=f"{answer.seconds:.3f}"
            )
            if answer.status != "PASS":
                xml.SubElement(case, "failure", type=answer.status, message=answer.message)
    xml.indent(top)
    return printable(xml.tostring(top, encoding="unicode")) + "\n"


def as_gradescope(result: Result) -> str:
    """`results.json` of one submission.

    A test for each exercise, visible to the student at once. What the grader prints is for the teacher only,
    since it may hold what an answer has printed. Source: Gradescope, "Autograder Specifications",
    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    """
    content = {
        "score": result.earned,
        "execution_time": round(result.seconds),
        "output_format": "html",
        "output": marked(_about(result)),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"seed": result.seed},
        "tests": [_test(answer) for answer in result.answers],
    }
    return json.dumps(content, indent=1) + "\n"


def exercises_of(results: Iterable[Result]) -> list[str]:
    """The exercises that occur, in the order of the course."""
    return list(dict.fromkeys(answer.id for answer in chain.from_iterable(one.answers for one in results)))


def _about(result: Result) -> str:
    """What a student should know about the whole sheet."""
    if result.fault:
        return f"The sheet could not be graded: {result.fault}"
    text = f"{result.passed} of {len(result.answers)} exercises passed."
    return f"{text} The sheet has no cell for: {', '.join(result.missing)}." if result.missing else text


def _test(answer: Answered) -> dict[str, object]:
    return {
        "name": f"{answer.id}: {answer.title}",
        "score": answer.earned,
        "max_score": answer.points,
        "status": "passed" if answer.status == "PASS" else "failed",
        "output": marked(answer.message),
        "output_format": "html",
        "visibility": "visible",
    }


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
