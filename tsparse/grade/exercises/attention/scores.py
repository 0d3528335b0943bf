"""`attention.scores`: every query with every key, over the root of D."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Wrong


def scores(q: Tensor, k: Tensor) -> Tensor:
    """`q [B, H, N, D]` times `k [B, H, M, D]`, over sqrt(D): `[B, H, N, M]`."""
    return q @ k.mT / math.sqrt(q.shape[-1])


def cases(rng: torch.Generator) -> list[Case]:
    """All axes different, then all equal, so that exchanged axes show in the values too."""
    views = transposed_view(normal(rng, 2, 3, 4, 5)), transposed_view(normal(rng, 2, 3, 7, 5))
    single = normal(rng, 2, 3, 4, 8).float(), normal(rng, 2, 3, 5, 8).float()
    return [
        Case("2 heads, 3 queries, 5 keys, D = 10", (normal(rng, 1, 2, 3, 10), normal(rng, 1, 2, 5, 10))),
        Case("batch 2, 3 heads, D = 7", (normal(rng, 2, 3, 6, 7), normal(rng, 2, 3, 5, 7))),
        Case("11 queries, 5 keys", (normal(rng, 2, 3, 11, 6), normal(rng, 2, 3, 5, 6))),
        Case("every axis is 3", (normal(rng, 3, 3, 3, 3), normal(rng, 3, 3, 3, 3))),
        Case("one query, one key", (normal(rng, 2, 3, 1, 5), normal(rng, 2, 3, 1, 5)), edge=True),
        Case("D = 1", (normal(rng, 2, 3, 4, 1), normal(rng, 2, 3, 5, 1)), edge=True),
        Case(
            "scores of several hundred", (800 * normal(rng, 1, 2, 3, 8), normal(rng, 1, 2, 5, 8)), edge=True
        ),
        Case("transposed views", views, edge=True),
        Case("float32", single, edge=True),
    ]


def _root_of(what: str, axis: int) -> Wrong:
    """The scale is 1 over the root of another axis than D."""

    def size(q: Tensor, k: Tensor) -> int:
        return (k if what == "keys" else q).shape[axis]

    return Wrong(
        f"root of the number of {what}",
        lambda m: (
            f"Your scale is 1/sqrt({size(*m.case.args)}): that is the number of {what}. "
            "D is the last axis of q."
        ),
        lambda q, k: q @ k.mT / math.sqrt(size(q, k)),
    )


SCORES = Exercise(
    id="attention.scores",
    title="How well each query matches each key",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=scores,
    cases=cases,
    hints=(
        "Entry (i, j) is the dot product of query i with key j. One matrix product does all pairs at once.",
        "q is [B, H, N, D] and k is [B, H, M, D]. For a matrix product the last two axes of k must change "
        "places: `transpose` does that; `reshape` would mix the numbers.",
        "`q @ k.transpose(-2, -1)` has shape [B, H, N, M]. What is left is to divide by the root of "
        "`q.shape[-1]`.",
    ),
    wrong=(
        Wrong(
            "no scale",
            lambda m: f"All scores are sqrt(D) = {m.case.args[0].shape[-1] ** 0.5:.2f} times too large.",
            lambda q, k: q @ k.mT,
        ),
        Wrong(
            "divided by D",
            "You divide by D, or twice by its root. The variance of a score grows like D, so divide once by "
            "its root.",
            lambda q, k: q @ k.mT / q.shape[-1],
        ),
        _root_of("keys", -2),
        _root_of("queries", -2),
        _root_of("heads", 1),
        Wrong(
            "D ** 1/2",
            "You divide by D/2: Python reads `D ** 1/2` as `(D ** 1) / 2`. Write `D ** 0.5`.",
            lambda q, k: q @ k.mT / (q.shape[-1] / 2),
        ),
        Wrong(
            "multiplied by the root",
            "You multiply by sqrt(D); divide by it.",
            lambda q, k: q @ k.mT * math.sqrt(q.shape[-1]),
        ),
        Wrong(
            "transposed",
            "Your result is keys x queries; row i should belong to query i.",
            lambda q, k: k @ q.mT / math.sqrt(q.shape[-1]),
        ),
        Wrong(
            "reshape instead of transpose",
            "The shape is right, the contents are mixed: `reshape` and `view` keep the order of the numbers. "
            "`k.transpose(-2, -1)` exchanges the two axes.",
            lambda q, k: q @ k.reshape(*k.shape[:-2], *k.shape[:-3:-1]) / math.sqrt(q.shape[-1]),
        ),
        Wrong(
            "cosine",
            "You normalised q and k: their lengths count too, and scores may exceed 1.",
            lambda q, k: torch.cosine_similarity(q.unsqueeze(-2), k.unsqueeze(-3), dim=-1),
        ),
        Wrong(
            "maximum subtracted",
            "You subtract each row's maximum. That belongs to the softmax; the scores stay as they are.",
            lambda q, k: scores(q, k) - scores(q, k).amax(-1, keepdim=True),
        ),
        Wrong(
            "softmax included",
            "Your rows sum to 1: these are weights already. The scores come before the softmax.",
            lambda q, k: scores(q, k).softmax(-1),
        ),
    ),
)
