"""What a notebook needs from the machine: settings at its top, and a table of what runs here.

All logic of the setup cell is here, so that its text can stay the same in every notebook.
"""

from __future__ import annotations

import argparse
import html
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib
import torch
from cycler import cycler
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tsparse.kernels.interpret import canary

_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]
_LINES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1))]


def prepare_notebook() -> None:
    """Settings that every notebook shares; prints only what is too old here, and the way out.

    Curves differ in colour (Okabe and Ito 2008, told apart by colour-blind readers) and in line style (told
    apart in grey). Random numbers start at seed 0, so that a notebook says the same every time. May be called
    again.
    """
    matplotlib.rcParams.update(
        {
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=_COLOURS) + cycler(linestyle=_LINES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.dpi": 100,
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "grid.alpha": 0.3,
        }
    )
    torch.manual_seed(0)
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
    for advice in _unmet_requirements().values():
        print(advice)


def _unmet_requirements() -> dict[str, str]:
    """What to do, for Python and each package that is missing or of a version that does not fit."""
    try:
        about = importlib.metadata.metadata("tsparse")
    except importlib.metadata.PackageNotFoundError:
        return {"tsparse": "tsparse is imported from a folder: run `pip install -e .` there and restart."}
    unmet = {}
    if not SpecifierSet(about["Requires-Python"]).contains(platform.python_version(), prereleases=True):
        unmet["Python"] = f"The course needs Python {about['Requires-Python']}; install it and start again."
    for line in about.get_all("Requires-Dist") or []:
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        version = _version(needed.name)
        if not (version and needed.specifier.contains(version, prereleases=True)):
            wanted = needed.name + ",".join(sorted(map(str, needed.specifier), reverse=True))
            here = f"here is {version}" if version else "it is missing"
            unmet[needed.name] = f'The course needs {wanted}, {here}: pip install "{wanted}", then restart.'
    return unmet


def _version(package: str) -> str | None:
    """The installed version, None if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Finding:
    """One line of the machine's table; `advice` is the way out, empty when all is well."""

    subject: str
    found: str
    advice: str = ""


@dataclass(frozen=True, repr=False)
class Machine:
    """What `doctor` found: `findings` as data, text for the terminal, a table for a notebook."""

    findings: tuple[Finding, ...]

    @property
    def advice(self) -> tuple[str, ...]:
        """The ways out, empty when everything runs here."""
        return tuple(finding.advice for finding in self.findings if finding.advice)

    def __repr__(self) -> str:
        """The table as text."""
        width = max(len(finding.subject) for finding in self.findings)
        return "\n".join(
            f"{finding.subject:{width}}  {finding.found}"
            + (f"\n{'':{width}}  -> {finding.advice}" if finding.advice else "")
            for finding in self.findings
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left">{html.escape(finding.subject)}</th>'
            f'<td style="text-align: left">{html.escape(finding.found)}'
            + (f"<br><strong>What to do:</strong> {html.escape(finding.advice)}" if finding.advice else "")
            + "</td></tr>"
            for finding in self.findings
        )
        return f"<table><caption>This machine</caption>{rows}</table>"


def doctor() -> Machine:
    """Look at this machine: versions, GPU, cores, memory, Triton's interpreter, which lessons run here."""
    return Machine(tuple(_findings()))


def _findings() -> Iterator[Finding]:
    unmet = _unmet_requirements()
    fits = not unmet.keys() - {"triton"}
    yield Finding("Python", f"{platform.python_version()} on {platform.system()}", unmet.pop("Python", ""))
    for package in ("torch", "triton", "numpy", "ipywidgets"):
        yield Finding(package, _version(package) or "missing", unmet.pop(package, ""))
    yield Finding("jupyterlab", _version("jupyterlab") or "missing (not needed on Colab)")
    for package, advice in unmet.items():
        yield Finding(package, _version(package) or "missing", advice)

    gpu = torch.cuda.is_available()
    yield Finding("GPU", torch.cuda.get_device_name() if gpu else "none; every lesson runs without one")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("CPU cores", str(cores or "unknown"))
    yield Finding("memory", _memory())

    found = canary()
    runs = found.status == "ok" or (found.status == "off" and gpu)
    yield Finding("Triton's interpreter", str(found), "" if runs else found.detail)
    yield Finding("lessons without kernels", "run here" if fits else "may fail here: see above")
    how = "in the interpreter: slower, and right" if found.status == "ok" else "compiled for the GPU"
    yield Finding("lessons with Triton kernels", f"run here, {how}" if runs else "do not run here: see above")


def _memory() -> str:
    """The machine's memory in GiB, where the system says it."""
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"


def configure(parser: argparse.ArgumentParser) -> None:
    """`tsparse doctor` has no options."""


def run(args: argparse.Namespace) -> int:
    """`tsparse doctor`: print the table; 0 if every lesson runs here, otherwise 1."""
    machine = doctor()
    print(machine)
    return 1 if machine.advice else 0
