"""Kernels judged where this process cannot interpret them, because there is a GPU for which it compiles them.

Triton is told once in a process whether it interprets or compiles. So on a machine with a GPU the check runs
twice: interpreted and watched in a process of its own, then compiled, with the same inputs.
"""

from __future__ import annotations

import atexit
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch

from tsparse.grade.checking import Verdict, judge
from tsparse.grade.exercise import Exercise
from tsparse.grade.kernel_cells import NotAKernel, kernels_of
from tsparse.grade.launches import KernelText, Launch, Launched
from tsparse.grade.own import source_of, text_of
from tsparse.grade.running import Outcome, describe_error, run_here
from tsparse.grade.worker import Workers
from tsparse.kernels import interpret
from tsparse.kernels.watched import is_kernel, launch_compiled, plain


def judge_kernel(exercise: Exercise, answer: Any) -> Verdict:
    """Judge a kernel, or its text, in a notebook: interpreted, and where there is a GPU compiled as well."""
    if isinstance(answer, str):
        answer = KernelText(exercise.name, answer)
    found = interpret.canary()
    if found.status in ("triton missing", "computes nonsense"):
        return Verdict(exercise.id, "NOT RUN", f"Your kernel cannot be run here ({found.detail}).")
    refusal = refused(answer)
    if refusal:
        return judge(exercise, lambda _: Outcome("stopped", detail=refusal))
    if found.status == "ok":
        return judge(exercise, run_here(answer))
    verdict = judge_apart(exercise, answer)
    if verdict.status != "PASS" or not torch.cuda.is_available():
        return verdict
    compiled = judge(exercise, partial(run_compiled, answer), verdict.seed)
    if compiled.status == "PASS":
        return replace(verdict, message="Right on every case, interpreted and compiled for the GPU.")
    return replace(compiled, message=f"Right in the interpreter, not on the GPU. {compiled.message}")


def judge_apart(exercise: Exercise, answer: Any) -> Verdict:
    """Judge a kernel in one process that interprets it; what is no kernel is not run anywhere."""
    text = answer if isinstance(answer, KernelText) else own_text(answer)
    if text is None:
        return judge(exercise, run_here(answer))
    with _workers().worker() as worker:
        outcome = worker.run_cell("kernel", text.source, setup=True)
        defined = outcome.status == "returned"
        return judge(exercise, partial(worker.call, text.name) if defined else lambda _: outcome)


def refused(answer: Any) -> str | None:
    """Why a kernel is more than a kernel can be, None if it is not; or if its text is not known."""
    source = answer.source if isinstance(answer, KernelText) else text_of(answer) if is_kernel(answer) else ""
    around = getattr(plain(answer), "__globals__", {})
    known = {name for name, value in around.items() if is_kernel(value) or _is_constant(value)}
    try:
        kernels_of(source, frozenset(known))
    except NotAKernel as refusal:
        return str(refusal)
    except (SyntaxError, ValueError, RecursionError):  # a cell with magics in it
        return None
    return None


def _is_constant(value: Any) -> bool:
    return isinstance(value, int | float) or type(value).__name__ == "constexpr"


def own_text(kernel: Any) -> KernelText | None:
    """A reader's kernel with what it needs of its cell, as text."""
    kept = source_of(kernel)
    return None if kept is None else KernelText(kept["name"], kept["source"])


def run_apart(text: KernelText, asked: Any) -> Outcome:
    """Launch a kernel in a process of its own, which interprets it."""
    with _workers().worker() as worker:
        outcome = worker.run_cell("kernel", text.source, setup=True)
        return worker.call(text.name, asked) if outcome.status == "returned" else outcome


def run_compiled(answer: Any, asked: Launch) -> Outcome:
    """Launch a kernel on the GPU; its addresses are not watched there."""
    kernel = answer.define() if isinstance(answer, KernelText) else answer
    try:
        return Outcome(value=launch_compiled(kernel, asked), launched=Launched())
    except Exception as error:  # of the compiler, or of the GPU
        return Outcome("raised", raised=describe_error(error, kernel))


@cache
def _workers() -> Workers:
    """One process for all kernels of this one."""
    workers = Workers(sandbox="none").__enter__()
    atexit.register(workers.__exit__, None, None, None)
    return workers
