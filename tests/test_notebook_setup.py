"""A notebook that travels alone: its setup cell installs the course, from what it is told and nothing else.

The environment of these tests has every library that this one has, and not the course. A pip that may not
reach an index, and a newer torch within its reach, show that nothing is looked up and nothing is upgraded.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tsparse.grade.notebooks import SETUP_CELL

COURSE = Path(__file__).parents[1]
EXECUTE = """
import json, sys, nbformat
from nbclient import NotebookClient
page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in json.load(sys.stdin)])
NotebookClient(page, timeout=120, kernel_name="python3", allow_errors=True).execute()
print(json.dumps([[output for output in cell.outputs] for cell in page.cells]))
"""
WHERE = "import importlib.metadata as m, tsparse\nprint(tsparse.__file__)\nprint(m.version('torch'))"
CHECK = """
import torch
from tsparse.grade import check

def causal(n_q, n_kv, q_offset=0):
    return torch.arange(n_kv) <= torch.arange(n_q)[:, None] + q_offset

print(check("masks.causal", causal).status)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The course as a wheel, built from a copy so that the checkout stays clean."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(COURSE / name, copy)
    shutil.copytree(COURSE / "tsparse", copy / "tsparse", ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run([*pip, "-w", out, copy], capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture
def python(tmp_path) -> Path:
    """The Python of a new environment that has this one's libraries, without the course."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for installed in {Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))}:
        for entry in installed.iterdir():
            if "tsparse" not in entry.name and entry.suffix != ".pth":
                (libraries / entry.name).symlink_to(entry)
    venv.create(tmp_path / "environment", symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(where, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    Path(site, "libraries.pth").write_text(f"{libraries}\n")
    return python


@pytest.fixture
def newer_torch(tmp_path) -> Path:
    """A folder in which pip would find a newer torch that the course also accepts."""
    folder = tmp_path / "newer"
    folder.mkdir()
    about = "torch-2.13.99.dist-info"
    with zipfile.ZipFile(folder / "torch-2.13.99-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.99\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return folder


def execute(python: Path, folder: Path, cells: list[str], source: str | None, **environment: str) -> list:
    """The outputs of a notebook's cells, run in an empty folder."""
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TSPARSE_SOURCE")}
    env |= {
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "TSPARSE_PROGRESS": str(folder / "progress.json"),
    }
    env |= environment | ({} if source is None else {"TSPARSE_SOURCE": source})
    ran = subprocess.run(
        [python, "-c", EXECUTE],
        input=json.dumps(cells),
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_notebook_in_an_empty_folder_installs_the_wheel_and_keeps_torch(python, wheel, newer_torch, tmp_path):
    before, setup, where, check = execute(
        python,
        tmp_path / "empty",
        ["import importlib.util as u; print(u.find_spec('tsparse'))", SETUP_CELL, WHERE, CHECK],
        str(wheel),
        PIP_FIND_LINKS=str(newer_torch),
    )
    assert before[0]["text"] == "None\n"
    assert setup == []
    place, version = where[0]["text"].split()
    assert place.startswith(str(tmp_path / "environment"))
    assert version == importlib.metadata.version("torch")
    assert "PASS" in check[-1]["text"]


@pytest.mark.parametrize(
    "source", [None, "", "tsparse", "tsparse==0.1.0", "./missing.whl", "http://example.org/t.whl"]
)
def test_anything_but_a_file_or_a_safe_address_is_refused_with_the_way_out(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tsparse", None)
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: pytest.fail(f"ran {command}"))
    monkeypatch.delenv("TSPARSE_SOURCE", raising=False)
    if source is not None:
        monkeypatch.setenv("TSPARSE_SOURCE", source)
    with pytest.raises(ModuleNotFoundError) as refused:
        exec(SETUP_CELL, {})
    assert str(refused.value) == (
        "Set TSPARSE_SOURCE to the course's wheel, its folder or its address (https:// or git+https://); "
        f"it is {source or ''!r}."
    )


@pytest.mark.parametrize("source", ["https://example.org/tsparse.whl", "git+https://example.org/course"])
def test_address_is_given_to_pip_as_it_stands(source, monkeypatch):
    assert installed_by(SETUP_CELL, source, monkeypatch) == source


def test_folder_named_like_the_package_is_installed_as_a_folder_and_not_by_name(tmp_path, monkeypatch):
    (tmp_path / "tsparse").mkdir()
    monkeypatch.chdir(tmp_path)
    assert installed_by(SETUP_CELL, "tsparse", monkeypatch) == str(tmp_path / "tsparse")


def installed_by(cell: str, source: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the setup cell asks pip to install."""
    commands = []
    monkeypatch.setitem(sys.modules, "tsparse", None)
    monkeypatch.setattr(subprocess, "run", lambda command, **options: commands.append(command))
    monkeypatch.setenv("TSPARSE_SOURCE", source)
    with pytest.raises(ModuleNotFoundError):
        exec(cell, {})
    [command] = commands
    assert command[:-1] == [sys.executable, "-m", "pip", "install", "--quiet"]
    return command[-1]
