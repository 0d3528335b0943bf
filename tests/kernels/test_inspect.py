"""Kernels are compiled for GPUs that are not there, in a process of its own, also kernels of one's own."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch
import triton
import triton.language as tl
from triton.language import exp2 as power_of_two

from tsparse.cli import main
from tsparse.kernels import inspect
from tsparse.kernels.compiling import TARGETS, Compiled

LOG2E = tl.constexpr(1.4426950408889634)
TENSOR_CORES = {"sm_80": "mma.sync", "sm_90": "wgmma", "sm_100": "tcgen05", "gfx942": "mfma"}


@triton.jit
def exponential(x):
    return power_of_two(x * LOG2E)


renamed = exponential
alpha = object()
"""The kernel has its own `alpha`, and this one cannot be written down."""


@triton.jit
def toy_attention(
    q_ptr, k_ptr, v_ptr, out_ptr, n, DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr
):
    """Attention without a mask, of one head with n keys."""
    rows, d = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None], tl.arange(0, DIM)[None, :]
    q = tl.load(q_ptr + rows * DIM + d)
    m_i = tl.full([BLOCK_M], float("-inf"), tl.float32)
    l_i = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, DIM], tl.float32)
    for start in range(0, n, BLOCK_N):
        columns = start + tl.arange(0, BLOCK_N)[:, None]
        k, v = tl.load(k_ptr + columns * DIM + d), tl.load(v_ptr + columns * DIM + d)
        s = tl.dot(q, tl.trans(k))
        m_new = tl.maximum(m_i, tl.max(s, 1))
        p, alpha = renamed(s - m_new[:, None]), exponential(m_i - m_new)
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = tl.dot(p.to(v.dtype), v, acc * alpha[:, None])
        m_i = m_new
    tl.store(out_ptr + rows * DIM + d, (acc / l_i[:, None]).to(out_ptr.dtype.element_ty))


@triton.jit
def double(x_ptr, out_ptr, n, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, scale * tl.load(x_ptr + at, mask=at < n), mask=at < n)


@triton.jit
def broken(x_ptr, BLOCK: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, BLOCK), tl.no_such_thing(BLOCK))


def toy_arguments(dtype: torch.dtype = torch.float16, **others: object) -> dict[str, object]:
    tensors = dict.fromkeys(("q_ptr", "k_ptr", "v_ptr", "out_ptr"), dtype)
    return {**tensors, "n": 1024, "DIM": 64, "BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, **others}


@pytest.fixture(scope="module")
def toy() -> dict[str, Compiled]:
    """A kernel of a test file, which uses what stands around it, on every target."""
    return {one.target: one for one in inspect.compile(toy_attention, toy_arguments())}


def test_kernel_of_ones_own_compiles_for_every_target_in_their_order(toy):
    assert list(toy) == list(TARGETS)
    assert all(one.kernel == "toy_attention" for one in toy.values())


@pytest.mark.parametrize("target", TENSOR_CORES)
def test_matrix_instructions_are_those_of_the_target(toy, target):
    counts = toy[target].instructions
    used = {name for name in TENSOR_CORES.values() if counts[name]}
    assert used == {TENSOR_CORES[target]}


def test_turing_gets_no_matrix_instructions_but_multiplies_and_adds(toy):
    """Triton dropped them for sm_75 in release 3.3."""
    counts = toy["sm_75"].instructions
    assert counts["fma"] > 2 * 64 * 64 * 64 // 128  # of two products, by 128 threads
    assert not any(counts[name] for name in TENSOR_CORES.values())


def test_tile_that_is_too_large_is_seen_to_spill(toy):
    assert toy["sm_75"].spills > 0
    assert toy["sm_75"].registers == 255
    assert toy["sm_90"].spills == 0
    assert 32 < toy["sm_90"].registers < 255


def test_tile_and_shared_memory_are_reported(toy):
    assert toy["sm_90"].tile == {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 3}
    # q, and k and v once for each stage but the last, of 64 x 64 half-precision numbers, and barriers
    assert toy["sm_90"].shared >= 3 * 64 * 64 * 2


def test_assembly_is_of_the_target(toy):
    for target, one in toy.items():
        line = next(line for line in one.assembly.splitlines() if "target" in line)
        assert target in line
        assert one.kernel in one.assembly


def test_machine_instructions_are_shown(toy):
    assert "HGMMA" in inspect.sass(toy["sm_90"])
    assert "HMMA" in inspect.sass(toy["sm_80"])
    assert "FFMA" in inspect.sass(toy["sm_75"])
    assert inspect.sass(toy["gfx942"]) == toy["gfx942"].assembly


def loads(x: torch.Tensor | torch.dtype, n: int) -> int:
    """How many loads a thread makes to read its eight numbers."""
    arguments = {"x_ptr": x, "out_ptr": torch.float16, "n": n, "scale": 2.0, "BLOCK": 1024, "num_warps": 4}
    (compiled,) = inspect.compile(double, arguments, ["sm_80"])
    return compiled.assembly.count("ld.global")


def test_arguments_are_specialized_as_in_a_launch():
    x = torch.zeros(1024, dtype=torch.float16)
    assert loads(x, n=1024) == 1
    assert loads(torch.float16, n=1023) == 8
    assert loads(x[1:], n=1024) == 8


def test_several_kernels_compile_in_one_go_each_for_its_target_and_in_their_order():
    vector = {"x_ptr": torch.float32, "out_ptr": torch.float32, "n": 64, "scale": 2.0, "BLOCK": 64}
    launches = [
        (double, vector, "sm_90"),
        (toy_attention, toy_arguments(BLOCK_M=32), "sm_80"),
        (double, vector | {"BLOCK": 32}, "sm_80"),
    ]
    made = inspect.compile_all(launches)
    assert [(one.kernel, one.target) for one in made] == [
        ("double", "sm_90"),
        ("toy_attention", "sm_80"),
        ("double", "sm_80"),
    ]
    assert [one.tile.get("BLOCK", one.tile.get("BLOCK_M")) for one in made] == [64, 32, 32]


def test_kernel_that_does_not_compile_says_where_and_why():
    with pytest.raises(RuntimeError, match=r"(?s)broken does not compile for sm_80: .*no_such_thing"):
        inspect.compile(broken, {"x_ptr": torch.float32, "BLOCK": 16}, ["sm_80"])


def test_argument_that_is_missing_is_named():
    with pytest.raises(RuntimeError, match=r"ended early: TypeError: .*'x_ptr'"):
        inspect.compile(broken, {"BLOCK": 16}, ["sm_80"])


def test_target_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"target must be one of sm_75, sm_80, .*, got 'sm_12'"):
        inspect.compile(double, {}, ["sm_12"])


def test_kernel_written_in_a_notebook_compiles(tmp_path):
    """Its source is in no file: IPython keeps it, as this does, in the cache of lines."""
    cell = """
import linecache, sys
source = '''
import triton
import triton.language as tl

@triton.jit
def fill(out_ptr, BLOCK: tl.constexpr):
    tl.store(out_ptr + tl.arange(0, BLOCK), 1.0)
'''
linecache.cache["<cell 1>"] = (len(source), None, source.splitlines(True), "<cell 1>")
import tsparse
exec(compile(source, "<cell 1>", "exec"), globals())
import torch
from tsparse.kernels import inspect
(made,) = inspect.compile(fill, {"out_ptr": torch.float32, "BLOCK": 16}, ["sm_80"])
print(made.kernel, made.target)
"""
    ran = subprocess.run(
        [sys.executable, "-c", cell],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (ran.stdout, ran.returncode) == ("fill sm_80\n", 0), ran.stderr


def test_command_prints_objects_with_the_agreed_keys(capsys):
    assert (
        main(["inspect", "--kernel", "delta", "--target", "sm_90", "--head-dim", "16", "32", "--json"]) == 0
    )
    rows = json.loads(capsys.readouterr().out)
    keys = ["kernel", "target", "dtype", "head_dim", "tile", "registers", "spills", "shared", "instructions"]
    assert [list(row) for row in rows] == [keys, keys]
    assert [row["head_dim"] for row in rows] == [16, 32]
    assert rows[0]["instructions"].keys() == {"wgmma", "mma.sync", "tcgen05", "mfma", "fma"}
    assert rows[0]["tile"].keys() == {"BLOCK_M", "num_warps", "num_stages"}


def test_command_prints_a_table(capsys):
    assert main(["inspect", "--kernel", "delta", "--target", "sm_90", "--head-dim", "16"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "kernel", "target", "dtype", "head_dim", "tile", "registers", "spills", "shared", "instructions",
    ]  # fmt: skip
    assert line.startswith("delta   sm_90   float16  16")
    assert "of 227 KiB" in line


@pytest.mark.parametrize(
    ("option", "shown"), [("--ptx", ".visible .entry delta"), ("--sass", "Function : delta")]
)
def test_command_shows_the_code(option, shown, capsys):
    assert main(["inspect", "--kernel", "delta", "--target", "sm_90", "--head-dim", "16", option]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("// delta sm_90 float16 head size 16\n")
    assert shown in printed


def test_command_refuses_a_head_size_that_the_kernels_refuse(capsys):
    assert main(["inspect", "--head-dim", "64", "300"]) == 2
    assert capsys.readouterr().err == "tsparse inspect: --head-dim must be 1 to 256, got 300\n"


def test_facts_are_what_compiled_holds_but_for_the_code(toy):
    left_out = {field.name for field in dataclasses.fields(Compiled)} - inspect.facts(toy["sm_80"]).keys()
    assert left_out == {"assembly", "binary"}
