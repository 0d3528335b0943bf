"""A kernel interpreted and watched in a process of its own, because this one compiles kernels for a GPU.

Triton is told once in a process whether it interprets or compiles. `run` is `watched.run` for a kernel that
this process compiles: its text and its arguments go to a second process, and what was seen there comes back.
"""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tsparse.kernels import watched
from tsparse.kernels.memory import Memory, flat

INTERPRETED = {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
"""What the second process is told."""


def run(kernel: Any, asked: watched.Launch) -> tuple[Memory, list[watched.Seen]]:
    """Launch in a second process, which takes the seconds that importing torch takes.

    Returns what `watched.run` does. Raises a RuntimeError with the last line of the error that the kernel
    raised.
    """
    kernel = watched.bare(kernel)
    arguments = {name: on_the_cpu(value) for name, value in asked.arguments.items()}
    sent = kernel.fn.__name__, "\n".join(text_of(kernel)), replace(asked, arguments=arguments)
    with tempfile.TemporaryDirectory() as folder:
        exchange = Path(folder) / "launch.pickle"
        exchange.write_bytes(pickle.dumps(sent))
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(exchange)],
            env=os.environ | INTERPRETED,
            capture_output=True,
            text=True,
        )
        print(done.stdout, end="")
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise RuntimeError(f"the kernel failed in the interpreter: {last[0]}")
        found: tuple[Memory, list[watched.Seen]] = pickle.loads(exchange.read_bytes())
        return found


def text_of(kernel: Any) -> Iterator[str]:
    """A kernel as text that stands alone: the modules, constants and kernels that it uses, then itself."""
    function = watched.plain(kernel)
    for name in dict.fromkeys((*function.__code__.co_names, "tl", "triton")):
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            yield f"import {value.__name__} as {name}"
        elif watched.is_kernel(value) and value is not kernel:
            yield from text_of(value)
        elif isinstance(value, int | float | str):
            yield f"{name} = float({str(value)!r})" if isinstance(value, float) else f"{name} = {value!r}"
        elif type(value).__name__ == "constexpr":
            yield f"import triton.language\n{name} = triton.language.constexpr({value.value!r})"
    yield inspect.getsource(function)


def on_the_cpu(value: Any) -> Any:
    """A tensor with its padding and strides on the CPU; any other argument as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    return flat(value).cpu().as_strided(value.shape, value.stride())


def main(exchange: Path) -> None:
    """Launch what the file holds, and put what was seen in its place."""
    name, text, asked = pickle.loads(exchange.read_bytes())
    kernel = watched.run_text(text, f"<kernel {name}>", {"__name__": "__main__"})[name]
    exchange.write_bytes(pickle.dumps(watched.run(kernel, asked)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
