"""The questions of the lessons (`predict` and `quiz` ask them), collected from the modules of this package.

A module `lesson_NN.py` holds `QUESTIONS: tuple[Question, ...]` with ids such as "02.recall.1".
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

from tsparse.grade.lookup import look_up


@dataclass(frozen=True)
class Question:
    """One question with options, of which `options[right]` is right.

    `why` is the sentence that a reader sees after answering. `teach` is the anchor of the section
    ("#View-against-transpose") to read after a wrong answer: its heading with `-` for spaces.
    """

    id: str
    text: str
    options: tuple[str, ...]
    right: int
    why: str
    teach: str | None = None

    def __post_init__(self) -> None:
        """Refuse a question that cannot be asked."""
        if len(set(self.options)) != len(self.options) or len(self.options) < 2:
            raise ValueError(
                f"Question {self.id!r} needs at least two options, all different: {self.options}."
            )
        if not 0 <= self.right < len(self.options):
            raise ValueError(
                f"Question {self.id!r}: right={self.right}, options are 0 to {len(self.options) - 1}."
            )


def question(id: str) -> Question:
    """Return the question `id`, such as "01.variance".

    Raises:
        ValueError: There is no such question; the message gives the nearest ids.
    """
    return look_up(id, all_questions(), "question")


@cache
def all_questions() -> tuple[Question, ...]:
    """Return every question, in the order of the lessons.

    Raises:
        ValueError: Two questions have one id.
    """
    found: dict[str, Question] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        for one in importlib.import_module(f"{__name__}.{module.name}").QUESTIONS:
            if one.id in found:
                raise ValueError(f"Two questions have the id {one.id!r}.")
            found[one.id] = one
    return tuple(found.values())
