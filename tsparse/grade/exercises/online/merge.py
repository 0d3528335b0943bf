"""`online.merge`: attention over all keys from attention over two halves of them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import FAR_BELOW
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

Part = tuple[Tensor, Tensor]


def merge(out1: Tensor, lse1: Tensor, out2: Tensor, lse2: Tensor) -> Part:
    """Reference: outputs [N, E] weighed by exp(lse), and the lse [N] of all keys."""
    lse = torch.logaddexp(lse1, lse2)
    first, second = ((part - lse).exp().nan_to_num(0.0)[:, None] for part in (lse1, lse2))
    return first * out1 + second * out2, lse


def merge_cases(rng: Generator) -> list[Case]:
    """Halves of one attention: of equal and of very different weight, and empty ones."""

    def half(queries: int, size: int, shift: float = 0.0, empty: tuple[int, ...] = ()) -> Part:
        """Output and lse of a half; for the queries in `empty` it holds no key."""
        out = torch.randn(queries, size, generator=rng, dtype=torch.float64)
        lse = torch.randn(queries, generator=rng, dtype=torch.float64) + shift
        out[list(empty)], lse[list(empty)] = 0.0, -torch.inf
        return out, lse

    def case(name: str, first: Part, second: Part, edge: bool = False) -> Case:
        return Case(name, (*first, *second), edge)

    def short(part: Part) -> Part:
        return part[0].float(), part[1].float()

    wide = half(5, 6)
    return [
        case("4 queries, 3 channels", half(4, 3), half(4, 3)),
        case("5 queries, 5 channels", half(5, 5), half(5, 5)),
        case("the second half weighs more", half(4, 3), half(4, 3, 3.0)),
        case("lse around 800", half(4, 3, 800.0), half(4, 3, 801.0), edge=True),
        case("lse around -800", half(4, 3, -801.0), half(4, 3, -800.0), edge=True),
        case("one half weighs nothing beside the other", half(3, 4, 700.0), half(3, 4, -700.0), edge=True),
        case("the first half is empty for query 2", half(4, 3, empty=(2,)), half(4, 3), edge=True),
        case(
            "query 1 sees nothing in either half", half(3, 4, 0.0, (0, 1)), half(3, 4, 0.0, (1,)), edge=True
        ),
        case(
            "lse around -1e12, and an empty half",
            half(3, 4, FAR_BELOW),
            half(3, 4, 0.0, (0, 1, 2)),
            edge=True,
        ),
        case("one query, one channel", half(1, 1), half(1, 1), edge=True),
        case("an output that is not contiguous", (wide[0][:, ::2], wide[1]), half(5, 3), edge=True),
        case("float32", short(half(4, 3)), short(half(4, 3)), edge=True),
    ]


def weighed(out1: Tensor, weight1: Tensor, out2: Tensor, weight2: Tensor) -> Tensor:
    """A weighted average of two outputs, [N, E]; 0 where both weigh nothing."""
    total = weight1 + weight2
    share = torch.where(total == 0, torch.zeros_like(total), weight1 / total)
    other = torch.where(total == 0, torch.zeros_like(total), weight2 / total)
    return share[:, None] * out1 + other[:, None] * out2


def visible(lse1: Tensor, lse2: Tensor) -> tuple[Tensor, Tensor]:
    """1 for halves that hold a key and 0 for empty ones."""
    return (lse1 > -torch.inf).to(lse1.dtype), (lse2 > -torch.inf).to(lse2.dtype)


def bounded(out1: Tensor, lse1: Tensor, out2: Tensor, lse2: Tensor) -> Part:
    """The larger lse is kept above -1e9, so that no -inf is subtracted from itself."""
    larger = torch.maximum(lse1, lse2).clamp(min=-1e9)
    weight1, weight2 = (lse1 - larger).exp(), (lse2 - larger).exp()
    return weighed(out1, weight1, out2, weight2), larger + (weight1 + weight2).log()


def first_empty(mistake: Mistake) -> int:
    """The first query that is NaN and sees nothing in either half."""
    lse1, lse2 = mistake.case.args[1], mistake.case.args[3]
    return int(((lse1 == -torch.inf) & (lse2 == -torch.inf)).nonzero()[0])


MERGE = Exercise(
    id="online.merge",
    title="Merge two halves",
    minutes=12,
    points=10,
    difficulty="easy",
    spec=merge,
    cases=merge_cases,
    hints=(
        "Each half was divided by its own sum, exp(lse). Multiply the sums back in, add, and divide by "
        "the sum of both.",
        "The weight of a half is exp(lse_half) / (exp(lse1) + exp(lse2)), which is exp(lse_half - lse). "
        "`torch.logaddexp` gives lse without overflow.",
        "Where both halves are empty lse is -inf, and -inf - -inf is NaN. The weight there is to be 0: "
        "`nan_to_num(0.0)`.",
    ),
    wrong=(
        Wrong(
            "average",
            "Half and half is right only when both lse are equal.",
            lambda out1, lse1, out2, lse2: (
                weighed(out1, visible(lse1, lse2)[0], out2, visible(lse1, lse2)[1]),
                torch.logaddexp(lse1, lse2),
            ),
        ),
        Wrong(
            "plain average",
            "Half and half is right only when both lse are equal.",
            lambda out1, lse1, out2, lse2: ((out1 + out2) / 2, torch.logaddexp(lse1, lse2)),
        ),
        Wrong(
            "weighted by lse",
            "The weights of the halves are exp(lse), not lse.",
            lambda out1, lse1, out2, lse2: (
                (lse1[:, None] * out1 + lse2[:, None] * out2) / (lse1 + lse2)[:, None],
                torch.logaddexp(lse1, lse2),
            ),
        ),
        Wrong(
            "exp overflows",
            lambda m: (
                f"exp({float(torch.cat([m.case.args[1], m.case.args[3]]).abs().max()):.0f}) is beyond what a "
                "float holds, or rounds to 0: subtract the larger lse first."
            ),
            lambda out1, lse1, out2, lse2: (
                weighed(out1, lse1.exp(), out2, lse2.exp()),
                (lse1.exp() + lse2.exp()).log(),
            ),
        ),
        Wrong(
            "-1e9 as a bound",
            lambda m: (
                f"The lse of query 0 is {float(m.want[1][0]):.0e}, below the finite number with which you "
                "keep `-inf` away, so its weight becomes 0. Ask for `-inf` itself, or use `nan_to_num(0.0)`."
            ),
            bounded,
        ),
        Wrong(
            "both empty NaN",
            lambda m: f"Query {first_empty(m)} is empty on both sides: output 0, lse `-inf`. Yours is NaN.",
            lambda out1, lse1, out2, lse2: (
                (lse1 - torch.logaddexp(lse1, lse2)).exp()[:, None] * out1
                + (lse2 - torch.logaddexp(lse1, lse2)).exp()[:, None] * out2,
                torch.logaddexp(lse1, lse2),
            ),
        ),
        Wrong(
            "larger lse",
            "The lse of both is not the larger one: two sums add up, log(exp a + exp b).",
            lambda out1, lse1, out2, lse2: (merge(out1, lse1, out2, lse2)[0], torch.maximum(lse1, lse2)),
        ),
        Wrong(
            "lse added",
            "You added the two lse, which multiplies the sums; they add up: log(exp a + exp b).",
            lambda out1, lse1, out2, lse2: (merge(out1, lse1, out2, lse2)[0], lse1 + lse2),
        ),
        Wrong(
            "outputs added",
            "You added the two outputs: the weights of the two halves must sum to 1.",
            lambda out1, lse1, out2, lse2: (out1 + out2, torch.logaddexp(lse1, lse2)),
        ),
        Wrong(
            "weights swapped",
            "The half with the larger lse got the smaller weight.",
            lambda out1, lse1, out2, lse2: (merge(out1, lse2, out2, lse1)[0], torch.logaddexp(lse1, lse2)),
        ),
    ),
)
