"""The process in which the answers of a sheet run: `python -I child.py SOCKET`, started by `worker.py`.

It imports torch once, runs no line of any sheet, and forks a worker for each exercise that the grader asks
for. A worker confines itself, runs cells and calls answers as the grader tells it, and sends back what came
out. It holds no expected value, no seed and no verdict, so there is nothing in here worth finding.

`tsparse` is not imported: the few files that are needed are loaded without the package around them, and an
answer that imports the package is refused. That is a rule for learners and no wall; the wall is the process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.abc
import importlib.machinery
import linecache
import os
import socket
import struct
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch  # noqa: F401  (imported once, for every worker, as Triton is below)

if "tsparse" not in sys.modules:
    for _name, _folder in (("tsparse", Path(__file__).parents[1]), ("tsparse.grade", Path(__file__).parent)):
        _package = types.ModuleType(_name)
        _package.__path__ = [str(_folder)]
        sys.modules[_name] = _package

with contextlib.suppress(ImportError):  # where there is no Triton, only kernels miss it
    import triton.runtime.interpreter  # noqa: F401

from tsparse.grade import launches, protocol, running, sandbox
from tsparse.grade.confine import ADOPT_ORPHANS, BE_READABLE, confine, control_process
from tsparse.grade.interrupt import Interrupted, interrupted_after


def main(control: socket.socket) -> None:
    """Fork a worker for each pair of file descriptors that arrives: its pipe, and where its output goes."""
    forget_package()
    refusal = sandbox.refusal()
    control_process(
        ADOPT_ORPHANS, 1
    )  # what a worker leaves behind stays below this process, where it is found
    control_process(BE_READABLE, 0)  # a worker of the same user may not look into it or change it
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
            work(descriptors[0], descriptors[1], refusal)
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(struct.pack("!I", pid))


def work(pipe: int, output: int, refusal: str) -> None:
    """Be a worker until the grader has no more to ask; `refusal` says why a sandbox cannot be had."""
    status = 1
    try:
        control_process(BE_READABLE, 1)  # or it could not set up its own namespaces
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        Worker(socket.socket(fileno=pipe), refusal).serve()
        status = 0
    except protocol.Closed:
        status = 0
    except BaseException:
        traceback.print_exc()  # the report shows what the process has printed
    finally:
        os._exit(status)


class Worker:
    """One exercise's cells and the namespace they share."""

    def __init__(self, pipe: socket.socket, refusal: str) -> None:
        """Confine this process as the first message says, and tell the grader what is in force."""
        self.pipe = pipe
        self.gate = Gate()
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        wanted = protocol.receive(pipe)[0]
        self.seconds = wanted["seconds"]
        facts = confine(wanted["scratch"], wanted["memory"], refusal if wanted["sandbox"] else "not wanted")
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
        if "launch" in header:
            args = launches.Launch(arguments=args, **launches.tuples(header["launch"]))
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
        header |= {"raised": outcome.raised and vars(outcome.raised)}
        header |= {"launched": outcome.launched and asdict(outcome.launched)}
        protocol.send(self.pipe, header, outcome.value)

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


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
