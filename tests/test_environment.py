"""`make lab` and `make test` make their environment first, and say the way out where they cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("sh", "dirname", "cat", "cksum", "sed", "grep", "tee", "tail", "rm")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="make and sh are for Linux and macOS")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder with what the script reads, and `bin` with no python in it."""
    shutil.copytree(ROOT / ".ci", tmp_path / "course" / ".ci")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / "course")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path / "course"


def environment(course: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing on the PATH but the few tools it needs."""
    return subprocess.run(
        ["sh", ".ci/environment", "lab"],
        cwd=course,
        env={"PATH": str(course.parent / "bin"), **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )


def python(course: Path, name: str, script: str) -> None:
    """Put a stand-in for a python on the PATH."""
    path = course.parent / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def sentence(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    return result.stderr.strip()


def test_no_python_is_said_in_one_sentence(course: Path) -> None:
    said = sentence(environment(course))
    assert said.startswith("No Python 3.11, 3.12 or 3.13 was found")
    assert "PYTHON=" in said


def test_python_of_another_version_does_not_count(course: Path) -> None:
    python(course, "python3", "echo 3.10")
    assert sentence(environment(course)).startswith("No Python 3.11, 3.12 or 3.13 was found")


def test_preview_of_python_does_not_count(course: Path) -> None:
    """PyTorch cannot be imported in the 3.11.0rc1 that Ubuntu 22.04 has."""
    preview = "import collections, sys; V = collections.namedtuple('V', 'major minor releaselevel')"
    preview += "; sys.version_info = V(3, 11, 'candidate')"
    python(course, "python3.11", f'exec "{sys.executable}" -c "{preview}; $2"')
    assert sentence(environment(course)).startswith("No Python 3.11, 3.12 or 3.13 was found")


def test_python_without_venv_module_is_told_how_to_get_it(course: Path) -> None:
    python(course, "python3", 'case "$*" in *ensurepip*) exit 1 ;; *) echo 3.12 ;; esac')
    said = sentence(environment(course))
    assert said.startswith("python3 is Python 3.12 without the venv module")
    assert "python3.12-venv" in said


def test_second_python_is_taken_where_the_first_lacks_venv(course: Path) -> None:
    python(course, "python3", 'case "$*" in *ensurepip*) exit 1 ;; *) echo 3.12 ;; esac')
    python(course, "python3.11", 'case "$*" in *"-m venv"*) exit 1 ;; *) echo 3.11 ;; esac')
    assert "Making the environment .venv with python3.11" in environment(course).stdout


def test_index_that_does_not_answer_is_a_matter_of_the_network(course: Path) -> None:
    settings = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "1",
    }
    result = environment(course, PYTHON=sys.executable, **settings)
    assert sentence(result).startswith("pip cannot reach the package index: check the network")
    assert not list(course.glob(".venv/installed-*"))


def test_installation_that_fails_shows_why_and_leaves_no_stamp(course: Path) -> None:
    result = environment(course, PYTHON=sys.executable, PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert sentence(result).startswith("The installation failed")
    assert "setuptools" in result.stdout
    assert not list(course.glob(".venv/installed-*"))


def test_environment_that_is_there_is_left_as_it_is(course: Path) -> None:
    python(course, "python3", "echo 3.12")
    (course / ".venv").mkdir()
    (course / ".venv" / "bin").symlink_to(course.parent / "bin")
    python(course, "python", 'case "$*" in *pip*) ;; *) echo 3.12 ;; esac')
    inputs = (course / "pyproject.toml").read_bytes() + (course / "constraints.txt").read_bytes()
    stamp = subprocess.run(["cksum"], input=inputs, capture_output=True, check=True).stdout.decode()
    (course / ".venv" / "installed-test").write_text(stamp)
    assert (environment(course).returncode, environment(course).stdout) == (0, "")

    (course / "constraints.txt").write_text("torch==2.14.0\n")
    assert "Installing the course" in environment(course).stdout
