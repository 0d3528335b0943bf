"""Launching a reader's kernel: in Triton's interpreter, on watched memory, on the CPU; or compiled, on a GPU.

Everything is bounded, counted and explained here, in the process of the answer; what decides is what the
grader sees from outside (`outside.py`). Needs only a few files of the package, so that the
child loads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from tsparse.grade.launches import MOST_PROGRAMS, MOST_RUNS, Launch, Launched, Runs, Visit, run_text
from tsparse.grade.memory import Memory, Program, flat
from tsparse.kernels import interpret


def is_kernel(value: Any) -> bool:
    """Whether a value is a `@triton.jit` function (Triton is not imported to find out)."""
    jit = sys.modules.get("triton.runtime.jit")
    return jit is not None and isinstance(value, jit.KernelInterface)


def plain(value: Any) -> Any:
    """The Python function below `@triton.jit` and what else was put on it; any other value as it is."""
    while is_kernel(value):
        value = value.fn
    return value


def bare(kernel: Any) -> Any:
    """The kernel below `@triton.autotune` and `@triton.heuristics`: the grader chooses the tiles."""
    while is_kernel(kernel.fn):
        kernel = kernel.fn
    return kernel


def driven(kernel: Any, asked: Launch) -> Any:
    """What is launched: the answer, or the driver that calls it by its name."""
    kernel = bare(kernel)
    if not asked.driver:
        return kernel
    file = f"<driver of {kernel.fn.__name__}>"
    known = {**kernel.fn.__globals__, kernel.fn.__name__: kernel}
    before = set(known)
    defined = run_text(asked.driver, file, known)
    return defined[next(name for name in defined if name not in before)]


def launch(kernel: Any, asked: Launch) -> tuple[tuple[torch.Tensor, ...], tuple[str, ...], Launched]:
    """Launch in the interpreter: the outputs with their padding, the changed inputs, and what was seen."""
    memory = Memory(asked.arguments, asked.outputs, asked.grid)
    given = [memory.tensors.get(name, value) for name, value in asked.arguments.items()]
    with watching(memory) as visits:
        driven(kernel, asked)[asked.grid](*given, *asked.constants.values())
    changed = tuple(
        name
        for name, tensor in memory.tensors.items()
        if name not in asked.outputs and not _alike(flat(tensor), flat(asked.arguments[name]))
    )
    outputs = tuple(memory.tensors[name] for name in asked.outputs)
    seen = tuple(visit.finished(memory) for visit in visits[:MOST_PROGRAMS])
    return outputs, changed, Launched(tuple(memory.faults.values()), seen)


def launch_compiled(kernel: Any, asked: Launch) -> tuple[torch.Tensor, ...]:
    """Launch on the GPU: only the outputs can be seen."""
    held = {
        name: flat(value).cuda().as_strided(value.shape, value.stride())
        for name, value in asked.arguments.items()
        if isinstance(value, torch.Tensor)
    }
    given = [held.get(name, value) for name, value in asked.arguments.items()]
    driven(kernel, asked)[asked.grid](*given, *asked.constants.values())
    torch.cuda.synchronize()
    return tuple(
        flat(held[name]).cpu().as_strided(held[name].shape, held[name].stride()) for name in asked.outputs
    )


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all())


@dataclass
class _Seen:
    """A program while it runs: the places of each argument that it touched."""

    program: Program
    dots: int = 0
    loads: dict[str, list[np.ndarray]] = field(default_factory=dict)
    stores: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def finished(self, memory: Memory) -> Visit:
        """The same with rows in place of places."""
        arguments = {buffer.argument.name: buffer.argument for buffer in memory.buffers}

        def rows(name: str, places: list[np.ndarray]) -> Runs:
            argument = arguments[name]
            indices = argument.indices(np.unique(np.concatenate(places)))
            return runs(np.unique(indices[max(0, len(argument.shape) - 2)]))

        loads = {name: rows(name, places) for name, places in self.loads.items()}
        return Visit(self.program, self.dots, loads, {n: rows(n, p) for n, p in self.stores.items()})


def runs(rows: np.ndarray) -> Runs:
    """Sorted rows as runs, the first 64: 0, 1, 2, 5 is (0, 2), (5, 5)."""
    pieces = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if rows.size else []
    return tuple((int(piece[0]), int(piece[-1])) for piece in pieces[:MOST_RUNS])


@contextmanager
def watching(memory: Memory) -> Iterator[list[_Seen]]:
    """Let kernels run on watched memory; the list grows by what each program did.

    What a mask leaves out and no `other=` fills becomes poison, as on a GPU it may be anything.
    """
    from triton.runtime.interpreter import InterpreterBuilder

    seen: list[_Seen] = []

    def begin(original: Callable[..., Any]) -> Callable[..., Any]:
        def set_grid_idx(builder: Any, x: int, y: int, z: int) -> Any:
            memory.begin((x, y, z))
            seen.append(_Seen((x, y, z)[: len(memory.grid)]))
            return original(builder, x, y, z)

        return set_grid_idx

    def dot(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_dot(builder: Any, *given: Any, **named: Any) -> Any:
            seen[-1].dots += 1
            return original(builder, *given, **named)

        return create_dot

    def allowed(kind: Literal["read", "wrote"], pointers: Any, mask: Any) -> tuple[Any, np.ndarray]:
        lanes = np.broadcast_to(np.asarray(mask.data, bool), pointers.data.shape)
        right, touched = memory.allowed(kind, pointers.data.astype(np.int64), lanes)
        kept = seen[-1].loads if kind == "read" else seen[-1].stores
        for name, places in touched.items():
            kept.setdefault(name, []).append(np.unique(places))
        return type(mask)(right, mask.dtype), lanes

    def load(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_masked_load(builder: Any, pointers: Any, mask: Any, other: Any, *rest: Any) -> Any:
            right, lanes = allowed("read", pointers, mask)
            result = original(builder, pointers, right, other, *rest)
            unknown = lanes & ~right.data if other is not None else ~right.data
            result.data[unknown] = _poison(result.data.dtype)
            return result

        return create_masked_load

    def store(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_masked_store(builder: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
            return original(builder, pointers, value, allowed("wrote", pointers, mask)[0], *rest)

        return create_masked_store

    def refused(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_atomic(builder: Any, *given: Any) -> Any:
            raise NotImplementedError("no exercise needs atomics, and their order is not the same twice")

        return create_atomic

    with ExitStack() as undo:
        wraps = {
            "set_grid_idx": begin,
            "create_dot": dot,
            "create_masked_load": load,
            "create_masked_store": store,
            "create_atomic_rmw": refused,
            "create_atomic_cas": refused,
        }
        for name, wrap in wraps.items():
            interpret.replace(undo, InterpreterBuilder, name, wrap)
        yield seen


def _poison(dtype: np.dtype) -> Any:
    """What an unknown lane holds; bfloat16 lies in whole numbers of 16 bits."""
    if dtype.kind == "f":
        return np.nan
    return False if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min
