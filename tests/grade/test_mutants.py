"""`tsparse mutants` says what the tests prove, and the README repeats it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.grade.toys import toy
from tsparse.cli import main
from tsparse.grade.exercise import Case, Wrong
from tsparse.grade.exercises import all_exercises
from tsparse.grade.mutants import try_exercise

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def f(x):
    """Reference of the exercise below."""
    return x + 1


def one(*wrong):
    """An exercise with these wrong answers."""
    return replace(toy(f, Case("a case", (torch.zeros(3),))), wrong=wrong)


DOUBLED = Wrong("doubled", "You add 2.", lambda x: x + 2)


def test_known_wrong_answer_is_rejected_and_named():
    row = try_exercise(one(DOUBLED), seeds=2)
    assert (row.wrong, row.rejected, row.named, row.reference) == (1, 1, 1, True)
    assert row.proved


def test_wrong_answer_that_is_right_is_not_counted_as_rejected():
    row = try_exercise(one(DOUBLED, Wrong("right", "You are wrong.", lambda x: x + 1)), seeds=2)
    assert (row.wrong, row.rejected, row.named) == (2, 1, 1)
    assert not row.proved


def test_sentence_of_another_wrong_answer_is_not_its_own():
    row = try_exercise(one(DOUBLED, Wrong("two", "Another sentence.", lambda x: x + 2)), seeds=2)
    assert (row.rejected, row.named) == (2, 1)


def test_reference_that_fails_is_said_so():
    calls = []

    def f(x):
        calls.append(x)
        return x + len(calls)

    assert not try_exercise(toy(f, Case("a case", (torch.zeros(3),))), seeds=1).reference


def test_command_prints_a_row_and_the_sum(capsys):
    assert main(["mutants", "masks.documents", "--seeds", "1"]) == 0
    head, row, total = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["exercise", "wrong"]
    assert row.split()[0] == "masks.documents"
    assert row.split()[1] == row.split()[2] == row.split()[3] == total.split()[2]


@pytest.mark.parametrize("words", [["masks.cake"], ["--seeds", "0"]])
def test_wrong_words_are_one_line(words, capsys):
    assert main(["mutants", *words]) == 2
    assert capsys.readouterr().err.startswith("tsparse mutants: ")


def test_readme_says_how_many_wrong_answers_there_are():
    said = re.search(r"(\d+) exercises\s+have\s+(\d+)\s+wrong\s+answers", README)
    known = all_exercises()
    assert said, "the sentence is gone"
    assert [int(number) for number in said.groups()] == [len(known), sum(len(one.wrong) for one in known)]
