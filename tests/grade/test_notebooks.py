"""The canonical form of notebooks, the faults that are found in them, and running them."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tsparse.cli import main
from tsparse.grade import notebooks
from tsparse.grade.notebooks import SETUP_CELL, canonical, faults

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def notebook(*outputs: NotebookNode, tags: tuple[str, ...] = (), source: str = "1") -> NotebookNode:
    """A notebook with a setup cell and a cell "shown" with these outputs."""
    shown = new_code_cell(source, id="shown", outputs=list(outputs), execution_count=3)
    shown.metadata.tags = list(tags)
    return new_notebook(cells=[new_code_cell(SETUP_CELL, id="setup"), shown])


def html(text: str) -> NotebookNode:
    return new_output("display_data", {"text/html": text, "text/plain": "words"})


def stream(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def test_canonical_twice_is_canonical_once():
    once = canonical(notebook(stream("a"), stream("b"), html("<p>"), tags=("nbval-ignore-output",)))
    assert canonical(once) == once
    assert notebooks.text(once).endswith("}\n")


def test_execution_counts_and_metadata_of_programs_are_dropped_and_tags_stay():
    stored = notebook(new_output("execute_result", {"text/plain": "1"}, execution_count=3), tags=("slow",))
    stored.metadata = {"language_info": {"version": "3.12.1"}, "widgets": {"state": {}}}
    stored.cells[1].metadata |= {"execution": {"started": "now"}, "jupyter": {"source_hidden": True}}
    result = canonical(stored)
    assert result.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    assert result.cells[1].execution_count is None
    assert result.cells[1].outputs[0].execution_count is None
    assert result.cells[1].metadata == {"tags": ["slow"], "jupyter": {"source_hidden": True}}


def test_consecutive_streams_are_merged_and_their_order_stays():
    result = canonical(notebook(stream("a"), stream("b"), stream("c", "stderr"), html("<p>"), stream("d")))
    assert [output.get("text", "html") for output in result.cells[1].outputs] == ["ab", "c", "html", "d"]


def test_kernel_warnings_are_dropped_and_other_words_on_stderr_stay():
    warning = "[IPKernelApp] WARNING | Kernel is running over TCP without encryption.\n"
    result = canonical(notebook(stream(warning, "stderr"), stream(warning + "mine\n", "stderr")))
    assert [output.text for output in result.cells[1].outputs] == ["mine\n"]


def test_widget_views_are_dropped_and_their_static_form_stays():
    both = new_output("display_data", {WIDGET_VIEW: {"model_id": "1"}, "text/html": "<p>", "text/plain": "p"})
    only = new_output("display_data", {WIDGET_VIEW: {"model_id": "1"}})
    outputs = canonical(notebook(both, only)).cells[1].outputs
    assert [dict(output.data) for output in outputs] == [{"text/html": "<p>", "text/plain": "p"}]


def test_progress_bar_is_dropped_and_a_line_that_looks_like_one_stays():
    bar = "training:   0%|          | 0/800 [00:00<?, ?it/s]"
    shown = new_output("display_data", {"text/plain": bar, WIDGET_VIEW: {"model_id": "1"}})
    result = canonical(notebook(stream("a"), shown, stream("50%| of 3/4 [\n")))
    assert [output.get("text") for output in result.cells[1].outputs] == ["a", "50%| of 3/4 [\n"]


def test_of_an_error_only_its_sentence_stays():
    error = new_output("error", ename="ValueError", evalue="no", traceback=["File /home/me/x.py", "no"])
    assert canonical(notebook(error)).cells[1].outputs[0].traceback == ["ValueError: no"]


def test_cells_of_an_older_format_get_ids_from_their_places():
    old = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["a\n", "b\n"]}], "metadata": {}}
    stored = nbformat.v4.to_notebook(old | {"nbformat": 4, "nbformat_minor": 2})
    cell = canonical(stored).cells[0]
    assert (cell.id, cell.source) == ("cell-1", "a\nb")


def test_notebook_in_order_has_no_faults():
    shown = html('<img src="data:image/png;base64,AA+/tmp/AA" alt="a mask">')
    assert faults(notebook(shown, stream("https://example.org/home/x"))) == []


@pytest.mark.parametrize(
    "path",
    ["/home/reader/x.py", "'/tmp/tmpab/x'", "file:///Users/me/x", r"C:\Users\me", "in /usr/lib/python3"],
)
def test_path_of_the_machine_is_a_fault(path):
    assert "names a path of this machine" in "".join(faults(notebook(stream(path))))
    assert "names a path of this machine" in "".join(faults(notebook(html(path))))


def test_error_is_a_fault_unless_the_cell_is_tagged():
    error = new_output("error", ename="ValueError", evalue="no", traceback=["no"])
    assert "shown: the error ValueError is stored" in faults(notebook(error))[0]
    assert faults(notebook(error, tags=("raises-exception",))) == []


def test_words_on_stderr_are_a_fault():
    assert faults(notebook(stream("careful", "stderr"))) == ["shown: writes to stderr: careful"]


@pytest.mark.parametrize("tag", ['<img src="x">', '<img alt="" src="x">', "<img alt='' src='x'>"])
def test_picture_without_alt_text_is_a_fault(tag):
    assert faults(notebook(html(tag))) == ["shown: <img> without alt text"]
    page = notebook()
    page.cells.append(new_markdown_cell(tag, id="page"))
    assert faults(page) == ["page: <img> without alt text"]


def test_bare_png_is_a_fault():
    bare = new_output("display_data", {"image/png": "AAAA", "text/plain": "<Figure>"})
    assert "without alt text" in faults(notebook(bare))[0]


def test_two_cells_with_one_id_are_a_fault():
    double = notebook()
    double.cells.append(new_code_cell("2", id="shown"))
    assert any("2 cells have the id 'shown'" in fault for fault in faults(double))


def test_changed_or_missing_setup_cell_is_a_fault():
    changed = notebook()
    changed.cells[0].source += "\nimport torch"
    assert faults(changed) == ["setup: differs from the setup cell of the other notebooks"]
    assert faults(new_notebook(cells=changed.cells[1:])) == ['no cell has the id "setup"']


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course around the current folder."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "solutions").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "tsparse"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store(course: Path, notebook: NotebookNode) -> Path:
    path = course / "notebooks" / "00_demo.ipynb"
    path.write_text(notebooks.text(notebook))
    return path


def test_command_repairs_what_its_check_refuses(course, capsys):
    path = store(course, notebook(stream("a"), stream("b")))
    assert main(["notebooks", "--check"]) == 1
    assert "notebooks/00_demo.ipynb: not in canonical form" in capsys.readouterr().err
    assert main(["notebooks"]) == 0
    assert main(["notebooks", "--check", str(path)]) == 0


def test_address_in_pyproject_reaches_every_notebook(course):
    path = store(course, notebook())
    assert main(["notebooks"]) == 0
    with (course / "pyproject.toml").open("a") as project:
        project.write('urls.Repository = "https://example.org/course"\n')
    assert main(["notebooks", "--check"]) == 1
    assert main(["notebooks"]) == 0
    setup = notebooks.read(path).cells[0].source
    assert 'os.environ.get("TSPARSE_SOURCE", "git+https://example.org/course")' in setup
    compile(setup, "setup", "exec")


def test_run_stores_outputs_and_leaves_the_progress_of_the_author_alone(course, monkeypatch):
    monkeypatch.setenv("TSPARSE_PROGRESS", "/mine")
    cell = "import os\nprint(os.environ['TSPARSE_PROGRESS'] != '/mine', os.path.basename(os.getcwd()))"
    path = store(course, notebook(source=cell))
    assert main(["notebooks", "--run"]) == 0
    assert [output.text for output in notebooks.read(path).cells[1].outputs] == ["True notebooks\n"]


def test_run_that_fails_names_the_cell_and_leaves_the_file_alone(course, capsys):
    path = store(course, notebook(stream("old"), source="1 / 0"))
    before = path.read_text()
    assert main(["notebooks", "--run"]) == 1
    assert "cell shown: ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert path.read_text() == before


def test_cell_that_takes_too_long_is_named(course, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "CELL_TIMEOUT", 1)
    page = notebook(source="import time\ntime.sleep(20)")
    page.cells = page.cells[1:]
    store(course, page)
    assert main(["notebooks", "--run"]) == 1
    assert "cell shown: took longer than 1 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["", "[1]", "{}", json.dumps({"cells": [], "nbformat": 3, "metadata": {}})]
)
def test_file_that_is_no_notebook_is_one_clear_error(course, capsys, content):
    path = course / "notebooks" / "00_demo.ipynb"
    path.write_text(content)
    assert main(["notebooks"]) == 2
    assert "00_demo.ipynb" in capsys.readouterr().err
    assert path.read_text() == content


def test_outside_of_a_course_the_command_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["notebooks"]) == 2
    assert "go to its folder" in capsys.readouterr().err
