"""The house is in order: what lies where, how long a lesson takes, and that the README tells the truth.

A lesson's first cell holds its card, with one line of this form (whole minutes; the second number is the sum
of the minutes of its exercises):

    Minutes: 25 reading, 58 exercises
"""

import io
import re
from itertools import chain
from pathlib import Path

import matplotlib.image
import nbformat
import numpy as np
import pytest

from tsparse import Causal, Global, SlidingWindow, show
from tsparse.grade.exercises import all_exercises, lesson_of

ROOT = Path(__file__).parents[1]
TOP = {"README.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml"}
TOP |= {"notebooks", "tsparse", "exercises", "solutions", "tests"}
BUILT = {"build", "dist", "tsparse.egg-info"}
LESSON_FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHEETS = sorted((ROOT / "solutions").glob("*.ipynb"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
STORED_TEXT = sorted(
    path
    for pattern in ("*.md", "*.json", "*.ipynb", "*.toml", "*.txt")
    for path in chain(ROOT.glob(pattern), *(ROOT.glob(f"{folder}/**/{pattern}") for folder in TOP))
    if ".ipynb_checkpoints" not in path.parts
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|Users|work|mnt|opt|var|private)/[\w.]+")
PICTURE_BYTES = re.compile(r"base64,[A-Za-z0-9+/=]+")
CARD = re.compile(r"^Minutes: (\d+) reading, (\d+) exercises$", re.MULTILINE)

lesson = pytest.mark.parametrize("path", LESSON_FILES, ids=lambda path: path.stem)


def card(path: Path) -> tuple[int, int]:
    """The minutes that a lesson states: reading, exercises."""
    found = CARD.findall(nbformat.read(path, 4).cells[0].source)
    assert len(found) == 1, (
        f"{path.name}: the first cell needs one line like `Minutes: 25 reading, 58 exercises`"
    )
    return int(found[0][0]), int(found[0][1])


def reading_minutes(path: Path) -> float:
    """How long a lesson takes to read.

    Adults read non-fiction in silence at about 238 words a minute (Brysbaert 2019, Journal of Memory and
    Language 109); technical prose, often in a second language, is given 200. The other rates are a choice of
    this course until readers have been timed: half a minute for a displayed formula and for a question, six
    seconds for a line of code, twenty for a figure. The setup cell is not read.
    """
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.id != "setup"]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    formulas = re.findall(r"\$\$.*?\$\$", prose, re.DOTALL)
    words = re.findall(r"\S*\w\S*", re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL))
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    questions = [id for cell in code for id in re.findall(r'"\d\d\.[\w.]+"', cell.source)]
    outputs = chain.from_iterable(cell.outputs for cell in code)
    figures = sum(output.get("data", {}).get("text/html", "").count("<img") for output in outputs)
    return len(words) / 200 + (len(formulas) + len(questions)) / 2 + len(lines) / 10 + figures / 3


def test_top_level_holds_only_what_the_design_allows() -> None:
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__"))}
    assert present - BUILT == TOP


@pytest.mark.parametrize("path", STORED_TEXT, ids=lambda path: str(path.relative_to(ROOT)))
def test_stored_text_names_no_path_of_a_machine(path: Path) -> None:
    assert MACHINE_PATH.findall(PICTURE_BYTES.sub("", path.read_text(encoding="utf-8"))) == []


def test_every_file_of_the_package_is_read_in_one_sitting() -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.glob("tsparse/**/*.py")
    }
    assert {path: length for path, length in lengths.items() if length >= 400} == {}


def test_every_lesson_from_01_on_has_its_sheet_and_its_solution() -> None:
    lessons = {path.stem for path in LESSON_FILES if path.stem >= "01"}
    assert {path.stem for path in SHEETS} == lessons
    assert {path.stem for path in (ROOT / "exercises").glob("*.ipynb")} == lessons


def test_every_exercise_stands_on_the_sheet_of_its_lesson_and_nowhere_else() -> None:
    standing = [
        (found, path.stem)
        for path in SHEETS
        for cell in nbformat.read(path, 4).cells
        for found in re.findall(r"\A## `([\w.]+)`", cell.source)
    ]
    meant = [(exercise.id, lesson_of(exercise.id)) for exercise in all_exercises()]
    assert sorted(standing) == sorted(meant)


@lesson
def test_lesson_is_read_in_forty_minutes(path: Path) -> None:
    assert reading_minutes(path) <= 40


@lesson
def test_card_states_the_minutes_of_reading(path: Path) -> None:
    """Within a quarter or four minutes: the rates are no more exact than that."""
    computed = reading_minutes(path)
    assert card(path)[0] == pytest.approx(computed, abs=max(4, computed / 4))


@lesson
def test_card_states_the_minutes_of_the_exercises(path: Path) -> None:
    minutes = [one.minutes for one in all_exercises() if lesson_of(one.id) == path.stem]
    if minutes:
        assert card(path)[1] == sum(minutes)


def test_readme_lists_every_lesson_with_its_minutes() -> None:
    rows = re.findall(
        r"^\| \[.*?\]\(notebooks/(\w+)\.ipynb\) \|.*?\| (\d+) \| (\d+) \|", README, re.MULTILINE
    )
    assert rows == [(path.stem, *map(str, card(path))) for path in LESSON_FILES]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:|#)([^)#]+)", README))
def test_link_of_the_readme_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_picture_of_the_readme_is_what_the_package_draws() -> None:
    pattern = (SlidingWindow(256) | Global(4)) & Causal()
    title = "A window of 256 tokens and four global tokens: only a thin band is computed"
    drawn = show.overview(pattern, pattern.layout(1_048_576), title).png
    stored = matplotlib.image.imread(ROOT / ".github" / "overview.png")
    np.testing.assert_allclose(matplotlib.image.imread(io.BytesIO(drawn)), stored, atol=0.02)
