"""What other engines get is run as their documents say, in empty folders and without their services."""

import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import torch
import yaml

from tests.grade.filled import RIGHT, write
from tests.grade.scripts import script
from tsparse.cli import main
from tsparse.grade.classroom import course, jupyterhub, submitted
from tsparse.grade.runner import grade_sheet
from tsparse.grade.worker import Workers

ROOT = Path(__file__).parents[2]
PACKAGES = Path(torch.__file__).parents[1]
"""What these tests have installed; an engine would have downloaded it."""


@pytest.fixture(autouse=True)
def in_the_course(monkeypatch):
    monkeypatch.chdir(ROOT)


def stub_wheels(folder: Path) -> Path:
    """A package index in a folder: a wheel for every pin of constraints.txt, empty but for torch's.

    It lets Python find what these tests have installed.
    """
    folder.mkdir()
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin = line.split("#")[0].split(";")[0].strip()
        if "==" not in pin:
            continue
        name, version = pin.split("==")
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            info = f"{stem}.dist-info"
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
            if name == "torch":
                wheel.writestr("downloaded.pth", f"{PACKAGES}\n")
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack with the permissions of the files, as `unzip` does."""
    with zipfile.ZipFile(archive) as content:
        for entry in content.infolist():
            path = Path(content.extract(entry, folder))
            if entry.external_attr >> 16:
                path.chmod(stat.S_IMODE(entry.external_attr >> 16))


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """Gradescope's folder after it has built the image: the zip unpacked, and setup.sh run."""
    home = tmp_path_factory.mktemp("gradescope") / "autograder"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert (
            main(["classroom", "gradescope", "--sheet", "02_masks", "--out", str(home.parent / "a.zip")]) == 0
        )
    unpack(home.parent / "a.zip", home / "source")
    for name in ("submission", "results"):
        (home / name).mkdir()
    (home / "run_autograder").write_bytes((home / "source" / "run_autograder").read_bytes())
    (home / "run_autograder").chmod(0o755)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    tools = script(home.parent / "bin" / version, "#!/bin/sh", f'exec "{sys.executable}" "$@"').parent
    ran = subprocess.run(
        ["bash", home / "source" / "setup.sh"],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            "AUTOGRADER": str(home),
            "PATH": f"{tools}:/usr/bin:/bin",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(stub_wheels(home.parent / "wheels")),
        },
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert list((home / "venv").glob("lib/python3*/site-packages/torch-*.dist-info"))
    return home


def submit(autograder: Path, name: str | None = "02_masks.ipynb", cells: dict[str, str] = RIGHT) -> dict:
    """Hand in, run the autograder as Gradescope does, and read the results."""
    for path in (*(autograder / "submission").iterdir(), *(autograder / "results").iterdir()):
        path.unlink()
    if name:
        write(autograder / "submission" / name, cells)
    return run_autograder(autograder)


def run_autograder(autograder: Path, launcher: tuple[str, ...] = ()) -> dict:
    ran = subprocess.run(
        [*launcher, autograder / "run_autograder"],
        cwd=autograder,
        capture_output=True,
        text=True,
        timeout=300,
        env={"AUTOGRADER": str(autograder), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((autograder / "results" / "results.json").read_text())


DOCUMENTED = {"score", "output", "output_format", "visibility", "extra_data"}
OF_ALL = DOCUMENTED | {
    "execution_time",
    "stdout_visibility",
    "test_output_format",
    "test_name_format",
    "tests",
}
OF_ONE = DOCUMENTED | {"max_score", "status", "name", "name_format", "number", "tags"}
"""Fields of results.json and of one of its tests: Gradescope, "Autograder Specifications", Output format."""


def test_autograder_gives_a_right_sheet_all_points_in_the_form_of_gradescope(autograder):
    results = submit(autograder)
    assert results["score"] == sum(one["max_score"] for one in results["tests"])
    assert len(results["tests"]) == 6
    assert all(one["score"] == one["max_score"] > 0 for one in results["tests"])
    assert {type(one["name"]) for one in results["tests"]} == {str}
    assert set(results) <= OF_ALL
    assert all(set(one) <= OF_ONE for one in results["tests"])


def test_autograder_gives_the_points_of_what_is_right_and_says_what_is_not(autograder):
    cells = {
        **RIGHT,
        "masks.causal": "def causal(n_q, n_kv, q_offset=0):\n    return torch.ones(n_q, n_kv) > 0",
    }
    results = submit(autograder, "anything.ipynb", cells)
    scores = {one["name"].partition(":")[0]: one["score"] for one in results["tests"]}
    assert (scores["masks.causal"], scores["masks.documents"] > 0) == (0, True)
    assert results["score"] == sum(scores.values())


def test_autograder_without_a_notebook_says_what_to_hand_in(autograder):
    assert submit(autograder, None) == {
        "score": 0,
        "output": "Hand in one notebook, 02_masks.ipynb; this submission holds 0.",
    }


def test_autograder_takes_the_notebook_named_like_the_sheet_among_several(autograder):
    for path in (autograder / "submission").iterdir():
        path.unlink()
    write(autograder / "submission" / "notes.ipynb", {"scratch": "1"})
    write(autograder / "submission" / "02_masks.ipynb", {"masks.causal": RIGHT["masks.causal"]})
    assert run_autograder(autograder)["score"] > 0


def test_broken_notebook_gets_no_points_and_a_reason(autograder):
    submit(autograder, None)
    (autograder / "submission" / "02_masks.ipynb").write_text("{")
    results = run_autograder(autograder)
    assert (results["score"], len(results["output"]) > 20) == (0, True)


def test_link_to_another_file_is_not_taken_for_a_submission(autograder):
    submit(autograder, None)
    (autograder / "submission" / "02_masks.ipynb").symlink_to(autograder / "source" / "sheet.ipynb")
    assert "holds 0" in run_autograder(autograder)["output"]


MEMORY = """
import subprocess, sys, threading, time
from pathlib import Path
most, done = 0, threading.Event()

def below(pid):
    found = [pid]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                pass
    return found

def share(pid):
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10

def watch(pid):
    global most
    while not done.wait(0.05):
        most = max(most, sum(map(share, below(pid))))

run = subprocess.Popen(sys.argv[2:])
threading.Thread(target=watch, args=[run.pid], daemon=True).start()
run.wait()
done.set()
Path(sys.argv[1]).write_text(str(most))
sys.exit(run.returncode)
"""


HUNGRY = """
def causal(n_q, n_kv, q_offset=0):
    held = []
    for _ in range(100_000):
        held.append(torch.ones(1 << 20))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc/PID/smaps_rollup")
@pytest.mark.parametrize("causal", [RIGHT["masks.causal"], HUNGRY], ids=["right", "hungry"])
def test_autograder_stays_below_the_memory_of_the_smallest_container(autograder, tmp_path, causal):
    """Proportional shares of all its processes, so that shared pages of PyTorch count once."""
    submit(autograder, None)
    write(autograder / "submission" / "02_masks.ipynb", {**RIGHT, "masks.causal": causal})
    watcher = (sys.executable, "-c", MEMORY, str(tmp_path / "most"))
    results = run_autograder(autograder, watcher)
    assert len(results["tests"]) == 6
    assert results["score"] >= 60
    most = int((tmp_path / "most").read_text())
    print(f"most: {most / 1e6:.0f} MB")
    assert 100e6 < most < 768e6


@pytest.mark.parametrize("sheet", sorted((ROOT / "solutions").glob("*.ipynb")), ids=lambda path: path.stem)
def test_solutions_pass_with_the_memory_that_the_autograder_allows(sheet):
    with Workers(submitted.LIMITS) as workers:
        assert grade_sheet(sheet, 1, workers=workers).all_passed


def test_zip_holds_the_two_scripts_at_its_root_and_no_solution(autograder):
    with zipfile.ZipFile(autograder.parent / "a.zip") as archive:
        names = archive.namelist()
        assert names[:2] == ["setup.sh", "run_autograder"]
        assert all(archive.getinfo(name).external_attr >> 16 & 0o111 for name in names[:2])
        assert archive.read("sheet.ipynb") == (ROOT / "exercises" / "02_masks.ipynb").read_bytes()
    assert not any("solutions" in name or "__pycache__" in name for name in names)


def test_index_for_pytorch_stands_in_setup(tmp_path):
    address = "https://index.example/cpu"
    words = ["classroom", "gradescope", "--sheet", "02_masks", "--out", str(tmp_path / "a.zip")]
    assert main([*words, "--torch-index", address]) == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert f"{{PIP_EXTRA_INDEX_URL-{address}}}" in archive.read("setup.sh").decode()


@pytest.mark.parametrize(
    "address", ["http://x.example", "https://x.example/$(reboot)", "https://x.example\n"]
)
def test_index_that_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="--torch-index must be an address"):
        course.package_index(address)


def test_unknown_sheet_is_one_line_that_names_the_known(tmp_path, capsys):
    assert main(["classroom", "github", "--sheet", "99_none", "--out", str(tmp_path / "x")]) == 2
    assert "01_scaled_dot_product, 02_masks" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.fixture
def repository(tmp_path):
    """The template repository of a sheet, with right answers."""
    folder = tmp_path / "repository"
    assert main(["classroom", "github", "--sheet", "02_masks.ipynb", "--out", str(folder)]) == 0
    assert (folder / "02_masks.ipynb").read_bytes() == (ROOT / "exercises" / "02_masks.ipynb").read_bytes()
    write(folder / "02_masks.ipynb", RIGHT)
    return folder


def run_like_actions(repository: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a step's command in a shell, where `python` is one that has the requirements installed."""
    tools = script(repository.parent / "bin" / "python", "#!/bin/sh", f'exec "{sys.executable}" "$@"').parent
    env = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "GITHUB_STEP_SUMMARY": str(repository.parent / "summary.md"),
    }
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=repository, env=env, capture_output=True, text=True, timeout=300
    )


def test_rules_for_ai_helpers_travel_with_the_sheet(repository):
    for name in ("AGENTS.md", "CLAUDE.md"):
        assert (repository / name).read_bytes() == (ROOT / "exercises" / name).read_bytes()


def test_what_python_and_jupyter_leave_behind_is_not_handed_in(repository):
    left = (".github/course/tsparse/__pycache__/flex.pyc", ".ipynb_checkpoints/02_masks-checkpoint.ipynb")
    subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
    ran = subprocess.run(["git", "check-ignore", *left], cwd=repository, capture_output=True, text=True)
    assert ran.stdout.splitlines() == list(left)


def test_workflow_has_the_names_that_github_classroom_looks_for(repository):
    workflow = yaml.safe_load((repository / ".github/workflows/classroom.yml").read_text())
    assert workflow["name"] == "Autograding Tests"
    assert list(workflow["jobs"]) == ["run-autograding-tests"]
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["run-autograding-tests"]["steps"]
    for word in steps[2]["run"].split():
        assert not word.startswith(".github") or (repository / word).is_file()


def test_last_step_of_the_workflow_grades_and_reports_the_points(repository):
    workflow = yaml.safe_load((repository / ".github/workflows/classroom.yml").read_text())
    ran = run_like_actions(repository, workflow["jobs"]["run-autograding-tests"]["steps"][-1]["run"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    notices = [line for line in ran.stdout.splitlines() if line.startswith("::notice")]
    assert notices[0].startswith("::notice title=Autograding complete::Points ")
    totals = json.loads(notices[1].removeprefix("::notice title=Autograding report::"))
    assert totals["totalPoints"] == totals["maxPoints"] > 0
    assert "| masks.causal | PASS |" in (repository.parent / "summary.md").read_text()


def test_every_test_of_the_autograding_file_ends_as_its_exercise_does(repository):
    tests = json.loads((repository / ".github/classroom/autograding.json").read_text())["tests"]
    assert [one["name"] for one in tests] == list(RIGHT)
    write(repository / "02_masks.ipynb", {"masks.causal": RIGHT["masks.causal"]})
    ends = [run_like_actions(repository, one["run"]).returncode for one in tests[:2]]
    assert ends == [0, 1]


def test_answer_cannot_speak_to_the_runner_of_actions(repository):
    forged = "::notice title=Autograding report::" + json.dumps({"totalPoints": 99, "maxPoints": 99})
    cell = f"def causal(n_q, n_kv, q_offset=0):\n    raise ValueError({forged!r})"
    write(repository / "02_masks.ipynb", {"masks.causal": cell})
    ran = run_like_actions(repository, "python .github/classroom/grade.py 02_masks.ipynb")
    lines = ran.stdout.splitlines()
    [start] = [place for place, line in enumerate(lines) if line.startswith("::stop-commands::")]
    token = lines[start].rpartition("::")[2]
    stop = lines.index(f"::{token}::")
    commands = lines[:start] + lines[stop + 1 :]
    assert "99" in "".join(lines[start:stop])
    assert not any("99" in line for line in commands)
    assert (ran.returncode, len(token)) == (1, 32)


def test_sheet_that_cannot_be_read_fails_the_run(repository):
    (repository / "02_masks.ipynb").write_text("{")
    ran = run_like_actions(repository, "python .github/classroom/grade.py 02_masks.ipynb")
    assert (ran.returncode, "::error::" in ran.stdout) == (1, True)


def test_link_of_jupyterhub_pulls_the_repository_and_opens_the_sheet(capsys):
    words = ["--repository", "https://git.example/teacher/course.git", "--hub", "https://hub.example/base/"]
    assert main(["classroom", "jupyterhub", *words]) == 0
    said = capsys.readouterr()
    assert '"git+https://git.example/teacher/course.git@main"' in said.err
    lines = said.out.splitlines()
    sheets = sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))
    assert [line.split()[0] for line in lines] == sheets
    link = urlsplit(lines[1].split()[1])
    assert (link.netloc, link.path) == ("hub.example", "/base/hub/user-redirect/git-pull")
    assert parse_qs(link.query) == {
        "repo": ["https://git.example/teacher/course.git"],
        "branch": ["main"],
        "targetPath": ["course"],  # without it nbgitpuller 1.3 clones into "course.git"
        "urlpath": ["lab/tree/course/exercises/02_masks.ipynb"],
    }


def test_link_without_a_hub_begins_after_its_address():
    found = jupyterhub.links(ROOT, "https://git.example/course", "", "term")
    assert all(link.startswith("/hub/user-redirect/git-pull?repo=") for link in found.values())
    assert all("branch=term" in link for link in found.values())


@pytest.mark.parametrize(("repository", "hub"), [("", ""), ("course", ""), ("https://git.example", ""),
                                                 ("https://git.example/c", "hub.example")])  # fmt: skip
def test_link_needs_addresses(repository, hub):
    with pytest.raises(ValueError, match=r"--(repository|hub)"):
        jupyterhub.links(ROOT, repository, hub, "main")
