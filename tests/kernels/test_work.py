"""Work is counted in the interpreter: what is loaded, multiplied and stored, by which program, and where."""

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import GridExecutor, InterpreterBuilder

from tsparse.kernels import interpret
from tsparse.kernels.canary import COLUMNS, ROWS, scores_and_sums
from tsparse.kernels.work import Access, Dot, Work

pytestmark = pytest.mark.skipif(
    interpret.canary().status == "off",
    reason="kernels are compiled here, and work is counted in the interpreter",
)


@triton.jit
def matmul(x_ptr, y_ptr, out_ptr, rows, inner, columns, BLOCK: tl.constexpr):
    """`out = x @ y`: one program for each BLOCK x BLOCK tile of out."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    total = tl.zeros([BLOCK, BLOCK], tl.float32)
    for start in range(0, inner, BLOCK):
        along = start + tl.arange(0, BLOCK)
        x_inside = (row < rows) & (along[None, :] < inner)
        y_inside = (along[:, None] < inner) & (column < columns)
        x = tl.load(x_ptr + row * inner + along[None, :], mask=x_inside, other=0.0)
        y = tl.load(y_ptr + along[:, None] * columns + column, mask=y_inside, other=0.0)
        total = tl.dot(x, y, total, input_precision="ieee")
    tl.store(out_ptr + row * columns + column, total, mask=(row < rows) & (column < columns))


@triton.jit
def every_second(x_ptr, out_ptr, stride, BLOCK: tl.constexpr):
    """`out = x`, without a mask, with a scalar load, and with an atomic."""
    at = tl.arange(0, BLOCK)
    first = tl.load(x_ptr)
    tl.store(out_ptr + at, tl.load(x_ptr + at * stride) + 0 * first)
    tl.atomic_add(out_ptr + at, 0.0, mask=at < 3)


@triton.jit
def through_descriptors(x_ptr, out_ptr, rows, columns: tl.constexpr, BLOCK: tl.constexpr):
    """`out = x`, by tensor descriptors whose tile is larger than the tensor."""
    x = tl.make_tensor_descriptor(x_ptr, [rows, columns], [columns, 1], [BLOCK, BLOCK])
    out = tl.make_tensor_descriptor(out_ptr, [rows, columns], [columns, 1], [BLOCK, BLOCK])
    out.store([0, 0], x.load([0, 0]))


@triton.jit
def astray(x_ptr, out_ptr):
    """Stores past the end of the first argument, into nothing that the kernel was given."""
    tl.store(x_ptr + 4, 1.0)
    tl.store(out_ptr, 1.0)


@triton.jit
def fails(x_ptr, out_ptr):
    """Loads, then breaks."""
    tl.store(out_ptr, tl.load(x_ptr))
    tl.static_assert(False, "broken")


def multiply(rows: int = 20, inner: int = 40, columns: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = torch.randn(rows, inner), torch.randn(inner, columns)
    out = torch.full((rows, columns), torch.nan)
    grid = (triton.cdiv(rows, 16), triton.cdiv(columns, 16))
    matmul[grid](x, y, out, rows, inner, columns, BLOCK=16)
    return out, x @ y


def builder_methods() -> dict[str, object]:
    return dict(vars(InterpreterBuilder)) | dict(vars(GridExecutor))


def test_canary_kernel_loads_two_tiles_multiplies_once_and_stores_two():
    x, y = torch.randn(2, ROWS, COLUMNS)
    scores, sums = torch.empty(ROWS, ROWS), torch.empty(ROWS)
    with interpret.counting() as work:
        scores_and_sums[(1,)](x, y, scores, sums, ROWS, COLUMNS, BLOCK=16)
    torch.testing.assert_close(scores, x @ y.T)
    assert (work.programs, work.dots, work.flops) == (1, {(16, 16, 16): 1}, 2 * 16**3)
    assert (work.loads.calls, work.loads.lanes, work.loads.elements) == (2, 2 * 256, 2 * ROWS * COLUMNS)
    assert work.loads.bytes == 4 * work.loads.elements
    assert work.loads.tensors == {"x_ptr": ROWS * COLUMNS, "y_ptr": ROWS * COLUMNS}
    assert (work.stores.calls, work.stores.lanes) == (2, 256 + 16)
    assert work.stores.tensors == {"scores_ptr": ROWS * ROWS, "sums_ptr": ROWS}


def test_counted_kernel_computes_what_it_computes_uncounted():
    torch.manual_seed(0)
    plain, _ = multiply()
    torch.manual_seed(0)
    with interpret.counting():
        counted, expected = multiply()
    assert torch.equal(plain, counted)
    torch.testing.assert_close(counted, expected)


def test_every_program_and_every_step_of_the_inner_loop_is_counted():
    with interpret.counting() as work:
        multiply(rows=20, inner=40, columns=8)
    assert work.programs == 2
    assert work.dots == {(16, 16, 16): 2 * 3}
    assert work.loads.tensors == {"x_ptr": 20 * 40, "y_ptr": 2 * 40 * 8}
    assert work.stores.tensors == {"out_ptr": 20 * 8}


def test_several_launches_add_up():
    with interpret.counting() as work:
        multiply()
        multiply()
    assert (work.programs, work.dots) == (4, {(16, 16, 16): 12})


def test_half_precision_moves_half_the_bytes():
    x = torch.arange(16, dtype=torch.float16)
    with interpret.counting() as work:
        every_second[(1,)](x, torch.empty(8, dtype=torch.float16), 2, BLOCK=8)
    assert (work.loads.elements, work.loads.bytes) == (9, 18)


def test_unmasked_and_scalar_accesses_and_atomics_are_counted_once_each():
    x, out = torch.arange(16.0), torch.empty(8)
    with interpret.counting() as work:
        every_second[(1,)](x, out, 2, BLOCK=8)
    assert out.tolist() == x[::2].tolist()
    assert (work.loads.calls, work.loads.elements) == (2, 9)
    assert (work.stores.calls, work.stores.elements) == (1, 8)
    assert (work.atomics.calls, work.atomics.lanes, work.atomics.elements) == (1, 8, 3)


def test_tensor_descriptors_move_what_lies_inside_the_tensor():
    x = torch.arange(40.0).reshape(5, 8)
    out = torch.empty(5, 8)
    with interpret.counting() as work:
        through_descriptors[(1,)](x, out, 5, 8, BLOCK=8)
    assert torch.equal(out, x)
    for traffic, name in ((work.loads, "x_ptr"), (work.stores, "out_ptr")):
        assert (traffic.calls, traffic.lanes, traffic.tensors) == (1, 64, {name: 40})


def test_trace_names_each_program_and_keeps_its_steps_in_order():
    with interpret.tracing() as programs:
        multiply(rows=20, inner=32, columns=8)
    assert [(program.kernel, program.index) for program in programs] == [
        ("matmul", (0, 0, 0)),
        ("matmul", (1, 0, 0)),
    ]
    for program in programs:
        names = [step.argument.name if isinstance(step, Access) else step for step in program.steps]
        turn = ["x_ptr", "y_ptr", Dot(16, 16, 16)]
        assert names == [*turn, *turn, "out_ptr"]
        assert [step.kind for step in program.steps if isinstance(step, Access)] == ["load"] * 4 + ["store"]


def test_trace_says_which_elements_of_a_tensor_a_program_touches():
    with interpret.tracing() as programs:
        multiply(rows=20, inner=40, columns=8)
    touched = np.zeros((20, 40), int)
    for step in programs[1].steps:
        if isinstance(step, Access) and step.argument and step.argument.name == "x_ptr":
            np.add.at(touched, step.indices, 1)
            assert step.lanes.shape == (16, 16)
            assert step.lanes.sum() == step.offsets.size
    assert (touched[16:] == 1).all()
    assert not touched[:16].any()


def test_trace_adds_up_to_the_count():
    with interpret.tracing() as programs, interpret.counting() as work:
        multiply()
    total = Work()
    for program in programs:
        total.programs += program.work.programs
        for step in program.steps:
            total.add(step)
    assert total == work


def test_elements_of_a_strided_view_are_told_from_those_of_its_neighbour():
    both = torch.arange(32.0).reshape(16, 2)
    x, out = both[:, 0], both[:8, 1]
    with interpret.tracing() as programs:
        every_second[(1,)](x, torch.empty(8), 2, BLOCK=8)
    (program,) = programs
    load = program.steps[1]
    assert isinstance(load, Access)
    assert load.offsets.tolist() == list(range(0, 16, 2))
    assert load.indices[0].tolist() == list(range(8))
    assert load.argument is not None
    assert load.argument.offsets(np.array([out.data_ptr()])) is None


def test_access_outside_of_every_argument_is_named_by_none():
    room = torch.zeros(8)
    with interpret.tracing() as programs, interpret.counting() as work:
        astray[(1,)](room[:4], room[6:])
    assert work.stores.tensors == {None: 1, "out_ptr": 1}
    assert programs[0].steps[0].offsets.tolist() == [room.data_ptr() + 16]
    assert programs[0].steps[0].indices == ()


def test_tile_that_lies_wholly_outside_the_mask_moves_nothing():
    with interpret.counting() as work:
        scores_and_sums[(1,)](*torch.empty(4, 256).unbind(), ROWS, 0, BLOCK=16)
    assert (work.loads.lanes, work.loads.elements, work.loads.bytes) == (2 * 256, 0, 0)


def test_contexts_nest_and_the_outer_one_counts_both():
    with interpret.counting() as outer:
        multiply()
        with interpret.counting() as inner:
            multiply()
        multiply()
    assert (outer.programs, inner.programs) == (6, 2)


def test_leaving_restores_the_interpreter():
    before = builder_methods()
    with interpret.counting(), interpret.tracing():
        assert builder_methods() != before
    assert builder_methods() == before


def test_kernel_that_raises_leaves_the_interpreter_as_it_was_and_the_count_so_far():
    before = builder_methods()
    with pytest.raises(Exception, match="broken"), interpret.counting() as work:
        fails[(1,)](torch.zeros(1), torch.zeros(1))
    assert builder_methods() == before
    assert (work.programs, work.loads.calls, work.stores.calls) == (1, 1, 1)


def test_score_elements_are_the_products_along_the_head_size():
    work = Work()
    for _ in range(3):
        work.add(Dot(32, 64, 16))
        work.add(Dot(32, 16, 64))
    assert work.score_elements(head_dim=64, matmuls=2) == 3 * 32 * 16
    with pytest.raises(ValueError, match="not a multiple of 7 products along 64"):
        work.score_elements(head_dim=64, matmuls=7)


def test_process_that_compiles_its_kernels_cannot_count(monkeypatch):
    compiled = interpret.Canary("off", "kernels are compiled for the GPU")
    monkeypatch.setattr(interpret, "canary", lambda: compiled)
    with pytest.raises(RuntimeError, match="start another with TRITON_INTERPRET=1"), interpret.counting():
        pass
