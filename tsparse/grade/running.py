"""Running an answer once: what came back, or what went wrong, as data.

An `Outcome` holds everything that the judge may know about one call. `run_here` makes outcomes in this
process for `check` in a notebook; a sheet's answers run in a child process that reports the same.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import io
import linecache
import traceback
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from tsparse.grade.driving import NotAFunction, call, own_arguments
from tsparse.grade.interrupt import Interrupted, interrupted_after
from tsparse.grade.launches import KernelText, Launch, Launched, parameters
from tsparse.grade.values import copy, tensors
from tsparse.grade.watch import Watch
from tsparse.kernels.watched import Misfit, is_kernel, launch, plain, shape

SECONDS = 10.0
"""How long one call of an answer may take."""

Status = Literal[
    "returned",
    "raised",
    "timed out",
    "stopped",
    "empty",
    "undefined",
    "not callable",
    "arguments",
    "no kernel",
    "no function",
    "misfit",
]


@dataclass(frozen=True)
class Raised:
    """An error inside an answer: where in the learner's own code, and the shapes of the tensors there.

    `inside` names the function of another cell, such as a given one, that this line had called.
    """

    type: str
    message: str
    line: int | None = None
    source: str = ""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    inside: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one call of an answer gave.

    `detail` holds, by status: the seconds waited ("timed out"), a sentence ("stopped": the process ended),
    the type of what was given instead of a function ("not callable") or returned ("no function"), its own
    signature ("arguments"), what a kernel's helper should return and does ("misfit").
    `changed` names the arguments that the answer changed, `calls` maps what it called to the name it used,
    `largest` is the number of elements of its largest tensor, `printed` what it printed. The value of a
    launch is a tuple of its outputs with their padding, and `launched` what was seen of it. `extra_calls`
    says how often it called what it was given beyond what is needed; whoever gave it counts.
    """

    status: Status = "returned"
    value: Any = None
    detail: str = ""
    raised: Raised | None = None
    changed: tuple[str, ...] = ()
    calls: Mapping[str, str] = field(default_factory=dict)
    largest: int = 0
    printed: str = ""
    launched: Launched | None = None
    extra_calls: int = 0


Run = Callable[[Any], Outcome]
"""Calls an answer with a tuple of arguments, or launches it as a `Launch` says."""


def run_here(answer: Any, seconds: float = SECONDS) -> Run:
    """Return the function that calls `answer` in this process, on copies of the arguments it is given.

    Given a `Launch` in place of arguments it launches `answer`, which may also be a `KernelText`.
    """
    return functools.partial(_run_once, answer, seconds)


def is_empty(function: Any) -> bool:
    """Whether a function's body is only a docstring, `...`, `pass`, or `raise NotImplementedError`."""
    code = getattr(plain(function), "__code__", None)
    if code is None or not set(code.co_names) <= {"NotImplementedError"}:
        return False
    steps = list(dis.get_instructions(code))
    if any(step.opname == "RAISE_VARARGS" for step in steps):
        return True
    if code.co_names or any(step.opname not in _STEPS_OF_NOTHING for step in steps):
        return False
    return all(step.argval is None for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST"))


_STEPS_OF_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}


def _run_once(answer: Any, seconds: float, args: tuple[Any, ...] | Launch) -> Outcome:
    if isinstance(answer, KernelText):
        try:
            answer = answer.define()
        except Exception as error:
            return Outcome("raised", raised=describe_error(error, None))
    refused = _refusal(answer, args)
    if refused:
        return refused
    given, watch, printed = copy(args), Watch(), io.StringIO()
    value: Any = None
    failed: BaseException | None = None
    changed: tuple[str, ...] = ()
    seen: Launched | None = None
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if isinstance(args, Launch):
                with interrupted_after(seconds):
                    value, changed, seen = launch(answer, args)
            else:
                with watch, interrupted_after(seconds):
                    value = call(answer, given)
        except KeyboardInterrupt:
            raise
        except BaseException as caught:
            failed = caught
    outcome = Outcome(
        value=value if seen else _detached(value),  # the outputs of a launch are the grader's own
        changed=changed if isinstance(args, Launch) else _changed(answer, args, given),
        calls=watch.calls,
        largest=watch.largest,
        printed=printed.getvalue()[:2000],
        launched=seen,
    )
    if isinstance(failed, Interrupted):
        return replace(outcome, status="timed out", detail=f"{seconds:g}")
    if isinstance(failed, NotAFunction):
        return replace(outcome, status="no function", detail=str(failed))
    if isinstance(_cause(failed), Misfit):
        return replace(outcome, status="misfit", detail=str(_cause(failed)))
    if failed is not None:
        return replace(outcome, status="raised", raised=describe_error(failed, answer))
    return outcome


def _refusal(answer: Any, args: tuple[Any, ...] | Launch) -> Outcome | None:
    if answer is None:
        return Outcome("undefined")
    if not callable(answer):
        return Outcome("not callable", detail=type(answer).__name__)
    if is_empty(answer):
        return Outcome("empty")
    if isinstance(args, Launch):
        if not is_kernel(answer):
            return Outcome("no kernel")
        args = tuple(range(args.takes)) if args.driver else (*args.arguments, *args.constants)
    try:
        signature = inspect.signature(plain(answer))
    except Exception:  # functions written in C have none, and objects may pretend anything
        return None
    try:
        signature.bind(*own_arguments(args))
    except TypeError:
        return Outcome("arguments", detail=parameters(signature))
    return None


def describe_error(error: BaseException, answer: Any) -> Raised:
    """Say what was raised and where in the learner's own code; library frames below it are left out."""
    error = _cause(error) or error
    try:
        message = str(error).strip().split("\n")[0][:200]
    except Exception:  # a class of the learner's own, whose text is another error
        message = ""
    own = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_own(frame, answer)]
    if not own:
        return Raised(type(error).__name__, message)
    cell = getattr(getattr(_function(answer), "__code__", None), "co_filename", None)
    frame, line = ([one for one in own if one[0].f_code.co_filename == cell] or own)[-1]
    source = linecache.getline(frame.f_code.co_filename, line).strip()
    deepest = own[-1][0].f_code
    inside = "" if deepest.co_filename == frame.f_code.co_filename else deepest.co_name
    return Raised(type(error).__name__, message, line, source, _shapes(frame, source), inside)


def _cause(error: BaseException | None) -> BaseException | None:
    """What Triton's interpreter has wrapped."""
    while type(error).__name__ == "InterpreterError" and error is not None and error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_own(frame: types.FrameType, answer: Any) -> bool:
    return frame.f_globals is getattr(_function(answer), "__globals__", None)


def _function(answer: Any) -> Any:
    function = plain(getattr(answer, "__wrapped__", answer))
    if not hasattr(function, "__globals__"):  # an object of a class that can be called
        function = getattr(type(function), "__call__", None)  # noqa: B004
    return function


def _shapes(frame: types.FrameType, source: str) -> dict[str, tuple[int, ...]]:
    found = {name: shape(value) for name, value in frame.f_locals.items() if not _is_number(value)}
    words = set("".join(c if c.isidentifier() or c.isdigit() else " " for c in source).split())
    return {name: one for name, one in found.items() if one is not None and name in words}


def _is_number(value: Any) -> bool:
    """Whether it is one of Triton, where numbers are tensors too."""
    return not isinstance(value, torch.Tensor) and shape(value) == ()


def _changed(answer: Any, before: tuple[Any, ...], after: tuple[Any, ...]) -> tuple[str, ...]:
    """What is not as it was, among the arguments of the answer and of the function that it returned."""
    try:
        own = list(inspect.signature(answer).parameters)
    except Exception:
        own = []
    names = _filled(own, len(own_arguments(after)))
    if len(names) < len(after):
        names += _filled(after[-1].names, len(after[-1].args))
        before, after = ((*args[:-1], *args[-1].args) for args in (before, after))
    return tuple(
        name
        for name, old, new in zip(names, before, after, strict=True)
        if not _all_equal(list(tensors(old)), list(tensors(new)))
    )


def _filled(names: list[str], count: int) -> list[str]:
    """So many names."""
    return [*names, *(f"argument {place + 1}" for place in range(len(names), count))][:count]


def _all_equal(old: list[torch.Tensor], new: list[torch.Tensor]) -> bool:
    """Whether as many tensors hold the same as before, NaN where they did."""
    return len(old) == len(new) and all(
        a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())
        for a, b in zip(old, new, strict=True)
    )


def _detached(value: Any) -> Any:
    """A copy that the answer cannot change later."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(_detached(item) for item in value)
    return value
