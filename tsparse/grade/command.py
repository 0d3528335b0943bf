"""`tsparse grade PATH...`: one sheet, or a class."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tsparse.grade.cohort.finding import handed_in
from tsparse.grade.cohort.grading import grade_class
from tsparse.grade.cohort.result import Result
from tsparse.grade.cohort.summary import as_text as class_as_text
from tsparse.grade.report import as_html, as_json, as_text
from tsparse.grade.runner import grade_sheet
from tsparse.grade.threats import ShowThreats
from tsparse.grade.worker import Limits, Sandbox, Workers

STOPPED = 130
"""The exit status of a program that was stopped by Ctrl-C."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse grade`."""
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="a sheet (.ipynb), a folder, a zip, or a pattern"
    )
    parser.add_argument("--seed", type=_seed, help="draw the same inputs again (default: fresh ones)")
    parser.add_argument("--master", type=Path, help="the solved notebook of the sheets, if it is not found")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="of one sheet: write the report for programs"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="of one sheet: write it with pictures")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write pages; a stopped run goes on")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="sheets at once (default: one per core)")
    parser.add_argument(
        "--memory",
        type=_positive,
        metavar="MIB",
        help="that an answer may take beyond PyTorch's (default: 1024)",
    )
    parser.add_argument("--again", action="store_true", help="grade what the folder holds already, too")
    parser.add_argument(
        "--require-sandbox", action="store_true", help="run nothing where there is no sandbox"
    )
    parser.add_argument(
        "--threats", action=ShowThreats, help="say what is promised against attacks, and leave"
    )


def run(args: argparse.Namespace) -> int:
    """Grade and print what was found.

    Returns:
        For one sheet 0 if every exercise passed, otherwise 1. For several 0 if all could be graded, whatever
        their points, otherwise 1. 130 if it was stopped.

    Raises:
        ValueError: There is nothing to grade, or the options do not go together.
        OSError: A file cannot be read or written.
    """
    if (
        len(args.paths) == 1
        and args.paths[0].is_file()
        and args.paths[0].suffix == ".ipynb"
        and args.out is None
    ):
        return _one_sheet(args)
    if args.json or args.html:
        raise ValueError("--json and --html are for one sheet alone; --out FOLDER writes both and more")
    try:
        results = grade_class(
            handed_in(args.paths),
            args.out,
            args.seed,
            master=args.master,
            count=args.jobs,
            again=args.again,
            limits=_limits(args),
            sandbox=_sandbox(args),
        )
    except KeyboardInterrupt:
        kept = (
            "the same command goes on from here" if args.out else "with --out FOLDER it could go on from here"
        )
        print(f"Stopped; {kept}.")
        return STOPPED
    print(class_as_text(results))
    if args.out:
        print(f"{args.out / 'index.html'}: written, with a page for each student")
    return _status(results)


def _one_sheet(args: argparse.Namespace) -> int:
    """Grade a sheet by itself, with the whole report on the screen."""
    with Workers(_limits(args), _sandbox(args)) as workers:
        report = grade_sheet(args.paths[0], args.seed, master=args.master, workers=workers)
    print(as_text(report))
    for path, render in ((args.json, as_json), (args.html, as_html)):
        if path:
            path.write_text(render(report), encoding="utf-8")
            print(f"{path}: written")
    return 0 if report.all_passed else 1


def _limits(args: argparse.Namespace) -> Limits:
    return Limits() if args.memory is None else Limits(memory=args.memory << 20)


def _sandbox(args: argparse.Namespace) -> Sandbox:
    return "required" if args.require_sandbox else "best"


def _status(results: Sequence[Result]) -> int:
    if len(results) == 1:
        return 0 if results[0].status == "PASS" else 1
    return 1 if any(one.fault for one in results) else 0


def _seed(text: str) -> int:
    number = int(text)
    if number not in range(1 << 63):
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {(1 << 63) - 1}")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
