"""`cost.attention_flops`: the operations of the two matrix products of attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Generator

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer


def attention_flops(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
    """Reference: 2 D for each score and 2 D for each weighted value, over all visible pairs."""
    return 4 * visible(n_q, n_kv, causal) * dim * heads * batch


def visible(n_q: int, n_kv: int, causal: bool) -> int:
    """Pairs of a query and a key that it may see; positions begin at the start."""
    if not causal:
        return n_q * n_kv
    in_triangle = min(n_q, n_kv)
    return in_triangle * (in_triangle + 1) // 2 + (n_q - in_triangle) * n_kv


def flops_cases(rng: Generator) -> list[Case]:
    """One head, several, other lengths, batches, then causal; heads never divide the head size."""
    few, many = integer(rng, 9, 15), integer(rng, 20, 30)
    dim = 3 * integer(rng, 3, 6) + 1
    return [
        Case("8 queries, 8 keys, one head of 4", (8, 8, 1, 4)),
        Case(f"{few} queries, {few} keys, 3 heads of {dim}", (few, few, 3, dim)),
        Case(f"{few} queries, {many} keys, 3 heads", (few, many, 3, dim)),
        Case("a batch of 5", (few, many, 3, dim, 5)),
        Case("causal, 4 queries, 4 keys", (4, 4, 1, 10, 1, True)),
        Case(f"causal, {many} queries and keys, 3 heads", (many, many, 3, dim, 2, True)),
        Case("causal, fewer queries than keys", (few, many, 3, dim, 1, True)),
        Case("causal, more queries than keys", (many, few, 3, dim, 1, True)),
        Case("one query, one key, causal", (1, 1, 2, 5, 1, True), edge=True),
        Case("decoding: one query, all keys visible", (1, many, 3, dim), edge=True),
        Case("causal with one query at position 0", (1, many, 3, dim, 1, True), edge=True),
        Case("a million tokens, causal", (1_000_003, 1_000_003, 96, 127, 7, True), edge=True),
    ]


def by_pairs(pairs: Callable[[int, int], int]) -> Callable[..., int]:
    """The reference with other causal pairs, `pairs(n_q, n_kv)`."""

    def answer(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
        return 4 * (pairs(n_q, n_kv) if causal else n_q * n_kv) * dim * heads * batch

    return answer


def half(*args: Any) -> int:
    """One matmul, or a multiply-add counted as one operation."""
    return attention_flops(*args) // 2


def heads_forgotten(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
    """One head."""
    return attention_flops(n_q, n_kv, 1, dim, batch, causal)


def dim_shared(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
    """The head size divided among the heads once more."""
    return attention_flops(n_q, n_kv, heads, dim // heads, batch, causal)


def batch_forgotten(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
    """One text."""
    return attention_flops(n_q, n_kv, heads, dim, 1, causal)


def with_projections(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
    """The four projections too, from and to a width of heads * dim."""
    projections = 2 * (2 * n_q + 2 * n_kv) * (heads * dim) ** 2 * batch
    return attention_flops(n_q, n_kv, heads, dim, batch, causal) + projections


def queries_squared(n_q: int, n_kv: int, heads: int, dim: int, batch: int = 1, causal: bool = False) -> int:
    """As many keys as queries."""
    return attention_flops(n_q, n_q, heads, dim, batch, causal)


def says_half_square(mistake: Mistake) -> str:
    """For n²/2."""
    n_q, n_kv = mistake.case.args[:2]
    if n_q != n_kv:
        return (
            f"{n_q} queries and {n_kv} keys make no square to halve: row i sees min(i + 1, {n_kv}) keys, "
            f"{visible(n_q, n_kv, True)} pairs in all."
        )
    return (
        f"{n_q} queries see {visible(n_q, n_kv, True)} pairs, not {n_q * n_kv // 2}: the diagonal is visible "
        "too, n(n+1)/2."
    )


def says_all_pairs(mistake: Mistake) -> str:
    """For causal ignored."""
    n_q, n_kv = mistake.case.args[:2]
    pairs = visible(n_q, n_kv, True)
    return f"Hidden pairs are counted: of {n_q * n_kv} pairs a causal rule shows {pairs}."


def says_triangle(mistake: Mistake) -> str:
    """For a triangle that is larger than the table."""
    n_q, n_kv = mistake.case.args[:2]
    return (
        f"From query {n_kv} on there is nothing more to see: row i sees min(i + 1, {n_kv}) keys, you count "
        f"i + 1 in all {n_q} rows."
    )


def says_no_more_rows(mistake: Mistake) -> str:
    """For a triangle with a row for each key."""
    n_q, n_kv = mistake.case.args[:2]
    if n_q > n_kv:
        return f"Your triangle ends with query {n_kv - 1}: the {n_q - n_kv} after it see all {n_kv} keys."
    return f"A triangle of {n_kv} rows is too high: there are {n_q} queries, and row i sees i + 1 keys."


def says_end(mistake: Mistake) -> str:
    """For queries that stand last."""
    n_q, n_kv = mistake.case.args[:2]
    return (
        f"You put query {n_q - 1} beside key {n_kv - 1}. Here positions begin at the start (lesson 02): "
        "query i sees keys 0 to i."
    )


def aligned_at_the_end(n_q: int, n_kv: int) -> int:
    """Causal pairs where the last query meets the last key."""
    return visible(n_kv, n_kv, True) - visible(max(n_kv - n_q, 0), n_kv, True)


ATTENTION_FLOPS = Exercise(
    id="cost.attention_flops",
    title="Operations of attention",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=attention_flops,
    cases=flops_cases,
    hints=(
        "Begin with one query and one key of one head. Their score is a product of two vectors of length "
        "dim: how many multiplications, how many additions? And what does the value of that key cost?",
        "Each pair costs 2 * dim for its score and 2 * dim for its value. Multiply by the pairs, the heads "
        "and the batch. What is left is to count the pairs.",
        "Without a mask there are n_q * n_kv pairs. A causal row i sees min(i + 1, n_kv) keys: add those up "
        "over the rows, with a sum or with a triangle and the rectangle below it.",
    ),
    wrong=(
        Wrong(
            "a quarter",
            "A quarter: two matrix products, each with a multiplication and an addition for every number.",
            lambda *args: attention_flops(*args) // 4,
        ),
        Wrong("half", "Half: there are two matrix products, and a multiply-add is 2 operations.", half),
        Wrong(
            "one addition less",
            lambda m: (
                f"You count {m.case.args[3] - 1} additions for a score. By convention every multiplication "
                f"comes with an addition: 2 * {m.case.args[3]} operations."
            ),
            lambda n_q, n_kv, heads, dim, *rest: (
                attention_flops(n_q, n_kv, heads, dim, *rest) * (4 * dim - 1) // (4 * dim)
            ),
        ),
        Wrong(
            "heads forgotten",
            lambda m: f"That is one head; there are {m.case.args[2]}.",
            heads_forgotten,
        ),
        Wrong(
            "heads twice",
            lambda m: f"You multiply by the {m.case.args[2]} heads twice: `dim` is the size of one head.",
            lambda n_q, n_kv, heads, *rest: attention_flops(n_q, n_kv, heads * heads, *rest),
        ),
        Wrong(
            "dim / heads",
            lambda m: f"`dim` is already per head: each of the {m.case.args[2]} heads has {m.case.args[3]}.",
            dim_shared,
        ),
        Wrong(
            "batch forgotten",
            lambda m: f"That is one text; the batch has {m.case.args[4]}.",
            batch_forgotten,
        ),
        Wrong(
            "projections too",
            "You count the projections to q, k, v and out as well; here only scores and weighted sum.",
            with_projections,
        ),
        Wrong(
            "keys forgotten",
            lambda m: "You count {0} x {0} pairs: each of the {0} queries meets {1} keys.".format(
                *m.case.args[:2]
            ),
            queries_squared,
        ),
        Wrong("causal as n²/2", says_half_square, by_pairs(lambda n_q, n_kv: n_q * n_kv // 2)),
        Wrong("causal ignored", says_all_pairs, by_pairs(lambda n_q, n_kv: n_q * n_kv)),
        Wrong(
            "own key hidden",
            lambda m: "Query 0 sees no key in your count: a token may see itself, so row i has i + 1 keys.",
            by_pairs(lambda n_q, n_kv: visible(n_q - 1, n_kv, True)),
        ),
        Wrong("triangle too large", says_triangle, by_pairs(lambda n_q, n_kv: n_q * (n_q + 1) // 2)),
        Wrong("triangle of keys", says_no_more_rows, by_pairs(lambda n_q, n_kv: n_kv * (n_kv + 1) // 2)),
        Wrong("aligned at the end", says_end, by_pairs(aligned_at_the_end)),
    ),
)
