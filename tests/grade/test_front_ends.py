"""What JupyterLab, Colab, VS Code and a terminal are given: pages that need no style of theirs, and text.

Colab shows each output in a frame of its own, VS Code in a page with its own styles, both in light and in
dark: a page may not count on a script, on a style sheet or on the colour of its letters.
"""

import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from tsparse import Causal, show
from tsparse.grade import check, hint, page, progress
from tsparse.grade.display import verdict_html
from tsparse.notebook import doctor

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("solutions/*.ipynb")])
FIXED_COLOUR = re.compile(r"(?<![-\w])(color|background|background-color): (?!rgba)")


class Faults(HTMLParser):
    """What may fail, or hide letters, in some front end."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag in {"script", "style", "link", "iframe"}:
            self.found.append(f"<{tag}>")
        if tag == "img":
            self.found += [] if values.get("alt") else ["<img> without alt text"]
        elif FIXED_COLOUR.search(values.get("style") or ""):
            self.found.append(f"<{tag}> with a fixed colour: {values['style']}")
        self.found += [
            f"<{tag} {name}>" for name in values if name in {"id", "class"} or name.startswith("on")
        ]


@pytest.mark.parametrize(
    "fault",
    ["<script>", "<p style='color: #000'>", "<pre style='background: white'>", "<b class='x'>", "<img>"],
)
def test_a_page_that_fails_somewhere_is_noticed(fault):
    assert Faults(f"<p>{fault}</p>").found


def upside_down(n_q, n_kv, q_offset=0):
    return ~Causal().mask(n_q, n_kv, q_offset=q_offset)


THINGS = {
    "verdict": lambda: verdict_html(check("masks.causal", upside_down)),
    "progress": lambda: progress()._repr_html_(),
    "doctor": lambda: doctor()._repr_html_(),
    "layout": lambda: Causal().layout(300)._repr_html_(),
    "changes": lambda: show.changes("x = 1", "x = 2")._repr_html_(),
}


@pytest.mark.parametrize("name", THINGS)
def test_what_shows_itself_can_be_read_in_light_and_dark_without_scripts_and_style_sheets(name):
    page = THINGS[name]()
    assert len(page) > 100
    assert Faults(page).found == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_stored_outputs_can_be_read_in_light_and_dark_and_have_a_text(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    shown = [output.data for cell in cells for output in cell.outputs if "data" in output]
    assert shown
    for data in shown:
        assert Faults(data.get("text/html", "")).found == []
        assert len(data["text/plain"]) > 10
        assert " object at 0x" not in data["text/plain"]


def test_ipython_in_a_terminal_takes_letters_because_it_has_no_buttons(progress_file):
    asking = "from tsparse.grade import *; predict('01.variance'); quiz('02.recall.hidden')"
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", asking]
    environment = os.environ | {"IPYTHONDIR": str(progress_file.parent), "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert 'Say predict("01.variance", "A") to guess A.' in said
    assert 'Say quiz("02.recall.hidden", guess="A") to answer A.' in said


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8", "−∞ q·k ≠"), ("ascii", "-inf q*k ?"), ("cp1252", "-inf q*k ?")]
)
def test_a_stream_without_the_signs_gets_them_spelled(encoding, said, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    page.say("−∞ q·k ≠")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding).strip() == said


class Terminal(io.StringIO):
    """A screen of 40 columns."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_lines_that_end_between_words(monkeypatch):
    text = "PASS  masks.causal\n" + 20 * "every-case " + "\n\n   A) " + 20 * "yes "
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", Terminal())
    lines = page.fitted(text).split("\n")
    assert max(map(len, lines)) <= 40
    assert " ".join(lines).split() == text.split()
    assert lines[0] == "PASS  masks.causal"
    assert lines[-1].startswith("   yes yes")

    verdict = check("masks.causal", upside_down)
    assert max(map(len, repr(verdict).split("\n"))) <= 40
    monkeypatch.undo()
    assert repr(verdict).count("\n") == 5


class Tee:
    """What people put in place of stdout to keep a log: it only writes."""

    def __init__(self) -> None:
        self.kept = ""

    def write(self, text: str) -> None:
        self.kept += text


def test_a_log_that_only_writes_gets_the_text(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Tee())
    page.say("−1")
    assert sys.stdout.kept == "−1\n"


def test_a_check_whose_numbers_are_negative_is_said_in_ascii_too(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    check("attention.scores", lambda q, k: -(q @ k.mT) / q.shape[-1] ** 0.5)
    hint("attention.scores")
    stream.flush()
    assert b"yours is -" in stream.buffer.getvalue() or b"expected -" in stream.buffer.getvalue()
