"""A launch is drawn from what its programs did, and said in words."""

import numpy as np
import pytest
import torch

from tsparse import show
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.triton import matmul, row_softmax, scale_rows
from tsparse.kernels import interpret, watched
from tsparse.show.launches import OUTSIDE, PADDING, STORED, UNTOUCHED, places_table

needs_interpreter = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)

WANTED = torch.ones(3, 4, dtype=torch.bool).tril()


def scaled(answer):
    """The explorer of a kernel of `triton.scale_rows` on 5 rows of 21."""
    asked = scale_rows.launch(torch.randn(5, 21), torch.randn(5))
    return show.launch(answer.define(), asked.grid, *asked.arguments.values(), **asked.constants)


@needs_interpreter
def test_launch_steps_through_its_programs_and_says_what_each_does():
    explorer = scaled(exercise("triton.scale_rows").reference)
    assert repr(explorer) == (
        "Program (0, 0) loads 8 of x_ptr and 1 of s_ptr, stores 8 of y_ptr. x_ptr: loads row 0, columns 0 to "
        "7. s_ptr: loads row 0, column 0. y_ptr: stores row 0, columns 0 to 7."
    )
    before = explorer.image.value
    explorer.set(program=14)
    assert explorer.image.value != before
    assert "Program (4, 2) loads 5 of x_ptr" in explorer.caption.value
    assert "stores row 4, columns 16 to 20" in explorer.caption.value


@needs_interpreter
def test_place_outside_of_a_tensor_is_drawn_and_named():
    explorer = scaled(exercise("triton.scale_rows").wrong[0].answer)
    explorer.set(program=2)
    assert "read 3 places past the end of a row (21 long) of `x_ptr`" in explorer.caption.value


@needs_interpreter
def test_table_of_a_tensor_tells_stored_from_outside_and_from_padding():
    asked = scale_rows.launch(torch.randn(2, 12), torch.randn(2))
    kernel = exercise("triton.scale_rows").wrong[0].answer.define()
    memory, programs = watched.run(kernel, asked)
    buffer = next(one for one in memory.buffers if one.argument.name == "y_ptr")
    table = places_table(memory, buffer, programs[1])
    assert table.shape == (2, 17)
    assert table[0].tolist() == [UNTOUCHED] * 8 + [STORED] * 4 + [OUTSIDE] * 4 + [PADDING]
    assert table[1].tolist() == [UNTOUCHED] * 12 + [PADDING] * 5


@needs_interpreter
def test_products_are_counted_in_the_title():
    asked = matmul.launch(torch.randn(20, 35), torch.randn(35, 70))
    kernel = exercise("triton.matmul").reference.define()
    explorer = show.launch(kernel, asked.grid, *asked.arguments.values(), **asked.constants)
    assert "multiplies 16 × 32 by 32 × 64 (2 times)" in repr(explorer)


@needs_interpreter
def test_tensors_of_the_reader_stay_as_they_are():
    y = torch.zeros(3, 8)
    kernel = exercise("triton.scale_rows").reference.define()
    show.launch(kernel, (3, 1), torch.ones(3, 8), torch.ones(3), y, 8, 8, 8, BLOCK=8)
    assert not y.any()


def test_tiles_visited_as_they_should_be_are_said_to_be_all():
    assert (
        repr(show.tiles(WANTED, WANTED, "All")) == "All. 6 tiles visited, 6 wanted, of 3 x 4, and no other."
    )


def test_tiles_too_many_and_missing_are_said_by_row():
    visited = WANTED.clone()
    visited[0, 1:3], visited[2, 0] = True, False
    assert repr(show.tiles(visited, WANTED, "Tiles")) == (
        "Tiles. 7 tiles visited, 6 wanted, of 3 x 4: query block 0 visits for nothing key tile 1 and 2; "
        "query block 2 misses key tile 0."
    )


def test_looks_of_tiles_differ_in_grey():
    visited = np.array([[True, True, False, False]])
    wanted = np.array([[True, False, True, False]])
    assert show.tiles(visited, wanted, "Four").png != show.tiles(visited, ~wanted, "Four").png


def test_tables_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must have one shape, got \(3, 4\) and \(4, 3\)"):
        show.tiles(WANTED, WANTED.T, "Tiles")


@needs_interpreter
def test_launch_begins_with_the_first_program_that_did_something_wrong():
    assert repr(scaled(exercise("triton.scale_rows").wrong[0].answer)).startswith("Program (0, 2)")


@needs_interpreter
def test_lanes_that_are_masked_off_and_stored_are_said_to_be_nan():
    kernel = exercise("triton.row_softmax").reference.but('mask=inside, other=-float("inf")', "mask=inside")
    asked = row_softmax.launch(torch.randn(2, 5))
    explorer = show.launch(kernel.define(), asked.grid, *asked.arguments.values(), **asked.constants)
    assert repr(explorer).endswith("y_ptr: stores row 0, columns 0 to 4. It stored NaN into 5 places.")


@needs_interpreter
def test_reading_what_nobody_has_written_is_named():
    kernel = exercise("triton.scale_rows").reference.define()
    nothing = torch.full((3, 8), float("nan"))
    explorer = show.launch(kernel, (3, 1), nothing, torch.ones(3), torch.zeros(3, 8), 8, 8, 8, BLOCK=8)
    assert "Program (0, 0) read `x_ptr[0, 0]` before any program had written it" in repr(explorer)
