"""What a compiler makes of a kernel, for GPUs that are not there: registers, spills, instructions, code.

`compile` takes any `@triton.jit` function, also one written in a notebook; `tsparse inspect` shows the
kernels of this package. Both ask a process of their own (`tsparse.kernels.compiling`), which needs no GPU.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tqdm import tqdm

from tsparse.kernels.compiling import TARGETS, Attention, Compiled, Failure, Launch, Pointer, run_on
from tsparse.kernels.op import MAX_HEAD_DIM
from tsparse.kernels.tiles import Tile

SHARED_LIMIT = {"sm_75": 64, "sm_80": 163, "sm_90": 227, "sm_100": 227, "gfx942": 64}
"""KiB of shared memory that one program can have.

Source: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", maximum amount of
shared memory per thread block; AMD Instinct MI300 CDNA3 ISA reference guide, local data share of a workgroup.
"""


def compile(
    function: Any, arguments: Mapping[str, Any], targets: Iterable[str] = tuple(TARGETS)
) -> list[Compiled]:
    """Compile the kernel that the launch `function[grid](**arguments)` would compile, for each target.

    `arguments` are those of a launch, `num_warps` and `num_stages` among them: tensors or, in their place, a
    dtype, numbers and None. As in a launch, addresses and numbers that are multiples of 16 and the number 1
    are known to the compiler.

        compile(kernel, dict(x_ptr=x, out_ptr=torch.float16, n=1024, BLOCK=64, num_warps=8), ["sm_90"])

    Returns the results in the order of the targets. Raises ValueError for a target that is not one of
    `TARGETS`, and RuntimeError where the compiler refuses, with what it says.
    """
    return compile_all([(function, arguments, target) for target in targets])


def compile_all(launches: Iterable[tuple[Any, Mapping[str, Any], str]]) -> list[Compiled]:
    """Compile several kernels, each with its arguments and its target, as `compile` does, in one process.

    compile_all([(kernel, arguments | {"BLOCK": block}, "sm_90") for block in (64, 128)])
    """
    asked = []
    for function, arguments, target in launches:
        seen = {name: _as_seen(value) for name, value in arguments.items()}
        asked.append(Launch(_source(function), function.__name__, seen, _known(target)))
    return [compiled for _, compiled in _compiled(asked)]


def sass(compiled: Compiled) -> str:
    """The machine's own instructions of a kernel for an NVIDIA target; AMD's assembly is that already."""
    if compiled.target.startswith("gfx"):
        return compiled.assembly
    listing = run_on(compiled.binary, "-sass")
    lines = re.sub(r"/\* 0x\w+ \*/", "", listing).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def facts(compiled: Compiled) -> dict[str, Any]:
    """What there is to say about it but for the code."""
    names = ("kernel", "target", "tile", "registers", "spills", "shared", "instructions")
    return {name: getattr(compiled, name) for name in names}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Facts about kernels, a line each; `spills` are bytes of a thread, `shared` is memory of a program."""
    shown = [tuple(rows[0])] + [tuple(_cell(name, value, row) for name, value in row.items()) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in shown)
    return "\n".join(lines)


def _cell(name: str, value: Any, row: Mapping[str, Any]) -> str:
    if name == "tile":
        sides = " x ".join(str(side) for key, side in value.items() if key.startswith("BLOCK"))
        return f"{sides}, {value['num_warps']} warps, {value['num_stages']} stages"
    if name == "instructions":
        return ", ".join(f"{count} {instruction}" for instruction, count in value.items() if count)
    return f"{value / 1024:.1f} of {SHARED_LIMIT[row['target']]} KiB" if name == "shared" else str(value)


def _known(target: str) -> str:
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {target!r}")
    return target


def _as_seen(value: Any) -> Any:
    """What a launch sees of an argument."""
    if isinstance(value, torch.Tensor):
        return Pointer(value.dtype, value.data_ptr() % 16 == 0)
    if isinstance(value, torch.dtype):
        return Pointer(value)
    return tuple(map(_as_seen, value)) if isinstance(value, tuple) else value


def _compiled(requests: Sequence[Any]) -> list[tuple[Any, Compiled]]:
    """Every request with every kernel that it compiles, in order. A bar on a terminal shows how far it is."""
    environment = os.environ | {
        "TRITON_INTERPRET": "0",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", "from tsparse.kernels import compiling; compiling.serve()"]
    with tempfile.TemporaryDirectory() as folder:
        asked, said = Path(folder) / "requests", Path(folder) / "said"
        asked.write_bytes(pickle.dumps(requests))
        with asked.open("rb") as stdin, said.open("wb") as stderr:
            child = subprocess.Popen(
                command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr
            )
            with child:
                answers = sorted(_answers(child.stdout), key=lambda answer: answer[:2])
        if child.returncode:
            last = said.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise RuntimeError(f"the process that compiles ended early: {last[-1]}")
    failed = [result for _, _, result in answers if isinstance(result, Failure)]
    if failed:
        raise RuntimeError(f"{failed[0].kernel} does not compile for {failed[0].target}: {failed[0].reason}")
    return [(requests[number], result) for number, _, result in answers]


def _answers(stream: Any) -> Iterator[tuple[int, int, Any]]:
    """What the other process answers, until it ends: number of the request, place, result."""
    with contextlib.suppress(EOFError):
        total = pickle.load(stream)
        for _ in tqdm(range(total), desc="compiling", unit="kernel", disable=None, leave=False):
            yield pickle.load(stream)


def _source(function: Any) -> str:
    """A file that holds a kernel and what it uses: functions, constants and imports."""
    return "from __future__ import annotations\n" + "\n".join(_parts(function.__name__, function, set()))


def _parts(name: str, value: Any, done: set[str]) -> Iterator[str]:
    """The lines that define a name as this value, after those that it needs."""
    if name in done:
        return
    done.add(name)
    python = getattr(value, "fn", None)  # of a @triton.jit function
    if inspect.isfunction(python):
        text = textwrap.dedent(inspect.getsource(python))
        known = {**python.__globals__, **inspect.getclosurevars(python).nonlocals}
        names = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]
        own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(
            inspect.signature(python).parameters
        )
        for used in dict.fromkeys(node.id for node in names):
            if used in known and used not in own:
                yield from _parts(used, known[used], done)
        yield text
        if name != python.__name__:
            yield f"{name} = {python.__name__}"
    elif isinstance(value, ModuleType):
        yield f"import {value.__name__} as {name}"
    elif hasattr(value, "__qualname__"):
        yield f"from {value.__module__} import {value.__qualname__} as {name}"
    elif type(value).__name__ == "constexpr":
        yield f"import triton\n{name} = triton.language.constexpr({value.value!r})"
    else:
        yield f"{name} = {value!r}"


KERNELS = ("forward", "delta", "dkdv", "dq")
DTYPES = ("float16", "bfloat16", "float32")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `tsparse inspect`."""
    several: dict[str, Any] = {"nargs": "+", "metavar": "NAME"}
    parser.add_argument("--kernel", choices=KERNELS, default=KERNELS, **several)
    parser.add_argument("--target", choices=TARGETS, default=list(TARGETS), **several)
    parser.add_argument("--dtype", choices=DTYPES, default=["float16"], **several)
    parser.add_argument("--head-dim", type=int, default=[64, 128], nargs="+", metavar="SIZE")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a list of objects in place of the table")
    form.add_argument("--ptx", action="store_true", help="the assembly: PTX, or AMD's own")
    form.add_argument("--sass", action="store_true", help="the machine's instructions")


def run(args: argparse.Namespace) -> int:
    """Compile the package's kernels with the tiles they get, and print what was asked for."""
    wrong = [size for size in args.head_dim if not 1 <= size <= MAX_HEAD_DIM]
    if wrong:
        raise ValueError(f"--head-dim must be 1 to {MAX_HEAD_DIM}, got {wrong[0]}")
    dtypes = [getattr(torch, name) for name in args.dtype]
    combinations = itertools.product(args.target, dtypes, args.head_dim)
    requests = [Attention(tuple(args.kernel), dtype, size, target) for target, dtype, size in combinations]
    results = _compiled(requests)
    if args.ptx or args.sass:
        for request, compiled in results:
            row = _row(request, compiled)
            print("// {kernel} {target} {dtype} head size {head_dim}".format_map(row))
            print(sass(compiled) if args.sass else compiled.assembly)
        return 0
    rows = [_row(request, compiled) for request, compiled in results]
    print(json.dumps(rows, indent=2) if args.json else table(rows))
    return 0


def _row(request: Attention, compiled: Compiled) -> dict[str, Any]:
    found = facts(compiled)
    asked = {"dtype": str(request.dtype).removeprefix("torch."), "head_dim": request.head_dim}
    tile = {name: side for name, side in compiled.tile.items() if name in Tile._fields}
    return {"kernel": compiled.kernel, "target": compiled.target} | asked | found | {"tile": tile}
