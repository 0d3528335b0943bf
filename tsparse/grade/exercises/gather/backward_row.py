"""`gather.backward_row`: the gradients of one query, from its lse and its delta."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.attention.softmax_backward import NO_AUTOGRAD

Gradients = tuple[Tensor, Tensor, Tensor]


def backward_row(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
    """Reference: dq `[D]`, dk `[M, D]`, dv `[M, E]` of one query q `[D]`."""
    scale = 1 / math.sqrt(len(q))
    p = (k @ q * scale - lse).exp()
    ds = p * (v @ dout - delta) * scale
    return ds @ k, torch.outer(ds, q), torch.outer(p, dout)


def cases(rng: Generator) -> list[Case]:
    """Whole rows, parts of a row, weights near 0 and 1, scores far from 0."""

    def case(name: str, m: int, d: int, e: int, part: int | None = None, shift: float = 0.0) -> Case:
        q, k, v, dout = normal(rng, d), normal(rng, m, d), normal(rng, m, e), normal(rng, e)
        if shift:
            q[0], k[:, 0] = math.sqrt(d), shift
        s = k @ q / math.sqrt(d)
        lse = s.logsumexp(0)
        delta = (s - lse).exp() @ v @ dout
        return Case(name, (q, k[:part], v[:part], dout, lse, delta), name in EDGES)

    sharp = case("one key has nearly all the weight", 6, 4, 3)
    q, k, v, dout = (x.clone() for x in sharp.args[:4])
    k[2] = 12 * q
    s = k @ q / math.sqrt(len(q))
    args = q, k, v, dout, s.logsumexp(0), s.softmax(0) @ v @ dout
    views = case("views that are not contiguous", 7, 5, 4)
    single = case("float32", 9, 8, 6)
    return [
        case("5 keys", 5, 6, 4),
        case("as many keys as channels", 4, 4, 4),
        case("3 of the row's 8 keys", 8, 5, 3, part=3),
        case("11 keys", 11, 3, 7),
        Case(sharp.name, args, edge=True),
        case("one key", 1, 3, 2),
        case("no key", 4, 3, 2, part=0),
        case("scores around 800", 6, 4, 3, shift=800.0),
        case("scores around -800", 6, 4, 3, shift=-800.0),
        Case(
            views.name,
            (
                views.args[0],
                transposed_view(views.args[1]),
                transposed_view(views.args[2]),
                *views.args[3:],
            ),
            edge=True,
        ),
        Case("float32", tuple(x.float() for x in single.args), edge=True),
    ]


EDGES = ("one key", "no key", "scores around 800", "scores around -800")


def from_p(
    dscores: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda p, dp, delta: p * (dp - delta),
    factor: Callable[[int], tuple[float, float]] = lambda d: (1.0, 1.0),
) -> Callable[..., Gradients]:
    """The reference with other dscores, and dq and dk multiplied by a factor each."""

    def answer(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
        scale = 1 / math.sqrt(len(q))
        p = (k @ q * scale - lse).exp()
        ds = dscores(p, v @ dout, delta) * scale
        for_q, for_k = factor(len(q))
        return ds @ k * for_q, torch.outer(ds, q) * for_k, torch.outer(p, dout)

    return answer


def own_softmax(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
    """Weights from the keys that are there, as if they were all."""
    return backward_row(q, k, v, dout, (k @ q / math.sqrt(len(q))).logsumexp(0), delta)


def own_delta(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
    """delta from the keys that are there, as if they were all."""
    p = (k @ q / math.sqrt(len(q)) - lse).exp()
    return backward_row(q, k, v, dout, lse, p @ (v @ dout))


def unscaled(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
    """exp(q·k - lse), without the scale."""
    p = (k @ q - lse).exp()
    ds = p * (v @ dout - delta) / math.sqrt(len(q))
    return ds @ k, torch.outer(ds, q), torch.outer(p, dout)


def value_scale(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
    """1/√E in place of 1/√D."""
    scale = 1 / math.sqrt(v.shape[1])
    p = (k @ q * scale - lse).exp()
    ds = p * (v @ dout - delta) * scale
    return ds @ k, torch.outer(ds, q), torch.outer(p, dout)


def changed(dv: Callable[..., Tensor]) -> Callable[..., Gradients]:
    """The reference with another dv, from p, dp and the arguments."""

    def answer(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor) -> Gradients:
        p = (k @ q / math.sqrt(len(q)) - lse).exp()
        return *backward_row(q, k, v, dout, lse, delta)[:2], dv(p, v @ dout, delta, dout)

    return answer


def root(mistake: Mistake) -> float:
    """The square root of D."""
    return math.sqrt(len(mistake.case.args[0]))


BACKWARD_ROW = Exercise(
    id="gather.backward_row",
    title="The backward of one query",
    minutes=20,
    points=15,
    difficulty="medium",
    spec=backward_row,
    cases=cases,
    forbidden=NO_AUTOGRAD,
    hints=(
        "First get the weights back: the scores are `k @ q / sqrt(D)`, and p = exp(scores - lse). No softmax "
        "is needed, and none would be right where these are only some of the row's keys.",
        "dv: key j got the weight p_j of dout, so dv is the outer product of p and dout. dp_j = v_j · dout, "
        "and ds = p * (dp - delta).",
        "A score is scale * q·k, so ds is multiplied by scale once. Then dq is the sum of ds_j k_j, and row "
        "j of dk is ds_j q.",
    ),
    wrong=(
        Wrong(
            "delta forgotten",
            "ds = p·(dp - delta): without delta raising all scores alike would change something.",
            from_p(lambda p, dp, delta: p * dp),
        ),
        Wrong(
            "delta added",
            "The sign of delta is minus: p·(dp - delta).",
            from_p(lambda p, dp, x: p * (dp + x)),
        ),
        Wrong(
            "scale missing in dq",
            lambda m: f"dq is sqrt(D) = {root(m):.2f} times too large; dk is right.",
            from_p(factor=lambda d: (math.sqrt(d), 1.0)),
        ),
        Wrong(
            "scale missing in dk",
            lambda m: f"dk is sqrt(D) = {root(m):.2f} times too large; dq is right.",
            from_p(factor=lambda d: (1.0, math.sqrt(d))),
        ),
        Wrong(
            "scale missing in both",
            lambda m: f"dq and dk are sqrt(D) = {root(m):.2f} times too large: a score is scale * q·k.",
            from_p(factor=lambda d: (math.sqrt(d), math.sqrt(d))),
        ),
        Wrong(
            "scale twice",
            lambda m: (
                f"dq and dk are sqrt(D) = {root(m):.2f} times too small: the chain rule has the scale once."
            ),
            from_p(factor=lambda d: (1 / math.sqrt(d), 1 / math.sqrt(d))),
        ),
        Wrong(
            "dv from dp",
            "dv = p ⊗ dout: key j's value was added to the output p_j times, dp has no part in it.",
            changed(lambda p, dp, delta, dout: torch.outer(dp, dout)),
        ),
        Wrong(
            "dv from ds",
            "dv = p ⊗ dout: it takes the weights, not the gradient of the scores.",
            changed(lambda p, dp, delta, dout: torch.outer(p * (dp - delta), dout)),
        ),
        Wrong(
            "scores not scaled",
            "exp(s - lse) wants the scaled s: your weights do not sum to 1.",
            unscaled,
        ),
        Wrong(
            "scale from the values",
            lambda m: (
                f"The scale is 1/√D with D = {len(m.case.args[0])}, the size of q; you took "
                f"{m.case.args[2].shape[1]}, that of v."
            ),
            value_scale,
        ),
        Wrong(
            "dv before dk",
            "Returned are dq, dk and dv; yours are dq, dv and dk.",
            lambda *args: tuple(backward_row(*args)[part] for part in (0, 2, 1)),
        ),
        Wrong(
            "a softmax of these keys",
            "You normalise over the keys that were given; lse knows the whole row, of which they may be a "
            "part.",
            own_softmax,
        ),
        Wrong(
            "delta of these keys",
            "You computed delta from the keys that were given; the given one knows the whole row.",
            own_delta,
        ),
        Wrong(
            "p forgotten",
            "ds = p·(dp - delta): each entry is multiplied by its own weight.",
            from_p(lambda p, dp, delta: dp - delta),
        ),
    ),
)
