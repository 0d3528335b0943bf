"""What an exercise is: data, not code that runs it.

An `Exercise` holds the reference (`spec`), the inputs it is tried on (`cases`), and the wrong answers that
are known, each with the sentence a learner should read. `checking.py` judges answers by it, `diagnosis.py`
names mistakes with it, and the sheets take title, points and minutes from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch


@dataclass(frozen=True)
class Case:
    """One call of the answer.

    `name` says what is special about it, in a learner's words ("4 queries, 9 keys"). Cases stand from simple
    to complex and each adds one feature. An `edge` case counts towards the edge points and not the values.
    """

    name: str
    args: tuple[Any, ...]
    edge: bool = False


@dataclass(frozen=True)
class Mistake:
    """A case on which an answer went wrong: what it was given, what it returned, what was wanted."""

    case: Case
    got: Any
    want: Any


@dataclass(frozen=True)
class Wrong:
    """A known wrong answer and its sentence; a sentence with numbers is a function of the mistake."""

    name: str
    sentence: str | Callable[[Mistake], str]
    answer: Callable[..., Any]
    raises: bool = False
    """True where raising an error *is* the mistake: an answer that raises it in the same words matches."""

    def say(self, mistake: Mistake) -> str:
        """The sentence for this mistake."""
        return self.sentence if isinstance(self.sentence, str) else self.sentence(mistake)


@dataclass(frozen=True)
class Exercise:
    """One exercise of a sheet (`EXERCISES` of `tsparse.grade.exercises.<topic>`).

    `cases(rng)` draws fresh inputs each time from the generator it is given; edge cases are always among
    them. `spec` is right on all of them, every answer in `wrong` is wrong on at least one. `forbidden` names
    calls that *are* the answer, as their operator is recorded ("aten._softmax") or as the Python function is
    called (`watch.py` has sets of them). `largest(case)` bounds the number of elements of any tensor that the
    answer may make (None: not judged).
    """

    id: str
    title: str
    minutes: int
    points: int
    difficulty: Literal["easy", "medium", "hard"]
    spec: Callable[..., Any]
    cases: Callable[[torch.Generator], list[Case]]
    hints: tuple[str, str, str]
    wrong: tuple[Wrong, ...]
    forbidden: frozenset[str] = frozenset()
    largest: Callable[[Case], int] | None = None
    calls: Callable[[Case], int] | None = None
    """How often the callable among a case's arguments has been called so far; an answer may call it as often
    as `spec` does (None: not judged)."""
    row_sums: bool = False
    """True where every row of the result must sum to 1 or, if it may see nothing, to 0 (a probe uses it)."""
