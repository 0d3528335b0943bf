"""No attack gains a point, ends the run, costs another answer its points, or leaves anything behind.

A file of `attacks/` is an answer to `masks.causal`; one of `attacks/notebooks/` spoils a whole sheet. Each
stands in a sheet beside honest answers.
"""

import importlib.util
import json
import os
import re
import tempfile
from pathlib import Path

import pytest

from tests.grade.filled import FEW, passed, verdict, write
from tsparse.grade.report import as_html, as_json, as_text
from tsparse.grade.runner import grade_sheet
from tsparse.grade.submission import SheetError
from tsparse.grade.worker import Limits, Workers, descendants

FOLDER = Path(__file__).parent / "attacks"
ANSWERS = sorted(FOLDER.glob("*.py"))
NOTEBOOKS = sorted((FOLDER / "notebooks").glob("*.py"))
HONEST = ["masks.sliding_window", "masks.documents"]
FILES_OF_OTHERS = {"read_solutions", "read_checks", "forged_result_files", "overwritten_files"}
"""Without a sandbox every program may read what everybody may, and write where everybody may."""
LIMITS = Limits(seconds=0.6, exercise_seconds=10.0, memory=1 << 28, grace=0.4)

each_answer = pytest.mark.parametrize("attack", ANSWERS, ids=lambda path: path.stem)
each_notebook = pytest.mark.parametrize("attack", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def sandboxed():
    """Workers in sandboxes, where there are any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TOKEN", "hunter2")
        with Workers(LIMITS) as workers:
            with workers.worker() as worker:
                pass
            if not worker.facts["protection"].startswith("unshare"):
                pytest.skip(worker.facts["protection"])
            yield workers


@pytest.fixture(scope="module")
def bare():
    """Workers without a sandbox: users who own nothing, which only root can make them."""
    if os.geteuid() != 0:
        pytest.skip("without a sandbox and without root an answer is the user who runs the tests")
    with Workers(LIMITS, sandbox="none") as workers:
        yield workers


@pytest.fixture
def scratch(monkeypatch):
    """An empty folder in which all scratch folders are made."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def attacked(tmp_path, scratch, progress_file):
    """Grade a sheet with an attack in it, and see that nothing is left or changed."""

    def attacked(attack, workers):
        sheet = write(tmp_path / "02_masks.ipynb", FEW | {"masks.causal": attack.read_text()})
        before = sheet.read_bytes()
        progress_file.parent.mkdir()
        progress_file.write_text("kept")
        report = grade_sheet(sheet, workers=workers)
        one = verdict(report, "masks.causal")
        assert (one.status, one.earned) == ("FAIL", 0)
        assert one.message
        assert passed(report) == HONEST
        text = as_text(report) + as_html(report) + as_json(report)
        assert not re.search(r"^PASS .*masks\.causal", text, re.MULTILINE)
        assert "\x1b" not in text
        assert len(text) < 1 << 20
        assert descendants(workers._process.pid) == []
        assert list(scratch.iterdir()) == []
        assert (sheet.read_bytes(), progress_file.read_text()) == (before, "kept")
        return report.exercises[0].printed

    return attacked


@each_answer
def test_attack_gains_nothing_in_a_sandbox(attacked, sandboxed, attack):
    printed = attacked(attack, sandboxed)
    assert not re.search("ATTACHED|CONNECTED|FOUND [1-9]|hunter2", printed)


@each_answer
def test_attack_gains_nothing_from_a_user_who_owns_nothing(attacked, bare, attack):
    if attack.stem in FILES_OF_OTHERS:
        pytest.skip("only a sandbox takes away what everybody may read and write")
    assert not re.search("ATTACHED|hunter2|True", attacked(attack, bare))


@each_notebook
def test_spoilt_notebook_gains_nothing(tmp_path, scratch, sandboxed, attack):
    spec = importlib.util.spec_from_file_location(attack.stem, attack)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = write(tmp_path / "02_masks.ipynb", FEW)
    path.write_text(module.spoil(json.loads(path.read_text())))
    refused = None
    try:
        report = grade_sheet(path, workers=sandboxed)
    except SheetError as error:
        refused = str(error)
    if refused is None:
        assert verdict(report, "masks.causal").earned == 0
        assert passed(report) == HONEST
    else:
        assert len(refused) < 400
        assert "\n" not in refused
    assert not list(Path.cwd().glob("pwned")) + list(tmp_path.glob("pwned"))


def test_every_attack_says_in_one_line_what_it_does():
    assert len(ANSWERS) + len(NOTEBOOKS) >= 50
    for attack in ANSWERS + NOTEBOOKS:
        assert re.match(r'"""[A-Z][^\n]*\."""\n', attack.read_text()), attack.name
