"""Triton's interpreter: kernels on CPU tensors, whether it can be trusted, and what they do in it.

Triton reads `TRITON_INTERPRET` once, when it is imported; `import tsparse` sets it where there is no GPU.
The interpreter of Triton 3.7.1 and 3.9.0 multiplies bfloat16 wrongly (off by 1e10): that dtype is refused.

`counting()` adds up what the kernels launched inside it do; `tracing()` keeps each step of each program:

    with interpret.counting() as work:
        kernel[grid](x, y, BLOCK=64)
    work.dots, work.loads.elements, work.stores.bytes
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch

from tsparse.kernels.work import Access, Argument, Dot, Program, Work

INTERPRETED_DTYPES = (torch.float16, torch.float32, torch.float64)
"""What kernels accept in the interpreter."""


@dataclass(frozen=True)
class Canary:
    """What the canary found, and in `detail` what to do about it."""

    status: Literal["ok", "triton missing", "off", "triton came first", "computes nonsense"]
    detail: str

    def __str__(self) -> str:
        """Status and detail in one line."""
        return f"{self.status}: {self.detail}"


@functools.cache
def canary() -> Canary:
    """Try the interpreter once per process, on a kernel of one tile (0.1 s, after importing Triton)."""
    if importlib.util.find_spec("triton") is None:
        return Canary("triton missing", "kernels need Triton, which Linux has: use Colab, WSL or a container")
    import triton
    import triton.language as tl

    if not triton.knobs.runtime.interpret:
        if torch.cuda.is_available():
            return Canary("off", "kernels are compiled for the GPU")
        return Canary("off", "unset TRITON_INTERPRET and restart; without a GPU kernels need the interpreter")
    if isinstance(tl.cdiv, triton.JITFunction):
        return Canary("triton came first", "restart, and import tsparse before Triton or what imports it")

    from tsparse.kernels.canary import agrees

    cure = "install the version that constraints.txt names, or numpy below 2.4 for Triton 3.6"
    try:
        wrong = [str(dtype).removeprefix("torch.") for dtype in INTERPRETED_DTYPES if not agrees(dtype)]
        bfloat16 = "right, but refused" if agrees(torch.bfloat16) else "wrong, and refused"
    except Exception as error:  # an interpreter that does not fit this Python or numpy raises anything
        return Canary("computes nonsense", f"Triton {triton.__version__} raised {error!r}; {cure}")
    if wrong:
        return Canary(
            "computes nonsense", f"Triton {triton.__version__} is wrong in {', '.join(wrong)}; {cure}"
        )
    return Canary("ok", f"float16, float32 and float64 agree with PyTorch; bfloat16 is {bfloat16}")


def require() -> None:
    """Raise a `RuntimeError` that says the way out, unless kernels on CPU tensors can be trusted here."""
    found = canary()
    if found.status != "ok":
        raise RuntimeError(f"Triton's interpreter cannot be used ({found})")


@contextmanager
def counting() -> Iterator[Work]:
    """Count what the kernels launched inside do; the `Work` grows while they run.

    Raises a RuntimeError where kernels are compiled, or where the interpreter cannot be trusted. Contexts may
    be nested: the outer one counts what the inner one does.
    """
    work = Work()

    def begin(kernel: str, index: tuple[int, int, int]) -> None:
        work.programs += 1

    with _watching(begin, work.add):
        yield work


@contextmanager
def tracing() -> Iterator[list[Program]]:
    """Keep every step of the kernels launched inside, program by program, in the order they ran.

    Needs about 9 bytes for each element of each tile that is loaded or stored. Raises as `counting` does.
    """
    programs: list[Program] = []

    def begin(kernel: str, index: tuple[int, int, int]) -> None:
        programs.append(Program(kernel, index))

    with _watching(begin, lambda step: programs[-1].steps.append(step)):
        yield programs


@contextmanager
def backwards() -> Iterator[None]:
    """Run the programs along axis 0 of the grid from the last to the first.

    A GPU runs programs in any order; what a kernel writes must not depend on it. Raises as `counting` does.
    """
    _only_interpreted()
    from triton.runtime.interpreter import InterpreterBuilder

    def mirrored(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda builder, x, y, z: original(builder, builder.grid_dim[0] - 1 - x, y, z)

    with ExitStack() as undo:
        replace(undo, InterpreterBuilder, "set_grid_idx", mirrored)
        yield


@contextmanager
def _watching(
    begin: Callable[[str, tuple[int, int, int]], None], record: Callable[[Access | Dot], None]
) -> Iterator[None]:
    """Call `begin(kernel, index)` before each program, and `record` before each of its steps."""
    _only_interpreted()
    from triton.runtime.interpreter import GridExecutor, InterpreterBuilder

    kernel = ""
    arguments: list[Argument] = []

    def prepare(original: Callable[..., Any]) -> Callable[..., Any]:
        def prepared(executor: Any, *given: Any) -> Any:
            nonlocal kernel, arguments
            kernel = executor.fn.__name__
            positional, named = original(executor, *given)
            launched = dict(zip(executor.arg_names, positional, strict=False)) | named
            arguments = [found for name, value in launched.items() for found in _arguments(name, value)]
            return positional, named

        return prepared

    def access(kind: Literal["load", "store", "atomic"], pointers: Any, mask: Any = None) -> None:
        record(_access(kind, pointers, mask, arguments))

    def dot(a: Any, b: Any) -> None:
        *batch, m, k = a.data.shape
        record(Dot(m, k, b.data.shape[-1], math.prod(batch)))

    # Every other way to load or store ends in the masked one; what follows the mask differs between Tritons.
    seen: dict[str, Callable[..., None]] = {
        "set_grid_idx": lambda x, y, z: begin(kernel, (x, y, z)),
        "create_dot": lambda a, b, *_: dot(a, b),
        "create_masked_load": lambda pointers, mask, *_, **__: access("load", pointers, mask),
        "create_masked_store": lambda pointers, value, mask, *_, **__: access("store", pointers, mask),
        "create_atomic_rmw": lambda operation, pointers, value, mask, *_: access("atomic", pointers, mask),
        "create_atomic_cas": lambda pointers, *_: access("atomic", pointers),
    }
    with ExitStack() as undo:
        replace(undo, GridExecutor, "_init_args_hst", prepare)
        for name, observe in seen.items():
            replace(undo, InterpreterBuilder, name, functools.partial(_observed, observe))
        yield


def _only_interpreted() -> None:
    if canary().status == "off":
        raise RuntimeError(
            "work is counted in Triton's interpreter, but in this process kernels are compiled: "
            "start another with TRITON_INTERPRET=1"
        )
    require()


def replace(
    undo: ExitStack,
    owner: type | ModuleType,
    name: str,
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    """Wrap the method `name` of a class, or a function of a module, until `undo` is left."""
    original = getattr(owner, name)
    undo.callback(setattr, owner, name, original)
    setattr(owner, name, wrap(original))


def _observed(observe: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
    """The method `original`, whose arguments `observe` sees first."""

    def method(self: Any, *given: Any, **named: Any) -> Any:
        observe(*given, **named)
        return original(self, *given, **named)

    return method


def _arguments(name: str, value: Any) -> Iterator[Argument]:
    """The tensors in one argument of a launch."""
    if isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _arguments(f"{name}[{position}]", item)
    tensor = getattr(value, "base", value)  # of a tensor descriptor, or of a tensor reinterpreted
    if isinstance(tensor, torch.Tensor):
        yield Argument(name, tensor.data_ptr(), tensor.element_size(), tuple(tensor.shape), tensor.stride())


def _access(
    kind: Literal["load", "store", "atomic"], pointers: Any, mask: Any, arguments: list[Argument]
) -> Access:
    lanes = np.ones(pointers.data.shape, bool) if mask is None else np.asarray(mask.data)
    addresses = pointers.data[lanes].astype(np.int64)
    element_bytes = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
    for argument in arguments if addresses.size else []:
        offsets = argument.offsets(addresses)
        if offsets is not None:
            return Access(kind, argument, lanes, offsets, element_bytes)
    return Access(kind, None, lanes, addresses, element_bytes)
