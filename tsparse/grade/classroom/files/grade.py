"""Grades a sheet in CI: `python grade.py SHEET.ipynb [EXERCISE]`; 0 if all of it, or that exercise, passed.

Without an exercise it also reports the points: for GitHub Classroom, and as a table on the run's page.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

COURSE = Path(__file__).resolve().parents[1] / "course"


def main(sheet: str, *exercises: str) -> int:
    """Grade, and return the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [
            sys.executable, "-m", "tsparse", "grade", str(Path(sheet).resolve()),
            "--master", str(COURSE / "sheet.ipynb"), "--json", str(report),
        ]  # fmt: skip
        token = secrets.token_hex(16)
        print(f"::stop-commands::{token}", flush=True)  # what an answer printed is no command to the runner
        subprocess.run(command, cwd=COURSE)
        print(f"::{token}::", flush=True)
        content = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else None
    if content is None:
        print("::error::The sheet could not be graded; the reason stands above.")
        return 1
    if not exercises:
        tell(content)
    judged = {one["id"]: one["status"] for one in content["exercises"]}
    return 0 if all(judged.get(id) == "PASS" for id in exercises or judged) else 1


def tell(content: dict) -> None:
    """The points, for the runner and for people."""
    earned, points = content["earned"], content["points"]
    totals = json.dumps({"totalPoints": earned, "maxPoints": points})
    print(f"::notice title=Autograding complete::Points {earned:g}/{points:g}")
    print(f"::notice title=Autograding report::{totals}")
    rows = [
        f"| {one['id']} | {one['status']} | {one['earned']:g} of {one['points']:g} |"
        for one in content["exercises"]
    ]
    table = "\n".join(["| exercise | verdict | points |", "|---|---|---|", *rows, ""])
    if "GITHUB_STEP_SUMMARY" in os.environ:
        Path(os.environ["GITHUB_STEP_SUMMARY"]).write_text(table, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
