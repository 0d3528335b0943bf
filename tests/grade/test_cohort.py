"""A class is graded: every honest score is right, whatever else was handed in, and a stopped run goes on."""

import csv
import json
import multiprocessing
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.grade.filled import RIGHT, answers, write
from tsparse.cli import main
from tsparse.grade import command, runner
from tsparse.grade.cohort import formats, grading, jobs, keeping, summary
from tsparse.grade.cohort.finding import Handed, handed_in
from tsparse.grade.cohort.grading import grade_class
from tsparse.grade.cohort.jobs import Done, Orders, Task, grade_all, grade_one
from tsparse.grade.cohort.result import Answered, Result
from tsparse.grade.exercises import exercise
from tsparse.grade.worker import Limits, Workers

LIMITS = Limits(seconds=4.0, exercise_seconds=40.0, memory=1 << 28)
ATTACKS = Path(__file__).parent / "attacks"
POINTS = {id: exercise(id).points for id in RIGHT}
NOT_CAUSAL = {"masks.causal": RIGHT["masks.causal"].replace("<=", "<")}
NOT_DOCUMENTS = {"masks.documents": RIGHT["masks.documents"].replace("==", "!=")}
EMPTY = {id: f"{text.strip().splitlines()[0]}\n    ..." for id, text in RIGHT.items()}
BY_LOOP = """
def causal(n_q, n_kv, q_offset=0):
    rows = [[key <= query + q_offset for key in range(n_kv)] for query in range(n_q)]
    return torch.tensor(rows, dtype=torch.bool).reshape(n_q, n_kv)
"""

HONEST = {
    "ann": (RIGHT, set()),
    "bo": (RIGHT | {"masks.causal": BY_LOOP}, set()),
    "cy": (RIGHT | NOT_CAUSAL, {"masks.causal"}),
    "di": (RIGHT | NOT_CAUSAL, {"masks.causal"}),
    "ed": (RIGHT | NOT_CAUSAL | NOT_DOCUMENTS, {"masks.causal", "masks.documents"}),
    "flo": (EMPTY | {"masks.padding": RIGHT["masks.padding"]}, set(RIGHT) - {"masks.padding"}),
    "gus": (EMPTY, set(RIGHT)),
    "old": (
        {id: text for id, text in RIGHT.items() if id != "masks.padding"} | {"masks.telepathy": "x = 1"},
        {"masks.padding"},
    ),
    "two": (RIGHT, {"masks.causal"}),
}
"""Sheets of honest students, and the exercises that give them no points."""

HOSTILE = ("infinite_loop", "killed_parent", "printed_verdict")
"""Attacks that stand in the cell of masks.causal of a sheet whose other answers are right."""

BROKEN = {
    "json": ("{", "is not a notebook"),
    "ids": (json.dumps({"cells": [{"cell_type": "code", "source": "x = 1"}]}), "has no answer cell"),
    "huge": (None, "larger than 32 MiB"),
    "none": (None, "no notebook (.ipynb) was handed in"),
}


def lay_class(folder: Path) -> None:
    """Write the submissions of a class."""
    for student, (cells, _) in HONEST.items():
        (folder / student).mkdir(parents=True)
        write(folder / student / "02_masks.ipynb", cells)
    path = folder / "two" / "02_masks.ipynb"
    copied = json.loads(path.read_text())
    copied["cells"].append(copied["cells"][0])
    path.write_text(json.dumps(copied))
    for attack in HOSTILE:
        source = (ATTACKS / f"{attack}.py").read_text()
        write(folder / f"{attack}.ipynb", RIGHT | {"masks.causal": source})
    for student, (text, _) in BROKEN.items():
        (folder / student).mkdir()
        if text is not None:
            (folder / student / "02_masks.ipynb").write_text(text)
    with (folder / "huge" / "02_masks.ipynb").open("wb") as file:
        file.truncate(100 << 20)
    (folder / "none" / "answers.pdf").write_text("%PDF")


@dataclass(frozen=True)
class Graded:
    """A class that was graded once, for many tests to look at."""

    handed: list[Handed]
    results: dict[str, Result]
    out: Path


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Graded:
    """The class above, graded by two processes with seed 11."""
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("out")
    lay_class(folder)
    handed = handed_in([folder])
    results = grade_class(handed, out, 11, count=2, limits=LIMITS)
    return Graded(handed, {one.student: one for one in results}, out)


def test_every_honest_score_is_right(graded):
    for student, (_, lost) in HONEST.items():
        earned = {one.id: one.earned for one in graded.results[student].answers}
        assert earned == {id: 0 if id in lost else POINTS[id] for id in RIGHT}, student


def test_hostile_sheets_gain_nothing_and_keep_their_other_answers(graded):
    for student in HOSTILE:
        earned = {one.id: one.earned for one in graded.results[student].answers}
        assert earned == POINTS | {"masks.causal": 0}, student


def test_broken_submission_is_not_run_and_told_why(graded):
    for student, (_, reason) in BROKEN.items():
        result = graded.results[student]
        assert (result.status, result.earned, result.points) == ("NOT RUN", 0, 0)
        assert reason in result.fault
        page = (graded.out / "students" / f"{student}.html").read_text()
        assert "NOT RUN" in page
        assert reason in page


def test_sheet_of_an_older_course_says_what_is_missing(graded):
    old = graded.results["old"]
    assert old.missing == ("masks.padding",)
    assert "answer-masks-telepathy: no such exercise" in old.not_run
    page = (graded.out / "students" / "old.html").read_text()
    assert "The cell <code>answer-masks-padding</code> is missing." in page
    assert "without a cell for masks.padding" in (graded.out / "index.html").read_text()


def test_all_are_graded_on_the_same_inputs(graded):
    assert {one.seed for one in graded.results.values()} == {11}
    said = {graded.results[student].answers[0].message for student in ("cy", "di", "ed")}
    assert len(said) == 1


def test_page_of_the_class_shows_scores_hard_exercises_and_frequent_mistakes(graded):
    page = (graded.out / "index.html").read_text()
    assert '<html lang="en">' in page
    assert re.search(r'<img alt="Exercises, the hardest first: masks\.causal 3 passed, 7 failed', page)
    hard, frequent = re.findall(r"<ol>(.*?)</ol>", page)
    assert hard.startswith("<li><code>masks.causal</code>")
    assert frequent.startswith("<li>3 × <code>masks.causal</code>: Query 0 sees nothing")
    for student in (*HONEST, *HOSTILE, *BROKEN):
        assert f'<a href="students/{student}.html">{student}</a>' in page
        assert (graded.out / "students" / f"{student}.html").exists()


def test_page_of_a_student_shows_the_picture_of_the_mistake(graded):
    page = (graded.out / "students" / "cy.html").read_text()
    assert "<h1>cy: 02_masks.ipynb</h1>" in page
    assert "<img alt=" in page


def test_table_holds_the_points_of_each_exercise(graded):
    with (graded.out / "class.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows.keys() == graded.results.keys()
    assert rows["cy"]["masks.causal"] == "0"
    assert rows["cy"]["points"] == f"{sum(POINTS.values()) - POINTS['masks.causal']:g}"
    assert rows["old"]["missing"] == "masks.padding"
    assert rows["json"]["status"] == "NOT RUN"
    assert rows["json"]["points"] == ""


def test_json_and_junit_agree_with_the_results(graded):
    data = json.loads((graded.out / "class.json").read_text())
    assert data["not_run"] == len(BROKEN)
    assert [Result.from_data(one) for one in data["results"]] == list(graded.results.values())
    suites = ElementTree.parse(graded.out / "class.xml").getroot()
    failures = {suite[0].get("classname"): len(suite.findall(".//failure")) for suite in suites}
    assert failures == {
        student: sum(answer.status != "PASS" for answer in one.answers)
        for student, one in graded.results.items()
    }
    assert len(suites.findall(".//error")) == len(BROKEN)


def test_grading_twice_with_one_seed_gives_the_same_scores(graded):
    some = [one for one in graded.handed if one.student in ("ed", "flo", "printed_verdict")]
    for result in grade_class(some, None, 11, count=1, limits=LIMITS):
        first = graded.results[result.student]
        assert [replace(one, seconds=0) for one in result.answers] == [
            replace(one, seconds=0) for one in first.answers
        ]


def failed(student: str, id: str, message: str, mistake: str | None) -> Result:
    """A result with one failed exercise of 10 points."""
    answer = Answered(id, "A title", "FAIL", message, mistake, 0.0, 10.0, 0.1)
    return Result(student, "02_masks.ipynb", 1, "", (answer,))


def test_mistakes_of_one_name_are_one_mistake_in_its_commonest_words():
    results = [
        failed("ann", "masks.causal", "Query 1 sees nothing.", "strict"),
        failed("bo", "masks.causal", "Query 0 sees nothing.", "strict"),
        failed("cy", "masks.causal", "Query 0 sees nothing.", "strict"),
        failed("di", "masks.causal", "Upside down.", "future"),
        failed("ed", "masks.padding", "Off by one.", None),
        failed("flo", "masks.padding", "Off by one.", None),
    ]
    found = [(one.count, one.exercise, one.sentence) for one in summary.mistakes(results)]
    assert found == [
        (3, "masks.causal", "Query 0 sees nothing."),
        (2, "masks.padding", "Off by one."),
        (1, "masks.causal", "Upside down."),
    ]


def test_names_and_sentences_cannot_move_the_cursor_or_break_the_xml():
    results = [failed("a\x1bb", "masks.causal", "\x1b[2K\x00 <b>", None), Result("c\x1b", "d\x07", 1, "\x1b")]
    assert "\x1b" not in summary.as_text(results) + formats.as_junit(results)
    assert len(ElementTree.fromstring(formats.as_junit(results))) == 2


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The students whose sheets would be graded; nothing is graded in truth, and "stop" stops the run."""
    names: list[str] = []

    def grade_none(tasks, count, orders):
        for task in tasks:
            if task.handed.student == "stop":
                raise KeyboardInterrupt
            names.append(task.handed.student)
            yield task, Done(Result(task.handed.student, task.handed.file, orders.seed), "a page")

    monkeypatch.setattr(grading, "grade_all", grade_none)
    return names


def test_what_is_graded_is_not_graded_again(graded, asked, tmp_path):
    out = shutil.copytree(graded.out, tmp_path / "out")
    results = grade_class(graded.handed, out, limits=LIMITS)
    assert asked == ["ids", "json"]  # what could not be graded is tried again
    kept = {one.student: one for one in results if one.student not in BROKEN}
    assert kept == {name: one for name, one in graded.results.items() if name not in BROKEN}


def test_stopped_run_goes_on_with_its_seed(asked, tmp_path):
    names = ("ann", "bo", "stop", "zoe")
    handed = [Handed(name, f"{name}.ipynb", (str(tmp_path / f"{name}.ipynb"),)) for name in names]
    for one in handed:
        Path(one.way[0]).write_text("{}")
    with pytest.raises(KeyboardInterrupt):
        grade_class(handed, tmp_path / "out")
    assert asked == ["ann", "bo"]
    results = grade_class(handed[:2] + handed[3:], tmp_path / "out")
    assert asked == ["ann", "bo", "zoe"]
    assert len({one.seed for one in results}) == 1


@dataclass
class Before:
    """A run that graded `sheet` with seed 5, and how the next one is asked for."""

    sheet: Path
    how: dict[str, Any]
    patch: pytest.MonkeyPatch


CHANGES: dict[str, Callable[[Before], Any]] = {
    "another seed": lambda before: before.how.update(seed=6),
    "--again": lambda before: before.how.update(again=True),
    "other limits": lambda before: before.how.update(limits=Limits(seconds=1)),
    "a changed sheet": lambda before: before.sheet.write_text("{ }"),
    "a changed grader": lambda before: before.patch.setattr(keeping, "grader_version", lambda: "2"),
    "a broken record": lambda before: (before.sheet.parent / "out/graded/ann.json").write_text("["),
    "a lost page": lambda before: (before.sheet.parent / "out/students/ann.html").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_sheet_is_graded_anew_after(asked, tmp_path, monkeypatch, change):
    before = Before(tmp_path / "ann.ipynb", {"seed": 5}, monkeypatch)
    before.sheet.write_text("{}")
    handed = handed_in([before.sheet])
    for _ in range(2):
        grade_class(handed, tmp_path / "out", **before.how)
    assert asked == ["ann"]
    change(before)
    grade_class(handed, tmp_path / "out", **before.how)
    assert asked == ["ann", "ann"]


def test_again_without_a_seed_draws_fresh_inputs(asked, tmp_path):
    (tmp_path / "ann.ipynb").write_text("{}")
    handed = handed_in([tmp_path / "ann.ipynb"])
    seeds = [grade_class(handed, tmp_path / "out", again=again)[0].seed for again in (False, False, True)]
    assert seeds[0] == seeds[1] != seeds[2]


def tasks(*students: str) -> list[Task]:
    """A right sheet for each student."""
    cells = [{"cell_type": "code", "id": name, "source": source} for name, source in answers(RIGHT).items()]
    content = json.dumps({"cells": cells}).encode()
    return [Task(Handed(name, f"{name}.ipynb"), content) for name in students]


def test_process_that_is_killed_costs_the_sheet_that_it_had_only():
    def kill() -> None:
        """End the process while it still imports torch for its first sheet."""
        while not multiprocessing.active_children():
            time.sleep(0.05)
        multiprocessing.active_children()[0].kill()

    threading.Thread(target=kill).start()
    done = {task.handed.student: one.result for task, one in grade_all(tasks("eve", "ann"), 1, Orders(1))}
    assert done["eve"].fault == "the process that graded it ended (signal 9); grade it again"
    assert (done["ann"].status, done["ann"].passed) == ("PASS", len(RIGHT))
    assert multiprocessing.active_children() == []


def test_sheet_that_takes_too_long_is_given_up():
    orders = Orders(1, most_seconds=0.3)
    done = [one.result for _, one in grade_all(tasks("ann", "bo", "cy"), 2, orders)]
    assert [one.fault for one in done] == ["it was not graded within 0.3 s"] * 3


def test_fault_of_the_grader_is_not_run_for_that_sheet(monkeypatch):
    monkeypatch.setattr(jobs, "grade_sheet", lambda *args, **how: 1 / 0)
    done = grade_one(tasks("eve")[0], Orders(1), Workers())
    assert done.result.status == "NOT RUN"
    assert "ZeroDivisionError" in done.result.fault


def test_notebook_beside_a_sheet_is_not_taken_for_its_master(tmp_path, workers, monkeypatch):
    here = {"masks": "master"}  # as where no course is installed
    monkeypatch.setattr(runner, "lesson_of", lambda id: here.get(id.partition(".")[0]))
    for name in ("mine", "master"):
        write(tmp_path / f"{name}.ipynb", {"masks.causal": RIGHT["masks.causal"]})
    for one in handed_in([tmp_path]):
        result = grade_one(Task(one, Path(one.way[0]).read_bytes()), Orders(1), workers).result
        assert len(result.answers) == len(RIGHT)


def test_command_grades_one_submission_for_gradescope(tmp_path, capsys):
    (tmp_path / "submission").mkdir()
    write(tmp_path / "submission" / "02_masks.ipynb", RIGHT | NOT_CAUSAL)
    out = tmp_path / "results"
    assert main(["grade", str(tmp_path / "submission"), "--out", str(out), "--seed", "4", "--jobs", "1"]) == 1
    results = json.loads((out / "results.json").read_text())
    assert results["score"] == sum(test["score"] for test in results["tests"])
    assert results["score"] == sum(POINTS.values()) - POINTS["masks.causal"]
    assert [test["max_score"] for test in results["tests"]] == list(POINTS.values())
    assert {test["visibility"] for test in results["tests"]} == {"visible"}
    assert {test["output_format"] for test in results["tests"]} == {"html"}
    assert results["stdout_visibility"] == "hidden"
    assert [test["status"] for test in results["tests"]] == ["failed"] + ["passed"] * 5
    assert "Query 0 sees nothing" in results["tests"][0]["output"]
    assert "index.html: written" in capsys.readouterr().out


def test_command_answers_by_its_exit_status(tmp_path, capsys, asked):
    for name in ("ann", "bo"):
        (tmp_path / f"{name}.ipynb").write_text("{}")
    pattern = str(tmp_path / "*.ipynb")
    assert main(["grade", pattern]) == 0
    (tmp_path / "cy.ipynb").symlink_to(tmp_path / "ann.ipynb")
    assert main(["grade", pattern]) == 1
    assert "NOT RUN  cy" in capsys.readouterr().out
    assert main(["grade", str(tmp_path / "nowhere")]) == 2
    assert main(["grade", pattern, "--json", "x.json"]) == 2
    (tmp_path / "stop.ipynb").write_text("{}")
    assert main(["grade", pattern, "--out", str(tmp_path / "out")]) == command.STOPPED == 128 + signal.SIGINT
    assert "goes on" in capsys.readouterr().out


def test_name_that_a_table_takes_for_a_formula_or_a_path_is_harmless(asked, tmp_path):
    names = ('=HYPERLINK("x")', "<script>", "..", "zoë", "Zoë")
    handed = [Handed(name, "02_masks.ipynb", (), "nothing to grade") for name in names]
    grade_class(handed, tmp_path / "out", 1)
    assert "\n\"'=HYPERLINK" in (tmp_path / "out" / "class.csv").read_text()
    assert "<script>" not in (tmp_path / "out" / "index.html").read_text()
    pages = {path.name for path in (tmp_path / "out" / "students").iterdir()}
    assert pages == {"HYPERLINK_x.html", "script.html", "student.html", "zoë.html", "Zoë-2.html"}
