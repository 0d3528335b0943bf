"""Progress of the tests goes to a folder of their own, never to the reader's; attacks are not imported."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.grade.filled import write
from tsparse.grade.runner import grade_sheet
from tsparse.grade.worker import Limits, Workers

collect_ignore = ["attacks"]


@pytest.fixture(autouse=True)
def progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The progress file of one test; it does not exist yet."""
    path = tmp_path / "progress" / "progress.json"
    monkeypatch.setenv("TSPARSE_PROGRESS", str(path))
    return path


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Answers that draw numbers of their own draw the same ones in every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def workers():
    """One process with torch imported for all sheets, and short limits."""
    limits = Limits(seconds=1.0, exercise_seconds=20.0, memory=1 << 28, grace=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TOKEN", "hunter2")
        with Workers(limits) as workers:
            yield workers


@pytest.fixture(scope="session")
def bare_workers():
    """The same without a sandbox, as where the system allows none."""
    limits = Limits(seconds=1.0, exercise_seconds=20.0, memory=1 << 28, grace=0.5)
    with Workers(limits, sandbox="none") as workers:
        yield workers


@pytest.fixture
def grade(tmp_path, workers):
    """Grade a sheet with these cells by id; the keys of answers may be the exercise's id."""

    def grade(cells, **how):
        return grade_sheet(write(tmp_path / "02_masks.ipynb", cells), workers=workers, **how)

    return grade


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads only wait for one another on tensors as small as these, for minutes on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
