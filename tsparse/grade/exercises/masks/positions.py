"""`masks.causal` and `masks.sliding_window`: masks made of the positions of queries and keys."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, hidden, integer, keys, queries, says_own_key, shown


def causal(n_q: int, n_kv: int, q_offset: int = 0) -> Tensor:
    """Reference: bool [n_q, n_kv], query i sees key j if j <= i + q_offset."""
    return keys(n_kv) <= queries(n_q, q_offset)


def sliding_window(n_q: int, n_kv: int, window: int, q_offset: int = 0) -> Tensor:
    """Reference: bool [n_q, n_kv], a query sees its own key and the window - 1 keys before it."""
    behind = distance(n_q, n_kv, q_offset)
    return (behind >= 0) & (behind < window)


def causal_cases(rng: Generator) -> list[Case]:
    """Square, more keys, more queries, then positions that do not start at 0."""
    few, many = integer(rng, 3, 5), integer(rng, 7, 11)
    return [
        Case("4 queries, 4 keys", (4, 4)),
        Case("4 queries, 9 keys", (4, 9)),
        Case("9 queries, 4 keys", (9, 4)),
        Case(f"{many} queries, {few} keys", (many, few)),
        Case("3 queries, 15 keys, q_offset=5", (3, 15, 5)),
        Case("a drawn q_offset", (few, few + 13, integer(rng, 2, 6))),
        Case("decoding: 1 query at position 7, room for 20 keys", (1, 20, 7), edge=True),
        Case("one query, one key", (1, 1), edge=True),
        Case("every key lies in the past", (few, 3, 6), edge=True),
        Case("q_offset=-2: two queries stand before the first key", (5, 4, -2), edge=True),
    ]


def window_cases(rng: Generator) -> list[Case]:
    """Square, the smallest window, other shapes, offsets, a window that hides nothing of the past."""
    n, window, shift = integer(rng, 8, 11), integer(rng, 4, 6), integer(rng, 2, 5)
    return [
        Case("7 queries, 7 keys, window 3", (7, 7, 3)),
        Case(f"{n} queries, {n} keys, window {window}", (n, n, window)),
        Case("window 1: only the own key", (5, 5, 1)),
        Case("5 queries, 9 keys, window 3", (5, 9, 3)),
        Case("9 queries, 5 keys, window 4", (9, 5, 4)),
        Case("4 queries, 20 keys, window 3, q_offset=7", (4, 20, 3, 7)),
        Case("a drawn q_offset", (n, n + 13, window, shift)),
        Case("a window longer than the sequence", (5, 6, 20), edge=True),
        Case("decoding: 1 query at position 7, room for 20 keys", (1, 20, 3, 7), edge=True),
        Case("one query, one key, window 1", (1, 1, 1), edge=True),
        Case("the last queries are too far from every key", (6, 4, 2, 2), edge=True),
        Case("q_offset=-2: two queries stand before the first key", (5, 4, 2, -2), edge=True),
    ]


def offset(mistake: Mistake) -> int:
    """The `q_offset` of the case: the last argument."""
    return int(mistake.case.args[-1])


def says_end(mistake: Mistake) -> str:
    """For masks whose last query meets the last key."""
    n_q, n_kv = mistake.case.args[:2]
    who = "1 query" if n_q == 1 else f"{n_q} queries"
    return (
        f"For {who} and {n_kv} keys you put the queries last (flash-attention's rule); here they start at "
        "`q_offset`. Many libraries had a bug between these two rules."
    )


def says_not_moved(mistake: Mistake) -> str:
    """For masks without the offset."""
    place = offset(mistake)
    sees = f"sees {int(mistake.want[0].sum())} keys" if place >= 0 else "sees nothing"
    return f"q_offset={place} puts query 0 at position {place}, where it {sees}; yours stands at position 0."


def says_moved_back(mistake: Mistake) -> str:
    """For the wrong sign of the offset, which is the same as moving the keys."""
    return f"You moved the queries back by {offset(mistake)} (or the keys forward), not the queries forward."


def says_keys_down(mistake: Mistake) -> str:
    """For transposed masks."""
    n_q, n_kv = mistake.case.args[:2]
    return f"Rows should be the {n_q} queries and columns the {n_kv} keys; yours are the other way round."


def says_numbers(mistake: Mistake) -> str:
    """For masks of floats."""
    return "This returns numbers; the task wants True and False (the scores come later)."


def by_position(rule: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """A causal-like mask from its rule of (distance [n_q, n_kv], n_kv - n_q)."""
    return lambda n_q, n_kv, q_offset=0: rule(distance(n_q, n_kv, q_offset), n_kv - n_q)


def by_distance(rule: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """A window-like mask from its rule of (distance [n_q, n_kv], window)."""
    return lambda n_q, n_kv, window, q_offset=0: rule(distance(n_q, n_kv, q_offset), window)


def numbers(mask: Tensor) -> Tensor:
    """0 where a key is visible, -inf where it is hidden."""
    return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)


CAUSAL = Exercise(
    id="masks.causal",
    title="A causal mask",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=causal,
    cases=causal_cases,
    hints=(
        "Write down the position of every query and of every key: query i stands at i + q_offset, key j at "
        "j.",
        "Make the query positions a column, [n_q, 1], and the key positions a row, [n_kv]. A comparison of "
        "the two is a table [n_q, n_kv].",
        "A key may be seen if its position is not greater than the query's: `key <= query`. Nothing has to "
        "be filled in afterwards, and q_offset is added to the queries only.",
    ),
    wrong=(
        Wrong(
            "inverted",
            lambda m: (
                "Query {} sees key {}, which is the future, and not itself: turn the comparison "
                "round.".format(*shown(m))
            ),
            by_position(lambda behind, extra: behind < 0),
        ),
        Wrong(
            "looks ahead",
            lambda m: "Query {} sees key {}, its future, and not its past: turn the comparison round.".format(
                *shown(m)
            ),
            by_position(lambda behind, extra: behind <= 0),
        ),
        Wrong(
            "own key hidden",
            "Query 0 sees nothing: a token may see itself.",
            by_position(lambda behind, extra: behind > 0),
        ),
        Wrong(
            "one key too many",
            lambda m: "Query {} sees key {}, one step into its future: its own key is the last.".format(
                *shown(m)
            ),
            by_position(lambda behind, extra: behind >= -1),
        ),
        Wrong(
            "everything",
            lambda m: "Query {} sees key {}: your mask hides nothing at all.".format(*shown(m)),
            by_position(lambda behind, extra: behind == behind),
        ),
        Wrong(
            "aligned at the end",
            says_end,
            lambda n_q, n_kv, q_offset=0: causal(n_q, n_kv, n_kv - n_q),
        ),
        Wrong(
            "aligned at the end, then moved", says_end, by_position(lambda behind, extra: behind >= -extra)
        ),
        Wrong(
            "q_offset ignored",
            says_not_moved,
            lambda n_q, n_kv, q_offset=0: causal(n_q, n_kv),
        ),
        Wrong(
            "q_offset subtracted",
            says_moved_back,
            lambda n_q, n_kv, q_offset=0: causal(n_q, n_kv, -q_offset),
        ),
        Wrong("keys down", says_keys_down, lambda n_q, n_kv, q_offset=0: causal(n_q, n_kv, q_offset).T),
        Wrong("0 and -inf", says_numbers, by_position(lambda behind, extra: numbers(behind >= 0))),
    ),
)


def says_count(mistake: Mistake) -> str:
    """For windows with one key too many or too few."""
    window = mistake.case.args[2]
    query = int((mistake.got != mistake.want).any(-1).nonzero()[0])
    count = int(mistake.got[query].sum())
    return (
        f"Query {query} sees {count} key{'s' * (count != 1)} with window {window}, not "
        f"{int(mistake.want[query].sum())}: the query's own key is one of the window."
    )


SLIDING_WINDOW = Exercise(
    id="masks.sliding_window",
    title="A sliding window",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=sliding_window,
    cases=window_cases,
    hints=(
        "Compute how far each key lies behind each query: query position minus key position, a table "
        "[n_q, n_kv]. It is 0 for the own key and negative in the future.",
        "A query with window 3 sees the distances 0, 1 and 2. Which two comparisons say that?",
        "Not in the future, and less than `window` behind: join the two with `&`, each in brackets of its "
        "own, since `&` binds tighter than `<`. q_offset is added to the queries before you subtract.",
    ),
    wrong=(
        Wrong("w+1 keys", says_count, by_distance(lambda behind, w: (behind >= 0) & (behind <= w))),
        Wrong("w-1 keys", says_count, by_distance(lambda behind, w: (behind >= 0) & (behind < w - 1))),
        Wrong(
            "both ways",
            lambda m: "Query {} sees key {}, its future.".format(*shown(m)),
            by_distance(lambda behind, w: behind.abs() < w),
        ),
        Wrong(
            "centred on the query",
            lambda m: (
                "Half of your window lies in the future: query {} sees key {} (Longformer's rule, which is "
                "not causal).".format(*shown(m))
            ),
            by_distance(lambda behind, w: behind.abs() <= w // 2),
        ),
        Wrong("own key hidden", says_own_key, by_distance(lambda behind, w: (behind > 0) & (behind < w))),
        Wrong("w earlier keys", says_own_key, by_distance(lambda behind, w: (behind > 0) & (behind <= w))),
        Wrong(
            "no far limit",
            lambda m: "Query {} still sees key {} with window {}.".format(*shown(m), m.case.args[2]),
            by_distance(lambda behind, w: behind >= 0),
        ),
        Wrong(
            "no near limit",
            lambda m: "Query {} sees key {}, its future: you limit only how far back it looks.".format(
                *shown(m)
            ),
            by_distance(lambda behind, w: behind < w),
        ),
        Wrong(
            "q_offset ignored",
            says_not_moved,
            lambda n_q, n_kv, window, q_offset=0: sliding_window(n_q, n_kv, window),
        ),
        Wrong(
            "q_offset subtracted",
            says_moved_back,
            lambda n_q, n_kv, window, q_offset=0: sliding_window(n_q, n_kv, window, -q_offset),
        ),
        Wrong(
            "aligned at the end",
            says_end,
            lambda n_q, n_kv, window, q_offset=0: sliding_window(n_q, n_kv, window, n_kv - n_q),
        ),
        Wrong(
            "looks ahead",
            "You exchanged q-k and k-q: the window should lie behind the query.",
            by_distance(lambda behind, w: (behind <= 0) & (behind > -w)),
        ),
        Wrong(
            "keys down",
            says_keys_down,
            lambda n_q, n_kv, window, q_offset=0: sliding_window(n_q, n_kv, window, q_offset).T,
        ),
        Wrong(
            "chunks",
            lambda m: "Query {} should see key {}: a window slides, chunks start at multiples of {}.".format(
                *hidden(m), m.case.args[2]
            ),
            lambda n_q, n_kv, window, q_offset=0: (
                causal(n_q, n_kv, q_offset) & (queries(n_q, q_offset) // window == keys(n_kv) // window)
            ),
        ),
        Wrong(
            "a chain of comparisons",
            "`0 <= behind < window` and `a and b` ask Python to make one True or False of a whole table. "
            "Write `(behind >= 0) & (behind < window)`, with the brackets.",
            by_distance(lambda behind, w: 0 <= behind < w),
            raises=True,
        ),
        Wrong(
            "0 and -inf", says_numbers, by_distance(lambda behind, w: numbers((behind >= 0) & (behind < w)))
        ),
    ),
)
