"""A filled-in sheet as the grader reads it: answer cells found by their ids, and the names that cells share.

Written by a stranger, so nothing is believed: the file may be huge, broken, or no notebook at all.
"""

from __future__ import annotations

import json
import re
import symtable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

LARGEST_FILE = 32 << 20
LONGEST_CELL = 1 << 18
"""Characters; Python takes some hundred bytes of the grader's memory to read one."""
MOST_CELLS = 1000
_ANSWER = re.compile(r"answer-([a-z0-9_]+)-([a-z0-9_]+)")


class SheetError(ValueError):
    """A sheet that cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Cell:
    """A code cell."""

    id: str
    source: str

    @property
    def exercise(self) -> str | None:
        """The exercise that this cell answers: "masks.causal" for the id "answer-masks-causal"."""
        match = _ANSWER.fullmatch(self.id)
        return f"{match[1]}.{match[2]}" if match else None

    @property
    def is_setup(self) -> bool:
        """Whether a master gives this cell to every answer."""
        return self.id == "setup" or self.id.startswith("setup-")

    @cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names that the cell defines for others, and those that it uses and does not define.

        A cell that is longer than `LONGEST_CELL`, or cannot be read, has none.
        """
        if len(self.source) > LONGEST_CELL:
            return frozenset(), frozenset()
        try:
            table = symtable.symtable(self.source, self.id, "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset(), frozenset()
        defined: set[str] = set()
        used: set[str] = set()
        scopes = [table]
        for scope in scopes:  # grows while it is walked
            scopes += scope.get_children()
            for symbol in scope.get_symbols():
                if scope is table or symbol.is_global():
                    if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                        defined.add(symbol.get_name())
                    if symbol.is_referenced():
                        used.add(symbol.get_name())
        return frozenset(defined), frozenset(used - defined)


@dataclass(frozen=True)
class Submission:
    """The code cells of a sheet, in order."""

    name: str
    cells: tuple[Cell, ...]

    @cached_property
    def answers(self) -> dict[str, tuple[Cell, ...]]:
        """The answer cells by exercise; more than one where somebody copied a cell with its id."""
        found: dict[str, tuple[Cell, ...]] = {}
        for cell in self.cells:
            if cell.exercise:
                found[cell.exercise] = (*found.get(cell.exercise, ()), cell)
        return found

    @cached_property
    def definers(self) -> dict[str, list[Cell]]:
        """The answer cells that define a name."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            for name in cell.names[0] if cell.exercise else ():
                found.setdefault(name, []).append(cell)
        return found

    @property
    def setup(self) -> tuple[Cell, ...]:
        """The setup cells."""
        return tuple(cell for cell in self.cells if cell.is_setup)

    def needed(self, cell: Cell, given: frozenset[str]) -> tuple[Cell, ...]:
        """The other answer cells whose names this one uses, directly or through another, in their order.

        Names that are `given` (by setup cells) make no cell needed.
        """
        wanted = {cell}
        waiting = [cell]
        while waiting:
            for name in waiting.pop().names[1] - given:
                found = [other for other in self.definers.get(name, ()) if other not in wanted]
                wanted.update(found)
                waiting += found
        return tuple(other for other in self.cells if other in wanted and other != cell)


def read_submission(path: Path) -> Submission:
    """Read a notebook.

    Raises:
        SheetError: It is none, or holds no answer cell.
        OSError: The file cannot be opened.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise SheetError(
            f"{path.name} is larger than {LARGEST_FILE >> 20} MiB; clear its outputs and save it again"
        )
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SheetError(f"{path.name} is not a notebook: {error}") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise SheetError(
            f"{path.name} is not a notebook of format 4; open it in JupyterLab and save it again"
        )
    code = tuple(filter(None, map(_code_cell, cells)))
    if len(code) > MOST_CELLS:
        raise SheetError(f"{path.name} has {len(code):,} code cells; {MOST_CELLS:,} are read at most")
    submission = Submission(path.name, code)
    if not submission.answers:
        raise SheetError(
            f'{path.name} has no answer cell (their ids look like "answer-masks-causal"): either it is no '
            "exercise sheet, or a program that saved it dropped the ids; copy your answers to a fresh sheet"
        )
    return submission


def _code_cell(cell: Any) -> Cell | None:
    match cell:
        case {"cell_type": "code", "source": str() | list() as source}:
            lines = (
                [source] if isinstance(source, str) else [line for line in source if isinstance(line, str)]
            )
            name = cell.get("id")
            return Cell(name if isinstance(name, str) else "", "".join(lines))
    return None
