"""The settings of notebooks, and what `doctor` says about a machine."""

import importlib.metadata
from email.message import Message

import matplotlib
import pytest
import torch

import tsparse
from tsparse import notebook
from tsparse.cli import main
from tsparse.kernels.interpret import Canary
from tsparse.notebook import doctor, prepare_notebook


@pytest.fixture
def versions(monkeypatch):
    """Installed versions by package; tests change them."""
    about = Message()
    about["Requires-Python"] = ">=3.11,<3.99"
    for line in (
        "torch>=2.11,<2.14",
        'winonly>=1; sys_platform == "elsewhere"',
        'pytest>=8; extra == "test"',
    ):
        about["Requires-Dist"] = line
    installed = {"torch": "2.13.0+cpu", "ipywidgets": "8.1.9", "triton": "3.7.1", "numpy": "2.4.6"}
    monkeypatch.setattr(importlib.metadata, "metadata", lambda package: about)
    monkeypatch.setattr(notebook, "_version", installed.get)
    return installed


def test_preparing_prints_nothing_when_all_is_well_and_may_be_done_twice(versions, capsys):
    tsparse.prepare_notebook()
    prepare_notebook()
    assert capsys.readouterr() == ("", "")


def test_random_numbers_are_the_same_after_preparing():
    prepare_notebook()
    first = torch.rand(3)
    prepare_notebook()
    assert torch.equal(torch.rand(3), first)


def test_curves_differ_in_colour_and_in_line_style():
    prepare_notebook()
    curves = list(matplotlib.rcParams["axes.prop_cycle"])
    assert (
        len({curve["color"] for curve in curves}) == len({str(curve["linestyle"]) for curve in curves}) == 6
    )


@pytest.mark.parametrize("version", ["2.4.0", "2.10.9+cu130", "2.14.0"])
def test_torch_that_does_not_fit_is_named_with_the_way_out(versions, capsys, version):
    versions["torch"] = version
    prepare_notebook()
    said = capsys.readouterr().out.strip()
    assert said.startswith(f"The course needs torch>=2.11,<2.14, here is {version}")
    assert said.endswith('pip install "torch>=2.11,<2.14", then restart.')


def test_missing_package_is_named(versions, capsys):
    del versions["torch"]
    prepare_notebook()
    assert "it is missing: pip install" in capsys.readouterr().out


def test_python_that_is_too_old_is_named(versions, monkeypatch, capsys):
    monkeypatch.setattr("platform.python_version", lambda: "3.10.4")
    prepare_notebook()
    assert capsys.readouterr().out.startswith("The course needs Python >=3.11,<3.99")


def test_package_that_is_imported_without_being_installed_says_so(monkeypatch, capsys):
    def missing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "metadata", missing)
    prepare_notebook()
    assert "pip install -e ." in capsys.readouterr().out


def test_requirements_of_this_installation_are_met(capsys):
    prepare_notebook()
    assert capsys.readouterr().out == ""


def test_doctor_names_everything_that_was_asked_for(versions):
    machine = doctor()
    subjects = [finding.subject for finding in machine.findings]
    assert subjects[:6] == ["Python", "torch", "triton", "numpy", "ipywidgets", "jupyterlab"]
    assert set(subjects) >= {"GPU", "CPU cores", "memory", "Triton's interpreter", "lessons without kernels"}
    for finding in machine.findings:
        assert f"{finding.subject} " in repr(machine)
        assert finding.found in repr(machine)
    assert machine._repr_html_().count("<tr>") == len(machine.findings)


def test_doctor_gives_the_way_out_of_a_package_that_does_not_fit(versions):
    versions["torch"] = "2.4.0"
    machine = doctor()
    assert "-> The course needs torch" in repr(machine)
    assert "What to do:" in machine._repr_html_()
    assert "may fail here" in repr(machine)


@pytest.mark.parametrize(
    ("status", "gpu", "runs"),
    [
        ("ok", False, "run here, in the interpreter"),
        ("off", True, "run here, compiled for the GPU"),
        ("off", False, "do not run here"),
        ("triton missing", True, "do not run here"),
        ("computes nonsense", False, "do not run here"),
    ],
)
def test_doctor_says_whether_kernel_lessons_run_here(versions, monkeypatch, status, gpu, runs):
    monkeypatch.setattr(notebook, "canary", lambda: Canary(status, "the way out"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    machine = doctor()
    assert machine.findings[-1].found.startswith(runs)
    assert machine.advice == (() if runs.startswith("run here") else ("the way out",))


def test_doctor_command_fails_only_if_something_does_not_run(versions, monkeypatch, capsys):
    monkeypatch.setattr(notebook, "canary", lambda: Canary("ok", "agrees"))
    assert main(["doctor"]) == 0
    versions["torch"] = "2.4.0"
    assert main(["doctor"]) == 1
    assert "-> The course needs torch" in capsys.readouterr().out
