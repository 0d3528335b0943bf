"""`predict` and `quiz`: asked, answered, recorded, and the same on paper."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tsparse.grade import asking, predict, progress, quiz
from tsparse.grade import questions as registry
from tsparse.grade.questions import Question, all_questions, question

ROOT = Path(__file__).parents[2]
TRUTH = Question("99.truth", "Is `1 < 2`?", ("yes", "<no>", "on Sundays"), 0, "1 comes first.", "#in-order")
SECOND = Question("99.second", "How many?", ("one", "two"), 1, "Count them.")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def two_questions(monkeypatch):
    monkeypatch.setattr(registry, "all_questions", lambda: (TRUTH, SECOND))


@pytest.mark.parametrize(
    "fields",
    [
        {"options": ("one",)},
        {"options": ("one", "one")},
        {"right": 3},
        {"right": -1},
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(fields):
    good = {"id": "1", "text": "?", "options": ("a", "b"), "right": 0, "why": "so"}
    with pytest.raises(ValueError, match="Question '1'"):
        Question(**(good | fields))


def test_unknown_question_is_a_sentence(capsys):
    predict("99.trut")
    quiz("99.truth", "nowhere")
    quiz()
    said = capsys.readouterr().out
    assert "There is no question '99.trut'. Did you mean '99.truth'?" in said
    assert "There is no question 'nowhere'." in said
    assert "Name the questions" in said


def test_predict_in_a_terminal_prints_the_options_and_not_the_answer(capsys):
    predict("99.truth")
    said = capsys.readouterr().out
    assert "Is `1 < 2`?\n   A) yes\n   B) <no>\n   C) on Sundays" in said
    assert "1 comes first" not in said
    assert not progress().read()["questions"]


def test_the_letter_is_the_answer_where_there_are_no_buttons(capsys):
    predict("99.truth", "b")
    said = capsys.readouterr().out
    assert "Not this one.\nIt is A) yes. 1 comes first. Read the section in order." in said
    entry = progress().read()["questions"]["99.truth"]
    assert (entry["guess"], entry["right"], entry["kind"]) == (1, False, "prediction")


def test_quiz_in_a_terminal_says_how_to_answer_each_question_and_takes_the_letter(capsys):
    quiz("99.truth", "99.second")
    asked = capsys.readouterr().out
    assert '   C) on Sundays\n   Say quiz("99.truth", guess="A") to answer A.\n2. How many?' in asked
    assert asked.endswith('   Say quiz("99.second", guess="A") to answer A.\n')
    assert not progress().read()["questions"]

    quiz("99.second", guess="b")
    assert "Right.\nCount them.\n" in capsys.readouterr().out
    entry = progress().read()["questions"]["99.second"]
    assert (entry["guess"], entry["right"], entry["kind"]) == (1, True, "recall")


def test_one_letter_for_two_questions_answers_neither(capsys):
    quiz("99.truth", "99.second", guess="A")
    assert 'Answer one at a time: quiz("99.truth", guess="A").' in capsys.readouterr().out
    assert not progress().read()["questions"]


def test_a_letter_that_is_no_option_is_told_the_options(capsys):
    predict("99.truth", "D")
    assert "Say one of A, B, C; you said 'D'." in capsys.readouterr().out
    assert not progress().read()["questions"]


def live(asked: Question, kind: str = "prediction"):
    """The widgets of a question: the text, the buttons, what is said."""
    text, *buttons, said = asking._live_question(asked, kind).children
    return text, buttons, said


def test_buttons_have_the_options_as_names_and_the_question_is_escaped():
    text, buttons, said = live(TRUTH)
    assert [button.description for button in buttons] == ["A) yes", "B) <no>", "C) on Sundays"]
    assert "<code>1 &lt; 2</code>" in text.value
    assert 'role="status"' in said.value


def test_a_wrong_click_says_why_and_where_to_read_and_is_kept():
    _, buttons, said = live(TRUTH, "recall")
    buttons[1].click()
    assert "You chose B. <strong>Not this one.</strong> It is A) yes. 1 comes first." in said.value
    assert 'href="#in-order"' in said.value
    assert ">in order</a>." in said.value
    buttons[0].click()
    assert "You chose A. <strong>Right.</strong> 1 comes first." in said.value
    assert "href" not in said.value
    entry = progress().read()["questions"]["99.truth"]
    assert (entry["guess"], entry["right"], entry["kind"]) == (1, False, "recall")


NOTEBOOK = """
from tsparse.grade import questions as registry
from tsparse.grade.questions import Question
registry.all_questions = lambda: (
    Question("99.truth", "Is `1 < 2`?", ("yes", "<no>"), 0, "1 comes first.", "#order"),
    Question("99.second", "How many?", ("one", "two"), 1, "Count them."),
)
from tsparse.grade import check, hint, predict, progress, quiz
from tsparse.grade.exercises import exercise
def wrong(n_q, n_kv, q_offset=0):
    return exercise("masks.causal").spec(n_q, n_kv)
right = exercise("masks.causal").spec
"""
CELLS = (
    NOTEBOOK,
    'predict("99.truth")',
    'quiz("99.truth", "99.second")',
    'check("masks.causal", right)',
    'check("masks.causal", wrong)',
    'v = check("masks.causal", right); check("masks.padding")',
    "v",
    'hint("masks.causal")',
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The outputs of `CELLS`, run in a kernel, twice."""
    patch = pytest.MonkeyPatch()
    runs = []
    for _ in range(2):
        patch.setenv("TSPARSE_PROGRESS", str(tmp_path_factory.mktemp("progress") / "progress.json"))
        cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        runs.append([cell.outputs for cell in notebook.cells])
    patch.undo()
    return runs


def test_in_a_notebook_a_question_is_one_output_with_widget_page_and_text(outputs):
    for cell in (1, 2):
        (shown,) = outputs[0][cell]
        assert set(shown.data) == {WIDGET_VIEW, "text/html", "text/plain"}
        assert shown.output_type == "display_data"


def test_the_page_of_a_prediction_has_the_options_and_not_the_answer(outputs):
    page = outputs[0][1][0].data["text/html"]
    assert "<li>yes</li><li>&lt;no&gt;</li>" in page
    assert "1 comes first" not in page


def test_the_page_of_a_quiz_folds_the_question_and_then_the_answer(outputs):
    page = outputs[0][2][0].data["text/html"]
    assert page.count("<details>") == page.count("</details>") == 4
    assert "<summary>Question 2 of 2: How many?</summary>" in page
    assert "<summary>Answer</summary><p>It is B) two. Count them.</p>" in page


def test_check_as_last_line_shows_one_box_with_the_same_text(outputs):
    (shown,) = outputs[0][3]
    assert set(shown.data) == {"text/html", "text/plain"}
    assert shown.data["text/plain"].startswith("PASS  masks.causal  10 of 10 points")


def test_two_checks_in_one_cell_show_two_boxes(outputs):
    texts = [shown.data["text/plain"] for shown in outputs[0][5]]
    assert [text.split()[:3] for text in texts] == [
        ["PASS", "masks.causal", "10"],
        ["NOT", "RUN", "masks.padding"],
    ]


def test_a_verdict_kept_in_a_name_can_be_shown_again(outputs):
    assert [shown.data["text/plain"][:4] for shown in outputs[0][6]] == ["PASS"]


def test_a_failing_check_shows_a_picture_with_its_alt_text(outputs):
    (shown,) = outputs[0][4]
    alt = re.search(r'<img alt="([^"]+)"', shown.data["text/html"])
    assert alt
    assert alt[1] in shown.data["text/plain"]


def test_outputs_are_the_same_on_every_execution(outputs):
    for first, second in zip(*outputs, strict=True):
        for one, other in zip(first, second, strict=True):
            one, other = dict(one.data), dict(other.data)
            one.pop(WIDGET_VIEW, None), other.pop(WIDGET_VIEW, None)
            assert json.dumps(one) == json.dumps(other)


QUESTIONS = all_questions()


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked.id)
def test_question_of_a_lesson_can_be_asked_and_explains_itself(asked):
    assert re.fullmatch(r"\d\d\.[a-z0-9_.]+", asked.id)
    assert asked.text[-1] in "?.:"
    assert len(asked.why) > 20
    assert asked.why[-1] in ".`"
    if asked.teach is not None:
        (lesson,) = (ROOT / "notebooks").glob(f"{asked.id[:2]}_*.ipynb")
        cells = nbformat.read(lesson, 4).cells
        headings = re.findall(r"^#+ (.+)$", "\n".join(cell.source for cell in cells), re.MULTILINE)
        assert asked.teach[1:].replace("-", " ") in headings


def test_question_finds_what_is_registered():
    assert question("99.second") is SECOND
