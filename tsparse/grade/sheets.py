"""From a solved master to the sheet a learner fills in: `tsparse sheets`.

`solutions/NN_slug.ipynb` is the master. An exercise in it is three cells: the statement, the answer with
its lines between `### BEGIN SOLUTION` and `### END SOLUTION`, and the check. The sheet in `exercises/` is the
same notebook without those lines and without outputs; it is made by this file and never edited by hand.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from nbformat import NotebookNode

from tsparse.grade import notebooks
from tsparse.grade.exercise import Exercise
from tsparse.grade.exercises import exercise
from tsparse.grade.notebooks import SETUP_CELL, NotebookError

PLACEHOLDER = "# Your lines go here."
"""What stands in a sheet in place of a solution."""

PARTS = ("exercise", "answer", "check")
"""The three cells of an exercise, in this order."""

_BEGIN, _END = "### BEGIN SOLUTION", "### END SOLUTION"
_STATEMENT = re.compile(r"## `(?P<id>[a-z0-9_]+\.[a-z0-9_]+)`.*")


def make_sheet(master: NotebookNode, setup: str = SETUP_CELL) -> NotebookNode:
    """The unsolved sheet of a master, in canonical form and without outputs.

    Raises `NotebookError` with everything that is wrong with the master, a line each: unknown exercises,
    statements that say other minutes or points than the exercise, cells that are missing or out of order,
    marks that do not pair.
    """
    faults = list(_faults(master))
    if faults:
        raise NotebookError("\n".join(faults))
    sheet = notebooks.canonical(master, setup)
    for cell in sheet.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.source = unsolved(cell.source)
    return sheet


def unsolved(source: str) -> str:
    """The source with each solution replaced by one line; raises `NotebookError` if the marks do not pair."""
    lines: list[str] = []
    solution = False
    for line in source.split("\n"):
        mark = line.strip()
        if mark in (_BEGIN, _END):
            if solution == (mark == _BEGIN):
                raise NotebookError(f"{mark} without the other mark before it")
            solution = mark == _BEGIN
            if solution:
                lines.append(line.replace(_BEGIN, PLACEHOLDER))
        elif "BEGIN SOLUTION" in mark or "END SOLUTION" in mark:
            raise NotebookError(f"a mark stands alone on its line and reads {_BEGIN} or {_END}; got {mark!r}")
        elif not solution:
            lines.append(line)
    if solution:
        raise NotebookError(f"{_BEGIN} without {_END}")
    return "\n".join(lines)


def statement_line(one: Exercise) -> str:
    """The first line of an exercise's statement cell, which the master must repeat exactly."""
    return f"## `{one.id}` · {one.minutes} min · {one.points} points · {one.difficulty}"


def cell_id(part: str, exercise_id: str) -> str:
    """The id of the `part` cell of an exercise: `answer-masks-causal`."""
    return f"{part}-{exercise_id.replace('.', '-')}"


def _faults(master: NotebookNode) -> Iterator[str]:
    """What keeps a master from becoming a sheet, one sentence each."""
    sources = {cell.get("id", ""): cell.source for cell in master.cells}
    stated = [match["id"] for source in sources.values() if (match := _STATEMENT.match(source))]
    if not stated:
        yield "no exercise: a statement cell begins with a line like ## `masks.causal` · 8 min · ..."
    wanted = [cell_id(part, id) for id in stated for part in PARTS]
    present = [id for id in sources if id.startswith(tuple(f"{part}-" for part in PARTS))]
    for want, have in zip_longest(wanted, present, fillvalue="none"):
        if want != have:
            yield f"the next cell of an exercise should be {want}, and it is {have}"
            return
    for id, source in sources.items():
        if not id.startswith("answer-") and (_BEGIN in source or _END in source):
            yield f"{id}: solutions stand in answer cells only"
    for id in stated:
        try:
            yield from _exercise_faults(exercise(id), *(sources[cell_id(part, id)] for part in PARTS))
        except ValueError as error:
            yield f"{cell_id('exercise', id)}: {error}"


def _exercise_faults(one: Exercise, statement: str, answer: str, check: str) -> Iterator[str]:
    """What is wrong with the three cells of one exercise."""
    first = statement.split("\n")[0]
    if first != statement_line(one):
        yield f"{cell_id('exercise', one.id)}: begins {first!r}, wanted {statement_line(one)!r}"

    name = cell_id("answer", one.id)
    try:
        empty = unsolved(answer)
        tree = ast.parse(empty)
    except NotebookError as error:
        yield f"{name}: {error}"
        return
    except SyntaxError as error:
        yield f"{name}: without its solution line {error.lineno} is no Python; does a docstring stand there?"
        return
    if empty == answer:
        yield f"{name}: no solution between {_BEGIN} and {_END}"

    called = re.fullmatch(r'check\("([^"]*)", (.+)\)', check.strip())
    if called is None or called[1] != one.id:
        yield f'{cell_id("check", one.id)}: must read check("{one.id}", ...)'
    elif called[2].isidentifier() and called[2] not in _defined(tree):
        yield f"{name}: does not define `{called[2]}`, which the check cell names"


def _defined(tree: ast.Module) -> set[str]:
    """The names that a cell defines at its top level."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return names | {target.id for target in assigned if isinstance(target, ast.Name)}


def differing(course: Path) -> dict[Path, str | None]:
    """Each file in `exercises/` that is not what its master makes, with the text it should have.

    None means that it has no master and should not be there. Raises `NotebookError` naming the master that
    cannot become a sheet.
    """
    folder = course / "exercises"
    setup = notebooks.setup_cell(course)
    wanted: dict[Path, str | None] = dict.fromkeys(sorted(folder.glob("*.ipynb")))
    for path in sorted((course / "solutions").glob("*.ipynb")):
        try:
            wanted[folder / path.name] = notebooks.text(make_sheet(notebooks.read(path), setup))
        except NotebookError as error:
            raise NotebookError(f"solutions/{path.name}: {error}") from error
    return {path: text for path, text in wanted.items() if text is None or notebooks.difference(path, text)}


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse sheets`."""
    parser.add_argument("--check", action="store_true", help="change nothing; fail if any sheet differs")


def run(args: argparse.Namespace) -> int:
    """`tsparse sheets`: 0 if all is in order, otherwise 1, with the differences on stderr."""
    course = notebooks.course_folder()
    different = differing(course)
    for path, text in different.items():
        name = path.relative_to(course)
        if text is None:
            if not args.check:
                path.unlink()
            print(f"{name}: has no master in solutions/{'' if args.check else ', removed'}", file=sys.stderr)
        elif args.check:
            print(f"{name}: `tsparse sheets` makes it\n{notebooks.difference(path, text)}", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{name}: written")
    return 1 if args.check and different else 0
