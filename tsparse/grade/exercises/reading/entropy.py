"""`reading.entropy`: how widely each head spreads its attention, in nats."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Wrong


def entropy(weights: Tensor) -> Tensor:
    """Reference: nats `[L, H]` of weights `[L, H, N, M]`, the mean over queries, with 0·log 0 = 0."""
    return torch.special.entr(weights).sum(-1).mean(-1)


def causal_weights(rng: Generator, *shape: int) -> Tensor:
    """Random weights `[..., N, M]` of queries that see no later key."""
    scores = 2 * normal(rng, *shape)
    return scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), -torch.inf).softmax(-1)


def cases(rng: Generator) -> list[Case]:
    """Weights without a 0, then with hidden keys; rows with one key and rows with none at the edges."""

    def some(*shape: int) -> Tensor:
        return (2 * normal(rng, *shape)).softmax(-1)

    empty = causal_weights(rng, 2, 3, 5, 6)
    empty[..., 2, :] = 0
    return [
        Case("1 layer, 1 head, 3 queries, 4 keys", (some(1, 1, 3, 4),)),
        Case("2 layers, 3 heads, 5 queries, 7 keys", (some(2, 3, 5, 7),)),
        Case("every axis is 4", (some(4, 4, 4, 4),)),
        Case("causal weights: hidden keys have weight 0", (causal_weights(rng, 2, 4, 6, 6),)),
        Case("one key: nothing to choose", (torch.ones(2, 3, 4, 1, dtype=torch.float64),), edge=True),
        Case("all keys alike", (torch.full((3, 2, 5, 8), 1 / 8, dtype=torch.float64),), edge=True),
        Case("a query that sees nothing counts as 0", (empty,), edge=True),
        Case("a view that is not contiguous", (transposed_view(some(2, 3, 4, 5)),), edge=True),
        Case("float32", (causal_weights(rng, 2, 3, 11, 11).float(),), edge=True),
    ]


def plain(weights: Tensor) -> Tensor:
    """-w log w of each weight, NaN at 0."""
    return -weights * weights.log()


ROW_DROPPED = (
    "A row with a hidden key counts as 0 here, or is left out: only its keys of weight 0 add nothing, the "
    "others do."
)

ENTROPY = Exercise(
    id="reading.entropy",
    title="How widely a head looks",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=entropy,
    cases=cases,
    hints=(
        "First one number for each query: -w · log w, summed over its keys, the last axis. Then one number "
        "for each head.",
        "`log(0)` is -inf, and 0 times -inf is NaN. What does a key of weight 0 add to the sum?",
        "`torch.where(weights > 0, weights, 1)` puts 1 where a weight is 0, and log 1 is 0. `torch.special."
        "entr` does the same in one call. Then `.sum(-1)` over the keys and `.mean(-1)` over the queries.",
    ),
    wrong=(
        Wrong(
            "NaN at 0",
            "A hidden key has weight 0, and 0·log 0 is NaN here: count it as 0.",
            lambda w: plain(w).sum(-1).mean(-1),
        ),
        Wrong(
            "rows with a hidden key dropped",
            ROW_DROPPED,
            lambda w: plain(w).sum(-1).nan_to_num(0).mean(-1),
        ),
        Wrong(
            "rows with a hidden key left out",
            ROW_DROPPED,
            lambda w: plain(w).sum(-1).nanmean(-1),
        ),
        Wrong(
            "bits",
            "You used log2; in nats the number is 0.693 times as large.",
            lambda w: entropy(w) / math.log(2),
        ),
        Wrong(
            "log10",
            "You used log10; the task wants the natural logarithm, `torch.log`.",
            lambda w: entropy(w) / math.log(10),
        ),
        Wrong(
            "summed",
            lambda m: f"{m.case.args[0].shape[2]} times too large: take the mean over queries.",
            lambda w: torch.special.entr(w).sum((-1, -2)),
        ),
        Wrong(
            "mean over keys too",
            lambda m: (
                f"{m.case.args[0].shape[3]} times too small: over the keys of a query it is a sum, and only "
                "over the queries a mean."
            ),
            lambda w: torch.special.entr(w).mean((-1, -2)),
        ),
        Wrong(
            "summed over queries, mean over keys",
            "You exchanged queries and keys: sum over the last axis, which holds the keys of one query, then "
            "average over the queries.",
            lambda w: torch.special.entr(w).sum(-2).mean(-1),
        ),
        Wrong(
            "entropy of the average",
            "You averaged the rows first; an average is flatter than its rows.",
            lambda w: torch.special.entr(w.mean(-2)).sum(-1),
        ),
        Wrong(
            "blind queries left out",
            "You average over the queries that see something; a query that sees nothing has entropy 0, and "
            "counts.",
            lambda w: torch.special.entr(w).sum((-1, -2)) / (w.sum(-1) > 0).sum(-1),
        ),
        Wrong("sign", "Entropy is not negative.", lambda w: -entropy(w)),
        Wrong(
            "divided by log M",
            "You return a share of the largest possible entropy; the task wants nats.",
            lambda w: entropy(w) / math.log(w.shape[-1]) if w.shape[-1] > 1 else entropy(w),
        ),
        Wrong(
            "number of keys",
            "You return exp of the entropy, a number of keys; the task wants the entropy itself.",
            lambda w: entropy(w).exp(),
        ),
        Wrong(
            "exp, then the mean",
            "You return exp of the entropy, a number of keys; the task wants the entropy itself.",
            lambda w: torch.special.entr(w).sum(-1).exp().mean(-1),
        ),
        Wrong(
            "log forgotten at the weight",
            "You sum the logarithms; each must be multiplied by its own weight.",
            lambda w: -w.clamp(min=1e-30).log().sum(-1).mean(-1),
        ),
        Wrong(
            "log forgotten at the weight, infinite",
            "You sum the logarithms; each must be multiplied by its own weight.",
            lambda w: -w.log().sum(-1).mean(-1),
        ),
        Wrong(
            "softmax of the weights",
            "These are weights already: you took their softmax again, which makes them flatter.",
            lambda w: entropy(w.softmax(-1)),
        ),
        Wrong(
            "last query only",
            "You return the entropy of a single query; take the mean over all of them.",
            lambda w: torch.special.entr(w[..., -1, :]).sum(-1),
        ),
        Wrong(
            "all heads together",
            "Each head of each layer has its own number: average over the queries only.",
            lambda w: entropy(w).mean(-1),
        ),
        Wrong(
            "one number",
            "Each head of each layer has its own number: average over the queries only.",
            lambda w: entropy(w).mean(),
        ),
        Wrong(
            "one for each query",
            "You return one number for each query: take their mean too.",
            lambda w: torch.special.entr(w).sum(-1),
        ),
    ),
)
