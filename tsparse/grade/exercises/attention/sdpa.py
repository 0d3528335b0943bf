"""`attention.sdpa`: scores, mask, softmax, average."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tsparse.grade.draw import first, mixed_mask, qkv, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.attention.scores import scores
from tsparse.grade.watch import NO_ATTENTION

INF = float("inf")


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average `[B, H, N, E]` of the values each query may see; 0 for a query that may see nothing."""
    return weights(scores(q, k), visible(q, k, mask)) @ v


def weights(s: Tensor, seen: Tensor) -> Tensor:
    """Softmax over what is `seen`, 0 elsewhere; both are `[B, H, N, M]`."""
    return s.masked_fill(~seen, -INF).softmax(-1).nan_to_num(0)


def visible(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """The mask as large as the scores `[B, H, N, M]`; True everywhere if there is none."""
    mask = torch.ones((), dtype=torch.bool) if mask is None else mask
    return mask.expand(*q.shape[:3], k.shape[2])


def cases(rng: torch.Generator) -> list[Case]:
    """No mask; one for all, for each batch, for each head; then empty rows and scores at the limits."""
    empty_row = mixed_mask(rng, 4, 5)
    empty_row[2] = False
    empty_rows = mixed_mask(rng, 2, 3, 4, 5) & (torch.rand(2, 3, 4, 1, generator=rng) < 0.6)
    empty_rows[1, 2, 3] = False
    q, k, v = qkv(rng, 1, 1, 3, 5, 4, 2)
    q[..., 0], k[..., 0] = 200.0, -200.0
    loud_q, loud_k, loud_v = qkv(rng, 1, 1, 3, 5, 4, 2)
    loud_q[..., 0], loud_k[..., 0], loud_k[..., -1, 0] = 160.0, -160.0, 160.0
    last_hidden = mixed_mask(rng, 3, 5)
    last_hidden[:, 0], last_hidden[:, -1] = True, False
    views = [transposed_view(x) for x in qkv(rng, 2, 3, 4, 7, 6, 5)]
    single = [x.float() for x in qkv(rng, 2, 3, 4, 5, 6, 7)]
    return [
        Case("no mask, 2 queries, 3 keys", qkv(rng, 1, 1, 2, 3, 5, 5)),
        Case("no mask, batch 2, 3 heads, 4 queries, 5 keys", qkv(rng, 2, 3, 4, 5, 6, 7)),
        Case("no mask, every axis is 3", qkv(rng, 3, 3, 3, 3, 3, 3)),
        Case("a mask [4, 5]", (*qkv(rng, 1, 1, 4, 5, 6, 3), mixed_mask(rng, 4, 5))),
        Case("a mask [4, 5], batch 2, 3 heads", (*qkv(rng, 2, 3, 4, 5, 6, 7), mixed_mask(rng, 4, 5))),
        Case("a mask per batch, [2, 1, 4, 5]", (*qkv(rng, 2, 3, 4, 5, 6, 7), mixed_mask(rng, 2, 1, 4, 5))),
        Case("a mask per head, [2, 3, 4, 5]", (*qkv(rng, 2, 3, 4, 5, 6, 7), mixed_mask(rng, 2, 3, 4, 5))),
        Case("a mask, every axis is 3", (*qkv(rng, 3, 3, 3, 3, 3, 3), mixed_mask(rng, 3, 3, 3, 3))),
        Case("query 2 may see nothing", (*qkv(rng, 1, 1, 4, 5, 6, 3), empty_row), edge=True),
        Case("several queries may see nothing", (*qkv(rng, 2, 3, 4, 5, 6, 7), empty_rows), edge=True),
        Case("all scores near +20000", (-q, k, v), edge=True),
        Case("the hidden key has by far the largest score", (loud_q, loud_k, loud_v, last_hidden), edge=True),
        Case("all scores near -20000", (q, k, v, mixed_mask(rng, 3, 5)), edge=True),
        Case("one key", qkv(rng, 2, 3, 4, 1, 5, 6), edge=True),
        Case("transposed views", tuple(views), edge=True),
        Case("float32", (*single, mixed_mask(rng, 2, 1, 4, 5)), edge=True),
    ]


def _inverted(m: Mistake) -> str:
    row = m.case.args[3].flatten(0, -2)[0]
    return (
        f"Your mask is inverted: query 0 sees key {first(~row)[0]}, which is hidden, and not key "
        f"{first(row)[0]}. True means: may be seen."
    )


def _lost_weight(m: Mistake) -> str:
    q, k, _, mask = m.case.args
    kept = (scores(q, k).softmax(-1) * mask).sum(-1)
    row = first(kept == kept.min())
    return (
        f"Row {row[-1]}'s weights sum to {kept[row]:.2g}: hide the scores *before* the softmax, "
        "so that the rest is shared out again."
    )


def _weight_of_score_0(m: Mistake) -> str:
    q, k, _, mask = m.case.args
    seen = visible(q, k, mask)
    weight = scores(q, k).masked_fill(~seen, 0).softmax(-1).masked_fill(seen, 0).max()
    return f"Hidden keys get score 0 and weight up to {weight:.2g}; exp(0) is 1, not 0. Give them `-inf`."


def _empty(m: Mistake) -> str:
    return f"Query {first(~m.case.args[3].any(-1))[-1]} sees nothing"


def _too_late(m: Mistake) -> str:
    q, k, _, mask = m.case.args
    s, seen = scores(q, k), visible(q, k, mask)
    return (
        f"The hidden key scores {s[~seen].max():.0f}, the visible ones about {s[seen].mean():.0f}. Beside it "
        "their weights are 0 before the mask acts, and dividing again brings nothing back. "
        "Hide before the softmax."
    )


def _not_low_enough(m: Mistake) -> str:
    q, k, _, mask = m.case.args
    return (
        f"The visible keys score about {scores(q, k)[visible(q, k, mask)].mean():.0f} here. The fixed number "
        "that you give to hidden keys lies above that, so they win. Only `-inf` is always low enough."
    )


def _not_far_enough(m: Mistake) -> str:
    q, k, _, mask = m.case.args
    s, seen = scores(q, k), visible(q, k, mask)
    return (
        f"The hidden key scores {s[~seen].max():.0f}, the visible ones about {s[seen].mean():.0f}. The fixed "
        "number that you add leaves it above them, so it wins. Only `-inf` is always low enough."
    )


def _root_of(what: str, tensor: int, axis: int) -> Wrong:
    """The scale is 1 over the root of another size than D."""

    def answer(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return attention(q * math.sqrt(q.shape[-1] / (q, k, v)[tensor].shape[axis]), k, v, mask)

    def sentence(m: Mistake) -> str:
        size = m.case.args[tensor].shape[axis]
        return f"Your scale is 1/sqrt({size}): that is {what}. D is the last axis of q."

    return Wrong(f"root of {what}", sentence, answer)


def _with(weights: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer whose weights are made in another way, from the scores and what may be seen."""
    return lambda q, k, v, mask=None: weights(scores(q, k), visible(q, k, mask)) @ v


def _exp_alone(s: Tensor, seen: Tensor) -> Tensor:
    e = s.masked_fill(~seen, -INF).exp()
    return (e / e.sum(-1, keepdim=True)).masked_fill(~seen.any(-1, keepdim=True), 0)


def _fixed(s: Tensor, seen: Tensor, hidden: float) -> Tensor:
    return s.masked_fill(~seen, hidden).softmax(-1) * seen.any(-1, keepdim=True)


def _times_inf(s: Tensor, seen: Tensor) -> Tensor:
    return (s if seen.all() else s + (~seen).to(s) * -INF).softmax(-1)


OVERFLOW = (
    "exp of a score near 20000 overflows, and `inf/inf` is NaN. Use a softmax that subtracts the maximum."
)
TIMES_INF = (
    "You multiply by `-inf`: for a visible key that is `0 * inf`, NaN. Use `masked_fill` or `torch.where`."
)
WRONG_AXIS = (
    "Your softmax runs over the wrong axis: the weights of one *query* must sum to 1, over the keys. "
    "Keys are the last axis, -1."
)

SDPA = Exercise(
    id="attention.sdpa",
    title="Attention, with a mask",
    minutes=20,
    points=20,
    difficulty="medium",
    spec=attention,
    cases=cases,
    hints=(
        "Four steps: scores, hide, softmax over the keys, average of the values. "
        "Get it right without a mask first.",
        "Hide *before* the softmax, if there is a mask: `s.masked_fill(~mask, float('-inf'))`. A mask [N, M] "
        "broadcasts over batch and heads by itself.",
        "A query that may see nothing has a row of `-inf`, and comes out of the softmax as NaN. Its weights "
        "should be 0: `weights.nan_to_num(0.0)`. The result is `weights @ v`.",
    ),
    wrong=(
        Wrong(
            "mask ignored",
            "With and without mask your output is the same. A published function does just this.",
            _with(lambda s, seen: s.softmax(-1)),
        ),
        Wrong("inverted", _inverted, _with(lambda s, seen: weights(s, seen if seen.all() else ~seen))),
        Wrong(
            "weights masked after softmax",
            _lost_weight,
            _with(lambda s, seen: s.softmax(-1) * seen),
        ),
        Wrong(
            "score 0 instead of -inf",
            _weight_of_score_0,
            _with(lambda s, seen: s.masked_fill(~seen, 0).softmax(-1)),
        ),
        Wrong(
            "-1e9",
            lambda m: f"{_empty(m)} and you return the average of all values; it should be 0.",
            _with(lambda s, seen: s.masked_fill(~seen, -1e9).softmax(-1)),
        ),
        Wrong(
            "-1e9 added",
            lambda m: f"{_empty(m)} and you return an average over all keys; it should be 0.",
            _with(lambda s, seen: (s + (~seen).to(s) * -1e9).softmax(-1)),
        ),
        Wrong(
            "-inf and nothing more",
            lambda m: f"{_empty(m)}: 0/0 = NaN. Give it 0.",
            _with(lambda s, seen: s.masked_fill(~seen, -INF).softmax(-1)),
        ),
        Wrong(
            "mask added as 0/1",
            "You add True as +1: visible keys get a bonus, hidden ones stay.",
            _with(lambda s, seen: (s + seen.to(s)).softmax(-1)),
        ),
        Wrong("-inf times the mask", TIMES_INF, _with(_times_inf)),
        Wrong(
            "-inf times the mask, NaN turned into 0",
            "Every output is 0: the weights were NaN before you set NaN to 0. Multiplying a mask by `-inf` "
            "does that (`0 * inf`); `masked_fill` does not.",
            _with(lambda s, seen: _times_inf(s, seen).nan_to_num(0)),
        ),
        Wrong(
            "divided again after the softmax",
            _too_late,
            _with(lambda s, seen: torch.nn.functional.normalize(s.softmax(-1) * seen, p=1, dim=-1)),
        ),
        Wrong("-100", _not_low_enough, _with(lambda s, seen: _fixed(s, seen, -100))),
        Wrong("-1e4", _not_low_enough, _with(lambda s, seen: _fixed(s, seen, -1e4))),
        Wrong(
            "-1e4 added",
            _not_far_enough,
            _with(lambda s, seen: (s + (~seen).to(s) * -1e4).softmax(-1) * seen.any(-1, keepdim=True)),
        ),
        Wrong("exp without maximum", OVERFLOW, _with(_exp_alone)),
        Wrong(
            "exp without maximum, NaN turned into 0",
            OVERFLOW,
            _with(lambda s, seen: _exp_alone(s, seen).nan_to_num(0)),
        ),
        Wrong(
            "no scale",
            lambda m: (
                f"Your scores are sqrt(D) = {m.case.args[0].shape[-1] ** 0.5:.2f} times too large: "
                "the weights come out too sharp."
            ),
            lambda q, k, v, mask=None: attention(q * q.shape[-1] ** 0.5, k, v, mask),
        ),
        Wrong(
            "divided by D",
            "You divide the scores by D, or twice by its root. Once by its root is right.",
            lambda q, k, v, mask=None: attention(q / q.shape[-1] ** 0.5, k, v, mask),
        ),
        _root_of("the number of keys", 1, -2),
        _root_of("the number of queries", 0, -2),
        _root_of("the size of the values", 2, -1),
        Wrong(
            "softmax over queries",
            WRONG_AXIS,
            _with(lambda s, seen: s.masked_fill(~seen, -INF).softmax(-2).nan_to_num(0)),
        ),
        Wrong(
            "softmax over heads",
            WRONG_AXIS,
            _with(lambda s, seen: s.masked_fill(~seen, -INF).softmax(1).nan_to_num(0)),
        ),
        Wrong(
            "no softmax",
            "You average with the scores themselves. A softmax turns them into weights that sum to 1.",
            _with(lambda s, seen: s * seen),
        ),
        Wrong(
            "keys averaged",
            "You average the keys; the weights belong to the values, v.",
            lambda q, k, v, mask=None: attention(q, k, k, mask),
        ),
        Wrong(
            "always causal",
            "Query 0 sees key 0 only: you hide what comes later, and nobody asked for it. "
            "The mask alone says what is hidden.",
            _with(lambda s, seen: weights(s, seen.tril())),
        ),
    ),
    forbidden=NO_ATTENTION,
)
