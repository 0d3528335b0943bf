"""`reading.rollout`: how much of each input token each output is made of, layer after layer."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Wrong
from tsparse.grade.exercises.reading.entropy import causal_weights


def half_and_half(mean: Tensor) -> Tensor:
    """Half attention, half the token itself: `[..., N, N]`."""
    return (mean + torch.eye(mean.shape[-1], dtype=mean.dtype)) / 2


def product(layers: Tensor) -> Tensor:
    """The last layer leftmost: `[N, N]` from `[L, N, N]`."""
    return reduce(lambda below, layer: layer @ below, layers)


def rollout(weights: Tensor) -> Tensor:
    """Reference: `[N, N]` from weights `[L, H, N, N]`. Source: Abnar and Zuidema 2020, section 3."""
    return product(half_and_half(weights.mean(1)))


def cases(rng: Generator) -> list[Case]:
    """One layer, where no order shows; then layers and heads, one feature at a time."""

    def some(*shape: int) -> Tensor:
        return (2 * normal(rng, *shape)).softmax(-1)

    return [
        Case("1 layer, 1 head, 3 tokens", (some(1, 1, 3, 3),)),
        Case("1 layer, 2 heads, 4 tokens", (some(1, 2, 4, 4),)),
        Case("2 layers, 1 head, 4 tokens", (some(2, 1, 4, 4),)),
        Case("3 layers, 2 heads, 5 tokens", (some(3, 2, 5, 5),)),
        Case("every axis is 4", (some(4, 4, 4, 4),)),
        Case("causal weights, 2 layers, 3 heads, 6 tokens", (causal_weights(rng, 2, 3, 6, 6),)),
        Case("one token", (torch.ones(2, 3, 1, 1, dtype=torch.float64),), edge=True),
        Case("12 layers", (some(12, 2, 7, 7),), edge=True),
        Case("a view that is not contiguous", (transposed_view(some(2, 3, 4, 4)),), edge=True),
        Case("float32", (causal_weights(rng, 3, 2, 11, 11).float(),), edge=True),
    ]


HEADS_FIRST = "Take the mean over heads first: within a layer all heads act on the same input."
RESIDUAL_ONCE = (
    "Every layer has its own way past the attention: add the identity and halve in each of them, before you "
    "multiply."
)

ROLLOUT = Exercise(
    id="reading.rollout",
    title="What has reached this token",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=rollout,
    cases=cases,
    row_sums=True,
    hints=(
        "One layer first: the mean over heads is `[N, N]`. Half of the token comes from there, the other "
        "half went past the attention. Which matrix gives every token itself?",
        "A = (mean + I) / 2 for each layer. Now two layers: x1 = A1 x0 and x2 = A2 x1. What stands before x0 "
        "in x2?",
        "Start with `total = torch.eye(n, dtype=weights.dtype)` and, for each layer from the first to the "
        "last, `total = A @ total`: the new layer stands on the left.",
    ),
    wrong=(
        Wrong(
            "reverse order",
            "Layer 1 acts first, so it stands rightmost in the product.",
            lambda w: product(half_and_half(w.mean(1)).flip(0)),
        ),
        Wrong(
            "no residual",
            "Half of every token goes past the attention: add the identity.",
            lambda w: product(w.mean(1)),
        ),
        Wrong(
            "no residual, reverse order",
            "Half of every token goes past the attention: add the identity. And layer 1 acts first: it "
            "stands rightmost.",
            lambda w: product(w.mean(1).flip(0)),
        ),
        Wrong(
            "not halved",
            lambda m: f"Rows sum to {2 ** m.case.args[0].shape[0]}: with the identity added, halve.",
            lambda w: product(2 * half_and_half(w.mean(1))),
        ),
        Wrong(
            "residual once, at the end",
            RESIDUAL_ONCE,
            lambda w: half_and_half(product(w.mean(1))),
        ),
        Wrong(
            "halved once",
            "Rows do not sum to 1: halve in every layer, not once at the end.",
            lambda w: product(2 * half_and_half(w.mean(1))) / 2,
        ),
        Wrong(
            "max over heads",
            "Take the mean over heads; with the maximum rows exceed 1.",
            lambda w: product(half_and_half(w.amax(1))),
        ),
        Wrong(
            "sum over heads",
            "Take the mean over heads; their sum gives rows of more than 1.",
            lambda w: product(half_and_half(w.sum(1))),
        ),
        Wrong(
            "first head only",
            "You use head 0 only: take the mean over all heads.",
            lambda w: product(half_and_half(w[:, 0])),
        ),
        Wrong(
            "each head apart",
            HEADS_FIRST,
            lambda w: torch.stack([product(half_and_half(head)) for head in w.transpose(0, 1)]).mean(0),
        ),
        Wrong(
            "last layer only",
            "You return the last layer's weights; earlier layers have mixed the tokens already.",
            lambda w: half_and_half(w[-1].mean(0)),
        ),
        Wrong(
            "last layer only, as it is",
            "You return the last layer's weights; earlier layers have mixed the tokens already.",
            lambda w: w[-1].mean(0),
        ),
        Wrong(
            "first layer only",
            "Your result lacks the last layer: go through all of them.",
            lambda w: half_and_half(w[0].mean(0)),
        ),
        Wrong(
            "average over layers",
            "Layers act one after another: multiply, do not average.",
            lambda w: half_and_half(w.mean((0, 1))),
        ),
        Wrong(
            "average over layers, as it is",
            "Layers act one after another: multiply, do not average.",
            lambda w: w.mean((0, 1)),
        ),
        Wrong(
            "entry by entry",
            "You multiplied entry by entry; `@` sums over the tokens in between.",
            lambda w: half_and_half(w.mean(1)).prod(0),
        ),
        Wrong(
            "columns",
            "Your result is the transpose: row i should say what token i is made of.",
            lambda w: rollout(w).T,
        ),
        Wrong(
            "one for each layer",
            "You return one matrix for each layer; wanted is their product, [N, N].",
            lambda w: half_and_half(w.mean(1)),
        ),
    ),
)
