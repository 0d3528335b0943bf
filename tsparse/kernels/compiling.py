"""The process that compiles kernels for GPUs that are not there, started by `tsparse.kernels.inspect`.

Triton decides when it is imported whether it compiles or interprets, so compiling takes a process of its own.
What is compiled is what a launch would compile: the arguments pass through Triton's own specialization, with
a driver that names the target, and the launch ends where the compiler would be called.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tsparse.patterns import Pattern, SlidingWindow

TARGETS = {
    "sm_75": ("cuda", 75, 32),
    "sm_80": ("cuda", 80, 32),
    "sm_90": ("cuda", 90, 32),
    "sm_100": ("cuda", 100, 32),
    "gfx942": ("hip", "gfx942", 64),
}
"""What Triton is told about a target: backend, architecture, threads of a warp."""

INSTRUCTIONS = {
    "wgmma": r"\bwgmma\.mma_async\b",
    "mma.sync": r"\bmma\.sync\b",
    "tcgen05": r"\btcgen05\.mma\b",
    "mfma": r"\bv_mfma_",
    "fma": r"\bfma\.rn\.|\bv_(?:pk_)?fma(?:c|ak|mk)?_",
}
"""How they are written in PTX and in AMD's assembly."""


@dataclass(frozen=True)
class Pointer:
    """Stands for a tensor: what a launch sees of it."""

    dtype: torch.dtype
    aligned: bool = True
    """Whether its address is a multiple of 16 bytes."""

    def tensor(self) -> torch.Tensor:
        """A tensor that looks the same to a launch."""
        return torch.empty(32, dtype=self.dtype)[0 if self.aligned else 1 :]


@dataclass(frozen=True)
class Launch:
    """A kernel given as the text of a file, and the arguments it is launched with."""

    source: str
    name: str
    arguments: dict[str, Any]
    target: str

    def start(self) -> None:
        """Launch it."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.py"
            path.write_text(self.source, encoding="utf-8")
            module: dict[str, Any] = {"__name__": "kernels"}
            exec(compile(self.source, path, "exec"), module)
            module[self.name][(1,)](**{name: _real(value) for name, value in self.arguments.items()})


WINDOW = SlidingWindow(256)


@dataclass(frozen=True)
class Attention:
    """The kernels of this package, as `sparse_attention` and its gradient launch them."""

    kernels: tuple[str, ...]
    dtype: torch.dtype
    head_dim: int
    target: str
    pattern: Pattern = WINDOW

    def start(self) -> None:
        """Launch them, on a CPU that is taken for the target."""
        from tsparse.kernels import interpret, op

        q, k, v = (torch.empty(1, 2, 512, self.head_dim, dtype=self.dtype, requires_grad=True) for _ in "qkv")
        layout = self.pattern.layout(512, block=128)
        dtypes = (*interpret.INTERPRETED_DTYPES, torch.bfloat16)
        with (
            patch.multiple(interpret, require=lambda: None, INTERPRETED_DTYPES=dtypes),
            patch.object(op, "_target", lambda device: self.target),
        ):
            out = op.attention(q, k, v, layout, scale=0.125)
            assert isinstance(out, torch.Tensor)
            out.backward(torch.empty_like(out))


@dataclass(frozen=True)
class Compiled:
    """What the compiler made of a kernel."""

    kernel: str
    target: str
    tile: dict[str, int]
    """`BLOCK_M` and whatever else is called BLOCK, `num_warps` and `num_stages`."""
    registers: int
    """Of each thread; on AMD the vector registers."""
    spills: int
    """Bytes of each thread that did not fit into registers and go through memory."""
    shared: int
    """Bytes of shared memory of each program."""
    instructions: dict[str, int]
    """How often each of `INSTRUCTIONS` stands in the assembly."""
    assembly: str
    """PTX, or AMD's own."""
    binary: bytes


@dataclass(frozen=True)
class Failure:
    """A kernel that the compiler refused."""

    kernel: str
    target: str
    reason: str


@dataclass(frozen=True)
class Job:
    """One call of the compiler."""

    function: Any
    target: str
    signature: dict[str, Any]
    constants: dict[tuple[int, ...], Any]
    attributes: dict[tuple[int, ...], Any]
    options: dict[str, int]

    def run(self) -> Compiled | Failure:
        """Compile; Triton caches the result on disk."""
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        source = ASTSource(self.function, self.signature, self.constants, self.attributes)
        try:
            made = triton.compile(source, target=GPUTarget(*TARGETS[self.target]), options=self.options)
        except Exception as error:  # the reader's kernel may be wrong in any way
            return Failure(self.function.__name__, self.target, f"{type(error).__name__}: {error}")
        kind, binary = ("amdgcn", "hsaco") if self.target.startswith("gfx") else ("ptx", "cubin")
        assembly = made.asm[kind]
        registers, spills = _amd(assembly) if kind == "amdgcn" else _nvidia(made.asm[binary])
        return Compiled(
            self.function.__name__,
            self.target,
            self.tile,
            registers,
            spills,
            made.metadata.shared,
            {name: len(re.findall(written, assembly)) for name, written in INSTRUCTIONS.items()},
            assembly,
            made.asm[binary],
        )

    @property
    def tile(self) -> dict[str, int]:
        """The constants that are called BLOCK, and the options."""
        names = self.function.arg_names
        given = {names[path[0]]: value for path, value in self.constants.items()}
        return {name: value for name, value in given.items() if name.startswith("BLOCK")} | self.options


def serve() -> None:
    """Answer the requests pickled on stdin: how many kernels, then each as `(request, place, result)`."""
    requests = pickle.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what kernels print goes to stderr
    jobs = [(number, job) for number, request in enumerate(requests) for job in _jobs(request)]
    pickle.dump(len(jobs), answers)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiler lets go of Python's lock
        running = {pool.submit(job.run): (number, place) for place, (number, job) in enumerate(jobs)}
        for done in as_completed(running):
            pickle.dump((*running[done], done.result()), answers)
            answers.flush()


def _jobs(request: Launch | Attention) -> list[Job]:
    """What launching it would compile."""
    with _launches(request.target) as jobs:
        request.start()
    if isinstance(request, Attention):
        return [job for job in jobs if job.function.__name__ in request.kernels]
    return jobs


@contextmanager
def _launches(target: str) -> Iterator[list[Job]]:
    """Kernels launched inside are not compiled and not run, but listed."""
    import triton
    from triton.backends.compiler import GPUTarget

    class Driver:
        """What a launch asks its driver."""

        def get_current_device(self) -> str:
            return target

        def get_current_stream(self, device: str) -> int:
            return 0

        def get_current_target(self) -> GPUTarget:
            return GPUTarget(*TARGETS[target])

    jobs: list[Job] = []

    def note(*, fn: Any, compile: dict[str, Any], **_: Any) -> bool:
        options = {name: compile[name] for name in ("num_warps", "num_stages")}
        (attributes,) = compile["configs"]
        job = Job(fn.jit_function, target, compile["signature"], compile["constants"], attributes, options)
        jobs.append(job)
        return True  # the launch is over

    triton.runtime.driver.set_active(Driver())
    triton.knobs.runtime.jit_cache_hook = note
    yield jobs


def _real(value: Any) -> Any:
    """An argument with tensors in place of pointers."""
    if isinstance(value, tuple):
        return tuple(map(_real, value))
    return value.tensor() if isinstance(value, Pointer) else value


def _nvidia(cubin: bytes) -> tuple[int, int]:
    """Registers, and bytes of stack, which a Triton kernel needs for spills only."""
    listing = run_on(cubin, "-res-usage")
    used = {name: int(count) for name, count in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", listing)}
    return used["REG"], used["STACK"] + used["LOCAL"]


def _amd(assembly: str) -> tuple[int, int]:
    """Vector registers, and bytes of scratch memory."""
    fields = re.findall(r"\.(vgpr_count|private_segment_fixed_size):\s+(\d+)", assembly)
    used = {name: int(count) for name, count in fields}
    return used["vgpr_count"], used["private_segment_fixed_size"]


def run_on(cubin: bytes, option: str) -> str:
    """What the `cuobjdump` inside Triton's package says about a cubin."""
    import triton

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        command = [triton.knobs.nvidia.cuobjdump.path, option, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
