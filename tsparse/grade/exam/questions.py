"""Drawing the questions of an exam, and what is right: the pattern algebra answers and grades.

The kinds of questions and the families of their rules depend on the seed alone, so that all students of one
exam get the same kinds and much the same work; the numbers depend on the seed and the student's name.
Nothing else enters: the same seed and name give the same questions, whoever else is on the roster.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from tsparse.grade.exam.rules import FAMILIES, Rule
from tsparse.layout import BlockLayout

Answer = tuple[int, ...] | int | Fraction
"""Keys or blocks in rising order, a number, or a share."""

MOST_QUESTIONS = 24
LONGEST_ANSWER = 1000


@dataclass(frozen=True, eq=False)
class Question:
    """One question: a rule, the sizes it is asked at, and the query or the row of blocks that is meant."""

    kind: str
    rule: Rule
    n_q: int
    q_offset: int
    row: int
    block: int

    @property
    def n_kv(self) -> int:
        """Number of keys: one at every position up to the last query's."""
        return self.q_offset + self.n_q

    @property
    def position(self) -> int:
        """Where query `row` stands."""
        return self.q_offset + self.row

    @property
    def text(self) -> str:
        """What is asked, after the sizes and the rule."""
        return KINDS[self.kind].text(self)

    @property
    def sizes(self) -> str:
        """Where queries and keys stand."""
        blocks = (
            f" Queries and keys are cut into blocks of {self.block}, each counted from 0: query block 0 "
            f"holds queries 0 to {self.block - 1}, key block 0 keys 0 to {self.block - 1}; the last block "
            "of each may be shorter."
        )
        return (
            f"There are {self.n_q} queries and {self.n_kv} keys; queries start at position {self.q_offset}."
            + (blocks if KINDS[self.kind].blocks else "")
        )

    @property
    def answer(self) -> Answer:
        """What is right."""
        return KINDS[self.kind].answer(self)

    @property
    def keys(self) -> tuple[int, ...]:
        """The keys that query `row` sees."""
        mask = self.rule.pattern.mask(self.n_q, self.n_kv, self.q_offset)
        return tuple(mask[self.row].nonzero()[:, 0].tolist())

    @property
    def layout(self) -> BlockLayout:
        """The blocks that are touched."""
        return self.rule.pattern.layout(self.n_q, self.n_kv, block=self.block, q_offset=self.q_offset)


@dataclass(frozen=True)
class Kind:
    """A kind of question: its words and its answer, and when an answer is neither trivial nor long."""

    text: Callable[[Question], str]
    answer: Callable[[Question], Answer]
    fits: Callable[[Question, Answer], bool]
    queries: tuple[int, int]
    families: tuple[str, ...]
    blocks: bool = False
    hint: str = "A number."


def touched(question: Question) -> tuple[int, ...]:
    """The key blocks that query block `row` touches."""
    layout, row = question.layout, question.row
    pairs = (
        (layout.crow_indices, layout.col_indices),
        (layout.full_crow_indices, layout.full_col_indices),
    )
    return tuple(
        sorted(int(key) for crow, col in pairs for key in col[crow[0, 0, row] : crow[0, 0, row + 1]])
    )


def touched_blocks(question: Question) -> int:
    """How many blocks are touched in all."""
    layout = question.layout
    return len(layout.col_indices) + len(layout.full_col_indices)


def share(question: Question) -> Fraction:
    """How much of the mask is visible."""
    mask = question.rule.pattern.mask(question.n_q, question.n_kv, question.q_offset)
    return Fraction(int(mask.sum()), mask.numel())


LIST = "A list in any order, like 3, 4, 7."

KINDS = {
    "keys": Kind(
        lambda one: f"Which keys does query {one.row} see?",
        lambda one: one.keys,
        lambda one, answer: isinstance(answer, tuple) and 5 <= len(answer) <= 9,
        (14, 26),
        ("window_or_every", "dilated_or_prefix", "chunk_and_summaries", "every_or_window", "near_or_columns"),
        hint=LIST,
    ),
    "blocks": Kind(
        lambda one: (
            f"Which key blocks does query block {one.row} touch? It touches a key block if at least one of "
            "its queries sees at least one key of it."
        ),
        touched,
        lambda one, answer: (
            isinstance(answer, tuple) and 3 <= len(answer) <= 6 and one.layout.n_kv_blocks - len(answer) >= 2
        ),
        (20, 32),
        ("window_or_every", "dilated_or_prefix", "chunk_and_summaries", "near_or_columns"),
        blocks=True,
        hint=LIST,
    ),
    "count": Kind(
        lambda one: f"How many keys does query {one.row} see?",
        lambda one: len(one.keys),
        lambda one, answer: isinstance(answer, int) and 6 <= answer <= 20,
        (40, 60),
        ("window_or_every", "chunk_and_summaries", "every_or_window", "near_or_columns"),
    ),
    "first": Kind(
        lambda one: f"Which is the first key (the one with the lowest position) that query {one.row} sees?",
        lambda one: one.keys[0] if one.keys else -1,
        lambda one, answer: isinstance(answer, int) and 0 < answer < one.position - 1,
        (20, 36),
        ("documents_in_window", "near_but_not_every", "window_or_dilated"),
    ),
    "density": Kind(
        lambda one: (
            f"Of all {one.n_q} x {one.n_kv} pairs of a query and a key, what share is visible? (A pair is "
            "visible if the query sees the key.)"
        ),
        share,
        lambda one, answer: isinstance(answer, Fraction) and Fraction(1, 10) < answer < Fraction(9, 10),
        (4, 7),
        ("window_or_every", "near_but_not_every", "every_or_window"),
        hint="A fraction like 3/8, or a decimal with three places.",
    ),
    "block count": Kind(
        lambda one: (
            f"How many of the {one.layout.n_q_blocks} x {one.layout.n_kv_blocks} blocks of the mask hold "
            "at least one visible pair of a query and a key?"
        ),
        touched_blocks,
        lambda one, answer: (
            isinstance(answer, int)
            and one.layout.n_q_blocks < answer < one.layout.n_q_blocks * one.layout.n_kv_blocks
        ),
        (12, 20),
        ("documents_in_window", "near_but_not_every", "chunk_and_summaries"),
        blocks=True,
    ),
}
"""The kinds of questions, in the order in which they are asked."""


def known_name(name: str) -> str:
    """A student's name as it enters the draw: one spelling for all ways to write the same letters."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def plan(seed: str, questions: int) -> list[tuple[str, str]]:
    """The kind and the family of each question of an exam, the same for all students.

    Raises:
        ValueError: There are no questions, or too many.
    """
    if not 1 <= questions <= MOST_QUESTIONS:
        raise ValueError(f"an exam has 1 to {MOST_QUESTIONS} questions, got {questions}")
    rng = Random(f"plan of {seed}")
    order = {name: rng.sample(kind.families, len(kind.families)) for name, kind in KINDS.items()}
    names = list(KINDS)
    kinds = [(names[place % len(names)], place // len(names)) for place in range(questions)]
    return [(kind, order[kind][turn % len(order[kind])]) for kind, turn in kinds]


def draw(seed: str, student: str, questions: int) -> list[Question]:
    """The questions of one student."""
    return [
        _question(kind, family, Random(f"{seed}\n{known_name(student)}\n{place}"))
        for place, (kind, family) in enumerate(plan(seed, questions))
    ]


def _question(name: str, family: str, rng: Random) -> Question:
    """Draw until the answer is neither trivial nor long."""
    kind = KINDS[name]
    while True:
        n_q, block = rng.randint(*kind.queries), rng.randint(4, 6)
        rows = -(-n_q // block) if kind.blocks else n_q
        question = Question(
            name, FAMILIES[family](rng), n_q, rng.randint(3, 20), rng.randrange(rows // 2, rows), block
        )
        if kind.fits(question, question.answer):
            return question


def right(question: Question, written: str) -> bool:
    """Whether what a student wrote is the answer; what cannot be read is not."""
    answer = question.answer
    return read(written, answer) == answer


def read(written: str, like: Answer) -> Answer | None:
    """What a student wrote, in the form of `like`; None if it has another form."""
    written = written.strip().rstrip(".").strip("[](){} ")
    if len(written) > LONGEST_ANSWER:
        return None
    if isinstance(like, Fraction):
        return _read_share(written, like)
    if not re.fullmatch(r"[0-9]{1,6}([,;\s]+[0-9]{1,6})*[,;\s]*", written, re.ASCII):
        return None
    numbers = tuple(sorted({int(word) for word in re.findall("[0-9]+", written)}))
    if isinstance(like, tuple):
        return numbers
    return numbers[0] if re.fullmatch("[0-9]+", written) else None


def _read_share(written: str, like: Fraction) -> Fraction | None:
    """A fraction; of a decimal with three places or more, `like` if it is rounded to it."""
    if found := re.fullmatch(r"([0-9]{1,6})\s*/\s*([0-9]{1,6})", written):
        return Fraction(int(found[1]), int(found[2])) if int(found[2]) else None
    if re.fullmatch(r"[01]?[.,][0-9]{3,9}", written):
        value = Fraction("0" + written.replace(",", ".") if written[0] in ".," else written.replace(",", "."))
        return like if abs(value - like) <= Fraction(1, 1000) else value
    return None


def as_written(answer: Answer) -> str:
    """An answer as a student would write it."""
    return ", ".join(map(str, answer)) if isinstance(answer, tuple) else str(answer)
