"""What the compiler makes of every kernel on every target, with the tile that it would get there.

Larger head sizes may spill in the backward kernels; `tsparse inspect --head-dim 256` reports how much.
"""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from tsparse import Global, SlidingWindow
from tsparse.kernels import inspect
from tsparse.kernels.compiling import TARGETS, Attention, Compiled
from tsparse.kernels.inspect import KERNELS, SHARED_LIMIT

HEAD_DIMS = (64, 128)
"""The largest of those that get the same tile."""
WITH_DOT = {"forward", "dkdv", "dq"}
PINS = Path(__file__).parents[2].joinpath("constraints.txt").read_text(encoding="utf-8")
(PINNED,) = re.findall(r"^triton==([\d.]+)", PINS, re.MULTILINE)
with_pinned_triton = pytest.mark.skipif(
    version("triton") != PINNED, reason=f"tiles are chosen with Triton {PINNED}: others need other registers"
)


@pytest.fixture(scope="module")
def compiled() -> list[tuple[Attention, Compiled]]:
    """Every kernel, target and head size for half precision; single precision, bfloat16 where they differ."""
    halves = [Attention(KERNELS, torch.float16, size, target) for size in HEAD_DIMS for target in TARGETS]
    singles = [Attention(KERNELS, torch.float32, 128, target) for target in TARGETS]
    brains = [Attention(KERNELS, torch.bfloat16, 128, target) for target in ("sm_80", "sm_90")]
    return inspect._compiled(halves + singles + brains)


@pytest.fixture(scope="module")
def compiled_with_bits() -> list[tuple[Attention, Compiled]]:
    """The same for a pattern whose partial blocks are no zones, where a mask comes from memory."""
    pattern = SlidingWindow(256) | Global([3, 200])
    halves = [Attention(KERNELS, torch.float16, 64, target, pattern) for target in TARGETS]
    return inspect._compiled([*halves, Attention(KERNELS, torch.float32, 64, "sm_90", pattern)])


def told(compiled: list[tuple[Attention, Compiled]]) -> list[tuple[object, ...]]:
    return [(one.kernel, one.target, asked.dtype, asked.head_dim, one.tile) for asked, one in compiled]


def test_every_kernel_compiles_for_every_target(compiled):
    found = {(one.kernel, one.target, asked.head_dim) for asked, one in compiled}
    assert found == {(kernel, target, size) for kernel in KERNELS for target in TARGETS for size in HEAD_DIMS}


@with_pinned_triton
def test_nothing_spills_up_to_head_size_128(compiled):
    assert told([(asked, one) for asked, one in compiled if one.spills]) == []


def test_masks_from_memory_compile_for_every_target(compiled_with_bits):
    assert {(one.kernel, one.target) for _, one in compiled_with_bits} >= {
        (kernel, target) for kernel in KERNELS for target in TARGETS
    }


@with_pinned_triton
def test_masks_from_memory_compile_without_spills(compiled_with_bits):
    assert told([(asked, one) for asked, one in compiled_with_bits if one.spills]) == []


def test_shared_memory_is_within_the_limit_of_the_target(compiled):
    over = [(asked, one) for asked, one in compiled if one.shared > 1024 * SHARED_LIMIT[one.target]]
    assert told(over) == []


@pytest.mark.parametrize(
    ("target", "instruction"),
    [("sm_80", "mma.sync"), ("sm_90", "wgmma"), ("sm_100", "tcgen05"), ("gfx942", "mfma")],
)
def test_16_bit_products_use_the_matrix_instructions_of_the_target(target, instruction, compiled):
    halves = [
        (asked, one)
        for asked, one in compiled
        if one.target == target and asked.dtype.itemsize == 2 and one.kernel in WITH_DOT
    ]
    assert {one.kernel for _, one in halves} == WITH_DOT
    assert told([(asked, one) for asked, one in halves if not one.instructions[instruction]]) == []


def test_float32_products_are_not_rounded_to_tf32(compiled):
    rounded = [
        (asked, one)
        for asked, one in compiled
        if asked.dtype == torch.float32 and (one.instructions["mma.sync"] or one.instructions["wgmma"])
    ]
    assert told(rounded) == []
