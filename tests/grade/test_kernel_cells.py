"""Of a cell only its kernels run, and only what Triton's language has; attacks on the watch gain nothing."""

import re
from pathlib import Path

import pytest

from tests.grade.filled import write
from tests.grade.kernel_toys import PREFIX, TEXT
from tsparse.grade import check, runner
from tsparse.grade.exercises import all_exercises, exercise
from tsparse.grade.kernel_cells import NotAKernel, kernels_of, names_of
from tsparse.grade.worker import Limits, Workers
from tsparse.kernels import interpret

ATTACKS = sorted((Path(__file__).parent / "attacks" / "kernels").glob("*.py"))
COST_ONLY = dict.fromkeys(("wiped_poison", "blind_watcher"), 8.0)
"""What is left of 10 points where values and edges are right and only the cost is hidden."""

needs_interpreter = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)

CELL = """\
import os
import triton
import triton.language as tl
from tsparse.grade import check

BLOCK = 16
LOG2E: tl.constexpr = 1.4427
tl.load = BLOCK
value = os.getpid()


def helper(x):
    return x


@triton.jit
def kernel(x_ptr, BLOCK: tl.constexpr):
    {line}


check("triton.scale_rows", kernel)
"""


def cell(line):
    return CELL.format(line=line)


def test_only_kernels_constants_and_triton_stay_and_keep_their_lines():
    source = cell("x = tl.load(x_ptr + tl.arange(0, BLOCK)) * LOG2E")
    kept = kernels_of(source).splitlines()
    there = {number for number, line in enumerate(kept, 1) if line}
    assert {source.splitlines()[number - 1] for number in there} == {
        "import triton",
        "import triton.language as tl",
        "BLOCK = 16",
        "LOG2E: tl.constexpr = 1.4427",
        "@triton.jit",
        "def kernel(x_ptr, BLOCK: tl.constexpr):",
        "    x = tl.load(x_ptr + tl.arange(0, BLOCK)) * LOG2E",
    }
    assert all(kept[number - 1] == source.splitlines()[number - 1] for number in there)
    assert names_of(source) == {"BLOCK", "LOG2E", "kernel"}


@pytest.mark.parametrize(
    "line",
    [
        "x = tl.load(x_ptr).to(tl.float32)",
        "x = tl.math.exp2(tl.load(x_ptr)) + triton.cdiv(3, BLOCK)",
        "print('x', x_ptr, BLOCK)",
        "for i in tl.static_range(3): x = tl.full((BLOCK,), -float('inf'), tl.float32)",
        "tl.static_assert(BLOCK > 1, f'{BLOCK}')",
        "x = triton.language.load(x_ptr)",
        "x = [tl.arange(0, BLOCK) for i in range(2)]",
        "x = tl.arange(0, BLOCK)[:, None].shape[0]",
        "x = kernel",
        "x_ptr += 3; x = tl.load((x_ptr + tl.arange(0, BLOCK))[:, None])",
        "x_ptr = x_ptr + tl.arange(0, BLOCK); x = tl.load(x_ptr[None, :]) + tl.load(x_ptr[None])",
    ],
)
def test_what_triton_has_is_let_through(line):
    kernels_of(cell(line))


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from os import path",
        "global BLOCK",
        "x = os.getpid()",
        "x = torch.zeros(3)",
        "x = helper(3)",
        "x = __builtins__",
        "x = eval('3')",
        "x = getattr(tl, 'core')",
        "x = tl.core.inspect",
        "x = tl.math.core",
        "x = triton.language.core",
        "x = triton.runtime",
        "x = tl",
        "x = (lambda: 3)()",
        "x_ptr.handle.data[0] = 1",
        "x = x_ptr.handle",
        "x = kernel.fn",
        "x = tl.load.__globals__",
        "tl.load = 3",
        "tl = 3",
        "try: pass\n    except Exception: pass",
        "with open('f') as f: pass",
        "def inner(): pass",
        "class Inner: pass",
        "breakpoint()",
    ],
)
def test_what_only_python_can_do_is_refused(line):
    with pytest.raises(NotAKernel) as refusal:
        kernels_of(cell(line))
    assert str(refusal.value)[-1] in "."


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("x = x_ptr[0]", "tl.load(x_ptr + 0)"),
        ("x = x_ptr[BLOCK + 1]", "tl.load(x_ptr + BLOCK + 1)"),
        ("x_ptr[3] = 1.0", "tl.store(x_ptr + 3, ...)"),
    ],
)
def test_who_takes_an_address_for_a_tensor_is_told_the_call(line, call):
    with pytest.raises(NotAKernel) as refusal:
        kernels_of(cell(line))
    written = line.removeprefix("x = ").removesuffix(" = 1.0")
    assert str(refusal.value) == (
        f"Line 18 of your cell writes `{written}`, but a kernel gets an address and no tensor: `{call}`."
    )


def test_kernel_of_another_cell_may_be_called():
    kernels_of(cell("x = update(x_ptr)"), frozenset({"update"}))


@pytest.mark.parametrize(
    "text", [one.kernel.text for one in all_exercises() if one.kernel], ids=lambda t: t.name
)
def test_kernels_of_the_course_are_let_through(text):
    assert kernels_of(text.source).split() == text.source.split()


@pytest.mark.parametrize(
    "text",
    [wrong.answer for one in all_exercises() if one.kernel for wrong in one.wrong],
    ids=lambda text: text.name,
)
def test_wrong_kernels_of_the_course_are_let_through(text):
    kernels_of(text.source)


@needs_interpreter
def test_check_refuses_the_same(progress_file):
    source = exercise("triton.scale_rows").reference.source.replace("x * s", "x.handle")
    verdict = check("triton.scale_rows", source)
    assert (verdict.status, verdict.earned) == ("FAIL", 0)
    assert verdict.message == "Line 13 of your cell uses `x.handle`, which a kernel has not on a GPU."


@pytest.fixture(scope="module")
def short():
    """Workers with little time and memory."""
    with Workers(Limits(seconds=1.0, exercise_seconds=10.0, memory=1 << 28, grace=0.5)) as workers:
        yield workers


@needs_interpreter
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda path: path.stem)
def test_attack_on_the_watch_gains_nothing(attack, short, tmp_path, monkeypatch):
    honest = exercise("triton.scale_rows")
    monkeypatch.setattr(runner, "all_exercises", lambda: (PREFIX, honest))
    cells = {"toy.prefix": attack.read_text(), "triton.scale_rows": honest.reference.source}
    report = runner.grade_sheet(write(tmp_path / "13.ipynb", cells), seed=0, workers=short)
    spoilt, untouched = (one.verdict for one in report.exercises)
    assert (spoilt.status, spoilt.earned) == ("FAIL", COST_ONLY.get(attack.stem, 0.0))
    assert untouched.status == "PASS"
    assert "pwned" not in report.exercises[0].printed


def test_every_attack_says_in_one_line_what_it_does():
    assert len(ATTACKS) >= 8
    for attack in ATTACKS:
        assert re.match(r'"""[A-Z][^\n]*\."""\n', attack.read_text()), attack.name


@needs_interpreter
def test_setup_of_a_sheet_may_define_what_kernels_use(short, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "all_exercises", lambda: (PREFIX,))
    preamble = runner.Cell(
        "setup", runner.PREAMBLE.source + "import triton\nimport triton.language as tl\nZERO = 0.0\n"
    )
    monkeypatch.setattr(runner, "PREAMBLE", preamble)
    source = TEXT.source.replace("import triton.language as tl\n", "").replace("import triton\n", "")
    path = write(tmp_path / "13.ipynb", {"toy.prefix": source.replace("other=0.0", "other=ZERO")})
    assert runner.grade_sheet(path, seed=0, workers=short).all_passed
