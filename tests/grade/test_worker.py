"""Answers run in a process that knows nothing, may do little, and is not believed."""

import os
import re

import pytest
import torch

from tests.grade.filled import FEW, RIGHT, verdict, write
from tests.grade.toys import toy
from tsparse.grade import runner, worker
from tsparse.grade.exercise import Case
from tsparse.grade.protocol import Violation
from tsparse.grade.report import as_text
from tsparse.grade.runner import grade_sheet
from tsparse.grade.worker import Limits


def test_answer_sees_nothing_of_the_grader_around_it(grade):
    cell = RIGHT["masks.causal"] + (
        "import os, sys\n"
        "print('environment', sorted(os.environ))\n"
        "print('folder', os.listdir('.'), 'arguments', len(sys.argv), 'package', 'tsparse' in sys.modules)\n"
    )
    printed = grade({"masks.causal": cell}).exercises[0].printed
    assert "folder [] arguments 2 package False" in printed
    assert "SECRET_TOKEN" not in printed


def test_limits_that_were_in_force_are_reported(grade):
    report = grade({"masks.causal": RIGHT["masks.causal"]})
    assert set(report.limits) == {"time", "protection", "files", "memory", "user", "network"}
    assert "1 s for a cell or a call, 20 s for an exercise" in report.limits["time"]
    for name, text in report.limits.items():
        assert f"{name}: {text[:30]}" in as_text(report)


def test_memory_beyond_the_limit_is_refused_and_the_reader_told(ask):
    one = toy(f, Case("a case", (torch.zeros(3),)))
    holding = "def f(x):\n    held = torch.empty({} << 20)\n    return x"
    assert ask(one, holding.format(16)).status == "PASS"
    assert "can't allocate memory" in ask(one, holding.format(128)).message


def test_files_beyond_the_limit_are_refused(ask):
    writing = "def f(x):\n    with open('f', 'wb') as file:\n        file.truncate({} << 20)\n    return x"
    one = toy(f, Case("a case", (torch.zeros(3),)))
    assert ask(one, writing.format(60)).status == "PASS"
    assert "File too large" in ask(one, writing.format(65)).message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can change the user")
def test_root_lets_answers_run_as_somebody_who_may_write_nothing(bare_workers, tmp_path):
    target = tmp_path / "target"
    target.write_text("kept")
    cell = RIGHT["masks.causal"] + (
        "import os, xmlrpc.client\n"
        "print('user', os.getuid(), os.geteuid(), os.getgroups())\n"
        "open('own', 'w').close()\n"
        f"try:\n    open({str(target)!r}, 'w')\nexcept OSError as error:\n    print(error)\n"
        "try:\n    os.kill(os.getppid(), 9)\nexcept OSError as error:\n    print(error)\n"
        "try:\n    os.setuid(0)\nexcept OSError as error:\n    print(error)\n"
    )
    report = grade_sheet(write(tmp_path / "02_masks.ipynb", {"masks.causal": cell}), workers=bare_workers)
    if report.limits["user"].startswith("root"):
        pytest.skip(report.limits["user"])
    printed = report.exercises[0].printed
    assert verdict(report, "masks.causal").status == "PASS"
    assert re.search(r"user (6\d{4}) \1 \[\]", printed)
    assert "Permission denied" in printed
    assert printed.count("Operation not permitted") == 2
    assert target.read_text() == "kept"


REPLY = {
    "status": "returned",
    "detail": "",
    "raised": None,
    "changed": [],
    "calls": {},
    "largest": 0,
    "printed": "",
}
RAISED = {"type": "ValueError", "message": "", "line": 1, "source": "", "shapes": {}, "inside": ""}


@pytest.mark.parametrize(
    "forged",
    [
        *({"status": "PASS"}, {"status": []}, {"status": "stopped"}, {"status": "raised"}, {"detail": None}),
        *({"raised": {}}, {"raised": RAISED}, {"status": "raised", "raised": RAISED | {"line": "x"}}),
        *({"changed": 3}, {"calls": []}, {"largest": float("inf")}, {"printed": {}}),
    ],
    ids=repr,
)
def test_forged_reply_is_refused(forged):
    assert worker.read_outcome(REPLY, 3).value == 3
    with pytest.raises(Violation):
        worker.read_outcome(REPLY | forged, 3)


@pytest.fixture
def ask(monkeypatch, grade):
    """Grade one cell as the answer to an exercise of the test's own."""

    def ask(one, source):
        monkeypatch.setattr(runner, "all_exercises", lambda: (one,))
        return verdict(grade({"toy.f": source}), "toy.f")

    return ask


def f(x):
    """Reference of the exercises below: its argument."""
    return x


def test_same_seed_gives_the_same_inputs(monkeypatch, grade):
    one = toy(f, cases=lambda rng: [Case("noise", (torch.randn(3, generator=rng),))])
    monkeypatch.setattr(runner, "all_exercises", lambda: (one,))
    reports = [grade({"toy.f": "def f(x):\n    return x + 1"}, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (verdict(report, "toy.f").failing.case.args[0] for report in reports)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_inputs_that_are_not_contiguous_stay_so_in_the_child(ask):
    x = torch.arange(12.0).view(3, 4).mT
    one = toy(f, Case("a case", (x,)))
    assert ask(one, "def f(x):\n    assert x.stride() == (1, 4)\n    return x").status == "PASS"
    assert ask(one, "def f(x):\n    return x.contiguous().view(3, 4)").status == "FAIL"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.bool], ids=str)
def test_dtypes_cross_both_ways(ask, dtype):
    one = toy(f, Case("a case", (torch.tensor([0.0, 1.0, 2.5]).to(dtype),)))
    assert ask(one, f"def f(x):\n    assert x.dtype == {dtype}\n    return x.clone()").status == "PASS"
    assert ask(one, "def f(x):\n    return x.double()").status == "FAIL"


def test_function_that_is_given_lives_with_the_grader(ask):
    secret = torch.tensor([3.0, 1.0])
    calls = []

    def given(x):
        calls.append(x)
        return x @ secret

    def f(given, x):
        return given(x) + 1

    one = toy(f, Case("a case", (given, torch.tensor([2.0, 5.0]))))
    answer = "def f(given, x):\n    {}\n    return given(x) + 1"
    hidden = "assert not hasattr(given, '__closure__') and not hasattr(given, '__code__')"
    assert ask(one, answer.format(hidden)).status == "PASS"
    assert all(type(x) is torch.Tensor for x in calls)
    assert ask(one, "def f(given, x):\n    return x").status == "FAIL"
    wrong = ask(one, "def f(given, x):\n    return given(x[None, None, :1])")
    assert "raised RuntimeError" in wrong.message


def test_changed_input_is_noticed_across_the_processes(ask):
    one = toy(f, Case("a case", (torch.zeros(3),)))
    assert "changed its input `x`" in ask(one, "def f(x):\n    x += 1\n    return x - 1").message


def test_forbidden_call_is_noticed_across_the_processes(ask):
    one = toy(f, Case("a case", (torch.zeros(3),)), forbidden=frozenset({"aten.add"}))
    assert ask(one, "def f(x):\n    return torch.add(x, 0)").status == "FAIL"
    assert ask(one, "def f(x):\n    return x.clone()").status == "PASS"


def test_second_call_may_not_differ(ask):
    counting = "count = 0\ndef f(x):\n    global count\n    count += 1\n    return x + (count > 3)"
    assert ask(toy(f, Case("a case", (torch.zeros(3),))), counting).status == "FAIL"


def test_calls_that_together_take_too_long_are_stopped(ask, workers, monkeypatch):
    monkeypatch.setattr(workers, "limits", Limits(seconds=1.0, exercise_seconds=1.0))
    slow = "import time\ndef f(x):\n    time.sleep(0.4)\n    return x"
    assert (
        ask(toy(f, *[Case("a case", (torch.zeros(size),)) for size in range(3)]), slow).message
        == "All calls together took longer than 1 s."
    )


def test_process_that_cannot_be_started_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(worker.sys, "executable", "/bin/false")
    with pytest.raises(OSError, match="the process for answers does not start"):
        grade_sheet(write(tmp_path / "02_masks.ipynb", FEW))


def test_process_that_was_killed_is_started_again(grade, workers):
    workers._process.kill()
    assert verdict(grade({"masks.causal": RIGHT["masks.causal"]}), "masks.causal").status == "PASS"
