"""`online.sink`: one learned logit a head that takes part in the softmax and hands over nothing."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Wrong

Part = tuple[Tensor, Tensor]


def with_sink(out: Tensor, lse: Tensor, sink: Tensor) -> Part:
    """Reference: outputs [B, H, N, E] and lse [B, H, N] as if each row had one more score, the sink."""
    larger = torch.logaddexp(lse, sink[:, None])
    return out * (lse - larger).exp()[..., None], larger


def with_sink_cases(rng: Generator) -> list[Case]:
    """Different heads, sinks that win and sinks that vanish, rows that see nothing."""

    def numbers(*shape: int, at: float = 0.0) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64) + at

    def case(name: str, b: int, h: int, n: int, e: int, at: float = 0.0, sink: float = 0.0) -> Case:
        edge = name in EDGES
        return Case(name, (numbers(b, h, n, e), numbers(b, h, n, at=at), numbers(h, at=sink)), edge)

    empty = case("query 1 sees nothing", 1, 3, 4, 5)
    empty.args[0][:, :, 1], empty.args[1][:, :, 1] = 0.0, -torch.inf
    single = case("float32", 2, 3, 4, 5)
    turned = numbers(2, 3, 6, 4).mT
    return [
        case("2 texts, 3 heads", 2, 3, 4, 5),
        case("one text, 2 heads", 1, 2, 5, 3),
        case("as many heads as queries", 2, 4, 4, 4),
        case("lse and sinks around 800", 1, 3, 4, 5, at=800.0, sink=800.0),
        case("lse and sinks around -800", 1, 3, 4, 5, at=-800.0, sink=-800.0),
        case("sinks that nothing stands against", 1, 3, 4, 5, at=-800.0, sink=800.0),
        case("sinks that weigh nothing", 1, 3, 4, 5, at=800.0, sink=-800.0),
        empty,
        case("one head, one query", 1, 1, 1, 1),
        Case("an output that is not contiguous", (turned, numbers(2, 3, 4), numbers(3)), edge=True),
        Case("float32", tuple(part.float() for part in single.args), edge=True),
    ]


EDGES = (
    "lse and sinks around 800",
    "lse and sinks around -800",
    "sinks that nothing stands against",
    "sinks that weigh nothing",
    "query 1 sees nothing",
    "one head, one query",
)

SINK = Exercise(
    id="online.sink",
    title="A sink, after the fact",
    minutes=12,
    points=10,
    difficulty="medium",
    spec=with_sink,
    cases=with_sink_cases,
    hints=(
        "The output was divided by exp(lse). With one more score the sum becomes exp(lse) + exp(sink); the "
        "value that belongs to it is 0.",
        "So the new lse is `torch.logaddexp(lse, sink)`, and the old output is multiplied by exp(old - new). "
        "Both are one number per query.",
        "Shapes: `sink[:, None]` stands beside lse [B, H, N], and the factor needs one more axis at the end "
        "beside out [B, H, N, E].",
    ),
    wrong=(
        Wrong(
            "added to every score",
            "Your output did not change: a number added to every score of a row cancels in the softmax. The "
            "sink is one score more.",
            lambda out, lse, sink: (out.clone(), lse + sink[:, None]),
        ),
        Wrong(
            "gate the wrong way",
            "A stronger sink should leave less output; yours leaves more.",
            lambda out, lse, sink: (
                out * (sink[:, None] - lse).sigmoid()[..., None],
                torch.logaddexp(lse, sink[:, None]),
            ),
        ),
        Wrong(
            "exp overflows",
            lambda m: (
                f"exp({float(m.case.args[2].abs().max()):.0f}) is beyond what a float holds, or rounds to 0: "
                "use a sigmoid or `torch.logaddexp`."
            ),
            lambda out, lse, sink: (
                out * (lse.exp() / (lse.exp() + sink[:, None].exp()))[..., None],
                (lse.exp() + sink[:, None].exp()).log(),
            ),
        ),
        Wrong(
            "exp of the output overflows, lse does not",
            lambda m: (
                f"exp({float(m.case.args[2].abs().max()):.0f}) is beyond what a float holds, or rounds to 0: "
                "use a sigmoid or `torch.logaddexp`."
            ),
            lambda out, lse, sink: (
                out * (lse.exp() / (lse.exp() + sink[:, None].exp()))[..., None],
                torch.logaddexp(lse, sink[:, None]),
            ),
        ),
        Wrong(
            "old lse",
            "The sink is part of the sum now, so lse grows; you return the old one.",
            lambda out, lse, sink: (with_sink(out, lse, sink)[0], lse.clone()),
        ),
        Wrong(
            "sink subtracted",
            "Your sink has the wrong sign: a large one should take weight away.",
            lambda out, lse, sink: with_sink(out, lse, -sink),
        ),
        Wrong(
            "out · sigmoid(sink)",
            "The sink competes with the scores: the factor depends on lse, and yours does not.",
            lambda out, lse, sink: (
                out * (-sink).sigmoid()[:, None, None],
                torch.logaddexp(lse, sink[:, None]),
            ),
        ),
        Wrong(
            "one sink for all",
            "Each head has its own sink; yours all have that of head 0.",
            lambda out, lse, sink: with_sink(out, lse, sink[:1].expand(len(sink))),
        ),
    ),
)
