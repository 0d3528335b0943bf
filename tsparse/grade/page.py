"""Showing HTML with its text: a notebook takes the HTML, a terminal and a screen reader's log the text."""

from __future__ import annotations

import html
import re
import shutil
import sys
import textwrap
from typing import Any

COLOURS = {"PASS": "#0072b2", "FAIL": "#d55e00"}
"""Border of a box; the word says the same."""

SPELLED = str.maketrans(
    {"−": "-", "∞": "inf", "·": "*", "×": "x", "√": "sqrt ", "²": "^2", "≤": "<=", "“": '"', "”": '"'}
)
"""What is said for signs that a log file or an old console may not have."""


def shell() -> Any:
    """The running IPython shell, None in plain Python."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def in_notebook() -> bool:
    """Whether a kernel runs this, so that HTML and buttons can be shown: IPython in a terminal has none."""
    return hasattr(shell(), "kernel")


def cell_number() -> int | None:
    """The number of the cell that is running, None outside IPython."""
    running = shell()
    return None if running is None else int(running.execution_count)


def show(page: str, text: str, widget: str | None = None) -> None:
    """Show a page of HTML and its text as one output.

    `widget` is the model id of a live widget with the same content: it is shown where there is a kernel, the
    page where the notebook is only read.
    """
    if not in_notebook():
        return say(text)
    from IPython.display import display

    data: dict[str, Any] = {"text/html": page, "text/plain": text}
    if widget:
        view = {"version_major": 2, "version_minor": 0, "model_id": widget}
        data["application/vnd.jupyter.widget-view+json"] = view
    display(data, raw=True)


def say(text: str) -> None:
    """Print a text."""
    print(fitted(text))


def fitted(text: str) -> str:
    """The text as the stream can show it.

    In a terminal lines end between words, or a screen reader would read halves of them. Signs that a stream
    does not have are spelled, other letters become `?`.
    """
    if getattr(sys.stdout, "isatty", bool)():
        width = shutil.get_terminal_size().columns
        text = "\n".join(_wrapped(line, width) for line in text.split("\n"))
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(SPELLED).encode(encoding, "replace").decode(encoding)
    return text


def _wrapped(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


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


STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem; }
main { max-width: 62rem; margin: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid #bbb; }
h2 { margin-top: 2rem; }
pre { white-space: pre-wrap; background: #f4f4f4; padding: .5rem; }
dt { font-weight: bold; }
img { max-width: 100%; }
"""


def document(heading: str, body: str, title: str = "", style: str = STYLE) -> str:
    """A file of HTML that needs nothing else; `title` is the window's, if it is not the heading."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title or heading)}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{html.escape(heading)}</h1>
{body}
</main>
</body>
</html>
"""
