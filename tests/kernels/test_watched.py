"""Launches on watched memory: what kernels may not do is seen, and named."""

import pytest
import torch

from tsparse.grade.launches import KernelText, output, padded
from tsparse.kernels import interpret
from tsparse.kernels.watched import Launch, launch, run

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)

HEAD = "@triton.jit\ndef kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):\n    i = tl.program_id(0)\n"
COLS = "    cols = tl.arange(0, BLOCK)\n"


def launched(body, x=None, grid=(2,), outputs=("y_ptr",), y=None):
    """Launch a kernel with this body on rows of 5 that lie 8 apart."""
    x = padded(torch.arange(10.0).reshape(2, 5)) if x is None else x
    arguments = {"x_ptr": x, "y_ptr": output(2, 5) if y is None else y, "n": 5}
    kernel = KernelText("kernel", HEAD + COLS + body).define()
    return launch(kernel, Launch(grid, arguments, {"BLOCK": 8}, outputs))


def sentences(body, **how):
    return [fault.sentence() for fault in launched(body, **how)[2].faults]


COPY = (
    "    x = tl.load(x_ptr + i * 8 + cols, mask=cols < {read}, other=0.0)\n"
    "    tl.store(y_ptr + i * 8 + cols, x, mask=cols < {write})\n"
)


def test_right_kernel_has_no_faults_and_writes_its_output():
    outputs, changed, seen = launched(COPY.format(read="n", write="n"))
    assert torch.equal(outputs[0], torch.arange(10.0).reshape(2, 5))
    assert (changed, seen.faults, seen.dots) == ((), (), 0)


def test_read_past_the_end_of_a_row_names_program_argument_and_place():
    assert sentences(COPY.format(read="7", write="n"))[0] == (
        "Program 0 read 2 places past the end of a row (5 long) of `x_ptr`: the first is `x_ptr[0, 5]`."
    )


def test_write_past_the_end_of_a_row_lands_in_the_padding_and_is_named():
    outputs, _, seen = launched(COPY.format(read="n", write="n + 1"))
    assert [fault.kind for fault in seen.faults] == ["wrote", "wrote"]
    assert seen.faults[1].sentence() == (
        "Program 1 wrote 1 place past the end of a row (5 long) of `y_ptr`: the first is `y_ptr[1, 5]`."
    )
    assert float(outputs[0].as_strided((1,), (1,), outputs[0].storage_offset() + 5)) == 0


def test_address_far_away_is_neither_read_nor_written():
    body = "    x = tl.load(x_ptr + 100000000 * (i + 1) + cols)\n    tl.store(y_ptr - 100000000 + cols, x)\n"
    kinds = {fault.kind for fault in launched(body)[2].faults}
    assert kinds == {"read", "wrote"}


def test_place_before_the_beginning_is_named():
    assert (
        "before the beginning of `x_ptr`"
        in sentences(
            "    x = tl.load(x_ptr - 3 + cols, mask=cols < 3, other=0.0)\n"
            "    tl.store(y_ptr + i * 8 + cols, x, mask=cols < 5)\n"
        )[0]
    )


def test_two_programs_that_write_one_place_are_both_named():
    body = "    tl.store(y_ptr + cols, cols.to(tl.float32), mask=cols < n)\n"
    assert sentences(body) == [
        "Program 1 wrote `y_ptr[0, 0]`, which program 0 had written too: on a GPU they run at the same time, "
        "and either may be the last."
    ]


def test_program_may_write_a_place_twice():
    body = "    tl.store(y_ptr + i * 8 + cols, 1.0, mask=cols < n)\n" * 2
    assert sentences(body) == []


def test_reading_an_output_before_it_is_written_is_caught():
    body = (
        "    y = tl.load(y_ptr + i * 8 + cols, mask=cols < n, other=0.0)\n"
        "    tl.store(y_ptr + i * 8 + cols, y, mask=cols < n)\n"
    )
    assert sentences(body)[0] == (
        "Program 0 read `y_ptr[0, 0]` before any program had written it: an output starts as anything."
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32])
def test_lane_that_is_masked_off_without_other_holds_anything(dtype):
    body = (
        "    x = tl.load(x_ptr + i * 8 + cols, mask=cols < 2)\n"
        "    tl.store(y_ptr + i * 8 + cols, x, mask=cols < n)\n"
    )
    x = padded(torch.ones(2, 5, dtype=dtype))
    value = launched(body, x=x, y=output(2, 5, dtype=dtype))[0][0]
    assert bool((value[:, :2] == 1).all())
    assert (
        bool((value[:, 2:] != value[:, 2:]).all())
        if dtype.is_floating_point
        else bool((value[:, 2:] < -9).all())
    )


def test_input_that_was_written_into_is_named():
    assert launched("    tl.store(x_ptr + i * 8 + cols, 1.0, mask=cols < n)\n", outputs=())[1] == ("x_ptr",)


def test_arguments_of_the_caller_stay_as_they_are():
    y = output(2, 5)
    launched(COPY.format(read="n", write="n"), y=y)
    assert y.isnan().all()


def test_atomics_are_refused():
    with pytest.raises(Exception, match="no exercise needs atomics"):
        launched("    tl.atomic_add(y_ptr + cols, 1.0, mask=cols < n)\n")


@pytest.mark.parametrize(
    "asks",
    [
        "if cols < n:\n        y = 2.0 * x",
        "y = tl.where((cols < n) and (cols > 0), x, 0.0)",
        "y = tl.where(0 < cols < n, x, 0.0)",
        "y = tl.where(not cols, x, 0.0)",
    ],
)
def test_block_is_neither_true_nor_false(asks):
    body = f"    x = tl.load(x_ptr + cols, mask=cols < n, other=0.0)\n    {asks}\n"
    with pytest.raises(Exception, match="a block is many numbers"):
        launched(body)


def test_number_of_a_kernel_is_true_or_false():
    body = "    if 0 < i < n and n > 4:\n        tl.store(y_ptr + cols, 2.0 * cols, mask=cols < n)\n"
    (y,), _, _ = launched(body)
    assert y[0].tolist() == [0, 2, 4, 6, 8]
    assert y[1].isnan().all()


def test_truth_of_a_block_is_again_the_interpreters_own_after_the_watch():
    body = "    if cols < n:\n        tl.store(y_ptr + cols, 1.0 + cols, mask=cols < n)\n"
    with pytest.raises(Exception, match="a block is many numbers"):
        launched(body)
    y = torch.zeros(8)
    KernelText("kernel", HEAD + COLS + body).define()[(1,)](torch.zeros(8), y, 5, BLOCK=8)
    assert y.tolist() == [1, 2, 3, 4, 5, 0, 0, 0]


def test_products_and_rows_of_each_program_are_kept():
    text = (
        "@triton.jit\ndef kernel(x_ptr, y_ptr, BLOCK: tl.constexpr):\n    i = tl.program_id(1)\n"
        "    rows = tl.arange(0, BLOCK)\n    places = rows[:, None] * BLOCK + rows[None, :]\n"
        "    x = tl.load(x_ptr + places)\n    x = tl.dot(x, x)\n    x = tl.dot(x, x)\n"
        "    tl.store(y_ptr + i * BLOCK * BLOCK + places, x)\n"
    )
    arguments = {"x_ptr": torch.ones(16, 16), "y_ptr": output(32, 16, extra=0)}
    asked = Launch((1, 2), arguments, {"BLOCK": 16}, ("y_ptr",))
    kernel = KernelText("kernel", text).define()
    visits = launch(kernel, asked)[2].visits
    assert [(visit.program, visit.dots) for visit in visits] == [((0, 0), 2), ((0, 1), 2)]
    assert visits[1].loads == {"x_ptr": ((0, 15),)}
    assert visits[1].stores == {"y_ptr": ((16, 31),)}
    assert run(kernel, asked)[1][0].dots == [(16, 16, 16)] * 2


def test_argument_without_elements_takes_no_place_of_another():
    kernel = KernelText("kernel", HEAD + "    tl.store(y_ptr + i * 8, tl.load(x_ptr + i))\n").define()
    arguments = {"x_ptr": torch.arange(2.0), "y_ptr": output(2, 5), "n": torch.ones(0)}
    (y,), _, seen = launch(kernel, Launch((2,), arguments, {"BLOCK": 8}, ("y_ptr",)))
    assert not seen.faults
    assert y[:, 0].tolist() == [0, 1]
