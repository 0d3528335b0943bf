"""Two versions of a function laid beside one another: the newer one, with the lines that are new marked.

What counts is a statement: it is new if the older version has no equal one. Comments, docstrings, the way a
statement is broken into lines and how deep it stands do not count. Neither does `tl.` in place of `torch.`:
the kernels of the course say in Triton what the version before said in PyTorch.
"""

from __future__ import annotations

import ast
import html
import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

NEW = "background: rgba(128, 128, 128, 0.25); font-weight: bold"
"""Half transparent, because the letters have the colour of the page: dark on light or light on dark."""


@dataclass(frozen=True, repr=False)
class Changes:
    """The source of the newer version and the numbers of its new lines, counted from 0."""

    lines: tuple[str, ...]
    new: frozenset[int]
    statements: int
    """How many statements are new; one may be broken into several lines."""

    def __repr__(self) -> str:
        """The source with a plus before each new line."""
        marked = (("+ " if i in self.new else "  ") + line for i, line in enumerate(self.lines))
        return "\n".join([self.words, *(line.rstrip() for line in marked)])

    def _repr_html_(self) -> str:
        rows = (
            f'<span style="{NEW}">+ {html.escape(line)}</span>' if i in self.new else f"  {html.escape(line)}"
            for i, line in enumerate(self.lines)
        )
        return f'<p>{self.words}</p><pre style="line-height: 1.3">' + "\n".join(rows) + "</pre>"

    @property
    def words(self) -> str:
        """How much is new, in a sentence."""
        if not self.statements:
            return "No statement is new."
        verb = "statement is" if self.statements == 1 else "statements are"
        return f"{self.statements} {verb} new, marked with a plus; all others stand in the version before."


def changes(before: Callable[..., Any] | str, after: Callable[..., Any] | str) -> Changes:
    """Show a function or a kernel with the statements marked that `before` does not have.

    Both may be functions, `@triton.jit` kernels, or their source.

    >>> changes("def f(x):\\n    y = x + 1\\n    return y", "def f(x):\\n    y = x + 2\\n    return y")
    1 statement is new, marked with a plus; all others stand in the version before.
      def f(x):
    +     y = x + 2
          return y
    """
    old, source = _source(before), _source(after)
    known = Counter(text for text, _ in _statements(old))
    new: set[int] = set()
    statements = 0
    for text, lines in _statements(source):
        known[text] -= 1
        if known[text] < 0:
            new.update(lines)
            statements += 1
    return Changes(tuple(source.splitlines()), frozenset(new), statements)


def _source(function: Callable[..., Any] | str) -> str:
    if isinstance(function, str):
        return textwrap.dedent(function).strip("\n")
    return textwrap.dedent(inspect.getsource(getattr(function, "fn", function))).rstrip()


def _statements(source: str) -> Iterator[tuple[str, range]]:
    """Each statement in one form of writing, and its lines; of one that holds others, its head."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not _is_docstring(node):
            body = getattr(node, "body", None)
            last = min(_last_of_head(node, body), node.end_lineno or 0) if body else node.end_lineno or 0
            if isinstance(node, ast.FunctionDef):
                node.decorator_list = []
            text = ast.unparse(node).splitlines()[0] if body else ast.unparse(node)
            yield re.sub(r"\b(?:torch|tl)\.", "", text), range(node.lineno - 1, last)


def _last_of_head(node: ast.stmt, body: list[ast.stmt]) -> int:
    """The last line before a statement's body; comments between the two belong to the body."""
    inside = (part for child in ast.iter_child_nodes(node) if child not in body for part in ast.walk(child))
    return max(node.lineno, *(getattr(part, "end_lineno", 0) for part in inside))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
