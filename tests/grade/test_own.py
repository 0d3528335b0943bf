"""`tsparse.mine`: what passed a check comes back in another notebook, with all that its cell gave it."""

import linecache
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tsparse
from tsparse.grade import check, exercise, progress
from tsparse.grade.own import LONGEST, load, source_of

CELL = """
from math import inf

SHIFT = 1 - 1

def helper(n):
    return torch.arange(n)

print("not kept")

@functools.cache
def cached():
    return SHIFT

def causal(n_q: int, n_kv: int, q_offset: int = 0) -> torch.Tensor:
    return helper(n_kv)[None, :] <= helper(n_q)[:, None] + q_offset + cached()
"""
BEFORE = "import torch, functools\n"


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TSPARSE_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def run_cell(text: str, file: str) -> dict[str, object]:
    """What a notebook's cell defines, with its text where a notebook keeps it."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(BEFORE, names)
    exec(compile(text, file, "exec"), names)
    return names


def test_answer_that_passed_comes_back_with_its_helpers_in_another_process(capsys) -> None:
    answer = run_cell(CELL, "<cell 1>")["causal"]
    assert check("masks.causal", answer).status == "PASS"
    code = "import tsparse; f = tsparse.mine('masks.causal'); print(f(2, 3).tolist(), f.__code__.co_filename)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert ran.stdout == "[[True, False, False], [True, True, False]] <your answer causal>\n"


def test_function_that_an_earlier_cell_of_the_sheet_gave_comes_along(capsys) -> None:
    tools = "def step(n: int) -> torch.Tensor:\n    return torch.arange(n)\n\n"
    tools += "def row(n: int) -> torch.Tensor:\n    return step(n)[None, :]\n"
    cell = "def causal(n_q, n_kv, q_offset=0):\n    return row(n_kv) <= row(n_q).mT + q_offset\n"
    names: dict[str, object] = {"__name__": "__main__"}
    exec(BEFORE, names)
    for text, file in ((tools, "<cell tools>"), (cell, "<cell answer>")):
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), names)
    assert check("masks.causal", names["causal"]).status == "PASS"
    kept = progress().read()["exercises"]["masks.causal"]["answer"]
    assert kept["source"].count("def ") == 3
    assert load(kept)(2, 3).tolist() == [[True, False, False], [True, True, False]]


def test_without_a_pass_it_is_the_courses_own_function_and_says_so(capsys) -> None:
    assert tsparse.mine("masks.causal") is exercise("masks.causal").spec
    assert "you have not passed it here yet" in capsys.readouterr().out
    check("masks.causal", run_cell(CELL.replace("<=", "<"), "<cell 2>")["causal"])
    capsys.readouterr()
    assert tsparse.mine("masks.causal") is exercise("masks.causal").spec
    assert "you have not passed it here yet" in capsys.readouterr().out


def test_later_pass_takes_the_place_of_the_earlier_one_and_a_later_failure_does_not() -> None:
    for text in (CELL, CELL.replace("1 - 1", "0"), CELL.replace("1 - 1", "5")):
        check("masks.causal", run_cell(text, "<cell 3>")["causal"])
    kept = progress().read()["exercises"]["masks.causal"]["answer"]
    assert "SHIFT = 0" in kept["source"]


def test_function_that_no_longer_loads_is_replaced_by_the_courses_and_it_says_why(capsys) -> None:
    broken = {"name": "causal", "source": "import no_such_library\ndef causal(): ...\n"}
    progress().record_check("masks.causal", 1, 1, True, broken)
    assert tsparse.mine("masks.causal") is exercise("masks.causal").spec
    assert "no_such_library" in capsys.readouterr().out


def test_only_what_defines_something_is_kept_and_what_it_needs_is_imported() -> None:
    kept = source_of(run_cell(CELL, "<cell 4>")["causal"])
    assert kept is not None
    assert "not kept" not in kept["source"]
    assert "@functools.cache\ndef cached" in kept["source"]
    assert kept["source"].startswith("import functools as functools\nimport torch as torch\n")
    assert load(kept)(1, 1).tolist() == [[True]]


@pytest.mark.parametrize("answer", [None, 3, len, lambda x: x])
def test_what_has_no_text_of_its_own_is_not_kept(answer) -> None:
    assert source_of(answer) is None


def test_cell_with_magics_or_of_unreasonable_length_is_not_kept() -> None:
    names = run_cell(CELL, "<cell 5>")
    for text in ("%timeit 3\n" + CELL, CELL + "x = '" + "y" * LONGEST + "'\n"):
        linecache.cache["<cell 5>"] = (len(text), None, text.splitlines(keepends=True), "<cell 5>")
        assert source_of(names["causal"]) is None


def test_exported_progress_takes_answers_along_and_an_own_one_stays(tmp_path: Path) -> None:
    mine, other = ({"name": "f", "source": f"def f(): return {x}\n"} for x in "12")
    progress().record_check("masks.causal", 1, 1, True, other)
    file = progress().export(tmp_path / "taken.json")
    progress().record_check("masks.causal", 1, 1, True, mine)
    progress().restore(file)
    assert progress().read()["exercises"]["masks.causal"]["answer"] == mine
