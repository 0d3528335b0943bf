"""An answer in a sandbox sees Python and nothing else; where there is none, that is said, or nothing runs."""

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.grade.filled import FEW, RIGHT, passed, write
from tsparse.cli import main
from tsparse.grade import sandbox, worker
from tsparse.grade.confine import protection
from tsparse.grade.runner import grade_sheet
from tsparse.grade.threats import THREATS
from tsparse.grade.worker import Limits, NoSandbox, Workers, scratch_folder

LOOK = """
import os, sys
for path in {paths!r}:
    print(path, "SEEN" if os.path.exists(path) else "hidden")
for path in ("/usr", sys.prefix, "/dev", os.path.dirname(torch.__file__)):
    try:
        open(os.path.join(path, "written"), "w")
        print("WRITTEN", path)
    except OSError:
        pass
print("processes", os.getpid(), os.path.exists("/proc/self"))
"""


@pytest.fixture
def world(workers):
    """Skip where the system allows no sandbox."""
    with workers.worker() as one:
        pass
    if not one.facts["protection"].startswith("unshare"):
        pytest.skip(one.facts["protection"])


def test_sandbox_shows_neither_course_nor_home_nor_progress_nor_sheets(world, grade, tmp_path, progress_file):
    progress_file.parent.mkdir()
    progress_file.write_text("kept")
    course = Path(sandbox.__file__).parents[2]
    paths = [
        course / "solutions",
        course / "tsparse" / "grade",
        course / "README.md",
        progress_file,
        tmp_path,
    ]
    paths += [Path.home() / ".tsparse", Path(__file__), "/etc/passwd", "/home"]
    report = grade({"masks.causal": RIGHT["masks.causal"] + LOOK.format(paths=[str(path) for path in paths])})
    printed = report.exercises[0].printed
    assert passed(report) == ["masks.causal"]
    assert printed.count("hidden") == len(paths)
    assert "SEEN" not in printed
    assert "WRITTEN" not in printed
    assert "processes 1 False" in printed
    assert report.limits["network"] == "none"


def test_sandbox_leaves_no_capability_and_no_way_to_mount(world, grade):
    cell = RIGHT["masks.causal"] + (
        "import ctypes, struct\n"
        "held = ctypes.create_string_buffer(24)\n"
        "ctypes.CDLL(None).capget(struct.pack('=Ii', 0x20080522, 0), held)\n"
        "print('capabilities', struct.unpack('=6I', held.raw))\n"
        "print('mounted', ctypes.CDLL(None).mount(b'none', b'/usr', b'tmpfs', 0, b''))\n"
    )
    printed = grade({"masks.causal": cell}).exercises[0].printed
    assert "mounted -1" in printed
    assert "capabilities (0, 0, 0, 0, 0, 0)" in printed


def test_sandbox_has_no_network_not_even_to_this_machine(world, grade):
    cell = RIGHT["masks.causal"] + (
        "import socket\n"
        "try:\n    socket.create_connection(('127.0.0.1', {}), timeout=1)\n    print('CONNECTED')\n"
        "except OSError as error:\n    print('refused', [name for _, name in socket.if_nameindex()])\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        printed = grade({"masks.causal": cell.format(server.getsockname()[1])}).exercises[0].printed
    assert printed == "refused ['lo']\n"


def test_what_one_answer_writes_the_next_does_not_find(world, grade):
    cell = "import os\nprint('found', os.listdir('.'))\nopen('left', 'w').close()\n"
    report = grade({name: cell + text for name, text in FEW.items()})
    assert passed(report) == list(FEW)
    assert all("found []" in one.printed for one in report.exercises if one.verdict.status == "PASS")


def test_only_folders_that_are_there_are_shown_and_each_once(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    nowhere = tmp_path / "nowhere"
    assert list(sandbox.shown([str(tmp_path), str(inner), str(nowhere), str(tmp_path)])) == [str(tmp_path)]


def test_checkout_on_the_path_is_not_part_of_python(tmp_path, monkeypatch):
    (tmp_path / "tsparse").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert str(tmp_path) not in list(sandbox._python())


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="needs /proc/PID/oom_score_adj")
def test_answer_is_ended_before_its_grader_where_memory_runs_out(workers, bare_workers):
    for kind in (workers, bare_workers):
        with kind.worker():
            below = worker.descendants(kind._process.pid)
            scores = {int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in below}
        assert scores == {1000}
    assert int(Path(f"/proc/{os.getpid()}/oom_score_adj").read_text()) < 1000


def test_without_a_sandbox_the_report_says_why():
    kind = "unprivileged user" if os.geteuid() == 0 else "none"
    assert protection("it is forbidden").startswith(kind)
    assert "it is forbidden" in protection("it is forbidden")


@pytest.fixture
def refused(monkeypatch):
    """Every start of a worker finds that there is no sandbox."""
    begin = worker.Worker.begin

    def without(self, scratch, sandbox):
        begin(self, scratch, "none")
        self.facts["protection"] = "none, no sandbox: Operation not permitted"
        self.require(sandbox)

    monkeypatch.setattr(worker.Worker, "begin", without)


def test_required_sandbox_that_cannot_be_had_runs_nothing(refused, tmp_path):
    sheet = write(tmp_path / "02_masks.ipynb", FEW)
    with (
        Workers(Limits(), sandbox="required") as workers,
        pytest.raises(NoSandbox, match=r"Operation not permitted.*--require-sandbox"),
    ):
        grade_sheet(sheet, workers=workers)


def test_command_that_requires_a_sandbox_grades_with_one_and_says_2_without(
    refused, tmp_path, capsys, monkeypatch
):
    sheet = write(tmp_path / "02_masks.ipynb", FEW)
    assert main(["grade", str(sheet), "--require-sandbox"]) == 2
    said = capsys.readouterr()
    assert "a sandbox is required, and there is none" in said.err
    assert "PASS" not in said.out


def test_scratch_folder_goes_with_all_that_is_in_it_and_links_are_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o500)
    with scratch_folder() as folder:
        closed = Path(folder, "closed", "inner")
        closed.mkdir(parents=True)
        Path(folder, "link").symlink_to(kept)
        Path(closed, "link").symlink_to(kept)
        closed.chmod(0)
        closed.parent.chmod(0)
    assert not Path(folder).exists()
    assert kept.stat().st_mode & 0o777 == 0o500


def test_threats_are_printed_and_name_every_protection(capsys):
    with pytest.raises(SystemExit) as left:
        main(["grade", "--threats"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert said.strip() == THREATS.read_text(encoding="utf-8").strip()
    for name in ("`unshare`", "`unprivileged user`", "`none`", "container"):
        assert name in said
