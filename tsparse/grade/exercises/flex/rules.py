"""`flex.mask_mod`: a function that makes a mask_mod, a causal window with sinks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import first
from tsparse.grade.driving import How, Then
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def sink_window(window: int, sinks: int) -> MaskMod:
    """Reference: a mask_mod that is causal, and in the window or among the first `sinks` keys."""

    def mask_mod(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return (kv_idx <= q_idx) & ((q_idx - kv_idx < window) | (kv_idx < sinks))

    return mask_mod


def places(n_q: int, n_kv: int, start: int = 0, how: How = "broadcast") -> Then:
    """Queries from `start` on as a column, keys as a row, of text 0 and head 0."""
    zero = torch.tensor(0)
    return Then((zero, zero, torch.arange(start, start + n_q)[:, None], torch.arange(n_kv)), how)


def mask_mod_cases(rng: Generator) -> list[Case]:
    """Square, under vmap, other shapes; then windows and sinks that hide nothing, and places in any order."""
    table = places(7, 8)
    n, window, sinks = integer(rng, 13, 17), integer(rng, 4, 6), integer(rng, 1, 3)
    zero = torch.tensor(0)
    mixed = Then((zero, zero, torch.tensor([[3], [9], [4]]), torch.tensor([8, 0, 4, 3])))
    several = Then(
        (torch.arange(2)[:, None, None, None], torch.arange(3)[:, None, None], *table.args[2:]), "vmap"
    )
    return [
        Case("12 queries and keys, window 4, 2 sinks", (4, 2, places(12, 12))),
        Case(f"window {window}, {sinks} sinks", (window, sinks, places(n, n))),
        Case("queries at positions 7 to 11, 12 keys", (3, 2, places(5, 12, start=7))),
        Case("9 queries, 5 keys", (3, 2, places(9, 5))),
        Case("called under vmap", (window, sinks, places(n, n, how="vmap"))),
        Case("2 texts, 3 heads, under vmap", (3, 1, several), edge=True),
        Case("no sinks", (3, 0, places(7, 7)), edge=True),
        Case("window 1: itself and the sinks", (1, 2, places(7, 7)), edge=True),
        Case("a window longer than the sequence", (20, 2, places(6, 6)), edge=True),
        Case("more sinks than keys", (2, 9, places(6, 6)), edge=True),
        Case("a million tokens in", (4, 2, places(1, 8, start=1_000_000)), edge=True),
        Case("queries 3, 9, 4 and keys 8, 0, 4, 3", (4, 2, mixed), edge=True),
    ]


def pair(mistake: Mistake) -> tuple[int, int]:
    """Positions of the query and the key of the first wrong place."""
    _, _, q_idx, kv_idx = torch.broadcast_tensors(*mistake.case.args[-1].args)
    place = first(mistake.got != mistake.want)
    return int(q_idx[place]), int(kv_idx[place])


def says_too_many(mistake: Mistake) -> str:
    """For windows with a key more."""
    window = mistake.case.args[0]
    return (
        f"Query {{}} sees key {{}}: `<=` makes the window {window + 1} keys, and the query's own key is one "
        f"of its {window}.".format(*pair(mistake))
    )


def says_anew(mistake: Mistake) -> str:
    """For tables that count from 0."""
    q_idx, kv_idx = mistake.case.args[-1].args[2:]
    return (
        f"The first query here is {int(q_idx.flatten()[0])} and the first key {int(kv_idx.flatten()[0])}; "
        "you count from 0. Use the numbers in q_idx and kv_idx: FlexAttention calls you for any of them."
    )


def rule(says: Callable[[int, int, Tensor, Tensor], Tensor]) -> Callable[[int, int], MaskMod]:
    """A maker of mask_mods from its rule of (window, sinks, q_idx, kv_idx)."""
    return lambda window, sinks: lambda b, h, q_idx, kv_idx: says(window, sinks, q_idx, kv_idx)


def counted_anew(w: int, s: int, q: Tensor, k: Tensor) -> Tensor:
    """The right rule for places that are counted from 0."""
    shape = torch.broadcast_shapes(q.shape, k.shape)
    if len(shape):  # called for one place it can only use what it is given
        q, k = torch.arange(shape[-2])[:, None], torch.arange(shape[-1])
    return ((k <= q) & ((q - k < w) | (k < s))).expand(shape)


MASK_MOD = Exercise(
    id="flex.mask_mod",
    title="A mask_mod: a window with sinks",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=sink_window,
    cases=mask_mod_cases,
    hints=(
        "`sink_window` returns a function. Define `mask_mod(b, h, q_idx, kv_idx)` inside it; there it may "
        "use `window` and `sinks`.",
        "Three conditions, each a comparison of q_idx and kv_idx: not in the future; near enough; one of the "
        "first keys. Which of them must hold together, and of which is one enough?",
        "Not in the future, and (near enough or a sink). Write `&` and `|`, and brackets around each "
        "comparison; a window of 3 has the distances 0, 1 and 2.",
    ),
    wrong=(
        Wrong(
            "and, or",
            "Python's `and`, `or` and a chain of comparisons want one truth from a whole tensor. Write `&` "
            "and `|`, with brackets around each comparison.",
            rule(lambda w, s, q, k: k <= q and (q - k < w or k < s)),
            raises=True,
        ),
        Wrong(
            "two arguments",
            "FlexAttention calls a mask_mod with (b, h, q_idx, kv_idx), whether it needs them or not; yours "
            "takes two arguments.",
            lambda window, sinks: lambda q_idx, kv_idx: kv_idx <= q_idx,
            raises=True,
        ),
        Wrong("w+1 keys", says_too_many, rule(lambda w, s, q, k: (k <= q) & ((q - k <= w) | (k < s)))),
        Wrong(
            "w-1 keys",
            lambda m: "Query {} should see key {}: the window counts the own key and {} before it.".format(
                *pair(m), m.case.args[0] - 1
            ),
            rule(lambda w, s, q, k: (k <= q) & ((q - k < w - 1) | (k < s))),
        ),
        Wrong(
            "one sink too many",
            lambda m: f"`kv_idx <= {m.case.args[1]}` is {m.case.args[1] + 1} keys: the first is key 0.",
            rule(lambda w, s, q, k: (k <= q) & ((q - k < w) | (k <= s))),
        ),
        Wrong(
            "sinks of the future",
            lambda m: "Query {} sees key {}, which comes after it: sinks must lie in the past too.".format(
                *pair(m)
            ),
            rule(lambda w, s, q, k: ((k <= q) & (q - k < w)) | (k < s)),
        ),
        Wrong(
            "q and k swapped",
            lambda m: "Query {} and key {}: queries see what lies ahead of them. q_idx comes first.".format(
                *pair(m)
            ),
            rule(lambda w, s, q, k: (q <= k) & ((k - q < w) | (q < s))),
        ),
        Wrong(
            "looks ahead",
            lambda m: "Query {} sees key {}, its future: the window has no near end.".format(*pair(m)),
            rule(lambda w, s, q, k: (q - k < w) | (k < s)),
        ),
        Wrong(
            "both ways",
            lambda m: "Query {} sees key {}, its future: the window reaches to both sides.".format(*pair(m)),
            rule(lambda w, s, q, k: ((q - k).abs() < w) | (k < s)),
        ),
        Wrong(
            "sinks only",
            lambda m: "Query {} should see key {}, which is in its window; yours has only the sinks.".format(
                *pair(m)
            ),
            rule(lambda w, s, q, k: (k <= q) & (k < s)),
        ),
        Wrong(
            "window only",
            lambda m: "Query {} should see key {}, which is a sink.".format(*pair(m)),
            rule(lambda w, s, q, k: (k <= q) & (q - k < w)),
        ),
        Wrong(
            "both at once",
            lambda m: "Query {} should see key {}: near enough OR a sink, and you ask for both.".format(
                *pair(m)
            ),
            rule(lambda w, s, q, k: (k <= q) & (q - k < w) & (k < s)),
        ),
        Wrong("counted anew", says_anew, rule(counted_anew)),
    ),
)
