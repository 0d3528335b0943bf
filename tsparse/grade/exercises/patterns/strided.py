"""`patterns.strided`: every stride-th key, counted back from the query; half of the Sparse Transformer."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, hidden, integer, keys, queries, says_own_key, shown


def strided(n: int, stride: int) -> Tensor:
    """Reference: bool [n, n], keys 0, stride, 2 stride ... steps behind the query."""
    behind = distance(n, n)
    return (behind >= 0) & (behind % stride == 0)


def causal(n: int) -> Tensor:
    """Bool [n, n]: no query sees a later key."""
    return distance(n, n) >= 0


def own_chunk(n: int, stride: int) -> Tensor:
    """Bool [n, n]: query and key lie in one chunk of `stride` tokens."""
    return queries(n) // stride == keys(n) // stride


def strided_cases(rng: Generator) -> list[Case]:
    """Several strides, a drawn one, then strides of 1 and longer than the sequence."""
    n, stride = integer(rng, 13, 17), integer(rng, 5, 6)
    return [
        Case("12 tokens, stride 4", (12, 4)),
        Case("11 tokens, stride 2", (11, 2)),
        Case("9 tokens, stride 3", (9, 3)),
        Case("a drawn length and stride", (n, stride)),
        Case("stride 1: all that came before", (5, 1), edge=True),
        Case("a stride longer than the sequence", (4, 9), edge=True),
        Case("a stride as long as the sequence", (6, 6), edge=True),
        Case("one token", (1, 3), edge=True),
    ]


def by_steps(rule: Callable[[Tensor, int], Tensor]) -> Callable[[int, int], Tensor]:
    """A mask from its rule of (distance [n, n], stride)."""
    return lambda n, stride: rule(distance(n, n), stride)


def listed(row: Tensor) -> str:
    """The keys that a row [n] shows, the newest first: "9, 5, 1"."""
    return ", ".join(map(str, row.nonzero().flatten().flip(0).tolist())) or "nothing"


def says_columns(mistake: Mistake) -> str:
    """For masks that count from position 0 instead of from the query."""
    n, stride = mistake.case.args
    query = int((mistake.got != mistake.want).any(-1).nonzero()[-1])
    marked = ", ".join(map(str, range(0, n, stride)))
    return (
        f"You marked columns {marked}; strided counts back from the query: "
        f"{query} sees {listed(mistake.want[query])}."
    )


def says_future(mistake: Mistake) -> str:
    """For masks that show a later key."""
    query, key = shown(mistake)
    return f"Query {query} sees key {key}, its future."


def says_one_step(mistake: Mistake) -> str:
    """For masks that stop after one stride."""
    query, key = hidden(mistake)
    return f"Query {query} sees {listed(mistake.got[query])}, but not {key}: go on to the beginning."


def says_window(mistake: Mistake) -> str:
    """For masks with the other head's window."""
    return "Query {} sees key {}: the window belongs to another head.".format(*shown(mistake))


STRIDED = Exercise(
    id="patterns.strided",
    title="Every stride-th key, counted back from the query",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=strided,
    cases=strided_cases,
    hints=(
        "Make the table of distances first: query position minus key position, [n, n].",
        "Query 9 with stride 4 sees the keys 9, 5 and 1: the distances 0, 4 and 8. What do those have in "
        "common, and which distances must be shut out?",
        "`(behind >= 0) & (behind % stride == 0)`. In Python and PyTorch -4 % 4 is 0 too, so the first half "
        "is needed.",
    ),
    wrong=(
        Wrong(
            "k % stride",
            says_columns,
            lambda n, stride: causal(n) & (keys(n) % stride == 0),
        ),
        Wrong(
            "k % stride and the own key",
            says_columns,
            by_steps(lambda behind, s: (behind >= 0) & ((keys(len(behind)) % s == 0) | (behind == 0))),
        ),
        Wrong("not causal", says_future, by_steps(lambda behind, s: behind % s == 0)),
        Wrong(
            "own key hidden",
            lambda m: f"{says_own_key(m)[:-1]}, and the distance 0 is a multiple of the stride.",
            by_steps(lambda behind, s: (behind > 0) & (behind % s == 0)),
        ),
        Wrong("one step back", says_one_step, by_steps(lambda behind, s: (behind == 0) | (behind == s))),
        Wrong(
            "window added",
            says_window,
            by_steps(lambda behind, s: (behind >= 0) & ((behind < s) | (behind % s == 0))),
        ),
        Wrong(
            "window and one key more added",
            says_window,
            by_steps(lambda behind, s: (behind >= 0) & ((behind <= s) | (behind % s == 0))),
        ),
        Wrong(
            "two-sided window and columns",
            "This is the mask of the lesson's debug case: its window half sees the future, its column half "
            "does not, and neither is strided.",
            by_steps(lambda behind, s: (behind.abs() <= s) | ((behind >= 0) & (keys(len(behind)) % s == 0))),
        ),
        Wrong(
            "looks ahead",
            lambda m: "Query {} sees key {}, its future, and not its past: turn the comparison round.".format(
                *shown(m)
            ),
            by_steps(lambda behind, s: (behind <= 0) & (behind % s == 0)),
        ),
        Wrong(
            "chunks",
            lambda m: "Query {} sees key {}, which is in its chunk, but not a multiple of {} away.".format(
                *shown(m), m.case.args[1]
            ),
            lambda n, stride: causal(n) & own_chunk(n, stride),
        ),
        Wrong(
            "one step too long",
            lambda m: f"Your steps are {m.case.args[1] + 1} long; the stride is {m.case.args[1]}.",
            lambda n, stride: strided(n, stride + 1),
        ),
    ),
)
