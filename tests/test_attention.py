"""`sparse_attention` at its door, and `import tsparse`."""

import os
import subprocess
import sys

import pytest
import torch

import tsparse
from tests.backends import Backend, every_backend, tensors
from tsparse import Causal, sparse_attention


def in_a_fresh_process(code: str, **environment: str) -> str:
    """What the code prints; TRITON_INTERPRET is unset unless given."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**inherited, **environment},
    )
    return done.stdout.strip()


def test_import_works_without_triton_and_matplotlib() -> None:
    code = """
import sys
sys.modules["triton"] = sys.modules["matplotlib"] = None
import torch, tsparse
q = torch.randn(1, 1, 4, 8)
print(tuple(tsparse.sparse_attention(q, q, q, tsparse.Causal().layout(4)).shape))
"""
    assert in_a_fresh_process(code) == "(1, 1, 4, 8)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU kernels are compiled, not interpreted")
def test_import_switches_the_interpreter_on_where_there_is_no_gpu() -> None:
    assert in_a_fresh_process("import os, tsparse; print(os.environ['TRITON_INTERPRET'])") == "1"


def test_import_respects_the_interpreter_switch_and_touches_no_gpu() -> None:
    code = "import os, tsparse, torch; print(os.environ['TRITON_INTERPRET'], torch.cuda.is_initialized())"
    assert in_a_fresh_process(code, TRITON_INTERPRET="0") == "0 False"


@every_backend
def test_forward_derivatives_are_those_of_the_reference_or_refused(backend: Backend) -> None:
    q, k, v = tensors(16, 16)
    layout = Causal().layout(16, block=16)

    def attend(q: torch.Tensor, name: str) -> torch.Tensor:
        out = sparse_attention(q, k, v, layout, backend=name)
        assert isinstance(out, torch.Tensor)
        return out

    def slope(name: str) -> torch.Tensor:
        return torch.func.jvp(lambda q: attend(q, name), (q,), (torch.ones_like(q),))[1]

    if backend.name == "reference":
        step = 1e-6
        near = (attend(q + step, "reference") - attend(q - step, "reference")) / (2 * step)
        torch.testing.assert_close(slope("reference"), near, rtol=1e-5, atol=1e-7)
    else:
        with pytest.raises(NotImplementedError, match=f'backend="{backend.name}" has no forward-mode deriv'):
            slope(backend.name)


def test_all_public_names_are_there() -> None:
    assert all(hasattr(tsparse, name) for name in tsparse.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = tsparse.no_such_name
