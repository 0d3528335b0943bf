"""What `make test` compares when it runs a stored notebook."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
PICTURE = 'from IPython.display import HTML\nHTML(\'<img alt="{alt}" src="data:image/png;base64,{data}">\')'


def shown(html: str) -> list[nbformat.NotebookNode]:
    plain = "<IPython.core.display.HTML object>"
    return [new_output("execute_result", {"text/html": html, "text/plain": plain}, execution_count=None)]


def picture(alt: str, data: str) -> str:
    return f'<img alt="{alt}" src="data:image/png;base64,{data}">'


CELLS = {
    "an equal output": (new_code_cell("print(1)", outputs=[new_output("stream", text="1\n")]), True),
    "another output": (new_code_cell("print(1)", outputs=[new_output("stream", text="2\n")]), False),
    "no stored output": (new_code_cell("print(1)"), False),
    "an output that no longer comes": (
        new_code_cell("x = 1", outputs=[new_output("stream", text="1\n")]),
        False,
    ),
    "other bytes in a picture": (
        new_code_cell(PICTURE.format(alt="a line", data="AAAA"), outputs=shown(picture("a line", "BBB="))),
        True,
    ),
    "another alt text": (
        new_code_cell(PICTURE.format(alt="a line", data="AAAA"), outputs=shown(picture("a dot", "AAAA"))),
        False,
    ),
    "an error": (new_code_cell("1 / 0"), False),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Run one notebook with all the cells as `make test` would; say which cells passed."""
    path = tmp_path_factory.mktemp("notebooks") / "cells.ipynb"
    notebook = new_notebook(cells=[new_markdown_cell("# Cells"), *(cell for cell, _ in CELLS.values())])
    nbformat.write(notebook, path)
    options = ["-c", "pyproject.toml", "-p", "no:cacheprovider", "-rA", "--color=no"]
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={path.parent}", str(path)]
    report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120).stdout
    passed = {line.rsplit("Cell ")[-1] for line in report.splitlines() if line.startswith("PASSED")}
    assert "seconds per notebook" in report
    return {name: str(number) in passed for number, name in enumerate(CELLS)}


@pytest.mark.parametrize("name", CELLS)
def test_a_stored_cell_passes_only_with_the_output_it_shows(name: str, outcomes: dict[str, bool]) -> None:
    assert outcomes[name] is CELLS[name][1]
