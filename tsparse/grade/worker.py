"""The grader's side of the process in which answers run: starting it, asking it, ending it.

Everything here fails closed: an answer that stays silent, ends its process or sends anything but a reply
gives an `Outcome` that says so, and from then on the worker is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

from tsparse.grade import protocol
from tsparse.grade.launches import Launch, read_launched
from tsparse.grade.running import Outcome, Raised, Status

STARTING = 120.0
"""Seconds that Python and torch may take to be imported on a slow machine."""

MOST_TEXT = 4000
"""Characters that are kept of any text from an answer."""

KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH")
"""What answers see of the grader's environment."""

GIVEN = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TRITON_INTERPRET": "1",
}
"""No GPU, where memory could not be limited, and one thread, as several sheets may be graded at once. Kernels
run in the interpreter."""


@dataclass(frozen=True)
class Limits:
    """What an answer may use: seconds for a cell and for a call, seconds for a whole exercise, and bytes.

    `memory` counts from what PyTorch itself needs. An answer that its time limit has not ended by itself is
    killed `grace` seconds later.
    """

    seconds: float = 10.0
    exercise_seconds: float = 120.0
    memory: int = 1 << 30
    grace: float = 2.0


Sandbox = Literal["best", "required", "none"]
"""Whether answers get a world of their own: where it can be had, or else nothing runs, or never."""


class NoSandbox(OSError):
    """A sandbox is required and this system allows none."""


class Workers:
    """A process that has torch imported and forks a worker for each exercise.

    A context: on leaving it everything that it started is killed. `limits` hold for each worker.
    """

    def __init__(self, limits: Limits | None = None, sandbox: Sandbox = "best") -> None:
        """Start nothing yet.

        Raises:
            OSError: This system cannot fork.
        """
        if not hasattr(os, "fork"):
            raise OSError("grading a sheet needs Linux or macOS; on Windows use WSL, a container or Colab")
        self.limits = limits or Limits()
        self.sandbox = sandbox
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Workers:
        """Start the process, so that torch is being imported while sheets are read."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill all that is left."""
        self._kill()

    @contextlib.contextmanager
    def worker(self) -> Iterator[Worker]:
        """A fresh worker, gone with everything it started at the end of the block.

        Raises:
            OSError: No process could be started, twice in a row.
            NoSandbox: One is required and cannot be had.
        """
        with scratch_folder() as scratch:
            pid, pipe, output = self._fork()
            worker = Worker(pipe, output, self.limits)
            try:
                worker.begin(scratch, self.sandbox)
                yield worker
            finally:
                pipe.close()
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                self._kill_below()

    def _fork(self) -> tuple[int, socket.socket, int]:
        for _ in range(2):  # a hostile answer may have killed the process that forks
            if self._process is None:
                self._start()
            ours, theirs = socket.socketpair()
            printed, output = os.pipe()
            try:
                self._control.settimeout(STARTING)
                socket.send_fds(self._control, [b"+"], [theirs.fileno(), output])
                answer = self._control.recv(4)
                if len(answer) == 4:
                    return struct.unpack("!I", answer)[0], ours, printed
            except OSError:
                pass
            finally:
                theirs.close()
                os.close(output)
            ours.close()
            os.close(printed)
            why = self._kill()
        raise OSError(f"the process for answers does not start: {why}")

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(Path(__file__).with_name("child.py")), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={name: os.environ[name] for name in KEPT if name in os.environ} | GIVEN,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _kill(self) -> str:
        """End the process and all below it; return the last line that it wrote."""
        if self._process is None:
            return ""
        self._kill_below()
        self._process.kill()
        errors = self._process.communicate()[1].decode(errors="replace").split("\n")
        self._process = None
        self._control.close()
        return next((line for line in reversed(errors) if line), "it gave no reason")

    def _kill_below(self) -> None:
        assert self._process is not None
        for _ in range(100):
            below = descendants(self._process.pid)
            if not below:
                return
            for pid in below:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)


class Worker:
    """One process with the cells of one exercise.

    `facts` says in words what it is confined by. Once it stays silent or is gone, every call gives the
    outcome `failed` that said so first.
    """

    def __init__(self, pipe: socket.socket, output: int, limits: Limits) -> None:
        """Made by `Workers.worker`."""
        self.facts: dict[str, str] = {}
        self.failed: Outcome | None = None
        self._pipe, self._limits = pipe, limits
        self._until = time.monotonic() + limits.exercise_seconds
        self._printed = bytearray()
        self._collector = threading.Thread(target=self._collect, args=[output], daemon=True)
        self._collector.start()

    @property
    def printed(self) -> str:
        """The beginning of what the process has printed, once it has ended."""
        self._collector.join(1.0)
        return clean(self._printed.decode(errors="replace"), lines=True)

    def begin(self, scratch: str, sandbox: Sandbox) -> None:
        """Let the process confine itself to a folder and its limits; nothing of a sheet has run yet.

        Raises:
            NoSandbox: One is required and cannot be had.
        """
        limits = self._limits
        wanted = {"scratch": scratch, "seconds": limits.seconds, "memory": limits.memory}
        wanted["sandbox"] = sandbox != "none"
        try:
            protocol.send(self._pipe, wanted, until=self._until)
            self.facts = protocol.receive(self._pipe, self._until)[0]["facts"]
        except (protocol.Closed, protocol.Late):
            self.failed = Outcome("stopped", detail="The process for this answer could not be started.")
        self.require(sandbox)

    def require(self, sandbox: Sandbox) -> None:
        """Refuse to go on where a sandbox is required and is not in force."""
        in_force = self.facts.get("protection", "the process for answers did not start")
        if sandbox == "required" and not in_force.startswith("unshare"):
            raise NoSandbox(
                f"a sandbox is required, and there is none ({in_force}); grade in a virtual machine "
                "that allows namespaces, or without --require-sandbox"
            )

    def run_cell(self, cell: str, source: str, setup: bool = False) -> Outcome:
        """Execute a cell; `cell` is its id."""
        return self._exchange({"cell": cell, "source": source, "setup": setup}, None)

    def call(self, name: str, args: tuple[Any, ...] | Launch) -> Outcome:
        """Call the function `name` that the cells have defined, or launch the kernel of that name."""
        if not isinstance(args, Launch):
            return self._exchange({"call": name}, args)
        asked = {key: value for key, value in vars(args).items() if key != "arguments"}
        return self._exchange({"call": name, "launch": asked}, args.arguments)

    def _exchange(self, request: dict[str, Any], value: Any) -> Outcome:
        if self.failed is not None:
            return self.failed
        limits = self._limits
        until = min(time.monotonic() + limits.seconds + limits.grace, self._until)
        callables: list[Callable[..., Any]] = []
        try:
            protocol.send(self._pipe, request, value, until, callables)
            header, value = protocol.receive(self._pipe, until, largest=protocol.LARGEST_REPLY)
            while "ask" in header:
                self._compute(header["ask"], value, callables, until)
                header, value = protocol.receive(self._pipe, until, largest=protocol.LARGEST_REPLY)
            outcome = read_outcome(header, value)
        except protocol.Late:
            outcome = Outcome("timed out", detail=f"{limits.seconds:g}")
            if time.monotonic() >= self._until:
                outcome = Outcome(
                    "stopped", detail=f"All calls together took longer than {limits.exercise_seconds:g} s."
                )
        except protocol.Closed:
            outcome = Outcome("stopped", detail=ENDED)
        except protocol.Violation as violation:
            outcome = Outcome("stopped", detail=f"What came back is no result of a function: {violation}.")
        if outcome.status in ("timed out", "stopped"):
            self.failed = outcome
        return outcome

    def _compute(self, number: Any, value: Any, callables: list[Callable[..., Any]], until: float) -> None:
        """Call a function that the exercise gave, for an answer that asks for it."""
        match number, value:
            case int(), (tuple() as args, dict() as kwargs) if number in range(len(callables)):
                pass
            case _:
                raise protocol.Violation("it asks for a function that was not given")
        try:
            result = callables[number](*args, **kwargs)
        except Exception as error:  # the answer's own fault, and for it to see
            protocol.send(self._pipe, {"error": f"{type(error).__name__}: {error}"[:500]}, until=until)
        else:
            protocol.send(self._pipe, {}, result, until, callables)

    def _collect(self, output: int) -> None:
        with open(output, "rb", buffering=0) as stream:
            while piece := stream.read(1 << 16):
                self._printed += piece[: MOST_TEXT - len(self._printed)]


def read_outcome(header: dict[str, Any], value: Any) -> Outcome:
    """Build an outcome from a reply that may be forged.

    Raises:
        Violation: It is none.
    """
    try:
        raised = header["raised"]
        status = header["status"]
        if status not in REPLIES or (status == "raised") != (raised is not None):
            raise ValueError(status)
        return Outcome(
            status=status,
            value=value,
            detail=clean(header["detail"]),
            raised=None if raised is None else _read_raised(**raised),
            changed=tuple(clean(name) for name in header["changed"]),
            calls={clean(name): clean(written) for name, written in header["calls"].items()},
            largest=_count(header["largest"]),
            printed=clean(header["printed"], lines=True),
            launched=None if header.get("launched") is None else read_launched(header["launched"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise protocol.Violation("it has not the form of a reply") from None


REPLIES = frozenset(get_args(Status)) - {"stopped"}

ENDED = "The process ended while your cell ran: by `os._exit`, by a crash, or because no memory was left."


def _read_raised(
    type: str, message: str, line: int | None, source: str, shapes: dict[str, Any], inside: str
) -> Raised:
    known = {clean(name): tuple(map(_count, shape)) for name, shape in shapes.items()}
    place = None if line is None else _count(line)
    return Raised(clean(type), clean(message), place, clean(source), known, clean(inside))


def _count(number: Any) -> int:
    number = int(number)
    if not 0 <= number < 1 << 62:
        raise ValueError(number)
    return number


def clean(text: str, lines: bool = False) -> str:
    """Text from an answer without what could move a terminal's cursor, on one line unless `lines`.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(type(text))
    return "".join(c if c.isprintable() or (lines and c == "\n") else " " for c in text[:MOST_TEXT])


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """An empty folder, gone at the end with all that a hostile answer put into it."""
    folder = tempfile.mkdtemp(prefix="answers-")
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            remove(folder)


def remove(folder: str) -> None:
    """Remove a folder, however deep it is, whatever is closed and wherever links in it lead.

    Every folder is moved to one place before it is emptied, so that no path becomes long, and none is walked
    through. The standard library's own way fails in depth and, up to Python 3.11.7 and 3.12.1, changed the
    rights of what a link points to (CVE-2023-6597).
    """
    place = tempfile.mkdtemp(prefix="answers-", dir=os.path.dirname(folder))
    number = itertools.count()

    def moved(path: str) -> str:
        os.chmod(path, 0o700)
        new = os.path.join(place, str(next(number)))
        os.rename(path, new)
        return new

    folders = [moved(folder)]
    while folders:
        inside = folders.pop()
        for entry in list(os.scandir(inside)):
            if entry.is_dir(follow_symlinks=False):
                folders.append(moved(entry.path))
            else:
                os.unlink(entry.path)
        os.rmdir(inside)
    os.rmdir(place)


def descendants(pid: int) -> list[int]:
    """Living processes below `pid`, as far as the system tells (`/proc`)."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(path.parent.name))
    found = list(children.get(pid, []))
    for one in found:  # grows while it is walked
        found += children.get(one, [])
    return found
