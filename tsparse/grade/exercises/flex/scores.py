"""`flex.score_mod`: a function that makes a score_mod, a soft cap and then ALiBi."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import first, normal
from tsparse.grade.driving import How, Then
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def capped_alibi(slopes: Tensor, cap: float) -> ScoreMod:
    """Reference: a score_mod, cap * tanh(score / cap) - slopes[h] * |q_idx - kv_idx|."""

    def score_mod(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return cap * torch.tanh(score / cap) - slopes[h] * (q_idx - kv_idx).abs()

    return score_mod


def scored(score: Tensor, start: int = 0, how: How = "broadcast") -> Then:
    """Scores `[B, H, N, M]` with their places; the first query stands at `start`."""
    b, h, n, m = (torch.arange(size) for size in score.shape)
    return Then((score, b[:, None, None, None], h[:, None, None], n[:, None] + start, m), how)


def score_mod_cases(rng: Generator) -> list[Case]:
    """More heads than texts and as many, both ways of calling; then large scores, offsets, float32."""

    def case(
        name: str, *shape: int, start: int = 0, how: How = "broadcast", cap: float = 4.0, size: float = 3.0
    ) -> Case:
        slopes = 0.1 + torch.rand(shape[1], generator=rng, dtype=torch.float64)
        return Case(name, (slopes, cap, scored(normal(rng, *shape) * size, start, how)), name in EDGES)

    single = case("float32", 2, 3, 4, 5)
    slopes, cap, then = single.args
    return [
        case("2 texts, 3 heads", 2, 3, 4, 5),
        case("called under vmap", 2, 3, 5, 4, how="vmap"),
        case("2 texts, 2 heads, as many queries as keys", 2, 2, 6, 6),
        case("cap 30, scores up to about 60", 1, 2, 4, 6, cap=30.0, size=20.0),
        case("queries from position 9 on", 1, 2, 4, 6, start=9),
        case("scores far beyond the cap", 1, 2, 4, 6, size=800.0),
        case("one text, one head, one query, one key", 1, 1, 1, 1),
        Case("slopes 0: only the cap", (torch.zeros(3).double(), 4.0, then), edge=True),
        Case("float32", (slopes.float(), cap, scored(then.args[0].float())), edge=True),
    ]


EDGES = ("queries from position 9 on", "scores far beyond the cap", "one text, one head, one query, one key")


def places(mistake: Mistake) -> dict[str, float]:
    """Names and values at the first place where the result is wrong."""
    score, b, h, q, k = torch.broadcast_tensors(*mistake.case.args[-1].args)
    place = first(~torch.isclose(mistake.got.double(), mistake.want.double(), atol=1e-6))
    values = {"score": score, "b": b, "h": h, "q": q, "k": k, "got": mistake.got, "want": mistake.want}
    return {name: value[place].item() for name, value in values.items()}


def says(text: str) -> Callable[[Mistake], str]:
    """A sentence with places to fill in: {score}, {b}, {h}, {q}, {k}, {got}, {want} and {cap}."""
    return lambda mistake: text.format(cap=mistake.case.args[1], **places(mistake))


def with_bias(change: Callable[[Tensor, float, Tensor], Tensor]) -> Callable[[Tensor, float], ScoreMod]:
    """A maker of score_mods from its rule of (score, cap, bias), with the right bias."""
    return lambda slopes, cap: lambda score, b, h, q, k: change(score, cap, slopes[h] * (q - k).abs())


def with_cap(bias: Callable[..., Tensor]) -> Callable[[Tensor, float], ScoreMod]:
    """A maker of score_mods with the right cap, from what it takes away: of (slopes, b, h, q - k)."""
    return lambda slopes, cap: (
        lambda score, b, h, q, k: cap * (score / cap).tanh() - bias(slopes, b, h, q - k)
    )


SCORE_MOD = Exercise(
    id="flex.score_mod",
    title="A score_mod: a soft cap, then ALiBi",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=capped_alibi,
    cases=score_mod_cases,
    hints=(
        "`capped_alibi` returns a function. Define `score_mod(score, b, h, q_idx, kv_idx)` inside it and "
        "return a changed score.",
        "First the cap: divide by it, tanh, multiply by it again. Then take away slope times distance; the "
        "distance is never negative.",
        "`h` is the number of the head, so the slope is `slopes[h]`, and the distance is "
        "`(q_idx - kv_idx).abs()`. The bias is outside of the tanh.",
    ),
    wrong=(
        Wrong(
            "capped after the bias",
            says(
                "Query {q}, key {k}: {got:.2f}, wanted {want:.2f}. You cap the bias too, so far keys all "
                "look alike: cap first."
            ),
            with_bias(lambda s, cap, bias: cap * torch.tanh((s - bias) / cap)),
        ),
        Wrong(
            "slope of the batch",
            says("Text {b}, head {h} gets the slope of head {b}: you index by b, and heads have slopes."),
            with_cap(lambda slopes, b, h, far: slopes[b] * far.abs()),
        ),
        Wrong(
            "sign",
            says("Query {q}, key {k}: {got:.2f}, wanted {want:.2f}. Far keys get a bonus: take it away."),
            with_bias(lambda s, cap, bias: cap * torch.tanh(s / cap) + bias),
        ),
        Wrong(
            "score thrown away",
            "Your result does not depend on the score: a score_mod changes it and returns it.",
            with_bias(lambda s, cap, bias: -bias + 0 * s),
        ),
        Wrong(
            "cap not multiplied back",
            says(
                "Before the bias your scores lie between -1 and 1: tanh(score / cap) has to be multiplied by "
                "the cap, {cap:g}."
            ),
            with_bias(lambda s, cap, bias: torch.tanh(s / cap) - bias),
        ),
        Wrong(
            "score not divided",
            says("The score {score:.2f} has to be divided by the cap {cap:g} inside of tanh; yours is not."),
            with_bias(lambda s, cap, bias: cap * torch.tanh(s) - bias),
        ),
        Wrong(
            "clamped",
            says(
                "A score of {score:.2f}: tanh bends all scores smoothly. `clamp` cuts at {cap:g}, and its "
                "gradient is 0 outside."
            ),
            with_bias(lambda s, cap, bias: s.clamp(-cap, cap) - bias),
        ),
        Wrong(
            "no cap",
            says("A score of {score:.2f} stays as it is: the cap {cap:g} is missing."),
            with_bias(lambda s, cap, bias: s - bias),
        ),
        Wrong(
            "no bias",
            says("Query {q}, key {k}: the bias is missing, slopes[h] times the distance."),
            with_cap(lambda slopes, b, h, far: 0 * far),
        ),
        Wrong(
            "no absolute value",
            says("Query {q}, key {k} comes later and gets a bonus: the distance is |q_idx - kv_idx|."),
            with_cap(lambda slopes, b, h, far: slopes[h] * far),
        ),
        Wrong(
            "later keys for nothing",
            says("Query {q}, key {k} comes later and loses nothing: the distance is |q_idx - kv_idx|."),
            with_cap(lambda slopes, b, h, far: slopes[h] * far.clamp(min=0)),
        ),
        Wrong(
            "one slope for all",
            says("Head {h} gets the slope of head 0: each head has its own, slopes[h]."),
            with_cap(lambda slopes, b, h, far: slopes[0] * far.abs()),
        ),
        Wrong(
            "all slopes at once",
            "FlexAttention calls you for one score of one head: take its slope, slopes[h], and not all.",
            with_cap(lambda slopes, b, h, far: slopes[:, None, None] * far.abs()),
            raises=True,
        ),
        Wrong(
            "all slopes at once, as they are",
            "FlexAttention calls you for one score of one head: take its slope, slopes[h], and not all.",
            with_cap(lambda slopes, b, h, far: slopes * far.abs()),
            raises=True,
        ),
        Wrong(
            "three arguments",
            "FlexAttention calls a score_mod with (score, b, h, q_idx, kv_idx), whether it needs them or "
            "not; yours takes three arguments.",
            lambda slopes, cap: lambda score, q_idx, kv_idx: score,
            raises=True,
        ),
    ),
)
