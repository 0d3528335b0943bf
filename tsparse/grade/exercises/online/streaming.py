"""`online.streaming_softmax`: the maximum and the sum of exponentials of numbers that come in chunks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import FAR_BELOW
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.values import Once

Pair = tuple[Tensor, Tensor]
Chunks = Iterable[Tensor]

MANY, LONG = 1_100, 131_072
"""Chunks of the heavy case and the numbers in each: joined they would take 1.15 GB in float64."""


def streaming(chunks: Chunks) -> Pair:
    """Reference: the maximum of all numbers, and the sum of exp(x - maximum)."""
    maximum, total = torch.tensor(-math.inf), torch.tensor(0.0)
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        larger = torch.maximum(maximum, chunk.max())
        if larger > -math.inf:
            total = total * (maximum - larger).exp() + (chunk - larger).exp().sum()
        maximum = larger
    return maximum, total


def streaming_cases(rng: Generator) -> list[Case]:
    """A maximum that rises, falls or stays; chunks that are empty or -inf; numbers far from 0."""

    def chunk(length: int, top: float) -> Tensor:
        """Numbers of which the largest is `top`."""
        x = torch.randn(length, generator=rng, dtype=torch.float64)
        return x - x.max() + top

    def case(name: str, *chunks: Tensor, edge: bool = False) -> Case:
        return Case(name, (Once(lambda: (one.clone() for one in chunks)),), edge)

    nothing, hidden = torch.zeros(0, dtype=torch.float64), torch.full((3,), -math.inf, dtype=torch.float64)
    last = 2 + float(torch.rand((), generator=rng))
    return [
        case("three chunks, the maximum rises", chunk(5, 1.0), chunk(3, last), chunk(6, 5.0)),
        case("two chunks, the maximum falls", chunk(4, 3.0), chunk(6, -1.0)),
        case("one chunk", chunk(7, 0.5)),
        case(
            "five chunks", *(chunk(n, top) for n, top in ((2, 0.0), (5, 4.0), (3, 1.0), (1, 6.0), (4, 2.0)))
        ),
        case("the first chunk is all -inf", hidden, chunk(4, 2.0), edge=True),
        case("an empty chunk between two", chunk(3, 1.0), nothing, chunk(4, 2.0), edge=True),
        case("a chunk of -inf between two", chunk(3, 1.0), hidden, chunk(4, 2.0), edge=True),
        case("numbers around 950", chunk(4, 948.0), chunk(5, 950.0), edge=True),
        case("numbers around -950", chunk(4, -950.0), chunk(5, -948.0), edge=True),
        case("one number, around -1e12", chunk(1, FAR_BELOW), edge=True),
        case("one number a chunk", *(chunk(1, top) for top in (1.0, 3.0, 2.0)), edge=True),
        case("float32", chunk(5, 1.0).float(), chunk(4, 3.0).float(), edge=True),
        Case(f"{MANY:,} chunks of {LONG:,} numbers", (Once(_long),), edge=True, heavy=True),
    ]


def _long() -> Iterator[Tensor]:
    """Chunks that take no memory before something is computed from them."""
    return (torch.tensor(math.sin(i), dtype=torch.float64).expand(LONG) for i in range(MANY))


def read(mistake: Mistake) -> list[Tensor]:
    """The chunks of the case."""
    return list(mistake.case.args[0].make())


def rise(mistake: Mistake) -> tuple[float, float]:
    """The first two values that the maximum so far takes; raises IndexError where it never rises."""
    tops = [float(chunk.max()) for chunk in read(mistake) if len(chunk)]
    later = [top for top in tops if top > tops[0]]
    return tops[0], later[0]


def says_not_rescaled(mistake: Mistake) -> str:
    """For a sum that was left as it was when the maximum rose."""
    old, new = rise(mistake)
    return (
        f"The maximum rose from {old:g} to {new:.3g}; what you had summed was for {old:g}. "
        f"Multiply it by exp({old:g} - {new:.3g})."
    )


def says_wrong_way(mistake: Mistake) -> str:
    """For a sum that grew when the maximum rose."""
    old, new = rise(mistake)
    return f"You multiplied by exp({new:.3g} - {old:g}): when the maximum rises the old sum must shrink."


def says_kept(mistake: Mistake) -> str:
    """For chunks that were joined."""
    lengths = [len(chunk) for chunk in read(mistake)]
    return f"You joined all chunks: {sum(lengths)} numbers at once, a chunk has at most {max(lengths)}."


def walk(
    chunks: Chunks,
    rescale: float = 1.0,
    own_maximum: bool = False,
    guarded: bool = True,
    lowest: float = -math.inf,
) -> tuple[Tensor, Tensor]:
    """The reference with a mistake in it; `rescale` multiplies the exponent of what was summed before.

    The maximum starts at `lowest`.
    """
    maximum, total = torch.tensor(lowest), torch.tensor(0.0)
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        larger = chunk.max() if own_maximum else torch.maximum(maximum, chunk.max())
        if guarded and larger == -math.inf:
            continue
        if total > 0 or not guarded:
            total = total * ((maximum - larger) * rescale).exp()
        total = total + (chunk - larger).exp().sum()
        maximum = larger
    return maximum, total


def joined(chunks: Chunks) -> Tensor:
    """All numbers at once."""
    return torch.cat(list(chunks))


def without_maximum(chunks: Chunks) -> Pair:
    """The sum of exp(x), divided at the end."""
    maximum, total = torch.tensor(-math.inf), torch.tensor(0.0)
    for chunk in chunks:
        if len(chunk):
            maximum, total = torch.maximum(maximum, chunk.max()), total + chunk.exp().sum()
    return maximum, total / maximum.exp()


def last_chunk(chunks: Chunks) -> Pair:
    """Only what came last."""
    return streaming([[chunk for chunk in chunks if len(chunk)][-1]])


def read_twice(chunks: Chunks) -> Pair:
    """The maximum in a first pass; the second finds nothing left."""
    maximum = streaming(chunks)[0]
    return maximum, sum(((chunk - maximum).exp().sum() for chunk in chunks), torch.zeros_like(maximum))


def lse(chunks: Chunks) -> Tensor:
    """The logarithm of the sum of exp(x)."""
    maximum, total = streaming(chunks)
    return maximum + total.log()


STREAMING_SOFTMAX = Exercise(
    id="online.streaming_softmax",
    title="A softmax's two numbers in one pass",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=streaming,
    cases=streaming_cases,
    largest=lambda case: max(len(chunk) for chunk in case.args[0].make()),
    hints=(
        "Keep two numbers: the largest so far, and the sum of exp(x - largest so far). What happens to the "
        "second when a chunk brings a larger number?",
        "The old terms were exp(x - old). To become exp(x - new) each must be multiplied by exp(old - new), "
        "so their sum must be too.",
        "Start with -inf and 0: exp(-inf - new) is 0. One case is left, in which old and new are both -inf: "
        "skip such a chunk, and an empty one.",
    ),
    wrong=(
        Wrong("not rescaled", says_not_rescaled, lambda chunks: walk(chunks, rescale=0.0)),
        Wrong("rescaled the wrong way", says_wrong_way, lambda chunks: walk(chunks, rescale=-1.0)),
        Wrong(
            "chunk's own maximum",
            "The last chunk's maximum is not the maximum of all: keep the larger of it and the one so far.",
            lambda chunks: walk(chunks, own_maximum=True),
        ),
        Wrong(
            "-inf minus -inf",
            "A chunk is all `-inf` before any number came, and `-inf - -inf` is NaN: skip such a chunk.",
            lambda chunks: walk(chunks, guarded=False),
        ),
        Wrong(
            "maximum starts at -1e9",
            lambda m: (
                f"Your maximum is {float(m.got[0]):.3g}, and the only number is {float(m.want[0]):.3g}: it "
                "must not start above any number that may come. Start with `-inf`."
            ),
            lambda chunks: walk(chunks, lowest=-1e9),
        ),
        Wrong(
            "everything kept",
            says_kept,
            lambda chunks: streaming([joined(chunks)]),
        ),
        Wrong(
            "no maximum",
            lambda m: (
                f"exp({float(joined(read(m)).max()):.0f}) is beyond what a float holds, or rounds to 0: "
                "subtract the maximum so far before you take exp."
            ),
            without_maximum,
        ),
        Wrong("lse returned", "You return m + log l, one number; the task wants the pair (m, l).", lse),
        Wrong(
            "read twice",
            "Your maximum is right and your sum is 0: each chunk can be read once, and a second loop over "
            "`chunks` finds none.",
            read_twice,
        ),
        Wrong(
            "last chunk only",
            "What came before the last chunk is lost: the sum starts anew with each chunk.",
            last_chunk,
        ),
    ),
)
