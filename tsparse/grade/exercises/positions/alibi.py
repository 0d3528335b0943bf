"""`positions.alibi`: the penalty for distance that is added to scores.

Formula: Press et al. 2021 (arXiv:2108.12409), section 3; there a query sees only keys before it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, integer


def alibi(slopes: Tensor, n_q: int, n_kv: int, q_offset: int = 0) -> Tensor:
    """Reference: `[H, n_q, n_kv]` = -slope * |i + q_offset - j|, in the dtype of the slopes."""
    return -slopes[:, None, None] * distance(n_q, n_kv, q_offset).abs()


def cases(rng: torch.Generator) -> list[Case]:
    """Square, more keys, more queries, offsets; then single queries, other types and unusual slopes."""
    two = torch.tensor([0.5, 0.25], dtype=torch.float64)
    three = torch.rand(3, generator=rng, dtype=torch.float64) + torch.tensor([0.1, 1.2, 2.3])
    four = torch.rand(4, generator=rng, dtype=torch.float64).cumsum(0) + 0.05
    shift = integer(rng, 2, 4)
    return [
        Case("2 heads, 3 queries, 3 keys", (two, 3, 3)),
        Case("3 heads, 4 queries, 7 keys", (three, 4, 7)),
        Case("3 heads, 7 queries, 4 keys", (three, 7, 4)),
        Case("every axis is 4", (four, 4, 4)),
        Case("2 heads, 3 queries, 9 keys, q_offset=4", (two, 3, 9, 4)),
        Case("a drawn q_offset", (four, 5, 13, shift)),
        Case("decoding: 1 query at position 7, room for 20 keys", (three, 1, 20, 7), edge=True),
        Case("one head", (four[:1], 4, 6, 1), edge=True),
        Case("one head, one query, one key", (two[1:], 1, 1), edge=True),
        Case("q_offset=-2: two queries stand before the first key", (two, 4, 5, -2), edge=True),
        Case("one slope is 0", (torch.tensor([0.0, 0.5], dtype=torch.float64), 3, 5, 1), edge=True),
        Case("slopes are every second entry of another tensor", (four.repeat(2)[::2], 3, 6, 2), edge=True),
        Case("float32", (three.float(), 4, 6, 1), edge=True),
    ]


def by_distance(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Slopes times another function of the distance `[n_q, n_kv]`, which is negative in the future."""
    return lambda slopes, n_q, n_kv, q_offset=0: (
        slopes[:, None, None] * rule(distance(n_q, n_kv, q_offset)).to(slopes)
    )


def paper_slopes(slopes: Tensor) -> Tensor:
    """2^(-8h/H), whatever was given."""
    heads = len(slopes)
    return 2.0 ** (-8 * torch.arange(1, heads + 1, dtype=slopes.dtype) / heads)


def offset(mistake: Mistake) -> int:
    """The `q_offset` of the case."""
    return int(mistake.case.args[3]) if len(mistake.case.args) > 3 else 0


def first(mistake: Mistake) -> tuple[int, int, int]:
    """The first place that is wrong: head, query, key."""
    head, query, key = (mistake.got - mistake.want).abs().gt(1e-6).nonzero()[0].tolist()
    return head, query, key


def says_bonus(who: str) -> Callable[[Mistake], str]:
    """For numbers above 0."""

    def say(mistake: Mistake) -> str:
        head, query, key = mistake.got.gt(0).nonzero()[0].tolist()
        return (
            f"{who} get a bonus: query {query} and key {key} of head {head} get "
            f"{float(mistake.got[head, query, key]):+.2g}. Take the distance without its sign, and take it "
            "off."
        )

    return say


def says_moved(mistake: Mistake) -> str:
    """For a wrong sign of the offset."""
    return (
        f"You moved the queries back by {offset(mistake)} (or the keys forward): query 0 stands at position "
        f"{offset(mistake)}."
    )


def says_end(mistake: Mistake) -> str:
    """For queries at the end of the keys."""
    return (
        f"You moved queries to the end of the keys (flash-attn does): query 0 at "
        f"{mistake.case.args[2] - mistake.case.args[1]}. Here `q_offset` says where they "
        f"stand: {offset(mistake)}."
    )


ALIBI = Exercise(
    id="positions.alibi",
    title="A penalty for distance",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=alibi,
    cases=cases,
    hints=(
        "Begin as for a mask: a column of query positions and a row of key positions. Instead of comparing "
        "them, subtract.",
        "Query i stands at `i + q_offset`. The distance is the absolute value of the difference, a table "
        "[n_q, n_kv]; the same for all heads.",
        "`slopes[:, None, None]` is [H, 1, 1] and stretches over the table. The penalty is taken off, so it "
        "is never above 0.",
    ),
    wrong=(
        Wrong("sign", says_bonus("Far keys"), by_distance(torch.abs)),
        Wrong("no absolute value", says_bonus("Later keys"), by_distance(torch.neg)),
        Wrong(
            "no absolute value, keys first", says_bonus("Earlier keys"), by_distance(lambda behind: behind)
        ),
        Wrong(
            "future not punished",
            lambda m: (
                "Query {1} lies before key {2}, and you take nothing off. The distance counts both ways; "
                "what is hidden is the mask's business.".format(*first(m))
            ),
            by_distance(lambda behind: -behind.clamp(min=0)),
        ),
        Wrong(
            "future hidden",
            lambda m: (
                "You hide key {2} from query {1} with `-inf`. Here nothing is hidden: the mask does "
                "that, and it may be another one.".format(*m.got.isneginf().nonzero()[0].tolist())
            ),
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv, q_offset).masked_fill(
                distance(n_q, n_kv, q_offset) < 0, -torch.inf
            ),
        ),
        Wrong(
            "position of the key",
            "All rows of a head are equal: you use the key's position. The paper's code does so, and under a "
            "causal mask the softmax forgives it; here the distance itself is asked for.",
            lambda slopes, n_q, n_kv, q_offset=0: (
                slopes[:, None, None] * torch.arange(n_kv).expand(n_q, n_kv).to(slopes)
            ),
        ),
        Wrong(
            "q_offset ignored",
            lambda m: f"Query 0 stands at position {offset(m)}; yours stands at 0.",
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv),
        ),
        Wrong(
            "q_offset subtracted",
            says_moved,
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv, -q_offset),
        ),
        Wrong(
            "q_offset added to the penalty",
            lambda m: (
                f"You add {offset(m)} to the penalty; `q_offset` belongs to the positions of the queries."
            ),
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv) + q_offset,
        ),
        Wrong(
            "aligned at the end",
            says_end,
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv, n_kv - n_q),
        ),
        Wrong(
            "one slope",
            lambda m: f"All heads use slope {float(m.case.args[0][0]):.3g}; each head has its own.",
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes[:1].expand(len(slopes)), n_q, n_kv, q_offset),
        ),
        Wrong(
            "mean slope",
            lambda m: (
                f"All heads use the mean slope, {float(m.case.args[0].mean()):.3g}; each head has its own."
            ),
            lambda slopes, n_q, n_kv, q_offset=0: alibi(
                slopes.mean().expand(len(slopes)), n_q, n_kv, q_offset
            ),
        ),
        Wrong(
            "reversed",
            "Slopes in reverse order of heads.",
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes.flip(0), n_q, n_kv, q_offset),
        ),
        Wrong(
            "slopes of the paper",
            lambda m: (
                f"You compute slopes of your own, {float(paper_slopes(m.case.args[0])[0]):.3g} for head 0; "
                f"`slopes` said {float(m.case.args[0][0]):.3g}."
            ),
            lambda slopes, n_q, n_kv, q_offset=0: alibi(paper_slopes(slopes), n_q, n_kv, q_offset),
        ),
        Wrong(
            "no slopes",
            "You return the distance alone: it is the same for all heads. Multiply by each head's slope.",
            lambda slopes, n_q, n_kv, q_offset=0: alibi(torch.ones_like(slopes), n_q, n_kv, q_offset),
        ),
        Wrong(
            "squared",
            "The penalty grows with the square of the distance; it is linear.",
            by_distance(lambda behind: -(behind**2)),
        ),
        Wrong(
            "the factor",
            "You return exp(-slope · distance), the factor that the softmax makes of the penalty. What is "
            "taken off the score is asked for: leave out `exp`.",
            lambda *args: alibi(*args).exp(),
        ),
        Wrong(
            "distance from 1",
            "A key at the query's own position has distance 0; yours has 1.",
            by_distance(lambda behind: -(behind.abs() + 1)),
        ),
        Wrong(
            "keys down",
            lambda m: (
                f"Rows should be the {m.want.shape[1]} queries and columns the {m.want.shape[2]} keys; yours "
                "are the other way round."
            ),
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv, q_offset).mT,
        ),
        Wrong(
            "heads last",
            lambda m: (
                f"Your heads are the last axis, {list(m.got.shape)}; they come first, {list(m.want.shape)}."
            ),
            lambda slopes, n_q, n_kv, q_offset=0: alibi(slopes, n_q, n_kv, q_offset).movedim(0, -1),
        ),
    ),
)
