"""Showing HTML with its text: a notebook takes the HTML, a terminal and a screen reader's log the text."""

from __future__ import annotations

import html
import re
from typing import Any

COLOURS = {"PASS": "#0072b2", "FAIL": "#d55e00"}
"""Border of a box; the word says the same."""


def notebook() -> Any:
    """The running IPython shell, None in plain Python."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def cell_number() -> int | None:
    """The number of the cell that is running, None outside IPython."""
    shell = notebook()
    return None if shell is None else int(shell.execution_count)


def show(page: str, text: str, widget: str | None = None) -> None:
    """Show a page of HTML and its text as one output.

    `widget` is the model id of a live widget with the same content: it is shown where there is a kernel, the
    page where the notebook is only read.
    """
    if notebook() is None:
        print(text)
        return
    from IPython.display import display

    data: dict[str, Any] = {"text/html": page, "text/plain": text}
    if widget:
        view = {"version_major": 2, "version_minor": 0, "model_id": widget}
        data["application/vnd.jupyter.widget-view+json"] = view
    display(data, raw=True)


def box(word: str, title: str, paragraphs: list[str], picture: str = "", quiet: bool = False) -> str:
    """A framed box: a bold word, a title in plain text, paragraphs and a picture in HTML."""
    colour = "#8a8a8a" if quiet else COLOURS.get(word, "#8a8a8a")
    body = "".join(f'<p style="margin: 0.4em 0">{paragraph}</p>' for paragraph in paragraphs)
    return (
        f'<div role="group" aria-label="{html.escape(f"{word} {title}")}" style="border: 1px solid {colour}; '
        f'border-left-width: 8px; padding: 0.4em 1em; margin: 0.3em 0; max-width: 60em">'
        f'<p style="margin: 0.4em 0"><strong>{word}</strong>&ensp;{html.escape(title)}</p>'
        f"{body}{picture}</div>"
    )


def marked(text: str) -> str:
    """Text as HTML: `code` and *emphasis* are marked, everything else is escaped."""
    pieces = re.split(r"`([^`\n]+)`", text)
    for place, piece in enumerate(pieces):
        piece = html.escape(piece, quote=False)
        if place % 2:
            pieces[place] = f"<code>{piece}</code>"
        else:
            emphasised = re.sub(r"(?<![\w*])\*(\w(?:[^*\n]*\w)?)\*(?![\w*])", r"<em>\1</em>", piece)
            pieces[place] = emphasised.replace("\n", "<br>")
    return "".join(pieces)
