"""An exam's page in a real browser: what is typed is saved as the file to grade, and paper has lines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS
from tsparse.grade.exam import marks, pages
from tsparse.grade.exam.questions import as_written, draw

STUDENT = 'Åsa "</script>" Berg'
QUESTIONS = draw("s", STUDENT, 6)


@pytest.fixture
def page(chromium: str, tmp_path: Path) -> Iterator[Page]:
    """The page of a student, opened as a file."""
    file = tmp_path / "exam.html"
    file.write_text(pages.sheet(STUDENT, QUESTIONS, "berg.json"), encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.goto(file.as_uri())
        yield page
        browser.close()


def test_saved_answers_are_graded(page: Page, tmp_path: Path) -> None:
    for place, one in enumerate(QUESTIONS, start=1):
        if place != 4:
            page.get_by_label(f"Answer to question {place}").fill(as_written(one.answer))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the answers as a file").click()
    assert download.value.suggested_filename == "berg.json"
    download.value.save_as(tmp_path / "berg.json")
    graded, refused = marks.mark_all({STUDENT: QUESTIONS}, [tmp_path / "berg.json"])
    assert (graded[0].points, refused) == ((1, 1, 1, 0, 1, 1), [])


def test_paper_has_lines_to_write_on_and_no_button(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.get_by_role("button").is_visible()
    field = page.get_by_label("Answer to question 1")
    borders = field.evaluate(
        "e => [getComputedStyle(e).borderTopWidth, getComputedStyle(e).borderBottomWidth]"
    )
    assert (borders[0], borders[1] != "0px") == ("0px", True)
