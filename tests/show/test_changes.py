"""Two versions of a function: what counts as new, and how it is shown."""

import pytest
import triton
import triton.language as tl

from tsparse.show import changes

BEFORE = """
def total(
    x,
    start,
):
    # load
    result = start
    for value in x:
        result = result + value
    return result
"""


def after(old: str, new: str) -> str:
    assert old in BEFORE
    return BEFORE.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    # load\n", ""),
        ("def total(\n    x,\n    start,\n):", "def total(x, start):"),
        ("    # load\n", '    """The sum."""\n'),
        ("    return result", "    if x:\n        pass\n    return result"),
    ],
)
def test_only_statements_count(old, new):
    assert changes(BEFORE, after(old, new)).statements == 2 * ("if x" in new)


def test_statement_that_moved_or_stands_deeper_is_not_new():
    deeper = after(
        "        result = result + value\n", "        if value:\n            result = result + value\n"
    )
    assert changes(BEFORE, deeper).statements == 1


def test_statement_written_twice_is_new_once():
    assert (
        changes(BEFORE, after("    result = start\n", "    result = start\n    result = start\n")).statements
        == 1
    )


def test_every_line_of_a_new_head_is_marked_and_no_line_of_its_body():
    marked = changes(BEFORE, after("    start,\n", "    start=0,\n"))
    assert marked.new == {0, 1, 2}
    assert repr(marked).splitlines()[1:4] == ["+ def total(", "+     x,", "+     start=0,"]


def test_kernel_that_says_in_triton_what_pytorch_said_has_nothing_new():
    python = "def f(x):\n    return torch.exp(torch.zeros([4]) - x)"
    kernel = "@triton.jit\ndef f(x):\n    return tl.exp(tl.zeros([4]) - x)"
    assert changes(python, kernel).statements == 0
    assert changes(python, kernel.replace("exp", "exp2")).statements == 1


@triton.jit
def kernel(x_ptr):
    """Read one number."""
    tl.store(x_ptr, tl.load(x_ptr) + 1)


def test_functions_and_kernels_bring_their_source():
    assert changes(after, kernel).lines[0] == "@triton.jit"
    assert changes(kernel, kernel).statements == 0


def test_html_marks_new_lines_with_a_plus_too_and_escapes_the_code():
    shown = changes("a = 1", "a = 1\nb = a < 2")._repr_html_()
    assert "+ b = a &lt; 2" in shown
    assert shown.count("<span") == 1
