"""The course as a reader meets it: JupyterLab in a real browser, a slider, an exercise solved.

The server runs in this environment, on a copy of the notebooks, with its own settings and progress file.
Needs Chromium from the system's packages; without it the tests are skipped, in CI they fail.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"doNotDisturbMode": True, "fetchNews": "false"},
}
READY = """() => {
    const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
ACTIVATE = """id => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.id === id);
    notebook.activeCell.node.dataset.id = id;
    notebook.activeCell.editor?.focus();
    return notebook.activeCellIndex;
}"""
COMMAND = """name => {
    window.end = undefined;
    window.jupyterapp.commands.execute(name).then(
        value => window.end = {value}, error => window.end = {error: String(error)});
}"""
CONTROL_SLIDER = """
import io
import ipywidgets as widgets
from matplotlib.figure import Figure
figure, file = Figure(), io.BytesIO()
figure.savefig(file, format="png")
widgets.VBox([widgets.IntSlider(3, 0, 9), widgets.Image(value=file.getvalue())])
"""


@pytest.fixture(scope="module")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lab"]:
    """JupyterLab on a copy of the notebooks and two control notebooks, open in a fresh browser."""
    folder = tmp_path_factory.mktemp("lab")
    course = folder / "course"
    for name in ("notebooks", "exercises"):
        shutil.copytree(ROOT / name, course / name)
    store(course / "raises.ipynb", "1 / 0")
    store(course / "still.ipynb", CONTROL_SLIDER)
    overrides = folder / "config" / "labconfig" / "default_setting_overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(json.dumps(SETTINGS))

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex()
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "TSPARSE_PROGRESS": str(folder / "progress.json"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
        "--LabApp.expose_app_in_browser=True",
    ]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=course, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, folder / "server.log")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(60_000)
            yield Lab(page, f"http://127.0.0.1:{port}", token)
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=30)


class Lab:
    """What a reader does in JupyterLab: opens a notebook, runs cells, types, reads."""

    def __init__(self, page: Page, address: str, token: str) -> None:
        self.page, self.address, self.token = page, address, token

    def open(self, path: str) -> None:
        """Open a notebook and wait until its kernel takes orders."""
        self.page.goto(f"{self.address}/doc/tree/{path}?token={self.token}&reset")
        self.page.wait_for_function(READY)

    def run_all(self) -> bool:
        """Run every cell from a page without outputs; False at the first error."""
        self.command("notebook:clear-all-cell-outputs")
        return self.command("notebook:run-all-cells")

    def run(self, cell: str) -> None:
        """Run one cell and wait for its end."""
        self.page.evaluate(ACTIVATE, cell)
        self.command("notebook:run-cell")

    def type_into(self, cell: str, source: str) -> None:
        """Replace what stands in a cell, by keyboard."""
        self.page.evaluate(ACTIVATE, cell)
        self.page.locator(f"[data-id={cell}] .cm-content").focus()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)

    def output(self, cell: str) -> str:
        """The words below a cell."""
        self.page.evaluate(ACTIVATE, cell)
        return self.page.locator(f"[data-id={cell}] .jp-Cell-outputArea").inner_text()

    def errors(self) -> list[str]:
        """What the page shows in red: tracebacks, and whatever went to stderr."""
        return self.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()

    def move_slider(self) -> bool:
        """Take the first slider one step to the right; say whether the picture in its output changed."""
        slider = self.page.locator(".widget-slider .noUi-handle[role=slider]").first
        slider.scroll_into_view_if_needed()
        picture = self.page.locator(".jp-OutputArea-output:has(.widget-slider) img").first
        before, value = picture.screenshot(), slider.get_attribute("aria-valuenow")
        slider.focus()
        self.page.keyboard.press("ArrowRight")
        for _ in range(50):
            if slider.get_attribute("aria-valuenow") != value and picture.screenshot() != before:
                return True
            time.sleep(0.1)
        assert slider.get_attribute("aria-valuenow") != value, "the slider did not move"
        return False

    def command(self, name: str) -> bool:
        """Have JupyterLab carry out a command; `evaluate` alone would wait for it without a limit."""
        self.page.evaluate(COMMAND, name)
        end = self.page.wait_for_function("() => window.end", timeout=120_000).json_value()
        assert "error" not in end, end["error"]
        return end.get("value")


def store(path: Path, source: str) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(source, id="control")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers; fail with its log if it ends or stays silent for a minute."""
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.25)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def answer(sheet: str, cell: str) -> str:
    """The source of a cell of the solved sheet."""
    return next(c.source for c in nbformat.read(ROOT / "solutions" / sheet, 4).cells if c.id == cell)


def test_lesson_runs_and_its_slider_changes_the_picture(lab: Lab) -> None:
    lab.open("notebooks/02_masks.ipynb")
    assert lab.run_all(), lab.errors()
    assert lab.errors() == []
    assert lab.move_slider()


def test_solved_exercise_shows_pass(lab: Lab) -> None:
    lab.open("exercises/02_masks.ipynb")
    assert lab.run_all(), lab.errors()
    assert "NOT RUN" in lab.output("check-masks-causal")
    assert "PASS" not in lab.output("check-masks-causal")

    lab.type_into("answer-masks-causal", answer("02_masks.ipynb", "answer-masks-causal"))
    lab.run("answer-masks-causal")
    lab.run("check-masks-causal")
    assert lab.errors() == []
    assert "PASS" in lab.output("check-masks-causal")


def test_cell_that_raises_stops_the_run(lab: Lab) -> None:
    lab.open("raises.ipynb")
    assert not lab.run_all()
    assert "ZeroDivisionError" in lab.errors()[0]


def test_slider_that_draws_nothing_leaves_the_picture(lab: Lab) -> None:
    lab.open("still.ipynb")
    assert lab.run_all(), lab.errors()
    assert not lab.move_slider()
