"""Kernels are launched by the grader, watched while they run, and judged from outside."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

import tsparse
from tests.grade.filled import write
from tests.grade.kernel_toys import ADD, ALL_TILES, LOOP, PREFIX, SCRUBBED, TEXT, launch, prefix
from tests.grade.toys import judged, toy
from tsparse.grade import apart, check, worker
from tsparse.grade.checking import Verdict, judge
from tsparse.grade.display import verdict_text
from tsparse.grade.exercise import Case, Kernel
from tsparse.grade.exercises import exercise
from tsparse.grade.launches import KernelText, Launch, output, padded
from tsparse.grade.outside import ask
from tsparse.grade.protocol import Violation
from tsparse.grade.running import Outcome, run_here
from tsparse.kernels import interpret
from tsparse.kernels.watched import Launched

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)

SCALE = exercise("triton.scale_rows")


def cost(verdict: Verdict) -> float:
    """What was earned for the cost, as a share."""
    part = next(part for part in verdict.parts if part.name == "cost")
    return part.earned / part.points


def test_right_kernel_earns_values_edges_and_cost():
    verdict = judged(PREFIX, TEXT)
    assert (verdict.status, [part.earned for part in verdict.parts]) == ("PASS", [6, 2, 2])


def test_kernel_that_visits_every_tile_keeps_all_points_but_those_for_cost():
    verdict = judged(PREFIX, ALL_TILES)
    assert verdict.status == "FAIL"
    assert [part.earned for part in verdict.parts] == [6, 2, 0]
    assert (
        "you visited 9 tiles, where 6 hold a visible key: query block 0 loaded key tile 1" in verdict.message
    )


def test_tiles_visited_for_nothing_are_drawn_and_said():
    text = verdict_text(judged(PREFIX, ALL_TILES))
    assert "9 tiles visited, 6 wanted, of 3 x 3: query block 0 visits for nothing key tile 1 and 2" in text


def test_poison_decides_on_cost_where_nothing_was_seen(monkeypatch):
    def blind(run, asked):
        outcome = run(asked)
        return replace(outcome, launched=outcome.launched and Launched())

    from tsparse.grade.checking import judge

    verdict = judge(PREFIX, lambda asked: blind(run_here(ALL_TILES), asked), 0)
    assert cost(verdict) == 0
    assert "NaN from a tile that a row does not list" in verdict.message
    assert judge(PREFIX, lambda asked: blind(run_here(TEXT), asked), 0).status == "PASS"


def test_kernel_that_wipes_the_poison_away_is_seen_to_visit():
    verdict = judged(PREFIX, SCRUBBED)
    assert (verdict.status, cost(verdict)) == ("FAIL", 0)


def test_known_wrong_kernel_is_named():
    verdict = judged(PREFIX, TEXT.but(LOOP, "range(block)"))
    assert (verdict.mistake, verdict.message) == ("own block left out", "Your own block counts.")


def test_probes_speak_of_a_kernel_too():
    verdict = judged(PREFIX, TEXT.but(ADD, "total += 2 * tl.sum(v, axis=0)"))
    assert verdict.message.startswith("Every value is 2 times what it should be")


def test_output_that_is_wrong_is_named():
    text = exercise("flash.forward").reference.but("m_i + tl.log(l_i)", "m_i + 3.0 * tl.log(l_i)")
    assert judged(exercise("flash.forward"), text).message.startswith("In `lse`: ")


def test_error_in_a_kernel_names_the_line_and_the_shapes():
    verdict = judged(PREFIX, TEXT.but(ADD, "total += tl.trans(dims, v)"))
    assert "of your cell (`total += tl.trans(dims, v)`) raised" in verdict.message
    assert "`dims` had shape [8]" in verdict.message
    assert "`block`" not in verdict.message


def test_memory_fault_is_told_even_where_values_are_right():
    verdict = judged(
        PREFIX,
        TEXT.but(
            "v = tl.load(places, mask=rows[:, None] < n, other=0.0)",
            "v = tl.load(places)\n        v = tl.where(rows[:, None] < n, v, 0.0)",
        ),
    )
    assert verdict.mistake == "memory"
    assert verdict.message == (
        "Program 2 read 16 places past the end of `v_ptr`: the first is `v_ptr[10, 0]`."
    )
    assert [part.earned for part in verdict.parts] == [6, 0, 2]


def test_padding_is_looked_at_from_outside():
    def silent(asked):
        outcome = run_here(SCALE.wrong[-1].answer)(asked)
        return replace(outcome, launched=outcome.launched and Launched())

    case = Case("21 columns", (torch.ones(2, 21), torch.ones(2)))
    seen = ask(SCALE, silent, case).launched
    assert [(one.kind, one.argument, one.index) for one in seen.faults] == [("wrote", "y_ptr", (0, 21))]


@pytest.mark.parametrize("forged", [None, torch.zeros(12, 8), (torch.zeros(3, 3),), (1,), ()], ids=repr)
def test_forged_outputs_are_no_value(forged):
    outcome = ask(
        PREFIX, lambda _: Outcome(value=forged, launched=Launched()), Case("", (torch.zeros(12, 8),))
    )
    assert outcome.value is None


@pytest.mark.parametrize(
    "forged",
    [
        *([], {"faults": [], "visits": 3}, {"faults": [{}], "visits": []}),
        {"faults": [], "visits": [{"program": [0], "dots": "many", "loads": {}, "stores": {}}]},
        {"faults": [], "visits": [{"program": [0], "dots": 1, "loads": {"v": [[1]]}, "stores": {}}]},
    ],
    ids=repr,
)
def test_forged_sights_are_refused(forged):
    reply = {"status": "returned", "detail": "", "raised": None, "changed": [], "calls": {}, "largest": 0}
    with pytest.raises(Violation):
        worker.read_outcome({**reply, "printed": "", "launched": forged}, 3)


def test_text_of_a_kernel_can_be_checked():
    assert check("triton.scale_rows", SCALE.reference.source).status == "PASS"
    assert check("triton.scale_rows", "scale_rows = 3").status == "FAIL"


def test_function_without_jit_is_told_what_is_missing():
    verdict = check("triton.scale_rows", lambda x, s: x * s)
    assert verdict.earned == 0
    assert "put `@triton.jit` above it" in verdict.message


def test_kernel_with_other_parameters_is_told_which_it_needs():
    verdict = judged(PREFIX, exercise("triton.matmul").reference.define())
    assert "should be `prefix(v_ptr, o_ptr, n, stride_v, stride_o, BLOCK, DIM)`" in verdict.message


def test_empty_kernel_is_not_run():
    empty = KernelText("prefix", '@triton.jit\ndef prefix(v_ptr, o_ptr):\n    """To do."""\n')
    assert judged(PREFIX, empty).status == "NOT RUN"


def test_passed_kernel_comes_back_as_a_kernel(capsys):
    assert check("triton.scale_rows", SCALE.reference.define()).status == "PASS"
    mine = tsparse.mine("triton.scale_rows")
    x, s, y = torch.randn(3, 8), torch.randn(3), torch.zeros(3, 8)
    mine[(3, 1)](x, s, y, 8, 8, 8, BLOCK=8)
    assert torch.allclose(y, x * s[:, None])
    assert "course's" not in capsys.readouterr().out.split("PASS")[-1]


def test_without_a_pass_mine_is_the_kernel_of_the_course(capsys):
    assert tsparse.mine("triton.matmul").fn.__name__ == "matmul"
    assert "the course's own" in capsys.readouterr().out


def halve(x):
    """Reference of the exercise below."""
    return x / 2


HALVE = KernelText(
    "halve",
    "import triton\nimport triton.language as tl\n\n\n@triton.jit\ndef halve(x):\n    return x / 2\n",
)
DRIVER = (
    "@triton.jit\ndef drive(x_ptr, y_ptr, BLOCK: tl.constexpr):\n    cols = tl.arange(0, BLOCK)\n"
    "    tl.store(y_ptr + cols, halve(tl.load(x_ptr + cols)))\n"
)


def driven(x):
    arguments = {"x_ptr": x, "y_ptr": output(8)}
    return Launch((1,), arguments, {"BLOCK": 8}, ("y_ptr",), DRIVER, "halve", 1, {"y": (8,)})


DRIVEN = replace(toy(halve, Case("8", (torch.randn(8),))), kernel=Kernel(HALVE, driven))


def test_helper_of_the_reader_is_called_by_a_kernel_of_the_exercise():
    assert judged(DRIVEN, HALVE).status == "PASS"
    assert judged(DRIVEN, HALVE.but("x / 2", "x / 4")).message.startswith("Every value is 0.5 times")


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("x, x", "[8], [8]"),
        ("tl.sum(x)", "a number"),
        ("x[:, None]", "[8, 1]"),
        ("None, x", "NoneType, [8]"),
        ("4", "int"),
    ],
)
def test_what_a_helper_returns_is_told_beside_what_the_exercise_needs(workers, returned, told):
    text = HALVE.but("x / 2", returned)
    with workers.worker() as worker:
        assert worker.run_cell("answer", text.source).status == "returned"
        verdicts = judge(DRIVEN, partial(worker.call, "halve"), 0), judged(DRIVEN, text)
    for verdict in verdicts:
        assert (verdict.status, verdict.mistake, verdict.earned) == ("FAIL", "misfit", 0)
        assert verdict.message == f"`halve` has to return y [8]; yours returns {told}."


def test_helper_with_other_arguments_is_shown_the_right_ones():
    verdict = judged(DRIVEN, HALVE.but("halve(x)", "halve(x, y)"))
    assert verdict.message == "The function should be `halve(x)`; yours takes `(x, y)`."


def test_where_this_process_compiles_the_kernel_is_interpreted_in_another():
    text = (
        "import tsparse\nfrom tsparse.grade import check, exercise\n"
        "one = exercise('triton.scale_rows')\n"
        "assert check(one.id, one.wrong[0].answer.define()).mistake == 'no mask'\n"
    )
    env = os.environ | {"TRITON_INTERPRET": "0", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_on_a_gpu_the_compiled_kernel_is_judged_too(monkeypatch):
    monkeypatch.setattr(apart.interpret, "canary", lambda: interpret.Canary("off", "compiled"))
    monkeypatch.setattr(apart.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(apart, "judge_apart", lambda one, answer: judged(one, TEXT))
    monkeypatch.setattr(apart, "run_compiled", lambda answer, asked: run_here(answer)(asked))
    assert "compiled for the GPU" in apart.judge_kernel(PREFIX, TEXT).message
    verdict = apart.judge_kernel(PREFIX, TEXT.but(ADD, "total += 2 * tl.sum(v, axis=0)"))
    assert verdict.status == "FAIL"
    assert verdict.message.startswith("Right in the interpreter, not on the GPU. Every value is 2 times")


def test_launch_is_made_of_copies_that_are_padded_and_poisoned():
    asked = launch(torch.ones(4, 8))
    wide = asked.arguments["o_ptr"].as_strided((4, 11), (11, 1))[:, 8:]
    assert asked.arguments["o_ptr"].isnan().all()
    assert asked.arguments["v_ptr"].stride(0) == 11
    assert wide[:3].isnan().all()
    assert torch.equal(padded(torch.ones(2, 2)), torch.ones(2, 2))
    assert judged(PREFIX, prefix).status == "FAIL"


@pytest.fixture
def grade_kernel(monkeypatch, tmp_path, workers):
    """Grade a sheet whose first cell answers the toy, beside an honest kernel."""
    from tsparse.grade import runner

    monkeypatch.setattr(runner, "all_exercises", lambda: (PREFIX, SCALE))

    def grade(cell):
        cells = {"toy.prefix": cell, "triton.scale_rows": SCALE.reference.source}
        return runner.grade_sheet(write(tmp_path / "13.ipynb", cells), seed=0, workers=workers)

    return grade


def test_kernel_on_a_sheet_is_graded_in_a_process_of_its_own(grade_kernel):
    report = grade_kernel(TEXT.source)
    assert [one.verdict.status for one in report.exercises] == ["PASS", "PASS"]


def test_cost_of_a_kernel_on_a_sheet_is_told(grade_kernel):
    verdict = grade_kernel(ALL_TILES.source).exercises[0].verdict
    assert (verdict.earned, verdict.failing.launched.visits[0].program) == (8, (0,))
    assert "you visited 9 tiles" in verdict.message


def test_function_of_python_on_a_sheet_gets_nothing(grade_kernel):
    verdict = grade_kernel("def prefix(v):\n    return v.cumsum(0)\n").exercises[0].verdict
    assert (verdict.earned, verdict.message) == (
        0,
        "Put `@triton.jit` above `prefix`: the grader launches it.",
    )
