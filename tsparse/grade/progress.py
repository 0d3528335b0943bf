"""What a reader has done, in one readable JSON file: attempts, points, hints, guesses, when.

The file is `$TSPARSE_PROGRESS` or `~/.tsparse/progress.json`. It is replaced in one step, locked while two
notebooks write, and set aside when it cannot be read; where nothing can be written the memory of this process
serves, and that is said once.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

Data = dict[str, Any]

WAIT = 5.0
"""Seconds to wait for another notebook's lock; a lock older than this was left by a crash."""

NUMBERS = ("attempts", "hints", "points", "of", "guess")
tell_once = cache(print)


def progress() -> Progress:
    """Return what you have done so far; as the last line of a cell it shows as a picture.

    `progress().export(path)` writes it to one file, `progress().restore(path)` adds such a file to it.
    """
    return _progress_at(progress_path())


def progress_path() -> Path:
    """Where progress is kept: `$TSPARSE_PROGRESS`, otherwise `~/.tsparse/progress.json`."""
    named = os.environ.get("TSPARSE_PROGRESS")
    return Path(named) if named else Path("~/.tsparse/progress.json").expanduser()


class Progress:
    """The progress file at one path."""

    def __init__(self, path: Path) -> None:
        """Nothing is read or written yet."""
        self.path = path
        self._memory = empty()

    def read(self) -> Data:
        """Return `{"version": 1, "exercises": {id: ...}, "questions": {id: ...}}`."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return deepcopy(self._memory)
        except OSError as error:
            self._cannot("read", error)
            return deepcopy(self._memory)
        except UnicodeDecodeError:
            text = ""
        data = parsed(text)
        return self._set_aside() if data is None else data

    def record_check(
        self, id: str, points: float, of: float, passed: bool, answer: dict[str, str] | None = None
    ) -> None:
        """Count an attempt at an exercise; points are the best so far, a passed `answer` the last one."""

        def edit(data: Data) -> None:
            entry = data["exercises"].setdefault(id, {"first_seen": now()})
            entry["attempts"] = entry.get("attempts", 0) + 1
            entry["points"] = max(entry.get("points", 0), points)
            entry["of"] = of
            if passed:
                entry.setdefault("passed", now())
                if answer is not None:
                    entry["answer"] = answer

        self._change(edit)

    def record_hint(self, id: str, most: int = 3) -> int:
        """Count a hint and return how many have been asked for, this one included."""
        asked = 0

        def edit(data: Data) -> None:
            nonlocal asked
            entry = data["exercises"].setdefault(id, {"first_seen": now()})
            asked = entry.get("hints", 0) + 1
            entry["hints"] = min(asked, most)

        self._change(edit)
        return asked

    def record_guess(self, id: str, kind: str, guess: int, right: bool) -> None:
        """Keep the first answer to a question; later ones change nothing."""
        entry = {"kind": kind, "guess": guess, "right": right, "answered": now()}
        self._change(lambda data: data["questions"].setdefault(id, entry))

    def export(self, path: str | Path) -> Path:
        """Write all progress to one file, to keep or to take along, and return its path."""
        write(Path(path), self.read())
        return Path(path)

    def restore(self, path: str | Path) -> Progress:
        """Add the progress in an exported file to this one; of two entries the better stays.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file holds no progress.
        """
        given = parsed(Path(path).read_text(encoding="utf-8"))
        if given is None:
            raise ValueError(
                f"{path} holds no progress: it is not a file that progress().export(path) wrote."
            )
        self._change(lambda data: merge(data, given))
        return self

    def __repr__(self) -> str:
        """A table in text."""
        from tsparse.grade.course import progress_text

        return progress_text(self.read())

    def _repr_html_(self) -> str:
        from tsparse.grade.course import progress_html

        return progress_html(self.read())

    def _change(self, edit: Callable[[Data], Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                data = self.read()
                edit(data)
                write(self.path, data)
        except OSError as error:
            self._cannot("write", error)
            edit(self._memory)

    def _cannot(self, verb: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        tell_once(f"Progress is kept only until this notebook closes: cannot {verb} {self.path} ({reason}).")

    def _set_aside(self) -> Data:
        number = 1
        while (aside := self.path.with_name(f"{self.path.stem}.corrupt-{number}.json")).exists():
            number += 1
        try:
            os.replace(self.path, aside)
        except OSError as error:
            self._cannot("move", error)
        else:
            print(f"The progress file could not be read. It was set aside as {aside}; a new one begins.")
        return empty()


@cache
def _progress_at(path: Path) -> Progress:
    return Progress(path)


def empty() -> Data:
    """Progress of somebody who has done nothing."""
    return {"version": 1, "exercises": {}, "questions": {}}


def parsed(text: str) -> Data | None:
    """Return the progress in a file's text, None if it is none."""
    try:
        data = json.loads(text)
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("version") != 1:
        return None
    for part in ("exercises", "questions"):
        entries = data.get(part)
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            return None
        numbers = [entry[key] for entry in entries.values() for key in NUMBERS if key in entry]
        if not all(isinstance(number, (int, float)) for number in numbers):
            return None
    return data


def merge(data: Data, given: Data) -> None:
    """Add `given` to `data`: the larger of two numbers, the earlier of two times, the own of two answers."""
    for id, entry in given["exercises"].items():
        mine = data["exercises"].setdefault(id, dict(entry))
        for key, value in entry.items():
            if key == "answer":
                mine.setdefault(key, value)
                continue
            better = max if key in NUMBERS else min
            mine[key] = better(mine[key], value) if key in mine else value
    for id, entry in given["questions"].items():
        mine = data["questions"].get(id)
        if mine is None or str(entry.get("answered")) < str(mine.get("answered")):
            data["questions"][id] = entry


def write(path: Path, data: Data) -> None:
    """Replace a file in one step: whoever reads it sees the old or the new one, whole."""
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        new.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing `path` meanwhile, by a file beside it that only one can make.

    Raises:
        OSError: Another process holds it for longer than `WAIT`.
    """
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + WAIT + 1
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - lock.stat().st_mtime > WAIT:
                    lock.unlink()
            if time.monotonic() > deadline:
                raise TimeoutError(f"another program holds {lock}") from None
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
