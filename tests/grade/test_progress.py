"""The progress file: what is kept, and what survives crashes, two notebooks, and a read-only folder."""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import pytest

from tests.grade.toys import HINTS
from tsparse.grade import check, hint, progress
from tsparse.grade import course as course_page
from tsparse.grade.exercises import all_exercises, exercise
from tsparse.grade.progress import Progress, locked, tell_once


@pytest.fixture(autouse=True)
def nothing_told_yet():
    """What is said once is said once per test."""
    tell_once.cache_clear()


def kept(path: Path) -> dict:
    """What the file holds."""
    return json.loads(path.read_text())


def wrong(n_q, n_kv, q_offset=0):
    return 0


def test_first_use_makes_the_folder_and_a_readable_file(progress_file):
    check("masks.causal", wrong)
    text = progress_file.read_text()
    assert text.endswith("}\n")
    assert '\n  "exercises": {\n    "masks.causal": {\n' in text


def test_attempts_are_counted_and_the_best_points_stay(progress_file):
    asked = exercise("masks.causal")
    for answer in (wrong, asked.spec, wrong):
        check(asked.id, answer)
    entry = kept(progress_file)["exercises"][asked.id]
    assert (entry["attempts"], entry["points"], entry["of"]) == (3, 10, 10)
    assert entry["first_seen"] <= entry["passed"]


def test_an_empty_answer_is_no_attempt(progress_file):
    check("masks.causal")
    assert not progress_file.exists()


def test_hints_come_one_at_a_time_and_the_third_is_repeated(progress_file, capsys):
    hints = exercise("masks.causal").hints
    for _ in range(4):
        hint("masks.causal")
    said = capsys.readouterr().out
    assert [said.count(text) for text in hints] == [1, 1, 2]
    assert [said.count(f"hint {n} of {len(HINTS)}") for n in (1, 2, 3)] == [1, 1, 2]
    assert said.count("That was the last hint") == 1
    assert kept(progress_file)["exercises"]["masks.causal"]["hints"] == 3


def test_hint_for_an_unknown_exercise_is_a_sentence(capsys):
    hint("masks.causl")
    assert "Did you mean 'masks.causal'" in capsys.readouterr().out


def test_only_the_first_guess_is_kept(progress_file):
    progress().record_guess("01.x", "prediction", 2, False)
    progress().record_guess("01.x", "prediction", 1, True)
    assert kept(progress_file)["questions"]["01.x"]["guess"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 1}',
        '{"version": 9, "exercises": {}, "questions": {}}',
        '{"version": 1, "exercises": {"a": 3}, "questions": {}}',
        '{"version": 1, "exercises": {"a": {"attempts": "many"}}, "questions": {}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_corrupt_file_is_set_aside_and_said_so(progress_file, capsys, text):
    progress_file.parent.mkdir()
    content = text if isinstance(text, bytes) else text.encode()
    progress_file.write_bytes(content)
    check("masks.causal", wrong)
    aside = progress_file.with_name("progress.corrupt-1.json")
    assert aside.read_bytes() == content
    assert f"set aside as {aside}" in capsys.readouterr().out
    assert kept(progress_file)["exercises"]["masks.causal"]["attempts"] == 1


def test_a_second_corrupt_file_does_not_overwrite_the_first(progress_file):
    progress_file.parent.mkdir()
    for _ in range(2):
        progress_file.write_text("{")
        check("masks.causal", wrong)
    assert {path.name for path in progress_file.parent.iterdir()} == {
        "progress.json",
        "progress.corrupt-1.json",
        "progress.corrupt-2.json",
    }


def test_a_folder_that_cannot_be_written_is_said_once_and_hints_still_go_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TSPARSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    assert check("masks.causal", wrong).status == "FAIL"
    hint("masks.causal")
    hint("masks.causal")
    said = capsys.readouterr().out
    assert said.count("Progress is kept only until this notebook closes: cannot write") == 1
    assert said.count("hint 2 of 3") == 1


def test_a_crash_while_writing_leaves_the_old_file(progress_file, monkeypatch, capsys):
    check("masks.causal", wrong)
    before = progress_file.read_text()

    def crash(*args: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", crash)
    check("masks.causal", wrong)
    assert progress_file.read_text() == before
    assert [path.name for path in progress_file.parent.iterdir()] == ["progress.json"]
    assert "the disk is full" in capsys.readouterr().out


def count(path: str, times: int) -> None:
    """Attempts from another process."""
    for _ in range(times):
        Progress(Path(path)).record_check("masks.causal", 0, 10, False)


def test_two_notebooks_at_once_lose_nothing(progress_file):
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=count, args=(str(progress_file), 20)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert kept(progress_file)["exercises"]["masks.causal"]["attempts"] == 40
    assert [path.name for path in progress_file.parent.iterdir()] == ["progress.json"]


def test_a_lock_left_by_a_crash_is_removed(progress_file):
    progress_file.parent.mkdir()
    lock = progress_file.with_name("progress.json.lock")
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    check("masks.causal", wrong)
    assert kept(progress_file)["exercises"]["masks.causal"]["attempts"] == 1
    assert not lock.exists()


def test_a_lock_that_stays_is_an_error_and_not_a_hang(progress_file, monkeypatch):
    monkeypatch.setattr(sys.modules["tsparse.grade.progress"], "WAIT", 0.05)
    progress_file.parent.mkdir()
    progress_file.with_name("progress.json.lock").touch()
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(TimeoutError), locked(progress_file):
        pass


def test_exported_progress_can_be_restored_elsewhere(progress_file, tmp_path):
    check("masks.causal", exercise("masks.causal").spec)
    hint("masks.padding")
    progress().record_guess("01.x", "prediction", 2, False)
    before = kept(progress_file)
    exported = progress().export(tmp_path / "mine.json")
    progress_file.unlink()
    progress().restore(exported)
    assert kept(progress_file) == before


def test_restoring_adds_and_keeps_the_better(progress_file, tmp_path):
    check("masks.causal", exercise("masks.causal").spec)
    exported = progress().export(tmp_path / "mine.json")
    for _ in range(3):
        check("masks.causal", wrong)
    check("masks.padding", wrong)
    progress().restore(exported)
    entries = kept(progress_file)["exercises"]
    assert (entries["masks.causal"]["points"], entries["masks.causal"]["attempts"]) == (10, 4)
    assert entries["masks.padding"]["attempts"] == 1


def test_restoring_something_else_is_an_error_and_changes_nothing(progress_file, tmp_path):
    check("masks.causal", wrong)
    before = progress_file.read_text()
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(ValueError, match="holds no progress"):
        progress().restore(other)
    assert progress_file.read_text() == before


def test_a_deleted_file_means_a_new_beginning(progress_file):
    check("masks.causal", wrong)
    progress_file.unlink()
    check("masks.causal", wrong)
    assert kept(progress_file)["exercises"]["masks.causal"]["attempts"] == 1


def test_progress_shows_every_exercise_in_text_and_in_a_picture():
    check("masks.causal", exercise("masks.causal").spec)
    hint("masks.padding")
    text, page = repr(progress()), progress()._repr_html_()
    total = sum(one.points for one in all_exercises())
    assert text.startswith(f"10 of {total} points, 1 of {len(all_exercises())} exercises passed.")
    assert "masks.causal                PASS       10 of 10  1         0" in text
    assert "masks.padding               not begun  0 of 10   0         1" in text
    for one in all_exercises():
        assert one.id in text
        assert f"<td>{one.id}</td>" in page
    assert (
        '<img alt="Your course. 01_scaled_dot_product: attention.softmax not begun, 0 of 10 points;' in page
    )


def test_progress_of_exercises_that_are_gone_is_kept_and_not_shown(progress_file):
    progress().record_check("old.gone", 5, 10, False)
    check("masks.causal", wrong)
    assert "old.gone" in kept(progress_file)["exercises"]
    assert "old.gone" not in repr(progress())


def test_the_picture_of_progress_is_drawn_for_any_state(progress_file):
    for one in all_exercises():
        progress().record_check(one.id, one.points / 2, one.points, False)
    assert course_page.progress_picture(progress().read()).png.startswith(b"\x89PNG")
