"""Every exercise of the course, proved from both sides: the reference passes, each known wrong answer fails.

New exercises come in by themselves: everything here is parametrised over what the package registers.
"""

import inspect
import itertools
import re

import pytest
import torch

from tests.grade.toys import judged, light
from tsparse.grade import checking
from tsparse.grade.driving import call, own_arguments
from tsparse.grade.exercise import Case, Exercise, Wrong
from tsparse.grade.exercises import LESSONS, all_exercises, exercise
from tsparse.grade.outside import alike, ask
from tsparse.grade.running import run_here
from tsparse.grade.values import copy, same
from tsparse.grade.watch import Watch

EXERCISES = all_exercises()
SEEDS = range(20)
FEWER = 3, 10
"""Seeds for the wrong answers and for the reference of a kernel: the interpreter is slow."""
LEFT_OPEN = re.compile(r"\{|\}|\bnan\b|\binf\b(?!/)|None|tensor\(|<function")
"""What a sentence that was filled in badly contains."""


def by_id(one: Exercise | tuple[Exercise, Wrong]) -> str:
    """The name of a test: the exercise, and the wrong answer if there is one."""
    return one.id if isinstance(one, Exercise) else f"{one[0].id}-{one[1].name}"


each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=by_id)
each_wrong_answer = pytest.mark.parametrize(
    ("exercise", "wrong"),
    [pytest.param(one, wrong, id=f"{one.id}-{wrong.name}") for one in EXERCISES for wrong in one.wrong],
)


@pytest.fixture(autouse=True)
def one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of cases per seed, so that each seed counts once."""
    monkeypatch.setattr(checking, "DRAWS", 1)


def seeds(exercise: Exercise, reference: bool = False) -> range:
    """The seeds that an exercise is tried with."""
    if exercise.kernel is None:
        return range(100) if reference else SEEDS
    return range(FEWER[reference])


def drawn(exercise: Exercise, seed: int) -> list[Case]:
    """The cases of one seed."""
    return exercise.cases(torch.Generator().manual_seed(seed))


@each_exercise
def test_reference_passes_on_every_draw(exercise):
    for seed in seeds(exercise, reference=True):
        verdict = judged(light(exercise) if seed else exercise, exercise.reference, seed=seed)
        assert verdict.status == "PASS", (seed, verdict.message)
        assert verdict.earned == exercise.points


@each_wrong_answer
def test_wrong_answer_is_rejected_with_its_own_sentence(exercise, wrong):
    for seed in seeds(exercise):
        verdict = judged(exercise, wrong.answer, seed=seed)
        assert verdict.status == "FAIL", seed
        assert verdict.earned < exercise.points
        named = next((other for other in exercise.wrong if other.name == verdict.mistake), None)
        assert named is not None, (seed, verdict.mistake, verdict.message)
        assert wrong.say(verdict.failing) == verdict.message, (seed, verdict.mistake, verdict.message)


@each_wrong_answer
def test_sentence_is_filled_in_and_ends(exercise, wrong):
    for seed in seeds(exercise)[:5]:
        sentence = judged(exercise, wrong.answer, seed=seed).message
        text = re.sub(r"`[^`]*`", "", sentence)  # code may hold braces, NaN and None of its own
        assert not LEFT_OPEN.search(text), sentence
        assert sentence[-1] in ".?", sentence
        assert "\n" not in sentence


@each_exercise
def test_two_wrong_answers_differ_on_some_case_or_share_one_sentence(exercise):
    for first, second in itertools.combinations(exercise.wrong, 2):
        for seed in range(3):
            for case in drawn(light(exercise), seed):
                if differ(exercise, first, second, case):
                    break
            else:
                failing = judged(exercise, first.answer, seed=seed).failing
                assert first.say(failing) == second.say(failing), (first.name, second.name)


def differ(exercise: Exercise, first: Wrong, second: Wrong, case: Case) -> bool:
    """Whether two wrong answers can be told apart on a case."""
    if exercise.kernel is None:
        one, two = result(first, case), result(second, case)
        return not same(one[0], two[0]) or (exercise.largest is not None and one[1] != two[1])
    launches = (
        ask(exercise, run_here(wrong.answer), case, exercise.spec(*case.args)) for wrong in (first, second)
    )
    return not alike(exercise, *launches, case)


def result(wrong: Wrong, case: Case) -> tuple[object, int]:
    """What a wrong answer returns, or the name of what it raises, and the size of its largest tensor."""
    with Watch() as watch:
        try:
            value = call(wrong.answer, copy(case.args))
        except Exception as error:
            value = type(error).__name__
    return value, watch.largest


@each_exercise
def test_there_are_five_wrong_answers_with_different_names(exercise):
    names = [wrong.name for wrong in exercise.wrong]
    assert len(set(names)) == len(names) >= 5


@each_exercise
def test_empty_function_is_not_run(exercise):
    names = ", ".join(inspect.signature(exercise.spec).parameters)
    space: dict[str, object] = {}
    exec(f"def stub({names}):\n    '''What to write.'''", space)
    verdict = judged(exercise, space["stub"])
    assert (verdict.status, verdict.earned) == ("NOT RUN", 0)
    assert "is still empty" in verdict.message


@each_exercise
def test_function_that_returns_nothing_fails(exercise):
    verdict = judged(exercise, lambda *args: print(end=""))
    assert (verdict.status, verdict.earned) == ("FAIL", 0)


@each_exercise
def test_numpy_array_in_place_of_a_tensor_is_told_what_to_return(exercise):
    args = copy(drawn(exercise, 0)[0].args)
    if exercise.kernel or not isinstance(exercise.spec(*own_arguments(args)), torch.Tensor):
        pytest.skip("an answer to this exercise does not return a tensor")
    verdict = judged(exercise, lambda *args: exercise.spec(*args).numpy())
    assert verdict.message == "Return a torch tensor; yours is a numpy ndarray."


@each_exercise
def test_there_are_three_different_hints_that_say_something(exercise):
    assert len(set(exercise.hints)) == 3
    assert all(len(text) > 20 and text[-1] in ".?:`" for text in exercise.hints)


@each_exercise
def test_cases_are_named_and_fresh_and_edge_cases_are_among_them(exercise):
    for seed in SEEDS[:5]:
        cases = drawn(exercise, seed)
        assert len({case.name for case in cases}) == len(cases), "each case needs a name of its own"
        assert not all(case.edge for case in cases)
        assert any(case.edge for case in cases)
        assert not cases[0].edge, "the simplest case comes first and is no edge"


@each_exercise
def test_the_reference_leaves_its_input_alone_and_allows_what_it_calls(exercise):
    verdict = judged(exercise, exercise.reference)
    assert verdict.status == "PASS", verdict.message


@each_exercise
def test_its_facts_are_in_range(exercise):
    topic, _, name = exercise.id.partition(".")
    assert topic in LESSONS
    assert name.isidentifier()
    assert 5 <= exercise.minutes <= 60
    assert 10 <= exercise.points <= 30
    assert exercise.difficulty in ("easy", "medium", "hard")
    assert exercise.name.isidentifier()
    assert exercise.parameters.startswith("(")


def test_unknown_exercise_is_an_error_that_names_the_nearest():
    with pytest.raises(ValueError, match=r"no exercise 'masks.casual'.*'masks.causal'"):
        exercise("masks.casual")
    with pytest.raises(ValueError, match=r"There are: attention\.softmax"):
        exercise("zzz")
