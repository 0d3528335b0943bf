"""`sparse_attention` at its door, and `import tsparse`."""

import os
import subprocess
import sys

import pytest
import torch

import tsparse


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


def test_all_public_names_are_there() -> None:
    assert all(hasattr(tsparse, name) for name in tsparse.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = tsparse.no_such_name
