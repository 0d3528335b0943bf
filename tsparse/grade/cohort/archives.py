"""Reading what strangers have packed: files and zip archives, bounded in size, and nothing is ever unpacked.

A zip is read member by member into memory. So a member that calls itself "../../x" could overwrite nothing;
it is refused all the same, as are links, locked members, and what unpacks to more than a sheet may have.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from tsparse.grade.submission import LARGEST_FILE

LARGEST_LISTING = 8 << 20
"""Bytes of a zip's list of members: some 80,000 of them, and each costs memory before anything is read."""

MOST_ZIPS = 1000
"""Zips inside of one: a class has as many students, and to open each costs time before anything is graded."""

_END_OF_ZIP, _END_OF_LARGE_ZIP = b"PK\x05\x06", b"PK\x06\x06"
_TOO_MANY = "the zip lists too many files; unpack it and give the folder"
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, struct.error,
)  # fmt: skip


class HandedInError(ValueError):
    """What was handed in cannot be read; the message says why, for the student."""


def read(way: Sequence[str]) -> bytes:
    """Read the file at the end of `way`: a path, then the names inside of the zips on the way.

    Raises:
        HandedInError: It is larger than a sheet may be, broken, a link, or gone.
    """
    path, *names = way
    try:
        with open_plain(Path(path)) as file:
            if not names:
                return _bounded(file, Path(path).name)
            inside: BinaryIO = file
            for name in names:
                content = _member(inside, name)
                inside = BytesIO(content)
            return content
    except OSError as error:
        raise HandedInError(f"it cannot be opened: {error.strerror or error}") from None


def open_plain(path: Path) -> BinaryIO:
    """Open a file that is no link, no pipe and no device.

    Raises:
        HandedInError: It is one of these.
        OSError: It cannot be opened.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if path.is_symlink():
            raise HandedInError(f"{path.name} is a link, and links are not followed") from None
        raise
    file = os.fdopen(number, "rb")
    if not stat.S_ISREG(os.fstat(number).st_mode):
        file.close()
        raise HandedInError(f"{path.name} is no plain file")
    return file


def members(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """The files in a zip by name, each with the reason why it cannot be read ("" where it can).

    Raises:
        HandedInError: The zip is broken or lists too many members.
    """
    try:
        if _listing_bytes(file) > LARGEST_LISTING:
            raise HandedInError(_TOO_MANY)
        listed = {one.filename: one for one in zipfile.ZipFile(file).infolist() if not one.is_dir()}
    except _BROKEN as error:
        raise HandedInError(f"it is a broken zip: {error}") from None
    zips = 0
    for name, one in listed.items():
        zips += name.lower().endswith(".zip")
        yield name, _refusal(one) if zips <= MOST_ZIPS else _TOO_MANY
        if zips > MOST_ZIPS:
            return


def _refusal(one: zipfile.ZipInfo) -> str:
    """Why a member is not read."""
    parts = one.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        return f"the zip names a file outside of itself ({one.filename[:80]!r})"
    if stat.S_ISLNK(one.external_attr >> 16):
        return f"{parts[-1]} is a link, and links are not followed"
    if one.flag_bits & 1:
        return f"{parts[-1]} is locked with a password"
    if one.file_size > LARGEST_FILE:
        return f"{parts[-1]} unpacks to more than {LARGEST_FILE >> 20} MiB"
    return ""


def _member(file: BinaryIO, name: str) -> bytes:
    try:
        if _listing_bytes(file) > LARGEST_LISTING:
            raise HandedInError(_TOO_MANY)
        with zipfile.ZipFile(file) as archive, archive.open(name) as member:
            if fault := _refusal(archive.getinfo(name)):
                raise HandedInError(fault)
            return _bounded(member, name.rpartition("/")[2])  # type: ignore[arg-type]
    except KeyError:
        raise HandedInError(f"{name} is gone from the zip") from None
    except _BROKEN as error:
        raise HandedInError(f"it is a broken zip: {error}") from None


def _bounded(file: BinaryIO, name: str) -> bytes:
    content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise HandedInError(
            f"{name} is larger than {LARGEST_FILE >> 20} MiB; clear its outputs and save it again"
        )
    return content


def _listing_bytes(file: BinaryIO) -> int:
    """What the records at the end of a zip say about the list of members (APPNOTE.TXT, 4.3.14 and 4.3.16)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))
    record = file.read()
    at = record.rfind(_END_OF_ZIP)
    if at < 0:
        raise zipfile.BadZipFile("it has no end record")
    size = int(struct.unpack_from("<I", record, at + 12)[0])
    large = record.rfind(_END_OF_LARGE_ZIP, 0, at)
    return size if large < 0 else max(size, int(struct.unpack_from("<Q", record, large + 40)[0]))
