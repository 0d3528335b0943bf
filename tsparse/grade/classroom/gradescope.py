"""The autograder of one sheet for Gradescope: a zip with `setup.sh`, `run_autograder` and the course.

Source: Gradescope, "Autograder Specifications" and "Troubleshooting" (limits), gradescope-autograders on
Read the Docs.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from tsparse.grade.classroom.course import Sheet, bundle, package_index, template

CONTAINER = "0.5 CPU, 0.75 GB"


def write(sheet: Sheet, out: Path, torch_index: str) -> None:
    """Write the zip.

    Raises:
        ValueError: `torch_index` is no address.
        OSError: The file cannot be written.
    """
    scripts = {
        "setup.sh": template("setup.sh").replace("@TORCH_INDEX@", package_index(torch_index)),
        "run_autograder": template("run_autograder").replace("@SHEET@", sheet.name),
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in scripts.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, text)
        for name, content in bundle(sheet).items():
            archive.writestr(name, content)


def advice(sheet: Sheet) -> str:
    """What the teacher chooses on Gradescope."""
    points = sum(one.points for one in sheet.exercises)
    return (
        f"Upload it under Configure Autograder. The assignment has {points:g} points; container "
        f"{CONTAINER}; time "
        f"limit {sheet.minutes} minutes or more; students hand in {sheet.name}.ipynb."
    )
