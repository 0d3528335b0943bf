"""One kernel grows from lesson 12 to 16: its versions, as the solutions of the sheets hold them.

A version whose solution is not written yet is left out; the others are compared with the one before.
"""

import ast
import itertools
import re
from pathlib import Path

import nbformat
import pytest

from tsparse import show
from tsparse.grade.exercises import exercise
from tsparse.grade.launches import KernelText
from tsparse.grade.sheets import cell_id

SOLUTIONS = Path(__file__).parents[1] / "solutions"
VERSIONS = (
    ("12_online_softmax", "online.attention", "tiled"),
    ("14_flash_forward", "flash.forward", "flash_forward"),
    ("14_flash_forward", "flash.causal", "flash_causal"),
    ("15_block_sparse_forward", "kernel.forward", "kernel_forward"),
    ("15_block_sparse_forward", "kernel.partial", "kernel_partial"),
    ("16_block_sparse_backward", "kernel.dq", "kernel_dq"),
    ("16_block_sparse_backward", "kernel.dkdv", "kernel_dkdv"),
)
WRITTEN = [version for version in VERSIONS if (SOLUTIONS / f"{version[0]}.ipynb").exists()]
STEPS = ("which blocks", "load", "score", "mask", "update", "store")
MOST_NEW = 15

each_version = pytest.mark.parametrize("version", WRITTEN, ids=lambda version: version[1])


def answer(version: tuple[str, str, str]) -> str:
    """The function of a version as its answer cell has it."""
    lesson, id, name = version
    cells = nbformat.read(SOLUTIONS / f"{lesson}.ipynb", 4).cells
    cell = next(cell for cell in cells if cell.id == cell_id("answer", id))
    return function(cell.source, name)


def function(source: str, name: str) -> str:
    """The lines of one function of a text, without the marks of a solution."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    node = next(node for node in found if node.name == name)
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    return "\n".join(line for line in lines if not line.strip().startswith("###"))


def statements(source: str) -> str:
    """A function in one form of writing, without its docstring, its comments and its types."""
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:]
    return ast.unparse(node)


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.pairwise(WRITTEN)), ids=lambda version: version[1]
)
def test_version_differs_from_the_one_before_in_few_statements(
    before: tuple[str, str, str], after: tuple[str, str, str]
) -> None:
    if VERSIONS.index(after) != VERSIONS.index(before) + 1:
        pytest.skip("the version between them is not written yet")
    new = show.changes(answer(before), answer(after))
    assert 1 <= new.statements <= MOST_NEW, new


@each_version
def test_six_steps_stand_in_the_version_as_comments(version: tuple[str, str, str]) -> None:
    comments = re.findall(r"^\s*# ([a-z ]+?)(?::.*)?$", answer(version), re.MULTILINE)
    named = [comment for comment in comments if comment in STEPS]
    assert named[named.index("which blocks") :] == list(STEPS)


@pytest.mark.parametrize("version", WRITTEN[1:], ids=lambda version: version[1])
def test_kernel_of_the_course_is_the_solution(version: tuple[str, str, str]) -> None:
    course = exercise(version[1]).reference
    assert isinstance(course, KernelText)
    assert statements(function(course.source, version[2])) == statements(answer(version))


def test_solution_of_the_helper_is_the_course_s_own() -> None:
    version = ("14_flash_forward", "flash.update", "update")
    course = exercise("flash.update").reference
    assert isinstance(course, KernelText)
    assert statements(function(course.source, "update")) == statements(answer(version))
