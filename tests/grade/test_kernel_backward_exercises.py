"""The exercises of lesson 16 against answers that are not in their lists, and what their cases hold."""

import pytest
import torch

from tests.grade.kernel_backward_answers import RIGHT, TESTS, WRONG, Answer
from tests.grade.toys import judged
from tsparse import show
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.kernel import dkdv, dq
from tsparse.grade.exercises.kernel.wrong_gradients import FAULTS
from tsparse.kernels import interpret

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)
IDS = ("kernel.delta", "kernel.dq", "kernel.dkdv", "kernel.wrong_gradients")


def called(answer: Answer) -> str:
    """The name of a test."""
    return f"{answer.exercise.removeprefix('kernel.')}-{answer.name}"


@pytest.mark.parametrize("case", RIGHT, ids=called)
def test_right_answer_written_differently_passes(case):
    verdict = judged(exercise(case.exercise), case.answer)
    assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize("case", WRONG, ids=called)
def test_wrong_answer_fails(case):
    verdict = judged(exercise(case.exercise), case.answer)
    assert verdict.status == "FAIL"
    assert verdict.earned < verdict.points


@pytest.mark.parametrize("id", IDS)
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id):
    assert sum(id == case.exercise for case in RIGHT) >= 2
    assert sum(id == case.exercise for case in WRONG) >= 8


def test_row_lists_in_place_of_transposed_ones_are_named():
    wrong = next(one for one in exercise("kernel.dkdv").wrong if one.name == "row lists used")
    verdict = judged(exercise("kernel.dkdv"), wrong.answer)
    assert verdict.mistake == "row lists used"
    assert "right on symmetric layouts only" in verdict.message


@pytest.mark.parametrize("name", ["q", "lse"])
def test_whatever_was_loaded_without_other_is_in_the_sentence(name):
    place = {"q": "rows[:, None] * stride_q + d, mask=rows[:, None] < n_q", "lse": "rows, mask=rows < n_q"}[
        name
    ]
    load = f"{name}_ptr + {place}"
    verdict = judged(exercise("kernel.dkdv"), dkdv.TEXT.but(f"{load}, other=0.0", load))
    assert "load q, do, lse, delta with `other=0.0`" in verdict.message


def test_tensor_that_a_kernel_wrote_wrongly_is_named():
    verdict = judged(
        exercise("kernel.dkdv"), dkdv.TEXT.but("dk += tl.dot(tl.trans(ds)", "dk += tl.dot(tl.trans(p)")
    )
    assert verdict.message.startswith("In `dk`: First wrong number")


def test_test_with_another_scale_or_one_channel_is_not_told_of_something_else():
    one = exercise("kernel.wrong_gradients")
    assert "the scale 1/√D" in judged(one, TESTS["the scale forgotten"]).message
    assert "several channels" in judged(one, TESTS["a dout of zeros"]).message
    assert judged(one, TESTS["the empty row is NaN"]).message.endswith("or NaN.")


@pytest.mark.parametrize("topic", [dq, dkdv])
def test_lists_of_the_costly_cases_are_no_symmetric_table(topic):
    for seed in range(20):
        for case in topic.cases(torch.Generator().manual_seed(seed)):
            if case.poison is not None:
                table = topic.table_of(topic.Inputs(*case.args))
                side = table[:, : len(table)]
                assert not side.equal(side.T)


@pytest.mark.parametrize(("id", "dots"), [("kernel.dq", 3), ("kernel.dkdv", 4)])
def test_backward_of_one_block_is_seven_products_in_all(id, dots):
    one = exercise(id)
    first = one.cases(torch.Generator().manual_seed(0))[0]
    assert one.kernel.blocks(*first.args).dots == dots


def test_kernel_that_turns_the_one_before_over_has_few_new_statements():
    assert show.changes(dq.TEXT.source, dkdv.TEXT.source).statements <= 15


def test_one_kind_of_fault_each_for_all_four_results():
    assert {part for part, _ in FAULTS.values()} == {"out", "dq", "dk", "dv"}
    cases = exercise("kernel.wrong_gradients").cases(torch.Generator().manual_seed(0))
    assert len(cases) == 17


def test_suspect_says_which_argument_has_the_wrong_shape():
    attention, mask = exercise("kernel.wrong_gradients").cases(torch.Generator().manual_seed(0))[0].args
    n, m = mask.shape
    with pytest.raises(ValueError, match="takes k of shape"):
        attention(torch.randn(n, 4), torch.randn(m, 5), torch.randn(m, 3), torch.randn(n, 3))


def test_set_of_words_crosses_from_the_process_of_an_answer():
    from tsparse.grade import protocol

    arrays: list = []
    assert protocol.unpack(protocol.pack({"dq", "out"}, arrays), arrays) == {"dq", "out"}
    assert protocol.pack({1, 2}, arrays) == {"foreign": "set"}


def test_reader_of_a_verdict_is_told_whose_tiles_were_visited():
    text = dkdv.TEXT.but(
        "i = tl.load(row_ptr + place)",
        "i = tl.load(row_ptr + place)\n        unused = tl.load(delta_ptr + tl.arange(0, BLOCK_M) * 0)",
    )
    verdict = judged(exercise("kernel.dkdv"), text)
    assert "loaded query tile 0" in verdict.message


def test_programs_in_another_order_write_the_same_bits():
    asked = dq.launch(*dq.cases(torch.Generator().manual_seed(1))[5].args)
    kernel = dq.TEXT.define()

    def run() -> torch.Tensor:
        kernel[asked.grid](*asked.arguments.values(), *asked.constants.values())
        return asked.arguments["dq_ptr"].clone()

    first = run()
    with interpret.tracing() as programs, interpret.backwards():
        second = run()
    assert [one.index[0] for one in programs] == [2, 1, 0]
    assert first.equal(second)
