"""`tsparse grade SHEET.ipynb`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tsparse.grade.report import as_html, as_json, as_text
from tsparse.grade.runner import grade_sheet
from tsparse.grade.threats import ShowThreats
from tsparse.grade.worker import Workers


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse grade`."""
    parser.add_argument("sheet", type=Path, help="a filled-in exercise sheet (.ipynb)")
    parser.add_argument("--seed", type=int, help="draw the same inputs again (default: fresh ones)")
    parser.add_argument("--master", type=Path, help="the solved notebook of this sheet, if it is not found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report for programs")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report with pictures")
    parser.add_argument(
        "--require-sandbox", action="store_true", help="run nothing where there is no sandbox"
    )
    parser.add_argument(
        "--threats", action=ShowThreats, help="say what is promised against attacks, and leave"
    )


def run(args: argparse.Namespace) -> int:
    """Grade and print the report: 0 if every exercise passed, otherwise 1."""
    with Workers(sandbox="required" if args.require_sandbox else "best") as workers:
        report = grade_sheet(args.sheet, args.seed, master=args.master, workers=workers)
    print(as_text(report))
    for path, render in ((args.json, as_json), (args.html, as_html)):
        if path:
            path.write_text(render(report), encoding="utf-8")
            print(f"{path}: written")
    return 0 if report.all_passed else 1
