"""Runs notebooks as tests: what nbval needs to know about this repository, and what each notebook costs.

Stored notebooks carry no execution counts, and nbval compares only cells that have one: without the hook
below it would reject every cell with outputs and compare none of the others.

`addopts` in pyproject.toml loads this file.
"""

import os
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell


def pytest_configure(config: pytest.Config) -> None:
    """Name the file of what is not compared, and keep the reader's own progress out of every test."""
    config.option.nbval_sanitize_with = str(Path(__file__).with_name("nbval_sanitize.cfg"))
    folder = tempfile.TemporaryDirectory(prefix="tsparse-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["TSPARSE_PROGRESS"] = str(Path(folder.name, "progress.json"))
    os.environ["IPYTHONDIR"] = str(Path(folder.name, "ipython"))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give every code cell a count, so that nbval compares its outputs, present or missing."""
    if isinstance(item, IPyNbCell):
        item.cell.execution_count = item.cell_num + 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start every notebook as a new reader: with no progress."""
    if isinstance(item, IPyNbCell) and item.parent.kernel is None:
        Path(os.environ["TSPARSE_PROGRESS"]).unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seconds that each notebook took, slowest first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            path = getattr(report, "nodeid", "").partition("::")[0]
            if path.endswith(".ipynb"):
                seconds[path] += getattr(report, "duration", 0.0)
    if seconds:
        terminalreporter.section("seconds per notebook")
        for path in sorted(seconds, key=seconds.__getitem__, reverse=True):
            terminalreporter.write_line(f"{seconds[path]:6.1f}s {path}")
