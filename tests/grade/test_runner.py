"""Sheets are graded by what their answers compute, whatever else the answers do."""

import json
import re
from pathlib import Path

import pytest
import torch

from tests.grade.filled import FEW, RIGHT, passed, statuses, verdict, write
from tsparse.cli import main
from tsparse.grade.checking import judge
from tsparse.grade.exercises import exercise
from tsparse.grade.report import as_html, as_json, as_text
from tsparse.grade.runner import grade_sheet
from tsparse.grade.running import run_here
from tsparse.grade.submission import SheetError
from tsparse.grade.worker import Limits, Workers


def test_honest_sheet_passes(grade):
    report = grade(RIGHT)
    assert statuses(report) == dict.fromkeys(RIGHT, "PASS")
    assert report.all_passed
    assert report.earned == report.points


def test_without_a_seed_inputs_are_fresh_and_the_report_says_which(grade):
    first, second = (grade({"masks.documents": FEW["masks.documents"]}) for _ in range(2))
    assert first.seed != second.seed
    assert f"--seed {first.seed})" in as_text(first)


def test_unsolved_sheet_fails(grade):
    empty = {
        id: f"{text.strip().splitlines()[0]}\n    # Your lines go here.\n    ..."
        for id, text in RIGHT.items()
    }
    report = grade(empty)
    assert statuses(report) == dict.fromkeys(RIGHT, "NOT RUN")
    assert not report.all_passed
    assert report.earned == 0


@pytest.mark.parametrize(
    "wrong",
    [
        "torch.arange(n_kv) < torch.arange(n_q)[:, None] + q_offset",
        "torch.arange(n_kv) > torch.arange(n_q)[:, None] + q_offset",
        "(torch.arange(n_kv) <= torch.arange(n_q)[:, None] + q_offset).float()",
        "torch.arange(n_kv) <= torch.arange(n_q)[:, None] + offset",
        "print()",
        "[1, 2]",
        "torch.zeros(2, 3).numpy()",
        "torch.zeros(n_q, n_kv, 1, dtype=torch.bool)",
    ],
)
def test_message_is_the_one_that_check_gives(grade, wrong):
    source = f"def causal(n_q, n_kv, q_offset=0):\n    return {wrong}\n"
    namespace = {"torch": torch}
    exec(source, namespace)
    here = judge(exercise("masks.causal"), run_here(namespace["causal"]), seed=5)
    there = verdict(grade({"masks.causal": source}, seed=5), "masks.causal")
    assert there.status == here.status == "FAIL"
    assert there.mistake == here.mistake
    assert there.message.replace("(`return " + wrong + "`)", "") == here.message.replace("(``)", "")
    assert there.parts == here.parts


def test_answer_may_use_the_function_of_another_answer(grade):
    helper = "def same(a, b):\n    return a == b\n"
    documents = "def documents(ids):\n    return same(ids[:, None], ids)\n"
    report = grade({"masks.causal": RIGHT["masks.causal"] + helper, "masks.documents": documents})
    assert passed(report) == ["masks.causal", "masks.documents"]


def test_answer_that_uses_a_broken_cell_is_told_so(grade):
    cells = FEW | {
        "masks.causal": "import os\nos._exit(0)\ndef same(a, b): ...",
        "masks.documents": "def documents(ids):\n    return same(ids[:, None], ids)\n",
    }
    report = grade(cells)
    message = verdict(report, "masks.documents").message
    assert "same" in message
    assert "`answer-masks-causal`, which did not come to its end" in message
    assert passed(report) == ["masks.sliding_window"]


def test_answer_that_can_do_without_a_deadly_cell_keeps_its_points(grade):
    causal = RIGHT["masks.causal"] + "\ndef unused():\n    return helper\n"
    documents = "import os\nos._exit(0)\nhelper = 1\n"
    report = grade(FEW | {"masks.causal": causal, "masks.documents": documents})
    assert passed(report) == ["masks.causal", "masks.sliding_window"]


def test_many_deadly_cells_cost_the_time_of_one_exercise(tmp_path):
    needed = {f"x.x{place}": f"import os\nx{place} = 1\nos._exit(0)" for place in range(200)}
    causal = RIGHT["masks.causal"] + "\n".join(f"x{place}" for place in range(200))
    sheet = write(tmp_path / "02_masks.ipynb", FEW | {"masks.causal": causal} | needed)
    with Workers(Limits(seconds=1.0, exercise_seconds=2.0, memory=1 << 28)) as workers:
        report = grade_sheet(sheet, seed=0, workers=workers)
    one = verdict(report, "masks.causal")
    assert (one.status, one.earned) == ("FAIL", 0)
    assert one.message.startswith("The cells whose names it uses end the process, one by one.")
    assert passed(report) == ["masks.sliding_window", "masks.documents"]


def test_byte_order_mark_is_no_part_of_the_notebook(tmp_path, workers):
    sheet = write(tmp_path / "02_masks.ipynb", FEW)
    sheet.write_bytes(b"\xef\xbb\xbf" + sheet.read_bytes())
    assert passed(grade_sheet(sheet, workers=workers)) == list(FEW)


def test_helper_outside_of_the_answer_cells_is_named(grade):
    cells = {"scratch": "def helper(x):\n    return x"}
    cells["masks.documents"] = "def documents(ids):\n    return helper(ids[:, None] == ids)\n"
    report = grade(cells)
    assert "`helper` stands in a cell that is not run" in verdict(report, "masks.documents").message
    assert "scratch" in report.not_run


def test_error_in_one_cell_costs_that_exercise_only(grade):
    report = grade(FEW | {"masks.causal": "import torch\n1 / 0\n"})
    attacked = verdict(report, "masks.causal")
    assert attacked.status == "FAIL"
    assert "Line 2 of the cell raised ZeroDivisionError: division by zero." in attacked.message
    assert passed(report) == ["masks.sliding_window", "masks.documents"]


def test_syntax_error_names_its_line(grade):
    report = grade({"masks.causal": "x = 1\ndef causal(n_q, n_kv:\n    return 1\n"})
    assert "Line 2 of the cell raised SyntaxError" in verdict(report, "masks.causal").message


def test_cell_that_never_ends_is_stopped(grade):
    report = grade(FEW | {"masks.causal": "while True:\n    pass\n"})
    assert "did not come to its end within 1 s" in verdict(report, "masks.causal").message
    assert passed(report) == ["masks.sliding_window", "masks.documents"]


@pytest.mark.parametrize("module", ["tsparse", "tsparse.reference", "tsparse.grade.exercises.masks"])
def test_import_of_the_package_is_refused_with_the_reason(grade, module):
    in_cell = grade({"masks.causal": f"import {module}\n"})
    assert f"an answer may not import `{module.split('.')[0]}" in verdict(in_cell, "masks.causal").message
    in_call = grade({"masks.causal": f"def causal(n_q, n_kv, q_offset=0):\n    import {module}\n"})
    assert "an answer may not import `tsparse" in verdict(in_call, "masks.causal").message


def test_check_inside_of_an_answer_cell_is_harmless(grade):
    cell = RIGHT["masks.causal"] + '\ncheck("masks.causal", causal)\n'
    assert verdict(grade({"masks.causal": cell}), "masks.causal").status == "PASS"


def test_setup_of_the_master_runs_and_that_of_the_sheet_does_not(tmp_path, workers):
    solved = write(tmp_path / "solved.ipynb", {"setup": "import torch as T\nimport tsparse\n", **FEW})
    cell = RIGHT["masks.causal"].replace("torch", "T")
    sheet = write(tmp_path / "02_masks.ipynb", {"setup": "1 / 0", "masks.causal": cell})
    report = grade_sheet(sheet, master=solved, workers=workers)
    assert len(report.exercises) == len(FEW)
    assert passed(report) == ["masks.causal"]
    assert report.master == "solved.ipynb"
    assert "setup" in report.not_run


def test_missing_cell_fails_and_is_named(grade):
    report = grade(FEW)
    missing = verdict(report, "masks.padding")
    assert (missing.status, missing.message) == ("FAIL", "The cell `answer-masks-padding` is missing.")
    assert passed(report) == list(FEW)


def test_two_cells_with_one_id_fail_and_the_others_count(tmp_path, workers):
    path = write(tmp_path / "02_masks.ipynb", FEW)
    notebook = json.loads(path.read_text())
    notebook["cells"].append(notebook["cells"][0])
    path.write_text(json.dumps(notebook))
    report = grade_sheet(path, workers=workers)
    assert "2 cells have the id `answer-masks-causal`" in verdict(report, "masks.causal").message
    assert passed(report) == ["masks.sliding_window", "masks.documents"]


def test_unknown_exercise_is_listed_and_not_run(grade):
    report = grade(FEW | {"masks.telepathy": "import os\nos._exit(1)"})
    assert "answer-masks-telepathy: no such exercise" in report.not_run
    assert passed(report) == list(FEW)


def test_names_from_a_sheet_cannot_draw_a_verdict(grade):
    name = "\x1b[2K\nPASS         10 / 10  masks.causal"
    text = as_text(grade({"masks.causal": "", name: "x = 1"}))
    assert "masks.causal" in text
    assert "\x1b" not in text
    assert not re.search(r"^PASS", text, re.MULTILINE)


BROKEN = {
    "not JSON": ("{", "is not a notebook"),
    "not a notebook": ('{"cells": 3}', "is not a notebook of format 4"),
    "a list": ("[1, 2]", "is not a notebook of format 4"),
    "no cells": ('{"cells": []}', "has no answer cell"),
    "cells without ids": ('{"cells": [{"cell_type": "code", "source": "x = 1"}]}', "has no answer cell"),
    "strange cells": (
        '{"cells": [1, null, {"cell_type": "code", "source": 5, "id": []}]}',
        "has no answer cell",
    ),
    "another course": (
        '{"cells": [{"cell_type": "code", "id": "answer-cake-bake", "source": ""}]}',
        "cake.bake",
    ),
    "nested too deeply": ("[" * 100_000, "is not a notebook"),
}


@pytest.mark.parametrize(("text", "sentence"), BROKEN.values(), ids=BROKEN)
def test_sheet_that_cannot_be_read_is_refused_with_a_sentence(tmp_path, workers, text, sentence):
    path = tmp_path / "sheet.ipynb"
    path.write_text(text)
    with pytest.raises(SheetError, match=re.escape(sentence)):
        grade_sheet(path, workers=workers)


def test_sheet_that_is_no_text_or_too_large_is_refused(tmp_path, workers):
    path = tmp_path / "sheet.ipynb"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SheetError, match="not a notebook"):
        grade_sheet(path, workers=workers)
    with path.open("wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(SheetError, match="larger than 32 MiB"):
        grade_sheet(path, workers=workers)


def test_command_answers_by_its_exit_status(tmp_path, capsys):
    cells = {id: RIGHT[id] for id in ("masks.causal", "masks.documents")}
    path = write(tmp_path / "02_masks.ipynb", cells)
    files = [tmp_path / "report.json", tmp_path / "report.html"]
    assert main(["grade", str(path), "--seed", "3", "--json", str(files[0]), "--html", str(files[1])]) == 1
    assert "2 of 6 passed" in capsys.readouterr().out
    content = json.loads(files[0].read_text())
    assert content["seed"] == 3
    assert [one["status"] for one in content["exercises"]].count("PASS") == 2
    page = files[1].read_text()
    assert page.count("PASS") >= 2
    assert "FAIL" in page
    assert main(["grade", str(write(path, RIGHT))]) == 0
    path.write_text("{")
    assert main(["grade", str(path)]) == 2
    assert "02_masks.ipynb is not a notebook" in capsys.readouterr().err
    assert main(["grade", str(tmp_path / "nowhere.ipynb")]) == 2


def test_report_shows_what_an_answer_printed_as_text(grade):
    cell = "print('<script>alert(1)</script>')\n" + RIGHT["masks.causal"].replace("<=", "<")
    report = grade({"masks.causal": cell})
    page = as_html(report)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert '<html lang="en">' in page
    assert "own key" in page or "itself" in page
    assert json.loads(as_json(report))["exercises"][0]["mistake"]


SOLVED = sorted((Path(__file__).parents[2] / "solutions").glob("*.ipynb"))


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_solved_sheet_passes_twenty_times_on_fresh_inputs(path):
    with Workers() as ordinary:  # heavy cases take seconds
        reports = [grade_sheet(path, workers=ordinary) for _ in range(20)]
    assert all(report.all_passed for report in reports)
    assert len({report.seed for report in reports}) == 20


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_unsolved_sheet_passes_nothing(path, workers):
    unsolved = path.parents[1] / "exercises" / path.name
    report = grade_sheet(unsolved, workers=workers)
    assert set(statuses(report).values()) <= {"NOT RUN", "FAIL"}  # a kernel begun by the sheet fails
    assert report.earned == 0
