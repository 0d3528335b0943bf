"""Submissions are found where an export put them, under their students' names, and nothing else is read."""

import io
import json
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from tests.grade.filled import FEW, write
from tsparse.grade.cohort import archives
from tsparse.grade.cohort.archives import HandedInError, read
from tsparse.grade.cohort.finding import MOST_SHEETS, handed_in


@pytest.fixture
def sheet(tmp_path) -> str:
    """The text of a sheet."""
    return write(tmp_path / "sheet.txt", FEW).read_text()


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder for submissions."""
    path = tmp_path / "class"
    path.mkdir()
    return path


def lay(folder: Path, *names: str) -> None:
    """Make files with these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


def zipped(members: dict[str, bytes | str]) -> bytes:
    """A zip with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def found(*paths: Path) -> dict[str, str]:
    """Each student with the file that is graded, or the fault."""
    handed = handed_in(paths)
    assert len({one.student for one in handed}) == len(handed)
    return {one.student: one.fault or one.file for one in handed}


LAYOUTS = {
    "moodle": (
        "Ann Example_12_assignsubmission_file_/02_masks.ipynb",
        "Bo Example_13_assignsubmission_file_/my own.ipynb",
        {"Ann Example", "Bo Example"},
    ),
    "moodle, one name for two": (
        "Ann Example_12_assignsubmission_file_/02_masks.ipynb",
        "Ann Example_13_assignsubmission_file_/02_masks.ipynb",
        {"Ann Example (12)", "Ann Example (13)"},
    ),
    "moodle, flat": (
        "Ann Example_12_assignsubmission_file_02_masks.ipynb",
        "Bo Example_13_assignsubmission_file_02_masks.ipynb",
        {"Ann Example", "Bo Example"},
    ),
    "canvas": (
        "exampleann_LATE_12_34_02_masks.ipynb",
        "examplebo_13_35_02_masks-1.ipynb",
        {"exampleann", "examplebo"},
    ),
    "nbgrader": ("ann/02_masks/02_masks.ipynb", "bo/02_masks/02_masks.ipynb", {"ann", "bo"}),
    "repositories": (
        "masks/masks-ann/exercises/02_masks.ipynb",
        "masks/masks-bo/exercises/02_masks.ipynb",
        {"masks-ann", "masks-bo"},
    ),
    "by hand": ("ann.ipynb", "bo/02_masks.ipynb", {"ann", "bo"}),
}


@pytest.mark.parametrize(("first", "second", "students"), LAYOUTS.values(), ids=LAYOUTS)
def test_student_is_named_as_the_export_names_them_in_folders_and_zips(folder, first, second, students):
    lay(folder, first, second)
    assert found(folder).keys() == students
    packed = folder.parent / "export.zip"
    packed.write_bytes(zipped({first: "{}", second: "{}"}))
    assert found(packed).keys() == students


@pytest.mark.parametrize(
    ("file", "student"),
    [("ann.ipynb", "ann"), ("ann/02_masks.ipynb", "ann"), ("x/ann/02_masks/02_masks.ipynb", "ann")],
)
def test_single_submission_is_named_by_what_is_no_lesson(folder, file, student):
    lay(folder, file)
    assert found(folder).keys() == {student}


def test_folders_zips_and_patterns_may_be_mixed(folder):
    lay(folder, "ann/02_masks.ipynb", "cy.ipynb")
    (folder / "bo.zip").write_bytes(zipped({"02_masks.ipynb": "{}"}))
    assert found(folder / "ann", folder / "bo.zip", folder / "c*.ipynb").keys() == {"ann", "bo", "cy"}
    assert found(folder / "*").keys() == {"ann", "bo", "cy"}


def test_zip_of_a_student_inside_of_the_zip_of_the_class_is_read(folder, sheet):
    inner = zipped({"work/02_masks.ipynb": sheet, "work/notes.txt": "x"})
    (folder / "export.zip").write_bytes(zipped({"ann/all.zip": inner, "bo/02_masks.ipynb": sheet}))
    handed = handed_in([folder / "export.zip"])
    assert [one.student for one in handed] == ["ann", "bo"]
    assert all(json.loads(read(one.way)) == json.loads(sheet) for one in handed)


def test_copies_of_the_course_and_hidden_folders_are_not_graded(folder):
    lay(
        folder, "ann/exercises/02_masks.ipynb", "ann/solutions/02_masks.ipynb", "ann/notebooks/02_masks.ipynb"
    )
    lay(folder, "ann/exercises/.ipynb_checkpoints/02_masks.ipynb", "__MACOSX/._x.ipynb", "bo/02_masks.ipynb")
    assert found(folder) == {"ann": "ann/exercises/02_masks.ipynb", "bo": "bo/02_masks.ipynb"}


def test_student_without_a_notebook_is_told_so(folder):
    lay(folder, "ann/02_masks.ipynb", "bo/answers.pdf", "grades.csv")
    assert found(folder)["bo"] == "no notebook (.ipynb) was handed in, only answers.pdf"
    assert found(folder).keys() == {"ann", "bo"}


def test_student_with_a_flood_of_notebooks_is_not_graded(folder):
    lay(folder, "ann/02_masks.ipynb", *(f"bo/{number}.ipynb" for number in range(MOST_SHEETS + 1)))
    assert "21 notebooks were handed in" in found(folder)["bo"]


def test_student_cannot_hand_in_under_another_name(folder):
    lay(folder, "ann/02_masks.ipynb", "eve/ann_1_assignsubmission_file_/02_masks.ipynb")
    assert found(folder).keys() == {"ann", "eve"}


def test_links_and_pipes_are_not_followed(folder, tmp_path):
    lay(tmp_path, "secret.ipynb", "elsewhere/02_masks.ipynb")
    lay(folder, "ann/02_masks.ipynb", "bo/x.txt", "cy/x.txt", "di/x.txt")
    (folder / "bo" / "02_masks.ipynb").symlink_to(tmp_path / "secret.ipynb")
    (folder / "cy" / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "di" / "02_masks.ipynb")
    (folder / "el").symlink_to(tmp_path / "elsewhere")
    handed = {one.student: one for one in handed_in([folder])}
    assert handed["bo"].fault == "02_masks.ipynb is a link, and links are not followed"
    assert handed["el"].fault == "el is a link, and links are not followed"
    assert "no notebook" in handed["cy"].fault
    with pytest.raises(HandedInError, match="no plain file"):
        read(handed["di"].way)
    assert "is a link" in found(folder / "bo" / "*.ipynb")["02_masks"]


def test_link_that_appears_after_the_search_is_not_followed(folder, tmp_path):
    lay(tmp_path, "secret.ipynb")
    lay(folder, "ann.ipynb")
    (one,) = handed_in([folder])
    (folder / "ann.ipynb").unlink()
    (folder / "ann.ipynb").symlink_to(tmp_path / "secret.ipynb")
    with pytest.raises(HandedInError, match="is a link"):
        read(one.way)


@pytest.mark.parametrize(
    "name", ["../../evil.ipynb", "/etc/evil.ipynb", "a\\..\\..\\evil.ipynb", "C:/evil.ipynb"]
)
def test_zip_that_reaches_outside_of_itself_costs_its_student_only(folder, sheet, name):
    inner = zipped({name: sheet})
    (folder / "export.zip").write_bytes(zipped({"eve/all.zip": inner, "bo/02_masks.ipynb": sheet}))
    faults = found(folder / "export.zip")
    assert "names a file outside of itself" in faults["eve"]
    assert faults["bo"] == "export.zip/bo/02_masks.ipynb"


def test_zip_bomb_costs_its_student_only(folder, sheet):
    bomb = zipped({"02_masks.ipynb": bytes(40 << 20)})
    assert len(bomb) < 1 << 17
    (folder / "export.zip").write_bytes(zipped({"eve/all.zip": bomb, "bo/02_masks.ipynb": sheet}))
    faults = found(folder / "export.zip")
    assert faults["eve"] == "02_masks.ipynb unpacks to more than 32 MiB"
    assert faults["bo"] == "export.zip/bo/02_masks.ipynb"


def test_zip_bomb_that_lies_about_its_size_is_not_read_whole(folder):
    honest = zipped({"02_masks.ipynb": bytes(40 << 20)})
    lying = honest.replace(struct.pack("<I", 40 << 20), struct.pack("<I", 5))
    (folder / "eve.zip").write_bytes(lying)
    (one,) = handed_in([folder])
    with pytest.raises(HandedInError, match="broken zip"):
        read(one.way)


def test_zip_that_lists_too_many_files_is_refused_before_they_are_listed(folder, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_LISTING", 10_000)
    (folder / "eve.zip").write_bytes(zipped({f"{number}.ipynb": "" for number in range(500)}))
    assert "lists too many files" in found(folder)["eve"]


def test_large_zip_that_calls_its_list_short_is_refused(folder, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_LISTING", 10_000)
    honest = zipped({f"{number}.ipynb": "" for number in range(500)})
    end = honest.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", honest, end + 12)
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 500, 500, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    lying = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 100, 0xFFFFFFFF, 0)
    (folder / "eve.zip").write_bytes(honest[:end] + large + locator + lying)
    assert found(folder) == {"eve": found(folder)["eve"]}
    assert "lists too many files" in found(folder)["eve"]


def test_of_many_zips_in_one_some_are_opened(folder, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ZIPS", 3)
    (folder / "ann").mkdir()
    many = {f"{number}.zip": zipped({"02_masks.ipynb": "{}"}) for number in range(50)}
    (folder / "eve.zip").write_bytes(zipped(many))
    handed = handed_in([folder])
    assert len(handed) == 4
    assert "lists too many files" in handed[3].fault


def test_locked_broken_and_linking_zips_are_refused(folder):
    link = zipfile.ZipInfo("02_masks.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(folder / "ann.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    locked = bytearray(zipped({"02_masks.ipynb": "{}"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (folder / "bo.zip").write_bytes(locked)
    (folder / "cy.zip").write_bytes(b"no zip at all")
    (folder / "di.zip").write_bytes(zipped({"a.zip": zipped({"b.zip": zipped({"x.ipynb": "{}"})})}))
    faults = found(folder)
    assert "is a link" in faults["ann"]
    assert "locked with a password" in faults["bo"]
    assert "broken zip" in faults["cy"]
    assert "a zip inside of a zip" in faults["di"]


def test_notebook_of_a_hundred_megabytes_is_refused(folder):
    with (folder / "ann.ipynb").open("wb") as file:
        file.truncate(100 << 20)
    (one,) = handed_in([folder])
    with pytest.raises(HandedInError, match="larger than 32 MiB"):
        read(one.way)


def test_name_of_a_folder_cannot_move_the_cursor(folder):
    lay(folder, "\x1b[2Kann/02_masks.ipynb", "bo/02_masks.ipynb")
    assert not any("\x1b" in one.student + one.file for one in handed_in([folder]))


def test_nothing_to_grade_is_an_error(folder):
    with pytest.raises(ValueError, match="no notebook"):
        handed_in([folder])
    with pytest.raises(ValueError, match="there is no"):
        handed_in([folder / "nowhere"])
