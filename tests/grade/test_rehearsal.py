"""A rehearsed check shows its verdict and leaves the reader's progress as it was."""

import os

import pytest

from tsparse.grade import check, exercise, progress
from tsparse.grade.rehearsal import rehearsal


def test_rehearsed_check_is_judged_and_not_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("TSPARSE_PROGRESS", str(tmp_path / "progress.json"))
    with rehearsal():
        verdict = check("masks.causal", exercise("masks.causal").spec)
    assert verdict.status == "PASS"
    assert progress().read()["exercises"] == {}


def test_check_after_a_rehearsal_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("TSPARSE_PROGRESS", str(tmp_path / "progress.json"))
    with rehearsal():
        pass
    check("masks.causal", exercise("masks.causal").spec)
    assert "passed" in progress().read()["exercises"]["masks.causal"]


@pytest.mark.parametrize("before", [None, "somewhere"])
def test_progress_is_found_again_after_an_error_in_a_rehearsal(before, monkeypatch):
    monkeypatch.delenv("TSPARSE_PROGRESS", raising=False)
    if before:
        monkeypatch.setenv("TSPARSE_PROGRESS", before)
    with pytest.raises(RuntimeError), rehearsal():
        raise RuntimeError
    assert os.environ.get("TSPARSE_PROGRESS") == before
