"""The reader's own functions: what passed a check is kept in the progress file, and later lessons run on it.

What is kept is text: the functions, classes, constants and imports of the cell that a function was defined
in, and what they need of earlier cells: imports, and functions that the sheet gave. So helpers come along.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from tsparse.grade.exercises import exercise
from tsparse.grade.launches import KernelText
from tsparse.grade.progress import progress
from tsparse.kernels.watched import plain

LONGEST = 1 << 16
"""Characters of a cell that is kept."""

KEPT = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign


def mine(id: str) -> Callable[..., Any]:
    """Your own function for an exercise, as it passed `check`; without one, the course's, and it says so.

    Raises ValueError for an id that no exercise has.
    """
    course = exercise(id).reference
    spec = course.define() if isinstance(course, KernelText) else course
    answer = progress().read()["exercises"].get(id, {}).get("answer")
    if not isinstance(answer, dict):
        print(f"{id}: you have not passed it here yet, so this is the course's own function.")
        return spec
    try:
        return load(answer)
    except Exception as error:  # whatever a cell may raise that once ran in another notebook
        print(f"{id}: your function could not be brought here ({error!r}), so this is the course's own.")
        return spec


def load(answer: dict[str, str]) -> Callable[..., Any]:
    """The function that `source_of` took down."""
    name, source = answer["name"], answer["source"]
    file = f"<your answer {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for tracebacks
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, file, "exec"), namespace)
    found: Callable[..., Any] = namespace[name]
    return found


def text_of(answer: Any) -> str:
    """The cell or file in which a function is defined; "" for what is no function or has no text."""
    code = getattr(plain(answer), "__code__", None)
    return "" if code is None else "".join(linecache.getlines(code.co_filename))


def source_of(answer: Any) -> dict[str, str] | None:
    """A function as `{"name": ..., "source": ...}`; None for what is no function or has no text."""
    answer, text = plain(answer), text_of(answer)
    if not inspect.isfunction(answer):
        return None
    try:
        cell = ast.parse(text)
    except (SyntaxError, ValueError):  # a cell with magics in it
        return None
    kept = [node for node in cell.body if isinstance(node, KEPT)]
    if answer.__name__ not in {node.name for node in kept if isinstance(node, ast.FunctionDef)}:
        return None
    lines = text.splitlines()
    own = {getattr(statement, "name", "") for statement in kept}
    parts = [
        *_needed(kept, answer.__globals__, own),
        *("\n".join(lines[_first(n) - 1 : n.end_lineno]) for n in kept),
    ]
    source = "\n".join(parts) + "\n"
    return {"name": answer.__name__, "source": source} if len(source) <= LONGEST else None


def _first(node: ast.stmt) -> int:
    """The line on which a statement begins, its decorators with it."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _needed(statements: Sequence[ast.stmt], known: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """Import lines and functions of earlier cells that the statements use, except for the names in `seen`."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    for name in sorted({node.id for node in nodes if isinstance(node, ast.Name)} - seen):
        seen.add(name)
        value = known.get(name)
        module, place = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(value, ModuleType):
            yield f"import {value.__name__} as {name}"
        elif inspect.isfunction(value) and value.__globals__ is known:
            with contextlib.suppress(OSError):  # a cell whose text is gone
                text = inspect.getsource(value)
                yield from _needed(ast.parse(text).body, known, seen)
                yield text
        elif place is not None and module not in ("__main__", None):
            yield f"from {module} import {place} as {name}"
