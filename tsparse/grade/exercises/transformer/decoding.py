"""`transformer.greedy_decode`: the likeliest token, again and again, until every row has ended.

The model is a callable that counts how often it is asked; the verdict on cost is that count.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

NEVER = 99
"""A place of the end that no row reaches."""


class Model:
    """A decoder that knows what it is going to say: tokens [B, t] to scores [B, t, V].

    Row b says `script[b]`, as long as it is given what it said; otherwise it loses its way. After its end it
    says something else again, which nobody should read. `asked` counts the calls.
    """

    def __init__(self, script: Tensor, start: int, end: int, scores: Tensor) -> None:
        """`script` [B, T] is what is said, `scores` [B, T, V] lie between 0 and 1."""
        self.script, self.start, self.end, self.scores = script, start, end, scores
        self.asked = 0

    def __call__(self, tokens: Tensor) -> Tensor:
        """Scores of what follows each token. Raises ValueError for tokens that cannot be."""
        rows, length = self.script.shape
        if tokens.ndim != 2 or len(tokens) != rows or not 1 <= tokens.shape[1] <= length:
            raise ValueError(f"step takes tokens [{rows}, t], t from 1 to {length}, got {list(tokens.shape)}")
        if tokens.is_floating_point() or tokens.dtype == torch.bool:
            raise ValueError(f"step takes integers, got {tokens.dtype}")
        self.asked += 1
        wanted = torch.cat([torch.full((rows, 1), self.start), self.script], dim=1)[:, : tokens.shape[1]]
        over = (wanted == self.end).cumsum(1) - (wanted == self.end).long() > 0  # after the end of the row
        lost = ((tokens != wanted) & ~over & (wanted != self.end)).cummax(1).values
        vocabulary = self.scores.shape[2]
        said = (self.script[:, : tokens.shape[1]] + 3 * lost) % vocabulary
        loud = torch.nn.functional.one_hot(said, vocabulary)
        return self.scores[:, : tokens.shape[1]] + 2 * loud

    def __repr__(self) -> str:
        """The same for every model."""
        return "step"


Step = Callable[[Tensor], Tensor]


def greedy_decode(step: Step, start: int, end: int, batch: int, max_len: int) -> Tensor:
    """Reference: int64 [batch, L], L <= max_len, without the start and filled with `end`."""
    tokens, ended = begin(start, batch)
    while tokens.shape[1] <= max_len and not ended.all():
        newest = likeliest(step, tokens).masked_fill(ended, end)
        tokens, ended = longer(tokens, newest), ended | (newest == end)
    return tokens[:, 1:]


def begin(start: int, batch: int) -> tuple[Tensor, Tensor]:
    """The start in each row [batch, 1], and that no row has ended [batch]."""
    return torch.full((batch, 1), start), torch.zeros(batch, dtype=torch.bool)


def likeliest(step: Step, tokens: Tensor) -> Tensor:
    """The likeliest next token of each row [batch]."""
    return step(tokens)[:, -1].argmax(-1)


def longer(tokens: Tensor, newest: Tensor) -> Tensor:
    """Tokens with one more at the end."""
    return torch.cat([tokens, newest[:, None]], dim=1)


def cases(rng: Generator) -> list[Case]:
    """Rows that end together, at different places, never; then one row, one token, other special tokens."""

    def case(
        name: str, ends: tuple[int, ...], max_len: int, start: int = 1, end: int = 2, edge: bool = False
    ) -> Case:
        rows, vocabulary = len(ends), 11
        script = torch.randint(3, vocabulary, (rows, max_len + 3), generator=rng)
        script[:, 1:] += script[:, 1:] == script[:, :-1]  # neighbours differ
        script = torch.where(script >= vocabulary, 3, script)
        for row, place in enumerate(ends):
            if place <= max_len:
                script[row, place - 1] = end
        scores = torch.rand(rows, max_len + 3, vocabulary, generator=rng, dtype=torch.float64)
        return Case(name, (Model(script, start, end, scores), start, end, rows, max_len), edge)

    return [
        case("two rows that end with their 4th token, max_len 10", (4, 4), 10),
        case("rows that end with their 3rd, 5th and 4th token, max_len 9", (3, 5, 4), 9),
        case("row 0 ends last", (6, 2, 4), 8),
        case("row 1 never ends, max_len 6", (2, NEVER, 4), 6),
        case("no row ends, max_len 5", (NEVER, NEVER), 5),
        case("one row", (4,), 7, edge=True),
        case("every row ends at once", (1, 1, 1), 5, edge=True),
        case("the last token that is allowed is the end", (5, 3), 5, edge=True),
        case("max_len 1", (3, 4), 1, edge=True),
        case("start 2, end 1", (3, 2), 6, start=2, end=1, edge=True),
        case("start and end are one token", (3, 5), 6, start=2, end=2, edge=True),
        case("end 0", (2, 4), 6, start=1, end=0, edge=True),
    ]


def until(
    step: Step, start: int, end: int, batch: int, max_len: int, stop: Callable[[Tensor], bool]
) -> Tensor:
    """Greedy decoding that stops where `stop(ended)` says so."""
    tokens, ended = begin(start, batch)
    while tokens.shape[1] <= max_len and not stop(ended):
        newest = likeliest(step, tokens).masked_fill(ended, end)
        tokens, ended = longer(tokens, newest), ended | (newest == end)
    return tokens[:, 1:]


def reading(
    step: Step, start: int, end: int, batch: int, max_len: int, read: Callable[[Tensor], Tensor]
) -> Tensor:
    """Greedy decoding that makes the newest token of all scores in another way."""
    tokens, ended = begin(start, batch)
    while tokens.shape[1] <= max_len and not ended.all():
        newest = read(step(tokens)).masked_fill(ended, end)
        tokens, ended = longer(tokens, newest), ended | (newest == end)
    return tokens[:, 1:]


def filled(step: Step, start: int, end: int, batch: int, max_len: int, fill: int | None) -> Tensor:
    """Greedy decoding in which a row that has ended goes on with `fill`, with what the model says if None."""
    tokens, ended = begin(start, batch)
    while tokens.shape[1] <= max_len and not ended.all():
        newest = likeliest(step, tokens)
        ended_now = ended | (newest == end)
        tokens = longer(tokens, newest if fill is None else newest.masked_fill(ended, fill))
        ended = ended_now
    return tokens[:, 1:]


def one_call(step: Step, start: int, end: int, batch: int, max_len: int) -> Tensor:
    """The newest token alone is given to the model."""
    tokens, ended = begin(start, batch)
    while tokens.shape[1] <= max_len and not ended.all():
        newest = likeliest(step, tokens[:, -1:]).masked_fill(ended, end)
        tokens, ended = longer(tokens, newest), ended | (newest == end)
    return tokens[:, 1:]


def ended_by_start(
    step: Step, start: int, end: int, batch: int, max_len: int, ended: Callable[[Tensor], Tensor], least: int
) -> Tensor:
    """Whether a row has ended is read from all tokens, the start among them, after `least` tokens."""
    tokens, end_of = begin(start, batch)[0], lambda tokens: ended(tokens == end)
    while tokens.shape[1] <= max(least, 0) or (tokens.shape[1] <= max_len and not end_of(tokens).all()):
        tokens = longer(tokens, likeliest(step, tokens).masked_fill(end_of(tokens), end))
    return tokens[:, 1:]


def with_start(step: Step, start: int, end: int, batch: int, max_len: int) -> Tensor:
    """The start is kept."""
    return torch.cat([torch.full((batch, 1), start), greedy_decode(step, start, end, batch, max_len)], dim=1)


def without_end(step: Step, start: int, end: int, batch: int, max_len: int) -> Tensor:
    """It stops before the end is written."""
    tokens = greedy_decode(step, start, end, batch, max_len)
    return tokens[:, :-1] if bool((tokens == end).any(1).all()) else tokens


def places(mistake: Mistake) -> list[int]:
    """How many tokens each row has, its end among them; all if it does not end."""
    end, want = mistake.case.args[2], mistake.want
    ended = (want == end).any(1)
    return torch.where(ended, (want == end).long().argmax(1) + 1, want.shape[1]).tolist()


def says_never_stops(m: Mistake) -> str:
    """For a loop that always runs to max_len."""
    return (
        f"All rows had ended after {m.want.shape[1]} tokens; you return {m.got.shape[1]}. Do not ask the "
        "model again then, and end the answer there."
    )


def says_cut_off(m: Mistake) -> str:
    """For a loop that stops when one row has ended."""
    row = max(range(len(places(m))), key=places(m).__getitem__)
    first = min(range(len(places(m))), key=places(m).__getitem__)
    return f"Row {first} ended, and row {row} was cut off after {m.got.shape[1]} tokens: wait for all rows."


def says_row_0(m: Mistake) -> str:
    """For a loop that looks at row 0."""
    return f"You stop after {m.got.shape[1]} tokens, when row 0 has ended: you look at row 0 only."


def says_goes_on(m: Mistake) -> str:
    """For rows that go on after their end."""
    row = int((m.got != m.want).any(1).nonzero()[0])
    after = m.got[row, places(m)[row] :].tolist()
    return f"Row {row} goes on after its end, with {', '.join(map(str, after))}; fill it with `end`."


def says_filled(fill: str) -> Callable[[Mistake], str]:
    """For another filler than the end."""
    return lambda m: f"After the end comes `end`, {m.case.args[2]}, again; yours is filled with {fill}."


START_IS_END = (
    "Here the start is the end too, and you take it for the end of every row. Look for `end` behind the "
    "start only."
)

GREEDY_DECODE = Exercise(
    id="transformer.greedy_decode",
    title="Greedy decoding",
    minutes=20,
    points=15,
    difficulty="medium",
    spec=greedy_decode,
    cases=cases,
    calls=lambda case: case.args[0].asked,
    hints=(
        "Begin with `tokens = torch.full((batch, 1), start)`. One turn of the loop: call `step(tokens)` "
        "once, take the newest token of every row, append it as a column. What ends the loop?",
        "The scores are [B, t, V], and the newest are those of the last position: `[:, -1]`. Keep a boolean "
        "`ended` [batch] beside the tokens.",
        "`newest = torch.where(ended, end, newest)` keeps rows that have ended at `end`; then "
        "`ended = ended | (newest == end)`. Stop when `ended.all()` or after max_len tokens, and return "
        "the tokens without their first column.",
    ),
    wrong=(
        Wrong("never stops early", says_never_stops, partial(until, stop=lambda ended: False)),
        Wrong("stops when any ends", says_cut_off, partial(until, stop=lambda ended: bool(ended.any()))),
        Wrong("stops when row 0 ends", says_row_0, partial(until, stop=lambda ended: bool(ended[0]))),
        Wrong(
            "stops when the last row ends",
            lambda m: (
                f"You stop after {m.got.shape[1]} tokens, when the last row has ended: look at all rows."
            ),
            partial(until, stop=lambda ended: bool(ended[-1])),
        ),
        Wrong("finished rows go on", says_goes_on, partial(filled, fill=None)),
        Wrong(
            "first position",
            "You read the scores of position 0; the newest is the last.",
            partial(reading, read=lambda scores: scores[:, 0].argmax(-1)),
        ),
        Wrong(
            "second to last position",
            "You read the scores of the position before the newest.",
            partial(reading, read=lambda scores: scores[:, max(scores.shape[1] - 2, 0)].argmax(-1)),
        ),
        Wrong(
            "smallest score",
            "You take the token with the smallest score; greedy takes the largest.",
            partial(reading, read=lambda scores: scores[:, -1].argmin(-1)),
        ),
        Wrong(
            "only the newest token given",
            "You give the model the newest token alone; it needs all tokens so far, the start among them.",
            one_call,
        ),
        Wrong("start kept", "The start token is not part of the answer.", with_start),
        Wrong(
            "start taken for the end",
            START_IS_END,
            partial(ended_by_start, ended=lambda is_end: is_end.any(1), least=0),
        ),
        Wrong(
            "start taken for the end, after the first token",
            START_IS_END,
            partial(ended_by_start, ended=lambda is_end: is_end.any(1), least=1),
        ),
        Wrong(
            "end left out",
            "The last column is missing: the `end` of the row that ends last is part of the answer.",
            without_end,
        ),
        Wrong(
            "one too many",
            lambda m: f"{m.got.shape[1]} tokens for max_len = {m.case.args[4]}.",
            lambda step, start, end, batch, max_len: greedy_decode(step, start, end, batch, max_len + 1),
        ),
        Wrong(
            "one too few",
            lambda m: (
                f"Only {m.got.shape[1]} tokens for max_len = {m.case.args[4]}; the start does not count."
            ),
            lambda step, start, end, batch, max_len: greedy_decode(step, start, end, batch, max_len - 1),
        ),
        Wrong(
            "filled with 0",
            says_filled("0"),
            partial(filled, fill=0),
        ),
        Wrong(
            "filled with the start",
            says_filled("the start"),
            lambda step, start, end, batch, max_len: filled(step, start, end, batch, max_len, fill=start),
        ),
    ),
)
