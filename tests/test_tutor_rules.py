"""The rules for AI helpers of learners stand beside the sheets, say what they must, and stay there."""

import re
import shutil
from pathlib import Path

import pytest

from tsparse.cli import main
from tsparse.grade.exercises import all_exercises

ROOT = Path(__file__).parents[1]
RULES = (ROOT / "exercises" / "AGENTS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "rule",
    [
        "Ask what they tried",
        "quote it",
        "one at a time",
        "ask what they expect",
        "at most three lines of code",
        "never the lines of an answer cell",
        "Do not open or quote `solutions/`",
        "contribute to the course itself, this file does not apply",
    ],
)
def test_rules_hold_what_the_course_asks_of_a_tutor(rule):
    assert rule in RULES


def test_rules_are_read_in_a_minute():
    assert len(RULES.split()) < 250


def test_other_name_of_the_rules_is_one_line_that_points_to_them():
    text = (ROOT / "exercises" / "CLAUDE.md").read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert "[AGENTS.md](AGENTS.md)" in text


def test_rules_stand_nowhere_else():
    found = {path.parent.name for name in ("AGENTS.md", "CLAUDE.md") for path in ROOT.glob(f"*/**/{name}")}
    assert found == {"exercises"}
    assert not any((ROOT / name).exists() for name in ("AGENTS.md", "CLAUDE.md"))


def test_commands_of_the_rules_exist():
    known = {one.id for one in all_exercises()}
    named = re.findall(r'(?:hint|check)\("([^"]+)"\)', RULES)
    assert named
    assert set(named) <= known


def test_making_the_sheets_again_leaves_the_rules_alone(tmp_path, monkeypatch):
    for folder in ("exercises", "solutions"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "exercises" / "99_old.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert main(["sheets"]) == 0
    assert main(["sheets", "--check"]) == 0
    left = {path.name for path in (tmp_path / "exercises").iterdir()}
    assert {"AGENTS.md", "CLAUDE.md"} <= left
    assert "99_old.ipynb" not in left
    assert (tmp_path / "exercises" / "AGENTS.md").read_text(encoding="utf-8") == RULES
