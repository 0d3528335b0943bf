"""How notebooks are stored: one canonical form, one setup cell, outputs that are the same on every machine.

`tsparse notebooks` rewrites lessons and sheet masters into it, `--run` executes them first, and `--check`
only says what is wrong. Two people who run the same lesson get the same bytes, so a diff shows what an author
changed and nothing else.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.validator import iter_validate
from tqdm.auto import tqdm

SETUP_CELL = """\
try:
    import tsparse
except ModuleNotFoundError:  # on Colab, or where the notebook came without the course
    import os
    import subprocess
    import sys

    source = os.environ.get("TSPARSE_SOURCE", "")
    if os.path.exists(source):
        source = os.path.abspath(source)
    elif not source.startswith(("https://", "git+https://")):
        wanted = "the course's wheel, its folder or its address (https:// or git+https://)"
        raise ModuleNotFoundError(f"Set TSPARSE_SOURCE to {wanted}; it is {source!r}.") from None
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)
    import tsparse

tsparse.prepare_notebook()"""
"""The cell with id "setup" of every notebook, for a course that has no public address yet."""

CELL_TIMEOUT = 120
"""Seconds that one cell may take under `--run`."""

_KEPT_CELL_METADATA = ("tags", "jupyter", "editable", "deletable", "cellView")
_WIDGET_MIMES = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")
_KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_PROGRESS_BAR = re.compile(r".*\d+%\|.*\| \d+/\d+ \[.*\]\s*")
_KERNEL_WARNING = re.compile(r"^\[IPKernelApp\] WARNING.*\n?", re.MULTILINE)
_DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[\w+/=\s]*")
_MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|Users|work|mnt|opt|usr|var|private|content)/[^\s\"'<>]*"
    r"|\b[A-Za-z]:\\(?:Users|Windows|Program)[^\s\"'<>]*"
)


class NotebookError(ValueError):
    """A notebook that cannot be read, made or run; the message says which cell and what to do."""


def course_folder() -> Path:
    """The checkout that the current folder is in.

    Raises `NotebookError` outside of a checkout.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "solutions").is_dir():
            return folder
    raise NotebookError(f"no course at {here}: go to its folder, the one with pyproject.toml and solutions/")


def setup_cell(course: Path) -> str:
    """The setup cell with the address that `course / "pyproject.toml"` names, if it names one.

    The address is `Repository` under `[project.urls]`; pip needs git to install from it.
    """
    project = tomllib.loads((course / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository", "")
    return SETUP_CELL.replace('""', f'"git+{repository}"') if repository else SETUP_CELL


def read(path: Path) -> NotebookNode:
    """The notebook at `path`, of any version 4 format; raises `NotebookError` if it is none."""
    try:
        notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))
    except (ValueError, AttributeError) as error:
        raise NotebookError(f"{path} is not a notebook: {error}") from error
    if notebook.get("nbformat") != 4:
        raise NotebookError(f"{path} has format {notebook.get('nbformat')}; open and save it in JupyterLab")
    return notebook


def text(notebook: NotebookNode) -> str:
    """What stands in the file: sorted keys, one space of indentation, a newline at the end."""
    return nbformat.v4.writes(notebook) + "\n"


def canonical(notebook: NotebookNode, setup: str = SETUP_CELL) -> NotebookNode:
    """A copy in canonical form, its cell "setup" holding the text `setup`.

    Execution counts, widget views, progress bars, the kernel's own warnings and every metadata key that a
    program wrote are gone; streams are merged; of an error only its sentence stays, because tracebacks name
    files. A cell without id is called after its place.
    """
    cells = []
    for place, old in enumerate(notebook.cells, start=1):
        cell = {
            "cell_type": old.cell_type,
            "id": old.get("id", f"cell-{place}"),
            "metadata": {key: old.metadata[key] for key in _KEPT_CELL_METADATA if old.metadata.get(key)},
            "source": old.source.rstrip(),
        }
        if "jupyter" in cell["metadata"]:
            cell["metadata"]["jupyter"] = {"source_hidden": old.metadata.jupyter.get("source_hidden", False)}
        if cell["id"] == "setup":
            cell["source"] = setup
        if old.get("attachments"):
            cell["attachments"] = old.attachments
        if old.cell_type == "code":
            cell |= {"execution_count": None, "outputs": list(_canonical_outputs(old.outputs))}
        cells.append(cell)
    return nbformat.from_dict(
        {"cells": cells, "metadata": {"kernelspec": _KERNELSPEC}, "nbformat": 4, "nbformat_minor": 5}
    )


def _canonical_outputs(outputs: list[NotebookNode]) -> Iterator[dict[str, Any]]:
    """Outputs without what changes from run to run."""
    stream: dict[str, Any] | None = None
    for old in outputs:
        if old.output_type == "stream":
            words = _KERNEL_WARNING.sub("", old.text) if old.name == "stderr" else old.text
            if stream and stream["name"] == old.name:
                stream["text"] += words
            elif words:
                if stream:
                    yield stream
                stream = {"output_type": "stream", "name": old.name, "text": words}
            continue
        if stream:
            yield stream
            stream = None
        if old.output_type == "display_data" and _PROGRESS_BAR.fullmatch(old.data.get("text/plain", "")):
            continue
        if old.output_type == "error":
            yield {**old, "traceback": [f"{old.ename}: {old.evalue}"]}
        elif data := {mime: value for mime, value in old.data.items() if mime not in _WIDGET_MIMES}:
            counted = {"execution_count": None} if old.output_type == "execute_result" else {}
            yield {"output_type": old.output_type, "data": data, "metadata": old.metadata, **counted}
    if stream:
        yield stream


def faults(notebook: NotebookNode, setup: str = SETUP_CELL) -> list[str]:
    """What a reader or the comparison of outputs would stumble over: sentences that begin with the cell."""
    found = [f"not a valid notebook: {error.message}" for error in iter_validate(notebook)]
    ids = Counter(cell.get("id") for cell in notebook.cells)
    found += [f"{count} cells have the id {id!r}" for id, count in ids.items() if id and count > 1]
    if "setup" not in ids:
        found.append('no cell has the id "setup"')
    for cell in notebook.cells:
        name = cell.get("id", "cell without id")
        if name == "setup" and cell.source != setup:
            found.append("setup: differs from the setup cell of the other notebooks")
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(", cell.source):
            found.append(f"{name}: a picture without alt text")
        shown = [cell.source] if cell.cell_type == "markdown" else []
        for output in cell.get("outputs", []):
            found += [f"{name}: {fault}" for fault in _output_faults(output, cell.metadata.get("tags", []))]
            shown += [output.data["text/html"]] if "text/html" in output.get("data", {}) else []
        for tag in re.findall(r"<img\b[^>]*>", "".join(shown)):
            if not re.search(r"""\balt=(?:"[^"]|'[^'])""", tag):
                found.append(f"{name}: <img> without alt text")
    return found


def _output_faults(output: NotebookNode, tags: list[str]) -> Iterator[str]:
    """Faults of one output of a cell with these tags."""
    if output.output_type == "error" and "raises-exception" not in tags:
        yield f'the error {output.ename} is stored; if it is meant, tag the cell "raises-exception"'
    if output.output_type == "stream" and output.name == "stderr":
        yield f"writes to stderr: {output.text.strip()[:200]}"
    data = output.get("data", {})
    if "image/png" in data and "text/html" not in data:
        yield "a picture without alt text; show it with tsparse.show.picture"
    texts = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", [])]
    texts += [value for mime, value in data.items() if mime.startswith("text/")]
    for path in sorted({path for words in texts for path in _MACHINE_PATH.findall(_DATA_URI.sub("", words))}):
        yield f"names a path of this machine: {path}"


def execute(notebook: NotebookNode, folder: Path, title: str) -> NotebookNode:
    """A copy with the outputs of a fresh run in `folder`; `title` stands before the progress bar.

    The run has a progress file and an IPython profile of its own: the author's stay untouched, and checks
    answer as they do at a reader's first visit. Raises `NotebookError` naming the cell that failed. Needs
    nbclient (extra `lab`).
    """
    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ModuleNotFoundError as error:
        raise NotebookError('running notebooks needs JupyterLab: pip install -e ".[lab]"') from error

    notebook = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as scratch, tqdm(total=len(notebook.cells), desc=title) as bar:
        running = ["the first cell"]

        def begin(cell: NotebookNode, cell_index: int) -> None:
            running[0] = cell.get("id", f"cell {cell_index + 1}")
            bar.update()

        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=["--log-level=ERROR"],
            store_widget_state=False,
            record_timing=False,
            on_cell_start=begin,
        )
        own = {"TSPARSE_PROGRESS": f"{scratch}/progress.json", "IPYTHONDIR": f"{scratch}/ipython"}
        try:
            client.execute(env=os.environ | own)
        except CellExecutionError as error:
            raise NotebookError(f"{title}, cell {running[0]}: {error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            raise NotebookError(f"{title}, cell {running[0]}: took longer than {CELL_TIMEOUT} s") from error
        except DeadKernelError as error:
            raise NotebookError(f"{title}, cell {running[0]}: the kernel died") from error
    return notebook


def difference(path: Path, wanted: str) -> str:
    """A short diff from the file to `wanted`; empty if they are equal. A missing file counts as empty."""
    stored = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = list(
        difflib.unified_diff(stored.splitlines(True), wanted.splitlines(True), "stored", "wanted", n=1)
    )
    shortened = [line.rstrip("\n")[:160] for line in lines[:40]]
    return "\n".join(shortened + [f"... {len(lines) - 40} more lines"] * (len(lines) > 40))


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse notebooks`."""
    parser.add_argument("paths", nargs="*", type=Path, help="default: all in notebooks/ and solutions/")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--run", action="store_true", help="execute and store the outputs")
    what.add_argument("--check", action="store_true", help="change nothing; fail if anything is not in order")


def run(args: argparse.Namespace) -> int:
    """`tsparse notebooks`: 0 if all is in order, otherwise 1, with the faults on stderr."""
    course = course_folder()
    setup = setup_cell(course)
    stored = sorted((course / "notebooks").glob("*.ipynb")) + sorted((course / "solutions").glob("*.ipynb"))
    found = []
    for path in args.paths or stored:
        name = os.path.relpath(path, course)
        notebook = read(path)
        if args.run:
            try:
                notebook = execute(canonical(notebook, setup), path.parent, name)
            except NotebookError as error:
                found.append(str(error))
                continue
        wanted = canonical(notebook, setup)
        found += [f"{name}: {fault}" for fault in faults(notebook if args.check else wanted, setup)]
        if not args.check:
            path.write_text(text(wanted), encoding="utf-8", newline="\n")
        elif change := difference(path, text(wanted)):
            found.append(f"{name}: not in canonical form; `tsparse notebooks {name}` makes it so\n{change}")
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0
