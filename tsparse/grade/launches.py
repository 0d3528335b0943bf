"""Kernels as text, buffers for them, and how to write a kernel exercise.

A kernel exercise in twenty lines (`exercises/triton/` holds three):

1. Write the kernel, solved, into `kernels.py` of the topic, as you would show it to a reader.
2. Write what it computes in PyTorch: `def scale_rows(x, s)`, the `spec`. Cases are made for it as always.
3. Say how one case is launched, in the order of the kernel's arguments:

        def launch(x, s):
            x, y = padded(x), output(*x.shape, dtype=x.dtype)
            arguments = {"x_ptr": x, "s_ptr": s, "y_ptr": y, "n_cols": x.shape[1],
                         "stride_x": x.stride(0), "stride_y": y.stride(0)}
            return Launch((len(x), cdiv(x.shape[1], 8)), arguments, {"BLOCK": 8}, ("y_ptr",))

4. `Exercise(spec=scale_rows, kernel=Kernel(text, launch), ...)`, `text = kernel_text(FILE, "scale_rows")`.
   Where the reader writes a helper that is called by a kernel of yours, give that one as `driver`.
5. A wrong answer is the same text with a line exchanged: `Wrong(name, sentence, text.but(old, new))`.
   `Mistake.launched` tells its sentence what the launch did.
6. Where cost is graded, give `blocks` (see `exercise.Blocks`) and add the cases of `poisoned_tiles`.

`kernels/watched.py` launches it, `outside.py` reads what came back. Needs nothing of the package but what the
child loads as well.
"""

from __future__ import annotations

import ast
import functools
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tsparse.kernels.memory import KINDS, MOST_FAULTS, Fault, poison
from tsparse.kernels.watched import MOST_PROGRAMS, MOST_RUNS, Launch, Launched, Runs, Visit, run_text

__all__ = ["KernelText", "Launch", "Launched", "cdiv", "kernel_text", "output", "padded", "parameters"]
__all__ += ["read_launched", "tuples"]


@dataclass(frozen=True)
class KernelText:
    """A kernel as text, defined when it is first launched: so exercises can be listed without Triton."""

    name: str
    source: str

    @property
    def parameters(self) -> str:
        """The names of its parameters: "(x_ptr, n_cols, BLOCK)"."""
        for node in ast.parse(self.source).body:
            if isinstance(node, ast.FunctionDef) and node.name == self.name:
                return f"({', '.join(argument.arg for argument in node.args.args)})"
        return "()"

    def but(self, *changes: str) -> KernelText:
        """The text with a piece exchanged for another, or several in turn; each old one stands there once.

        Raises ValueError where it does not.
        """
        source = self.source
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            if source.count(old) != 1:
                raise ValueError(f"{old!r} stands {source.count(old)} times in the text of {self.name}")
            source = source.replace(old, new)
        return KernelText(self.name, source)

    def define(self) -> Any:
        """The kernel itself; raises what its text raises."""
        return _defined(self.name, self.source)


@functools.lru_cache(256)
def _defined(name: str, source: str) -> Any:
    import triton
    import triton.language as tl

    namespace = {"__name__": "__main__", "triton": triton, "tl": tl}
    return run_text(source, f"<kernel {name} {abs(hash(source)):x}>", namespace)[name]


def kernel_text(file: str | Path, name: str) -> KernelText:
    """The kernel `name` of a Python file as text, after the two imports that it needs."""
    text = Path(file).read_text(encoding="utf-8")
    found = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    node = found[name]
    lines = text.splitlines()[node.decorator_list[0].lineno - 1 : node.end_lineno]
    body = "\n".join(lines)
    return KernelText(name, f"import triton\nimport triton.language as tl\n\n\n{body}\n")


def parameters(signature: inspect.Signature) -> str:
    """Return the parameters of a signature without their types: "(n_q, n_kv, q_offset=0)"."""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def padded(x: torch.Tensor, extra: int = 3) -> torch.Tensor:
    """The same numbers with `extra` places of poison after each row, the first axis is not contiguous."""
    wide = torch.full((*x.shape[:-1], x.shape[-1] + extra), poison(x.dtype), dtype=x.dtype)
    view = wide[..., : x.shape[-1]]
    return view.copy_(x)


def output(*shape: int, dtype: torch.dtype = torch.float32, extra: int = 3) -> torch.Tensor:
    """A buffer to write into: poison everywhere, its rows padded."""
    return padded(torch.full(shape, poison(dtype), dtype=dtype), extra)


def tuples(value: Any) -> Any:
    """A value that crossed as JSON, its lists as the tuples that they were."""
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def read_launched(node: Any) -> Launched:
    """Build what was seen of a launch from JSON that may be forged; raises where it is none."""
    node = tuples(node)
    faults = tuple(
        Fault(
            KINDS[KINDS.index(one["kind"])],
            _whole(one["program"]),
            str(one["argument"]),
            _whole(one["index"]),
            int(one["count"]),
            _whole(one["shape"]),
            _whole(one["other"]),
        )
        for one in node["faults"][:MOST_FAULTS]
    )
    visits = tuple(
        Visit(_whole(one["program"]), int(one["dots"]), _runs(one["loads"]), _runs(one["stores"]))
        for one in node["visits"][:MOST_PROGRAMS]
    )
    return Launched(faults, visits)


def _whole(numbers: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers[:8])


def _runs(node: Any) -> dict[str, Runs]:
    return {str(name): tuple((int(a), int(b)) for a, b in found[:MOST_RUNS]) for name, found in node.items()}


def cdiv(a: int, b: int) -> int:
    """How many pieces of `b` hold `a`."""
    return -(-a // b)
