"""`reading.kept_mass`: the share of the attention weight that a pattern would keep."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import mixed_mask, normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Wrong
from tsparse.grade.exercises.reading.entropy import causal_weights


def kept_mass(weights: Tensor, mask: Tensor) -> Tensor:
    """Reference: `[H]` from weights `[H, N, M]` and a mask `[N, M]`; the mean over queries."""
    return (weights * mask).sum(-1).mean(-1)


def cases(rng: Generator) -> list[Case]:
    """All axes different, all equal, a real window; masks that show everything or nothing at the edges."""

    def some(*shape: int) -> Tensor:
        return (2 * normal(rng, *shape)).softmax(-1)

    def mask(*shape: int) -> Tensor:
        return mixed_mask(rng, *shape)

    behind = torch.arange(7)[:, None] - torch.arange(7)
    window = (behind >= 0) & (behind < 3)
    one_blind = mask(5, 6)
    one_blind[2] = False
    return [
        Case("1 head, 3 queries, 5 keys", (some(1, 3, 5), mask(3, 5))),
        Case("2 heads, 3 queries, 5 keys", (some(2, 3, 5), mask(3, 5))),
        Case("3 heads, 7 queries, 4 keys", (some(3, 7, 4), mask(7, 4))),
        Case("every axis is 4", (some(4, 4, 4), mask(4, 4))),
        Case("causal weights under a window of 3", (causal_weights(rng, 4, 7, 7), window)),
        Case("a query that the pattern lets see nothing", (some(2, 5, 6), one_blind), edge=True),
        Case("everything is kept", (some(3, 4, 5), torch.ones(4, 5, dtype=torch.bool)), edge=True),
        Case("nothing is kept", (some(3, 4, 5), torch.zeros(4, 5, dtype=torch.bool)), edge=True),
        Case("one query, one key", (some(3, 1, 1), torch.ones(1, 1, dtype=torch.bool)), edge=True),
        Case("views that are not contiguous", (transposed_view(some(3, 5, 4)), mask(4, 5).T), edge=True),
        Case("float32", (causal_weights(rng, 2, 11, 11).float(), mask(11, 11)), edge=True),
    ]


def visible_share(mask: Tensor) -> Tensor:
    """The share of places that the mask shows."""
    return mask.double().mean()


KEPT_MASS = Exercise(
    id="reading.kept_mass",
    title="What a pattern would keep",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=kept_mass,
    cases=cases,
    hints=(
        "For one query of one head: the sum of its weights on the keys that the mask shows. How do you make "
        "the weights on the other keys 0?",
        "`weights * mask` does it: the mask [N, M] stretches over the heads. Which axis holds the keys of "
        "one query?",
        "`.sum(-1)` over the keys gives [H, N], `.mean(-1)` over the queries gives [H].",
    ),
    wrong=(
        Wrong(
            "share of places",
            "You count visible places; count the weight on them.",
            lambda w, mask: visible_share(mask).to(w.dtype).expand(w.shape[0]).clone(),
        ),
        Wrong(
            "mean over all places",
            "Rows sum to 1, so first sum over keys, then average over queries.",
            lambda w, mask: (w * mask).mean((-1, -2)),
        ),
        Wrong(
            "mass thrown away",
            "That is what the pattern loses; 1 minus it is kept.",
            lambda w, mask: (w * ~mask).sum(-1).mean(-1),
        ),
        Wrong(
            "summed over queries",
            lambda m: f"{m.case.args[0].shape[1]} times too large: take the mean over queries.",
            lambda w, mask: (w * mask).sum((-1, -2)),
        ),
        Wrong(
            "mean over visible places",
            "You divided by the number of visible places.",
            lambda w, mask: (w * mask).sum((-1, -2)) / mask.sum(),
        ),
        Wrong(
            "mean over visible places, row by row",
            "You divided each row by its number of visible keys.",
            lambda w, mask: ((w * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean(-1),
        ),
        Wrong(
            "all heads together",
            "Each head has its own number.",
            lambda w, mask: kept_mass(w, mask).mean(),
        ),
        Wrong(
            "one for each query",
            "You return one number for each query of each head: take the mean over queries.",
            lambda w, mask: (w * mask).sum(-1),
        ),
        Wrong(
            "shared out again",
            "You normalised the rows again after hiding, so that everything seems to be kept.",
            lambda w, mask: (w * mask / (w * mask).sum(-1, keepdim=True).clamp(min=1e-30)).sum(-1).mean(-1),
        ),
        Wrong(
            "blind queries left out",
            "You average over the queries that see something; a query that sees nothing keeps 0, and counts.",
            lambda w, mask: (w * mask).sum((-1, -2)) / mask.any(-1).sum().clamp(min=1),
        ),
        Wrong(
            "sum over the queries, mean over the keys",
            "You exchanged queries and keys: sum over the last axis, which holds the keys of one query, then "
            "average over the queries.",
            lambda w, mask: (w * mask).sum(-2).mean(-1),
        ),
        Wrong(
            "over the visible share",
            "You divided by the share of places that are visible; the kept weight itself is asked for.",
            lambda w, mask: kept_mass(w, mask) / visible_share(mask).clamp(min=1e-30).to(w.dtype),
        ),
        Wrong(
            "largest weight",
            "You take the largest visible weight of each row; sum all of them.",
            lambda w, mask: (w * mask).amax(-1).mean(-1),
        ),
        Wrong(
            "worst query",
            "You return what a single query keeps; take the mean over all queries.",
            lambda w, mask: (w * mask).sum(-1).amin(-1),
        ),
        Wrong(
            "weights counted",
            "You count the visible keys of each query; sum their weights.",
            lambda w, mask: mask.sum(-1).to(w.dtype).mean(-1).expand(w.shape[0]).clone(),
        ),
    ),
)
