"""The process in which the answers of a sheet run: `python -I child.py SOCKET`, started by `worker.py`.

It imports torch once, runs no line of any sheet, and forks a worker for each exercise that the grader asks
for. A worker confines itself, runs cells and calls answers as the grader tells it, and sends back what came
out. It holds no expected value, no seed and no verdict, so there is nothing in here worth finding.

`tsparse` is not imported: the few files that are needed are loaded without the package around them, and an
answer that imports the package is refused. That is a rule for learners and no wall; the wall is the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib.abc
import importlib.machinery
import linecache
import os
import resource
import socket
import struct
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

if "tsparse" not in sys.modules:
    for _name, _folder in (("tsparse", Path(__file__).parents[1]), ("tsparse.grade", Path(__file__).parent)):
        _package = types.ModuleType(_name)
        _package.__path__ = [str(_folder)]
        sys.modules[_name] = _package

from tsparse.grade import protocol, running
from tsparse.grade.interrupt import Interrupted, interrupted_after

LARGEST_FILE = 64 << 20
MOST_PROCESSES = 64
FIRST_USER = 61000
"""Workers of a grader that is root get a user number from here on; systems leave these numbers unused."""

READ_EVERYTHING = 2
"""CAP_DAC_READ_SEARCH of linux/capability.h."""

NO_NEW_PRIVILEGES, KEEP_CAPABILITIES, DIE_WITH_PARENT, ADOPT_ORPHANS = 38, 8, 1, 36
"""Options of prctl(2)."""


def main(control: socket.socket) -> None:
    """Fork a worker for each pair of file descriptors that arrives: its pipe, and where its output goes."""
    forget_package()
    _prctl(ADOPT_ORPHANS, 1)  # what a worker leaves behind stays below this process, where it is found
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            return
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        pid = os.fork()
        if pid == 0:
            control.close()
            work(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(struct.pack("!I", pid))


def work(pipe: int, output: int) -> None:
    """Be a worker until the grader has no more to ask."""
    status = 1
    try:
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        Worker(socket.socket(fileno=pipe)).serve()
        status = 0
    except protocol.Closed:
        status = 0
    except BaseException:
        traceback.print_exc()  # the report shows what the process has printed
    finally:
        os._exit(status)


class Worker:
    """One exercise's cells and the namespace they share."""

    def __init__(self, pipe: socket.socket) -> None:
        """Confine this process as the first message says, and tell the grader what is in force."""
        self.pipe = pipe
        self.gate = Gate()
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.seconds, facts = confine(**protocol.receive(pipe)[0])
        sys.meta_path.insert(0, self.gate)
        protocol.send(pipe, {"facts": facts})

    def serve(self) -> None:
        """Do what the grader asks, one thing at a time."""
        while True:
            header, args = protocol.receive(self.pipe, call=self.stand_in)
            try:
                self.reply(self.do(header, args))
            except Exception as error:  # a result too large to send, or an answer that took torch to pieces
                raised = running.Raised(type(error).__name__, str(error)[:200])
                self.reply(running.Outcome("raised", raised=raised))

    def do(self, header: dict[str, Any], args: Any) -> running.Outcome:
        """Run a cell, or call the function that the cells have defined."""
        if "cell" in header:
            return self.run_cell(**header)
        return running.run_here(self.namespace.get(header["call"]), self.seconds)(args)

    def run_cell(self, cell: str, source: str, setup: bool) -> running.Outcome:
        """Execute one cell; `setup` cells may name the package and get silent stand-ins for it."""
        self.gate.closed = not setup
        forget_package()
        linecache.cache[cell] = (len(source), None, source.splitlines(keepends=True), cell)
        marker = types.FunctionType((lambda: None).__code__, self.namespace)
        try:
            with interrupted_after(self.seconds):
                exec(compile(source, cell, "exec", dont_inherit=True), self.namespace)
        except Interrupted:
            return running.Outcome("timed out", detail=f"{self.seconds:g}")
        except SyntaxError as error:
            raised = running.Raised(
                type(error).__name__, str(error.msg), error.lineno, (error.text or "").strip()
            )
            return running.Outcome("raised", raised=raised)
        except BaseException as error:
            return running.Outcome("raised", raised=running.describe_error(error, marker))
        return running.Outcome()

    def reply(self, outcome: running.Outcome) -> None:
        """Send an outcome back."""
        header = {
            name: getattr(outcome, name)
            for name in ("status", "detail", "changed", "calls", "largest", "printed")
        }
        protocol.send(self.pipe, header | {"raised": outcome.raised and vars(outcome.raised)}, outcome.value)

    def stand_in(self, number: int) -> Callable[..., Any]:
        """What an answer holds in place of a function that the exercise gave."""
        return functools.partial(self.ask, number)

    def ask(self, number: int, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function that the exercise gave: it lives with the grader, which computes and answers."""
        protocol.send(self.pipe, {"ask": number}, (args, kwargs))
        header, value = protocol.receive(self.pipe, call=self.stand_in)
        if "error" in header:
            raise RuntimeError(header["error"])
        return value


class Gate(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Decides what `import tsparse` means: a silent stand-in while it is open, an error once it is closed."""

    closed = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Take every import of the package, and no other."""
        if fullname.partition(".")[0] != "tsparse":
            return None
        if self.closed:
            raise ImportError(f"an answer may not import `{fullname}`: what it holds is for you to write")
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make a stand-in."""
        return Silent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave it as it is."""


class Silent(types.ModuleType):
    """Stands in for the package in a sheet's setup cells: every name is there, and calling it does nothing.

    So `check(...)` inside of an answer cell is harmless when the sheet is graded.
    """

    def __getattr__(self, name: str) -> Silent:
        """Have every name but Python's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Silent(name)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


def forget_package() -> None:
    """Take the package's modules out of Python's list, so that the next import asks the gate again."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tsparse"]:
        del sys.modules[name]


def confine(scratch: str, seconds: float, memory: int) -> tuple[float, dict[str, str]]:
    """Give up what an answer does not need; return the seconds of a call and what is in force."""
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    facts = {
        "files": f"up to {LARGEST_FILE >> 20} MiB each, in a scratch folder",
        "memory": limit_memory(memory),
        "user": become_nobody(scratch),
    }
    _prctl(NO_NEW_PRIVILEGES, 1)
    _prctl(DIE_WITH_PARENT, 9)
    return seconds, facts


def limit_memory(memory: int) -> str:
    """Allow so many bytes beyond what this process has now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    except (OSError, ValueError) as error:
        return f"not limited ({error})"
    return f"{memory >> 20} MiB beyond that of PyTorch"


def become_nobody(scratch: str) -> str:
    """As root, become a user who owns nothing but the scratch folder.

    Where Python lies in a folder that is closed to others, the user keeps the right to read every file; where
    the system does not let it, the process stays as it is. Both are said.
    """
    if os.geteuid() != 0:
        return "that of the grader, which is not root"
    user = FIRST_USER + os.getpid() % 4000
    try:
        os.chown(scratch, user, user)
        os.setgroups([])
        closed = _closed_to(user)
        if closed and not _may_read_everything():
            return f"root: {closed} is closed to other users"
        _prctl(KEEP_CAPABILITIES, bool(closed))
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError as error:
        return f"root: it cannot be changed here ({error.strerror})"
    _limit(resource.RLIMIT_NPROC, MOST_PROCESSES)
    if not closed:
        return f"number {user}, who owns nothing"
    _keep_only(READ_EVERYTHING)
    return f"number {user}, who owns nothing but may read every file: {closed} is closed to other users"


def _closed_to(user: int) -> str | None:
    """The first folder of Python that this user cannot read."""
    needed = [path for path in (*sys.path, torch.__file__) if os.path.exists(path)]
    os.setegid(user)
    os.seteuid(user)
    try:
        return next((path for path in needed if not _opens(path)), None)
    finally:
        os.seteuid(0)
        os.setegid(0)


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def _may_read_everything() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    permitted = next(line.split()[1] for line in status.splitlines() if line.startswith("CapPrm:"))
    return bool(int(permitted, 16) >> READ_EVERYTHING & 1)


def _keep_only(capability: int) -> None:
    """Drop every capability but one of the first 32 (capset(2), third version of its header)."""
    header = struct.pack("=Ii", 0x20080522, 0)
    effective = permitted = 1 << capability
    if ctypes.CDLL(None).capset(header, struct.pack("=6I", effective, permitted, 0, 0, 0, 0)):
        raise OSError("capabilities could not be dropped")


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
