"""A template repository of one sheet for GitHub: the sheet, a workflow that grades it, and the course.

`.github/workflows/classroom.yml` runs by itself on every push. GitHub has retired Classroom (28 August 2026;
its community discussion 205975), so nothing here needs its actions; the workflow keeps the names and the
lines that Classroom read. `.github/classroom/autograding.json` has one test per exercise, for engines that
read that file.
Source: GitHub, READMEs of classroom-resources/autograding-grading-reporter and autograding-command-grader.
"""

from __future__ import annotations

import json
from pathlib import Path

from tsparse.grade.classroom.course import Sheet, bundle, package_index, template


def write(sheet: Sheet, out: Path, torch_index: str) -> None:
    """Write the folder.

    Raises:
        ValueError: `torch_index` is no address.
        OSError: A file cannot be written.
    """
    workflow = template("classroom.yml")
    for mark, text in (
        ("@MINUTES@", str(sheet.minutes + 15)),
        ("@TORCH_INDEX@", package_index(torch_index)),
        ("@SHEET@", sheet.name),
    ):
        workflow = workflow.replace(mark, text)
    files = {f".github/course/{name}": content for name, content in bundle(sheet).items()} | {
        f"{sheet.name}.ipynb": sheet.path.read_bytes(),
        ".github/workflows/classroom.yml": workflow.encode(),
        ".github/classroom/autograding.json": autograding(sheet).encode(),
        ".github/classroom/grade.py": template("grade.py").encode(),
        ".gitignore": b"__pycache__/\n.ipynb_checkpoints/\n",
    }
    for rules in (
        "AGENTS.md",
        "CLAUDE.md",
    ):  # for AI helpers of the student, as beside the sheets of the course
        files[rules] = (sheet.path.parent / rules).read_bytes()
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def autograding(sheet: Sheet) -> str:
    """One test for each exercise, with its points."""
    tests = [
        {
            "name": one.id,
            "setup": "",
            "run": f"python .github/classroom/grade.py {sheet.name}.ipynb {one.id}",
            "input": "",
            "output": "",
            "comparison": "included",
            "timeout": sheet.minutes,
            "points": one.points,
        }
        for one in sheet.exercises
    ]
    return json.dumps({"tests": tests}, indent=2) + "\n"
