"""Triton's interpreter: kernels on CPU tensors, and the canary that says whether it can be trusted.

Triton reads `TRITON_INTERPRET` once, when it is imported; `import tsparse` sets it where there is no GPU.
The interpreter of Triton 3.7.1 and 3.9.0 multiplies bfloat16 wrongly (off by 1e10): that dtype is refused.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from typing import Literal

import torch

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

    cure = "install the version that constraints.txt names"
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
