"""Launching a reader's kernel: in Triton's interpreter, on watched memory, on the CPU; or compiled, on a GPU.

Everything is bounded, counted and explained here, in the process of the answer; what decides is what the
grader sees from outside (`outside.py`). Needs only a few files of the package, so that the
child loads it.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from tsparse.kernels import interpret
from tsparse.kernels.memory import Fault, Memory, Places, Program, flat

MOST_PROGRAMS = 512
MOST_RUNS = 64
"""What is kept of a launch: programs, and for each argument of one the runs of rows that it touched."""

Runs = tuple[tuple[int, int], ...]
"""Runs of rows, first and last of each."""


@dataclass(frozen=True, eq=False)
class Launch:
    """One launch: the grid, what the kernel is given, and which arguments are read back afterwards.

    `arguments` and `constants` (the `tl.constexpr`) stand in the order of the kernel's parameters. `driver`
    is the text of a kernel that is launched in place of the answer and calls it by the name `helper`, with so
    many arguments as it `takes`; `returns` has the names and shapes of what it has to return.
    """

    grid: tuple[int, ...]
    arguments: dict[str, Any]
    constants: dict[str, Any]
    outputs: tuple[str, ...]
    driver: str = ""
    helper: str = ""
    takes: int = 0
    returns: dict[str, tuple[int, ...]] = field(default_factory=dict)


class Misfit(TypeError):
    """A helper returned something that its driver cannot take; the message says what, and what is wanted."""


@dataclass(frozen=True)
class Visit:
    """What one program did: its products, and the rows of each argument that it loaded and stored."""

    program: Program
    dots: int = 0
    loads: dict[str, Runs] = field(default_factory=dict)
    stores: dict[str, Runs] = field(default_factory=dict)


@dataclass(frozen=True)
class Launched:
    """What was seen of one launch: faults, and the programs (the first 512) with what they did."""

    faults: tuple[Fault, ...] = ()
    visits: tuple[Visit, ...] = ()

    @property
    def dots(self) -> int:
        """How many `tl.dot` there were."""
        return sum(visit.dots for visit in self.visits)

    def fault(self, *kinds: str) -> Fault | None:
        """The first fault of the first of these kinds that there is."""
        return next((one for kind in kinds for one in self.faults if one.kind == kind), None)


def run_text(source: str, file: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Run a text under the name of a file from which Triton, and tracebacks, can read it again."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec", dont_inherit=True), namespace)
    return namespace


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


def shape(value: Any) -> tuple[int, ...] | None:
    """The shape of a tensor of PyTorch or of Triton, where a number is a tensor too; None of others."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if type(value).__module__ != "triton.language.core" or not hasattr(value, "shape"):
        return None
    return tuple(int(getattr(size, "value", size)) for size in value.shape)


def fitted(helper: Any, returns: dict[str, tuple[int, ...]]) -> Callable[..., Any]:
    """A helper, for a driver that is interpreted, that raises `Misfit` if it returns other shapes."""

    def told(found: Any) -> str:
        form = shape(found)
        return type(found).__name__ if form is None else str(list(form)) if form else "a number"

    def call(*args: Any) -> Any:
        found = helper(*args)
        parts = list(found) if isinstance(found, (tuple, list)) else [found]
        if [shape(part) for part in parts] != list(returns.values()):
            wanted = ", ".join(f"{name} {list(form)}" for name, form in returns.items())
            yours = "nothing" if found is None else ", ".join(map(told, parts))
            order = ", in this order" if len(returns) > 1 else ""
            raise Misfit(f"{wanted}{order}; yours returns {yours}")
        return found

    return call


def driven(kernel: Any, helper: Any, asked: Launch) -> Any:
    """What is launched: the answer, or the driver that calls it as its `helper`."""
    if not asked.driver:
        return kernel
    known = {**kernel.fn.__globals__, asked.helper: helper}
    before = set(known)
    defined = run_text(asked.driver, f"<driver of {asked.helper}>", known)
    return next(value for name, value in defined.items() if name not in before and is_kernel(value))


def run(kernel: Any, asked: Launch) -> tuple[Memory, list[Seen]]:
    """Launch in the interpreter, on copies: the memory as it is afterwards, and what each program did."""
    memory = Memory(asked.arguments, asked.outputs, asked.grid)
    given = [memory.tensors.get(name, value) for name, value in asked.arguments.items()]
    kernel = bare(kernel)
    with watching(memory) as seen:
        driven(kernel, fitted(kernel, asked.returns), asked)[asked.grid](*given, *asked.constants.values())
    return memory, seen


def launch(kernel: Any, asked: Launch) -> tuple[tuple[torch.Tensor, ...], tuple[str, ...], Launched]:
    """Launch in the interpreter: the outputs with their padding, the changed inputs, and what was seen."""
    memory, seen = run(kernel, asked)
    changed = tuple(
        name
        for name, tensor in memory.tensors.items()
        if name not in asked.outputs and not _alike(flat(tensor), flat(asked.arguments[name]))
    )
    outputs = tuple(memory.tensors[name] for name in asked.outputs)
    visits = tuple(one.visit(memory) for one in seen[:MOST_PROGRAMS])
    return outputs, changed, Launched(tuple(memory.faults.values()), visits)


def launch_compiled(kernel: Any, asked: Launch) -> tuple[torch.Tensor, ...]:
    """Launch on the GPU: only the outputs can be seen."""
    held = {
        name: flat(value).cuda().as_strided(value.shape, value.stride())
        for name, value in asked.arguments.items()
        if isinstance(value, torch.Tensor)
    }
    given = [held.get(name, value) for name, value in asked.arguments.items()]
    kernel = bare(kernel)
    driven(kernel, kernel, asked)[asked.grid](*given, *asked.constants.values())
    torch.cuda.synchronize()
    return tuple(
        flat(held[name]).cpu().as_strided(held[name].shape, held[name].stride()) for name in asked.outputs
    )


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all())


@dataclass
class Seen:
    """What one program did: its products (m, k, n), and the places of each argument that it meant.

    Places that lie outside of the argument are among them.
    """

    program: Program
    dots: list[tuple[int, int, int]] = field(default_factory=list)
    loads: dict[str, list[Places]] = field(default_factory=dict)
    stores: dict[str, list[Places]] = field(default_factory=dict)

    def visit(self, memory: Memory) -> Visit:
        """The same with rows in place of places, small enough to be sent."""

        def rows(touched: dict[str, list[Places]]) -> dict[str, Runs]:
            return {name: runs(memory.rows(name, np.concatenate(places))) for name, places in touched.items()}

        return Visit(self.program, len(self.dots), rows(self.loads), rows(self.stores))


def runs(rows: Places) -> Runs:
    """Sorted rows as runs, the first 64: 0, 1, 2, 5 is (0, 2), (5, 5)."""
    pieces = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if rows.size else []
    return tuple((int(piece[0]), int(piece[-1])) for piece in pieces[:MOST_RUNS])


@contextmanager
def watching(memory: Memory) -> Iterator[list[Seen]]:
    """Let kernels run on watched memory; the list grows by what each program did.

    What a mask leaves out and no `other=` fills becomes poison, as on a GPU it may be anything. A block is
    neither true nor false; the interpreter takes it for True, where a compiled kernel has an error.
    """
    from triton.language import tensor
    from triton.runtime import interpreter

    seen: list[Seen] = []

    def begin(original: Callable[..., Any]) -> Callable[..., Any]:
        def set_grid_idx(builder: Any, x: int, y: int, z: int) -> Any:
            memory.begin((x, y, z))
            seen.append(Seen((x, y, z)[: len(memory.grid)]))
            return original(builder, x, y, z)

        return set_grid_idx

    def dot(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_dot(builder: Any, a: Any, b: Any, *rest: Any) -> Any:
            seen[-1].dots.append((*a.data.shape[-2:], b.data.shape[-1]))
            return original(builder, a, b, *rest)

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

    def truth(original: Callable[..., Any]) -> Callable[..., Any]:
        def patch_lang(kernel: Any) -> Any:
            patched = original(kernel)
            tensor.__bool__ = _truth  # over the interpreter's own, at every launch and call
            return patched

        return patch_lang

    with ExitStack() as undo:
        interpret.replace(undo, interpreter, "_patch_lang", truth)
        wraps = {
            "set_grid_idx": begin,
            "create_dot": dot,
            "create_masked_load": load,
            "create_masked_store": store,
            "create_atomic_rmw": refused,
            "create_atomic_cas": refused,
        }
        for name, wrap in wraps.items():
            interpret.replace(undo, interpreter.InterpreterBuilder, name, wrap)
        yield seen


def _truth(number: Any) -> bool:
    """Whether a number of a kernel is not 0; of a block there is no answer, and only Triton itself asks."""
    if number.handle.data.size == 1:
        return bool(number.handle.data)
    if not sys._getframe(1).f_globals.get("__name__", "").startswith("triton."):
        raise ValueError(
            "a block is many numbers, and neither true nor false: write `&` for `and`, which is also in "
            "`0 <= x < n`, `|` for `or`, and `tl.where` for `if`"
        )
    return True


def _poison(dtype: np.dtype) -> Any:
    """What an unknown lane holds; bfloat16 lies in whole numbers of 16 bits."""
    if dtype.kind == "f":
        return np.nan
    return False if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min
