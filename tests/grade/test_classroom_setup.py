"""setup.sh finds a Python that can grade on the systems that Gradescope offers, or builds no image."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.grade.scripts import script
from tsparse.grade.classroom import course

IMPORTS = "import ensurepip, sys, types, venv"


def interpreter(path: Path, level: str, grader: int = 0) -> Path:
    """Stands for a Python of this release level, whose grader ends with this status."""
    version = f"types.SimpleNamespace(releaselevel='{level}')"
    return script(
        path,
        "#!/bin/sh",
        "PATH=/usr/bin:/bin",
        'case "$*" in',
        '    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;',
        f'    *releaselevel*) exec "{sys.executable}" -c "{IMPORTS}; sys.version_info = {version}; $2" ;;',
        f"    *submitted*) exit {grader} ;;",
        "esac",
    )


@pytest.fixture
def ubuntu_22(tmp_path):
    """An empty system that can get Python 3.11 as a preview, and 3.12 once a repository is added."""
    interpreter(tmp_path / "preview", "candidate")
    interpreter(tmp_path / "final", "final")
    script(
        tmp_path / "apt-get",
        "#!/bin/sh",
        "PATH=/usr/bin:/bin",
        'case "$*" in',
        "    *python3.11*) cp preview python3.11 ;;",
        "    *python3.12*) [ -e added ] && cp final python3.12 ;;",
        "    *python3*) exit 1 ;;",
        "esac",
    )
    script(tmp_path / "add-apt-repository", "#!/bin/sh", 'echo "$*" > added')
    (tmp_path / "source").mkdir()
    (tmp_path / "setup.sh").write_text(course.template("setup.sh"))
    return tmp_path


def set_up(system: Path) -> subprocess.CompletedProcess[str]:
    """Run setup.sh where nothing but this system can be found."""
    bash = shutil.which("bash")
    env = {"AUTOGRADER": str(system), "PATH": str(system)}
    return subprocess.run([bash, "setup.sh"], cwd=system, env=env, capture_output=True, text=True, timeout=60)


def test_setup_passes_over_a_preview_of_python(ubuntu_22):
    """PyTorch cannot be imported in the 3.11.0rc1 that Ubuntu 22.04 has."""
    ran = set_up(ubuntu_22)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (ubuntu_22 / "added").read_text() == "-y ppa:deadsnakes/ppa\n"
    assert (ubuntu_22 / "venv" / "bin" / "python").read_bytes() == (ubuntu_22 / "final").read_bytes()


def test_setup_adds_no_repository_where_python_is_there(ubuntu_22):
    (ubuntu_22 / "python3.12").write_bytes((ubuntu_22 / "final").read_bytes())
    (ubuntu_22 / "python3.12").chmod(0o755)
    assert set_up(ubuntu_22).returncode == 0
    assert not (ubuntu_22 / "added").exists()


def test_image_that_cannot_grade_is_not_built(ubuntu_22):
    interpreter(ubuntu_22 / "python3.12", "final", grader=3)
    assert set_up(ubuntu_22).returncode == 3
