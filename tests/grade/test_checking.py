"""What `judge` and `check` say to right answers, wrong answers, and things that are no answers."""

import subprocess
import sys
import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.grade.toys import DOUBLE, double, judged, toy
from tsparse.grade import check, checking
from tsparse.grade.checking import judge, run_here
from tsparse.grade.display import verdict_html, verdict_text
from tsparse.grade.exercise import Case, Wrong
from tsparse.grade.running import is_empty
from tsparse.grade.values import Once, copy, same

SIGNATURE = "`double(x, times=2)`"


def test_right_answer_passes_and_earns_all_points():
    verdict = judged(DOUBLE, lambda x, times=2: sum([x] * times))
    assert (verdict.status, verdict.earned, verdict.points, verdict.mistake) == ("PASS", 10, 10, None)
    assert {part.name: part.points for part in verdict.parts} == {"values": 7, "edge cases": 3}


def test_pass_says_the_same_whatever_was_drawn():
    texts = {repr(judged(DOUBLE, double, seed=seed)) for seed in range(3)}
    assert len(texts) == 1
    assert len({verdict_html(judged(DOUBLE, double, seed=seed)) for seed in range(3)}) == 1


def docstring_only(x, times=2):
    """Double x."""


def dots(x, times=2): ...


def passes(x, times=2):
    pass


def not_implemented(x, times=2):
    """Double x."""
    raise NotImplementedError


def not_implemented_yet(x, times=2):
    raise NotImplementedError("write me")


@pytest.mark.parametrize("stub", [docstring_only, dots, passes, not_implemented, not_implemented_yet])
def test_function_with_an_empty_body_is_not_run(stub):
    verdict = judged(DOUBLE, stub)
    assert (verdict.status, verdict.earned) == ("NOT RUN", 0)
    assert "`double` is still empty" in verdict.message


@pytest.mark.parametrize(
    "function", [lambda x: x, lambda x: "text", lambda x: 3, lambda x: print(), lambda x: [None], len]
)
def test_function_that_does_something_is_not_empty(function):
    assert not is_empty(function)


def test_no_answer_at_all_is_not_run():
    verdict = judged(DOUBLE, None)
    assert verdict.status == "NOT RUN"
    assert SIGNATURE in verdict.message


@pytest.mark.parametrize("given", [3, "double", torch.ones(2), [double]])
def test_a_value_in_place_of_the_function_is_refused_with_the_way_out(given):
    verdict = judged(DOUBLE, given)
    assert (verdict.status, verdict.earned) == ("FAIL", 0)
    assert type(given).__name__ in verdict.message
    assert 'check("toy.double", double)' in verdict.message


@pytest.mark.parametrize(
    ("answer", "parameters"),
    [(lambda x: x, "(x)"), (lambda x, times, more: x, "(x, times, more)"), (lambda: 1, "()")],
)
def test_wrong_arguments_are_shown_beside_the_right_ones(answer, parameters):
    verdict = judged(DOUBLE, answer)
    assert verdict.status == "FAIL"
    assert SIGNATURE in verdict.message
    assert f"`{parameters}`" in verdict.message


def test_an_optional_argument_more_does_no_harm():
    assert judged(DOUBLE, lambda x, times=2, debug=False: x * times).status == "PASS"


def test_types_in_the_signature_are_not_shown():
    def answer(x: Tensor) -> Tensor:
        return x

    assert "Tensor" not in judged(DOUBLE, answer).message


def raising(x, times=2):
    scores = x @ torch.zeros(7, 7, dtype=x.dtype)
    return scores


def test_an_error_is_told_with_its_line_and_the_shapes_there():
    message = judged(DOUBLE, raising).message
    line = raising.__code__.co_firstlineno + 1
    assert message.startswith(f"Line {line} of your cell (`scores = x @ torch.zeros(7, 7, dtype=x.dtype)`)")
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in message
    assert "there `x` had shape [3, 4]" in message


def test_an_error_in_a_helper_names_the_line_of_the_helper():
    def answer(x, times=2):
        return raising(x)

    assert f"Line {raising.__code__.co_firstlineno + 1} " in judged(DOUBLE, answer).message


def test_an_error_in_a_function_of_another_cell_names_the_line_that_called_it():
    cells = {"__name__": "__main__"}
    exec(compile("def given(x):\n    return x @ x", "given cell", "exec"), cells)
    exec(compile("def answer(x, times=2):\n\n    return given(x)", "answer cell", "exec"), cells)
    message = judged(DOUBLE, cells["answer"]).message
    assert message.startswith("Line 3 of your cell (``) raised, in `given`, RuntimeError")
    assert "there `x`" not in message  # the text of these cells is nowhere


def test_recursion_without_end_is_a_sentence():
    def answer(x, times=2):
        return answer(x, times)

    assert "calls itself without end" in judged(DOUBLE, answer).message


def test_leaving_python_is_a_sentence():
    def answer(x, times=2):
        raise SystemExit(0)

    verdict = judged(DOUBLE, answer)
    assert verdict.status == "FAIL"
    assert "SystemExit" in verdict.message


def loop(x, times=2):
    while True:
        pass


def loop_that_catches_errors(x, times=2):
    while True:
        try:
            x = x * 1
        except Exception:
            continue


def loop_that_catches_everything(x, times=2):
    while True:
        try:
            sum(range(10))
        except BaseException:
            continue


LOOPS = [loop, loop_that_catches_errors, loop_that_catches_everything]


@pytest.mark.parametrize("answer", LOOPS)
def test_endless_loop_is_interrupted_and_earns_nothing(answer):
    verdict = judged(DOUBLE, answer, seconds=0.1)
    assert (verdict.status, verdict.earned, verdict.mistake) == ("FAIL", 0, "timed out")
    assert "No answer after 0.1 s on the case “3 rows, 4 columns”" in verdict.message


@pytest.mark.parametrize("answer", LOOPS)
def test_endless_loop_is_interrupted_in_another_thread_too(answer):
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(judged(DOUBLE, answer, seconds=0.1)), daemon=True)
    thread.start()
    thread.join(20)
    assert [verdict.mistake for verdict in found] == ["timed out"]


def slow_where_all_is_one_row(x, times=2):
    return x * times if len(x) > 1 else loop(x)


def test_answer_that_is_too_slow_on_an_edge_case_keeps_the_points_for_values():
    verdict = judged(DOUBLE, slow_where_all_is_one_row, seconds=0.1)
    assert verdict.mistake == "timed out"
    assert [part.earned for part in verdict.parts] == [7, 0]


def test_the_time_limit_of_a_check_is_ten_seconds():
    assert checking.run_here(loop).args[1] == 10.0


def test_changed_input_is_named():
    def answer(x, times=2):
        return x.mul_(times)

    verdict = judged(DOUBLE, answer)
    assert (verdict.status, verdict.mistake, verdict.earned) == ("FAIL", "input changed", 0)
    assert "changed its input `x`" in verdict.message


def test_a_copied_argument_keeps_its_strides():
    x = torch.arange(24.0).reshape(2, 3, 4)
    for view in (x.mT, x[:, ::2], x[:, :1].expand(2, 3, 4), x[0, 0, 1:1]):
        twin = copy(view)
        assert twin.stride() == view.stride()
        assert torch.equal(twin, view)
        assert not view.numel() or twin.data_ptr() != view.data_ptr()


def test_state_left_over_from_an_earlier_call_is_named():
    calls: list[int] = []

    def answer(x, times=2):
        calls.append(1)
        return x * times + (len(calls) > 9)

    assert judged(DOUBLE, answer).mistake == "two calls differ"


def test_a_result_that_is_changed_later_is_judged_as_it_was_returned():
    kept: list[Tensor] = []

    def answer(x, times=2):
        for old in kept:
            old.zero_()
        kept.append(x * times + 1)
        return kept[-1]

    failing = judged(DOUBLE, answer).failing
    assert torch.equal(failing.got, failing.want + 1)


class Untold(Exception):
    def __str__(self):
        raise ValueError("no text")


def untold(x, times=2):
    raise Untold


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (untold, "raised Untold"),
        (lambda x, times=2: x.to_sparse(), "Return an ordinary tensor on the CPU; yours is torch.sparse_coo"),
        (lambda x, times=2: x.to("meta"), "yours is torch.strided on meta."),
        (lambda x, times=2: (row for row in x), "Return a torch tensor; yours is a generator."),
        (lambda x, times=2: x.to(torch.complex128), "the type is complex128"),
        (lambda x, times=2: x[:0], "Shape [0, 4], wanted [3, 4]"),
        (lambda x, times=2: x.sum(), "Shape [], wanted [3, 4]"),
        (lambda x, times=2: x.resize_(0), "Shape [0], wanted [3, 4]"),
        (torch.nn.Identity(), "You return x as it is"),
        (Untold, "Return a torch tensor; yours is a Untold."),
    ],
)  # fmt: skip
def test_odd_answers_get_a_sentence_and_a_display(answer, sentence):
    verdict = judged(DOUBLE, answer)
    assert (verdict.status, verdict.earned) == ("FAIL", 0)
    assert sentence in verdict.message
    assert sentence.split()[0] in verdict_text(verdict)
    assert verdict_html(verdict).startswith("<div")


def softmax(x):
    """The reference of an exercise that forbids `torch.softmax`."""
    return x.softmax(-1)


@pytest.mark.parametrize("call", ["softmax", "log_softmax"])
def test_forbidden_call_is_named_as_it_was_written_and_earns_nothing(call):
    exercise = toy(
        softmax,
        Case("rows", (torch.randn(2, 3),)),
        forbidden=frozenset({"aten._softmax", "aten._log_softmax"}),
    )
    answers = {"softmax": lambda x: x.softmax(-1), "log_softmax": lambda x: torch.log_softmax(x, -1).exp()}
    verdict = judged(exercise, answers[call])
    assert (verdict.status, verdict.mistake, verdict.earned) == ("FAIL", "forbidden call", 0)
    assert f".{call}`; this exercise is about writing it" in verdict.message
    assert judged(exercise, lambda x: (e := x.exp()) / e.sum(-1, keepdim=True)).status == "PASS"


def outer(x):
    """The reference of an exercise that bounds the largest tensor."""
    return x.sum() * x


def test_too_large_a_tensor_costs_the_points_for_cost_only():
    exercise = toy(outer, Case("5 numbers", (torch.ones(5),)), largest=lambda case: 5)
    verdict = judged(exercise, lambda x: (x[:, None] * x).sum(1))
    assert {part.name: part.earned for part in verdict.parts} == {"values": 6, "edge cases": 2, "cost": 0}
    assert (verdict.status, verdict.mistake) == ("FAIL", "too large")
    assert "tensor of 25 elements; 5 are enough" in verdict.message
    assert judged(exercise, outer).earned == 10


def test_too_large_a_tensor_is_named_by_the_wrong_answer_of_nearest_size():
    square = Wrong("square", lambda m: f"You made {m.largest} numbers.", lambda x: (x[:, None] * x).sum(1))
    cube = Wrong("cube", "Three axes.", lambda x: (x[:, None] * x).expand(5, 5, 5).clone().sum(2)[0] / 5 * x)
    wrong_too = Wrong("not right", "Never said.", lambda x: (x[:, None] * x).sum(1) + 1)
    exercise = toy(
        outer, Case("5 numbers", (torch.ones(5),)), largest=lambda case: 5, wrong=(wrong_too, cube, square)
    )
    verdict = judged(exercise, lambda x: torch.outer(x, x).sum(1))
    assert (verdict.mistake, verdict.message) == ("square", "You made 25 numbers.")


def test_heavy_case_is_tried_once_and_only_where_all_before_was_right():
    tried = []

    def f(x):
        tried.append(len(x))
        return x + 1

    cases = (Case("light", (torch.zeros(3),)), Case("heavy", (torch.zeros(9),), heavy=True))
    assert judged(toy(f, *cases), f).status == "PASS"
    assert sorted(tried).count(9) == 2  # the reference and the answer
    tried.clear()
    assert judged(toy(f, *cases), lambda x: x).status == "FAIL"
    assert 9 not in tried
    verdict = judged(toy(f, *cases), lambda x: x + 1 + (len(x) == 9))
    assert (verdict.status, verdict.failing.case.name) == ("FAIL", "heavy")


def test_what_can_be_read_once_is_fresh_in_every_call():
    exercise = toy(add_up, Case("three", (Once(lambda: iter(torch.arange(3.0))),)))
    assert judged(exercise, lambda chunks: sum(chunks)).status == "PASS"
    assert judged(exercise, lambda chunks: sum(chunks) * 0 + sum(chunks)).status == "FAIL"


def add_up(chunks):
    """The reference of an exercise whose argument is an iterator."""
    return sum(chunks)


def test_an_expanded_view_is_not_a_large_tensor():
    exercise = toy(outer, Case("5 numbers", (torch.ones(5),)), largest=lambda case: 5)
    assert judged(exercise, lambda x: outer(x[None].expand(9, 5)[0])).status == "PASS"


def test_only_edge_cases_wrong_keeps_the_points_for_values():
    verdict = judged(DOUBLE, lambda x, times=2: x * times if x.numel() > 1 else x)
    assert (verdict.status, verdict.earned) == ("FAIL", 7)
    assert verdict.failing.case.name == "one number"


def test_right_edge_cases_earn_nothing_while_values_are_wrong():
    assert judged(DOUBLE, lambda x, times=2: x * times if x.numel() == 1 else x).earned == 0


def broken(x):
    """A reference with a bug."""
    raise ZeroDivisionError("a bug")


def test_a_fault_of_the_exercise_is_a_sentence_and_never_green():
    one = Case("one", (torch.ones(2),))
    for exercise in (toy(broken, one), toy(double), toy(double, one, cases=lambda rng: 1 / 0)):
        verdict = judged(exercise, lambda x: x)
        assert (verdict.status, verdict.earned) == ("NOT RUN", 0)
        assert "This exercise has a fault, your answer was not judged" in verdict.message


def test_the_same_seed_draws_the_same_cases():
    first, second, other = (judged(DOUBLE, lambda x, times=2: x, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.failing.want, second.failing.want)
    assert not torch.equal(first.failing.want, other.failing.want)
    assert (first.seed, other.seed) == (1, 2)


def test_without_a_seed_the_cases_are_fresh():
    first, second = (judge(DOUBLE, run_here(lambda x, times=2: x)) for _ in range(2))
    assert not torch.equal(first.failing.want, second.failing.want)


@pytest.mark.parametrize(
    ("got", "want", "equal"),
    [
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), True),
        (torch.tensor([float("inf")]), torch.tensor([float("inf")]), True),
        (torch.tensor([float("inf")]), torch.tensor([-float("inf")]), False),
        (torch.tensor([1.0 + 1e-12]).double(), torch.tensor([1.0]).double(), True),
        (torch.tensor([1.0]).double() + 1e-8, torch.tensor([1.0]).double(), False),
        (torch.tensor([1.0]), torch.tensor([1.0]).double(), False),
        (torch.tensor([1]), torch.tensor([1], dtype=torch.int32), False),
        (torch.ones(2, 1), torch.ones(2), False),
        (torch.ones(2, requires_grad=True), torch.ones(2), True),
        ((1, torch.ones(2)), (1, torch.ones(2)), True),
        ((1, torch.ones(2)), (1, torch.zeros(2)), False),
        ([1, 2], (1, 2), False),
        ((1, 2, 3), (1, 2), False),
        (None, None, True),
        (None, (1, 2), False),
        ((1, 2), None, False),
        (True, 1, False),
        (1, True, False),
        (1.0, 1, False),
        (1, 1.0, True),
        (10**400, 1.0, False),
        (float("nan"), float("nan"), True),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"dq"}, {"dq"}, True),
    ],
)
def test_two_values_are_the_same_up_to_rounding_only(got, want, equal):
    assert same(got, want) is equal


def test_what_an_answer_prints_is_shown_when_it_fails_and_does_not_fill_the_cell(capsys):
    def answer(x, times=2):
        print("shape is", list(x.shape))
        return x

    assert "Your function printed: shape is [3, 4]" in repr(judged(DOUBLE, answer))
    assert capsys.readouterr().out == ""


def test_text_and_html_of_a_verdict_say_the_same():
    verdict = check("masks.causal", lambda n_q, n_kv, q_offset=0: torch.ones(n_q, n_kv) > 0)
    text, page = verdict_text(verdict), verdict_html(verdict)
    assert verdict.message in text
    for piece in (
        "FAIL",
        "masks.causal",
        "0 of 10 points",
        "4 queries, 4 keys",
        "<code>causal(n_q=4, n_kv=4)</code>",
    ):
        assert piece in page
    assert '<img alt="' in page
    assert "Left yours, then expected, then the difference" in text


def test_html_of_what_a_learner_wrote_is_escaped():
    def answer(x, times=2):
        raise ValueError("<script>alert(1)</script>")

    page = verdict_html(judged(DOUBLE, answer))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_check_prints_its_verdict_in_a_terminal_and_returns_it(capsys):
    verdict = check("masks.causal", None)
    assert capsys.readouterr().out == f"{verdict!r}\n"
    assert verdict.status == "NOT RUN"


def test_unknown_exercise_names_the_nearest(capsys):
    assert check("masks.causl", double).status == "NOT RUN"
    assert "Did you mean 'masks.causal'" in capsys.readouterr().out


def test_stopping_a_check_is_not_a_verdict():
    def answer(n_q, n_kv, q_offset=0):
        raise KeyboardInterrupt

    verdict = check("masks.causal", answer)
    assert verdict.status == "NOT RUN"
    assert "You stopped the check" in verdict.message


BARE = """
import signal, sys
del signal.setitimer, signal.SIGALRM
for name in ("triton", "resource", "IPython", "ipywidgets"):
    sys.modules[name] = None
from tsparse.grade import check, exercise, hint, predict, progress
from tsparse.grade.checking import judge, run_here

def loop(n_q, n_kv, q_offset=0):
    while True:
        n_q += 1

print(judge(exercise("masks.causal"), run_here(loop, 0.2)))
check("masks.causal", exercise("masks.causal").spec)
hint("masks.causal")
predict("no.such")
print(progress())
"""


def test_all_of_it_works_without_triton_signals_resource_and_ipython():
    found = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "FAIL  masks.causal  0 of 10 points\nNo answer after 0.2 s" in found.stdout
    assert "PASS  masks.causal  10 of 10 points\nRight on every case." in found.stdout
    assert "hint 1 of 3  masks.causal" in found.stdout


def test_at_the_plain_prompt_the_verdict_is_left_to_the_prompt(capsys, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    verdict = check("masks.causal", None)
    assert capsys.readouterr().out == ""
    assert repr(verdict).startswith("NOT RUN  masks.causal")
