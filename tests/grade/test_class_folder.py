"""What a run over a class writes has one writer, opens in any spreadsheet, and is drawn from a good seed."""

import pytest

from tsparse.cli import main
from tsparse.grade import sandbox
from tsparse.grade.cohort import formats, keeping
from tsparse.grade.cohort.result import Result


def test_table_opens_in_a_spreadsheet_of_any_country():
    text = formats.as_csv([Result("zoë;=1+1", "02_masks.ipynb", 1, "why")])
    assert text.startswith("\ufeff")
    assert '\n"zoë;=1+1","02_masks.ipynb","NOT RUN"' in text


def test_two_runs_do_not_write_one_folder(tmp_path):
    first = keeping.OutFolder(tmp_path / "out", [])
    with pytest.raises(OSError, match="another run is writing"):
        keeping.OutFolder(tmp_path / "out", [])
    del first
    keeping.OutFolder(tmp_path / "out", [])


def test_seed_that_cannot_be_drawn_from_is_refused(tmp_path, capsys):
    for seed in ("-1", str(1 << 63), "x"):
        with pytest.raises(SystemExit):
            main(["grade", str(tmp_path), "--seed", seed])
    assert "whole number from 0" in capsys.readouterr().err


def test_whatever_holds_answers_in_a_course_is_hidden_in_a_sandbox():
    hidden = {path.rpartition("/")[2] for path in sandbox.COURSE}
    assert {"tsparse", "solutions", "notebooks", "tests", ".git"} <= hidden
