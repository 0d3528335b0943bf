"""The stored notebooks of the course are in order: canonical, and sheets are what their masters make."""

from pathlib import Path

import pytest

from tsparse.grade import notebooks, sheets

COURSE = Path(__file__).parents[1]
STORED = sorted(path for folder in ("notebooks", "solutions") for path in (COURSE / folder).glob("*.ipynb"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_notebook_is_canonical_and_without_faults(path):
    setup = notebooks.setup_cell(COURSE)
    notebook = notebooks.read(path)
    assert notebooks.faults(notebook, setup) == []
    assert notebooks.difference(path, notebooks.text(notebooks.canonical(notebook, setup))) == ""


def test_every_sheet_is_what_its_master_makes():
    different = sheets.differing(COURSE)
    assert {path.name: text and notebooks.difference(path, text) for path, text in different.items()} == {}


def test_every_lesson_has_outputs():
    for path in STORED:
        cells = [cell for cell in notebooks.read(path).cells if cell.cell_type == "code"]
        assert any(cell.outputs for cell in cells), f"{path.name}: run `tsparse notebooks --run {path.name}`"
