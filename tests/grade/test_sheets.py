"""Sheets are made from their masters, and a master that is not in order is refused with the reason."""

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tsparse.cli import main
from tsparse.grade import notebooks, sheets
from tsparse.grade.exercise import Exercise
from tsparse.grade.notebooks import SETUP_CELL, NotebookError
from tsparse.grade.sheets import make_sheet

pytestmark = pytest.mark.usefixtures("demo")

STATEMENT = "## `demo.double` · 4 min · 10 points · easy\n\nTwice the number."
ANSWER = '''\
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
'''


def exercise(id: str) -> Exercise:
    if id != "demo.double":
        raise ValueError(f"There is no exercise {id!r}.")
    return Exercise(id, "Double", 4, 10, "easy", lambda x: 2 * x, lambda rng: [], ("a", "b", "c"), ())


@pytest.fixture
def demo(monkeypatch):
    """The course has one exercise, `demo.double`."""
    monkeypatch.setattr(sheets, "exercise", exercise)


def master(
    statement: str = STATEMENT, answer: str = ANSWER, check: str = 'check("demo.double", double)'
) -> NotebookNode:
    shown = nbformat.v4.new_output("stream", name="stdout", text="PASS\n")
    return new_notebook(
        cells=[
            new_markdown_cell("# Doubling", id="title"),
            new_code_cell(SETUP_CELL, id="setup"),
            new_markdown_cell(statement, id="exercise-demo-double"),
            new_code_cell(answer, id="answer-demo-double"),
            new_code_cell(check, id="check-demo-double", outputs=[shown], execution_count=7),
        ]
    )


def source(notebook: NotebookNode, id: str) -> str:
    return next(cell.source for cell in notebook.cells if cell.id == id)


def test_sheet_has_one_line_in_place_of_the_solution():
    answer = source(make_sheet(master()), "answer-demo-double")
    assert answer == 'def double(x):\n    """Twice x."""\n    # Your lines go here.'


def test_sheet_has_no_outputs_and_no_execution_counts():
    code = [cell for cell in make_sheet(master()).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_making_a_sheet_leaves_its_master_alone():
    before = master()
    make_sheet(before)
    assert before == master()


def test_two_solutions_in_one_cell_become_two_gaps():
    answer = "### BEGIN SOLUTION\na = 1\n### END SOLUTION\nb = 2\n### BEGIN SOLUTION\nc = 3\n### END SOLUTION"
    assert sheets.unsolved(answer) == "# Your lines go here.\nb = 2\n# Your lines go here."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("### BEGIN SOLUTION\ndouble = 1", "### BEGIN SOLUTION without ### END SOLUTION"),
        ("double = 1\n### END SOLUTION", "### END SOLUTION without the other mark before it"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "### BEGIN SOLUTION without the other"),
        ("double = 1  ### BEGIN SOLUTION", "a mark stands alone on its line"),
        ("double = 1", "no solution between ### BEGIN SOLUTION and ### END SOLUTION"),
        ("def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION", "is no Python"),
        ("twice = 0\n### BEGIN SOLUTION\n### END SOLUTION", "does not define `double`"),
    ],
)
def test_answer_cell_that_cannot_be_emptied_is_refused(answer, reason):
    with pytest.raises(NotebookError, match="answer-demo-double") as refused:
        make_sheet(master(answer=answer))
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "wrong", ["5 min · 10 points · easy", "4 min · 15 points · easy", "4 min · 10 points · hard"]
)
def test_statement_that_says_other_minutes_points_or_difficulty_is_refused(wrong):
    with pytest.raises(NotebookError, match=r"wanted '## `demo.double` · 4 min · 10 points · easy'"):
        make_sheet(master(statement=f"## `demo.double` · {wrong}"))


def test_unknown_exercise_is_refused_by_its_cell():
    notebook = master(statement="## `demo.triple` · 4 min · 10 points · easy")
    for cell in notebook.cells:
        cell.id = cell.id.replace("double", "triple")
    with pytest.raises(NotebookError, match=r"exercise-demo-triple: There is no exercise 'demo.triple'"):
        make_sheet(notebook)


@pytest.mark.parametrize("check", ['check("demo.triple", double)', 'print("checked")', ""])
def test_check_cell_of_another_exercise_is_refused(check):
    with pytest.raises(NotebookError, match=r'check-demo-double: must read check\("demo.double"'):
        make_sheet(master(check=check))


@pytest.mark.parametrize("missing", [2, 3, 4])
def test_missing_cell_of_an_exercise_is_named(missing):
    notebook = master()
    id = notebook.cells.pop(missing).id
    with pytest.raises(NotebookError, match="no exercise" if missing == 2 else f"should be {id}"):
        make_sheet(notebook)


def test_cells_of_an_exercise_stand_in_order():
    notebook = master()
    notebook.cells[3], notebook.cells[4] = notebook.cells[4], notebook.cells[3]
    with pytest.raises(NotebookError, match="should be answer-demo-double, and it is check-demo-double"):
        make_sheet(notebook)


def test_solution_outside_of_an_answer_cell_is_refused():
    notebook = master()
    notebook.cells.insert(2, new_code_cell("### BEGIN SOLUTION\n### END SOLUTION", id="helper"))
    with pytest.raises(NotebookError, match="helper: solutions stand in answer cells only"):
        make_sheet(notebook)


@pytest.fixture
def course(demo, tmp_path, monkeypatch):
    """A course of one master."""
    for folder in ("notebooks", "solutions", "exercises"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "tsparse"\n')
    (tmp_path / "solutions" / "01_demo.ipynb").write_text(notebooks.text(master()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sheets_are_written_once_and_then_agree(course):
    assert main(["sheets", "--check"]) == 1
    assert main(["sheets"]) == 0
    assert source(notebooks.read(course / "exercises" / "01_demo.ipynb"), "setup") == SETUP_CELL
    assert main(["sheets", "--check"]) == 0


def test_sheet_edited_by_hand_is_shown_as_a_difference_and_left_alone(course, capsys):
    main(["sheets"])
    sheet = course / "exercises" / "01_demo.ipynb"
    edited = sheet.read_text().replace("Your lines go here", "Mine")
    sheet.write_text(edited)
    assert main(["sheets", "--check"]) == 1
    shown = capsys.readouterr().err
    assert "# Mine." in shown
    assert "exercises/01_demo.ipynb: `tsparse sheets` makes it" in shown
    assert sheet.read_text() == edited


def test_sheet_without_master_is_removed(course, capsys):
    orphan = course / "exercises" / "99_gone.ipynb"
    orphan.write_text("{}")
    assert main(["sheets", "--check"]) == 1
    assert orphan.exists()
    assert main(["sheets"]) == 0
    assert not orphan.exists()
    assert "exercises/99_gone.ipynb: has no master" in capsys.readouterr().err


def test_faulty_master_is_named_in_one_error_and_nothing_is_written(course, capsys):
    path = course / "solutions" / "02_faulty.ipynb"
    path.write_text(notebooks.text(master(answer="double = 1")))
    assert main(["sheets"]) == 2
    assert "solutions/02_faulty.ipynb: answer-demo-double: no solution" in capsys.readouterr().err
    assert list((course / "exercises").iterdir()) == []
