"""How mistakes are named: the simplest failing case first, known wrong answers before probes."""

import pytest
import torch
from torch import Tensor

from tests.grade.toys import DOUBLE, double, judged, toy
from tsparse.grade.display import verdict_text
from tsparse.grade.exercise import Case, Wrong


def numbers(*shape: int) -> Tensor:
    """Numbers that are all different and not symmetric."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def test_known_wrong_answer_is_named_with_its_sentence():
    verdict = judged(DOUBLE, lambda x, times=2: x + times)
    assert (verdict.mistake, verdict.message) == ("added", "You add `times`; multiply by it.")


def test_sentence_is_filled_with_the_numbers_of_the_failing_case():
    verdict = judged(DOUBLE, lambda x, times=2: x)
    got, want = verdict.failing.got[0, 0], verdict.failing.want[0, 0]
    assert verdict.message == f"You return x as it is: {got:.2f} should be {want:.2f}."


def test_of_two_mistakes_the_one_on_the_simplest_case_is_named():
    verdict = judged(DOUBLE, lambda x, times=2: x + times if times == 2 else x - 100)
    assert verdict.mistake == "added"
    assert verdict.failing.case.name == "3 rows, 4 columns"


def test_a_mistake_that_only_a_later_case_shows_is_named_there():
    verdict = judged(DOUBLE, lambda x, times=2: 2 * x)
    assert (verdict.mistake, verdict.failing.case.name) == ("always two", "three times")


def test_a_later_case_names_what_the_simplest_does_not():
    verdict = judged(DOUBLE, lambda x, times=2: x.sin() if times == 2 else x**times)
    assert (verdict.mistake, verdict.failing.case.name) == ("squared", "three times")


def test_of_wrong_answers_alike_on_one_case_the_one_alike_on_most_is_named():
    exercise = toy(
        double,
        Case("two", (numbers(2), 2)),
        Case("three", (numbers(2), 3)),
        wrong=(
            Wrong("zero", "You return zero.", lambda x, times=2: 0 * x),
            Wrong("rest", "You take the rest.", lambda x, times=2: x * (times % 2)),
        ),
    )
    assert judged(exercise, lambda x, times=2: 0 * x).mistake == "zero"
    assert judged(exercise, lambda x, times=2: x * (times % 2)).mistake == "rest"


def test_wrong_answers_alike_on_a_later_case_only_name_nothing():
    wrong = (
        Wrong("zero", "You return zero.", lambda x, times=2: 0 * x),
        Wrong("lost", "You lose the number.", lambda x, times=2: x - x + (times == 2)),
    )
    exercise = toy(double, Case("two", (numbers(2), 2)), Case("three", (numbers(2), 3)), wrong=wrong)
    assert judged(exercise, lambda x, times=2: x.sin() if times == 2 else 0 * x).mistake not in (
        "zero",
        "lost",
    )


def test_an_error_is_a_known_mistake_only_where_it_is_listed_as_one():
    def view(x, times=2):
        return x.mT.view(-1)

    for listed, name in ((True, "view"), (False, "raised")):
        wrong = (Wrong("view", "After a transpose use `reshape`.", view, raises=listed),)
        exercise = toy(double, Case("rows", (numbers(2, 3),)), wrong=wrong)
        assert judged(exercise, lambda x, times=2: x.mT.view(6)).mistake == name


def test_a_sentence_that_does_not_fit_is_not_said():
    wrong = (Wrong("zero", lambda mistake: mistake.got[9], lambda x, times=2: 0 * x),)
    exercise = toy(double, Case("rows", (numbers(2, 3), 2)), wrong=wrong)
    verdict = judged(exercise, lambda x, times=2: 0 * x)
    assert (verdict.status, verdict.mistake) == ("FAIL", "right for other arguments")
    assert "as if `times` were 0" in verdict.message


def test_wrong_values_in_a_wrong_type_get_both_sentences():
    verdict = judged(DOUBLE, lambda x, times=2: (x + times).float())
    assert verdict.mistake == "added"
    assert verdict.message.endswith("multiply by it. Besides, the type is float32; the task says float64.")


def test_right_values_in_a_wrong_type():
    verdict = judged(DOUBLE, lambda x, times=2: (x * times).float())
    assert verdict.message == "Values are right, the type is float32; the task says float64."


def test_right_values_in_a_finer_type_are_no_rounding_error():
    def third(x: Tensor) -> Tensor:
        return (x / 3).float()

    exercise = toy(third, Case("three numbers", (numbers(3),)))
    verdict = judged(exercise, lambda x: x / 3)
    assert verdict.message == "Values are right, the type is float64; the task says float32."
    assert verdict.mistake == "wrong dtype"


def triple(x):
    """The reference of most probes below."""
    return 3 * x


ROWS = toy(triple, Case("2 and 5", (numbers(2, 5),)), Case("3 and 3", (numbers(3, 3),)))


@pytest.mark.parametrize(
    ("answer", "name", "sentence"),
    [
        (lambda x: print(end=""), "returns nothing", "Your function ends without `return`"),
        (lambda x: triple(x).numpy(), "wrong type", "Return a torch tensor; yours is a numpy ndarray."),
        (lambda x: triple(x).tolist(), "wrong type", "Return a torch tensor; yours is a list."),
        (lambda x: 3.5, "wrong type", "Return a torch tensor; yours is a float."),
        (lambda x: triple(x).T, "wrong shape", "Shape [5, 2], wanted [2, 5]: two axes are swapped."),
        (lambda x: triple(x)[None], "wrong shape", "an axis of length 1 is too many."),
        (lambda x: triple(x).sum(0), "wrong shape", "that is 1 axis, wanted are 2."),
        (lambda x: triple(x)[:, 1:], "wrong shape", "axis 1 has length 4, it should have 5."),
        (lambda x: -triple(x), "inverted", "Right size, opposite sign."),
        (lambda x: x, "constant factor", "Every value is 0.3333 times what it should be"),
        (lambda x: triple(x) * 5**0.5, "constant factor", "2.236 times what it should be"),
        (lambda x: triple(x) / 5, "constant factor", "a missing or doubled scale (1/5)"),
        (lambda x: triple(x) + 1, "constant offset", "Every value is 1 too large."),
        (lambda x: triple(x).flip(1), "another order", "along axis 1, in another order: 4, 3, 2, 1, 0."),
        (lambda x: triple(x) + 1e-6 * x.sin(), "nearly right", "Nearly right: off by at most"),
        (lambda x: triple(x).where(x > 0, torch.nan), "not finite", "First NaN at row"),
        (lambda x: triple(x) / (x > 0), "not finite", "First -inf at row"),
        (lambda x: x.sin() / x.abs().max(), None, "First wrong number at [0, 0]"),
        (lambda x: triple(x) if len(x) == 2 else x.sin(), "right on some cases", "Right for “2 and 5”"),
    ],
)  # fmt: skip
def test_probes_say_what_is_wrong(answer, name, sentence):
    verdict = judged(ROWS, answer)
    assert (verdict.mistake, sentence in verdict.message) == (name, True), verdict.message


def test_transposed_square_is_seen():
    verdict = judged(toy(triple, Case("square", (numbers(4, 4),))), lambda x: triple(x).T)
    assert (verdict.mistake, "yours is the transpose" in verdict.message) == ("transposed", True)


def weights(x):
    """The reference of an exercise about rows that sum to 1."""
    return x.softmax(-1)


def test_rows_that_do_not_sum_to_one_are_seen():
    exercise = toy(weights, Case("rows", (numbers(3, 4),)), row_sums=True)
    verdict = judged(exercise, lambda x: x.softmax(-1).pow(2))
    assert verdict.mistake == "row sums"
    assert "it should sum to 1" in verdict.message


def below(n, m, offset=0):
    """The reference of a mask."""
    return torch.arange(m) <= torch.arange(n)[:, None] + offset


MASK = toy(below, Case("4 and 4", (4, 4)), Case("3 and 6, offset 2", (3, 6, 2)))


@pytest.mark.parametrize(
    ("answer", "name", "sentence"),
    [
        (lambda n, m, offset=0: ~below(n, m, offset), "inverted", "True and False are exchanged everywhere"),
        (
            lambda n, m, offset=0: below(n, m, offset).long(),
            "wrong dtype",
            "Values are right, the type is int64",
        ),
        (lambda n, m, offset=0: below(n, m, offset).mT, "transposed", "yours is the transpose"),
        (lambda n, m, offset=0: below(n, m, 0), "right for other arguments", "as if `offset` were 0, not 2."),
        (
            lambda n, m, offset=0: below(n, m, 2 * offset),
            "right for other arguments",
            "`offset` were 4, not 2",
        ),
        (
            lambda n, m, offset=0: torch.ones(n, m).bool() & (torch.arange(m) != 2),
            "sees the future",
            "Query 0 sees key 1, which is its future.",
        ),
        (
            lambda n, m, offset=0: below(n, m, offset) & (torch.arange(m) != 2),
            None,
            "Query 2 should see key 2. 0 of 16 places show too much, 2 too little.",
        ),
    ],
)
def test_probes_for_masks_name_queries_and_keys(answer, name, sentence):
    verdict = judged(MASK, answer)
    assert (verdict.mistake, sentence in verdict.message) == (name, True), verdict.message


def attend(v, mask):
    """The reference of an exercise with a mask: the mean of the visible values."""
    return mask.to(v.dtype) @ v / mask.sum(-1, keepdim=True)


def test_a_query_that_notices_a_hidden_key_is_seen():
    mask = torch.ones(4, 4).tril().bool()
    exercise = toy(attend, Case("4 tokens", (numbers(4, 3), mask)))
    verdict = judged(
        exercise, lambda v, mask: attend(v, mask) + v[3] ** 2 * torch.tensor([0, 1, 0, 0])[:, None]
    )
    assert verdict.message == "Key 3 changed and query 1 noticed; it may not see it."


def scaled(x, y):
    """The reference of an exercise with a scale."""
    return (x @ y.mT / x.shape[-1] ** 0.5).softmax(-1)


def test_a_wrong_scale_inside_is_seen():
    exercise = toy(scaled, Case("5 channels", (numbers(2, 5), numbers(3, 5))))
    verdict = judged(exercise, lambda x, y: (x @ y.mT).softmax(-1))
    assert "as if `x` were multiplied by √5 (2.24); look at the scale" in verdict.message


def test_the_length_of_the_wrong_axis_is_seen():
    exercise = toy(
        scaled,
        Case("different", (numbers(4, 5), numbers(7, 5))),
        Case("alike", (numbers(3, 3), numbers(3, 3))),
    )
    verdict = judged(exercise, lambda x, y: (x @ y.mT / y.shape[0] ** 0.5 + 0 * y.shape[0]).softmax(-1))
    assert verdict.mistake == "one axis for another", verdict.message


def pair(x):
    """The reference of an exercise with two results."""
    return x.sum(), x + 1


def test_the_wrong_one_of_two_results_is_named():
    exercise = toy(pair, Case("numbers", (numbers(4),)))
    assert judged(exercise, lambda x: (x.sum(), x + 2)).message == (
        "Part 1 of your result: Every value is 1 too large."
    )
    assert judged(exercise, lambda x: (x.sum(),)).message == "You return 1 values, wanted are 2."
    assert "Return a Python tuple; yours is a list" in judged(exercise, lambda x: [x.sum(), x + 1]).message


def first_even(numbers):
    """The reference of an exercise that may return None."""
    return next((n for n in numbers if n % 2 == 0), None)


def test_none_where_none_is_possible_is_no_missing_return():
    exercise = toy(first_even, Case("one", ([1, 4],)), Case("none", ([1, 3],)))
    assert judged(exercise, lambda numbers: None if numbers else 1).message == (
        "You return None here; wanted is 4."
    )


def test_a_probe_with_a_bug_leaves_the_verdict_as_it_is(monkeypatch):
    monkeypatch.setattr("tsparse.grade.probes.PROBES", (("buggy", lambda scene: 1 / 0),))
    verdict = judged(ROWS, lambda x: x)
    assert (verdict.status, verdict.earned) == ("FAIL", 0)
    assert verdict.message.startswith("Wrong on “2 and 5”. Why could not be found out (ZeroDivisionError")


def test_a_mask_moved_by_a_key_is_seen():
    verdict = judged(toy(below, Case("5 and 5", (5, 5))), lambda n, m, offset=0: below(n, m, -1))
    assert verdict.message == "Your mask is moved: every query's keys begin and end 1 too early."


def test_a_rule_without_direction_has_no_future():
    same_id = toy(lambda ids: ids[:, None] == ids, Case("ids 0 8 1", (torch.tensor([0, 8, 1]),)))
    verdict = judged(same_id, lambda ids: ids[:, None] % 8 == ids % 8)
    assert (verdict.mistake, verdict.message.split(".")[0]) == (None, "Query 0 should not see key 1")


def test_a_single_number_names_nothing_that_the_simplest_case_does_not():
    exercise = toy(
        double,
        Case("four", (numbers(4), 2)),
        Case("one number", (torch.ones(1), 3)),
        wrong=(Wrong("minus one", "You subtract one.", lambda x, times=2: x - 1),),
    )
    assert judged(exercise, lambda x, times=2: 0 * x).mistake != "minus one"


def share(x, y):
    """The reference of an exercise with one float: how many numbers of x are in y."""
    return torch.isin(x.round(), y).double().mean().item()


def test_of_a_single_float_no_other_question_is_guessed():
    """Half of x and none of -x are in y; an answer of 0 is no sign of a minus."""
    exercise = toy(share, Case("4 numbers", (torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1, 2]))))
    verdict = judged(exercise, lambda x, y: 0.0)
    assert verdict.message == "You return 0.0; wanted is 0.5."


def large(x):
    """The reference of an exercise with large whole numbers."""
    return 131_072 * x


def test_whole_numbers_are_shown_whole():
    exercise = toy(large, Case("3 numbers", (torch.tensor([1, 2, 3]),)))
    verdict = judged(exercise, lambda x: 131_072 * x - (x == 2).long())
    assert "yours is 262143, wanted is 262144." in verdict.message


def square(x):
    """The reference of an exercise with a product."""
    return x @ x


def test_a_product_of_two_types_says_which_one_the_input_has():
    exercise = toy(square, Case("3 x 3", (numbers(3, 3),)))
    told = "The input is float64: a tensor that you make, as with `torch.eye`, needs its `dtype` too."
    assert judged(exercise, lambda x: x @ torch.eye(3) @ x).message.endswith(told)
    assert told not in judged(exercise, lambda x: x @ torch.eye(2).double()).message


def test_picture_of_an_answer_that_is_nearly_right_does_not_call_it_equal():
    text = verdict_text(judged(DOUBLE, lambda x, times=2: x * times + 1e-7))
    assert text.startswith("FAIL")
    assert "12 cells of 12 differ" in text
    assert "equal" not in text
