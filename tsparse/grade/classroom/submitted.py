"""One submission in Gradescope's container: SHEET, MASTER and RESULTS are its arguments.

It grades in this process, and an answer gets less memory than `tsparse grade` allows: with the process that
holds PyTorch for the answers they stay below 768 MB, the smallest container.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tsparse.grade.cohort.finding import Handed
from tsparse.grade.cohort.formats import as_gradescope
from tsparse.grade.cohort.result import Result, graded
from tsparse.grade.report import as_text
from tsparse.grade.runner import grade_sheet
from tsparse.grade.submission import SheetError, read_submission
from tsparse.grade.worker import Limits, Workers

LIMITS = Limits(memory=192 << 20)
"""What each process of an answer may use; the solutions of all sheets pass with it."""


def main(sheet: Path, master: Path, results: Path) -> None:
    """Grade a sheet and write what Gradescope reads; one that cannot be read gets no points and the reason.

    Raises:
        OSError: A file cannot be opened or written, or no process could be started.
    """
    handed = Handed("the student", sheet.name)
    try:
        with Workers(LIMITS) as workers:
            report = grade_sheet(sheet, master=master, workers=workers)
        answers = read_submission(sheet).answers
        asked = (one.verdict.exercise for one in report.exercises)
        result = graded(handed, report, tuple(id for id in asked if id not in answers))
        print(as_text(report))
    except SheetError as error:
        result = Result(handed.student, handed.file, 0, str(error))
    results.write_text(as_gradescope(result), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
