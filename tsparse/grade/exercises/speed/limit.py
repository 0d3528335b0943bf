"""`speed.limit`: the time below which no attention kernel comes on a machine."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer


def limit(
    pairs: float, dim: int, bytes: float, peak_flops: float, peak_exp: float, bandwidth: float
) -> float:
    """Reference: matrix products, exponentials and bytes overlap, and the slowest decides."""
    return max(times(pairs, dim, bytes, peak_flops, peak_exp, bandwidth))


def times(
    pairs: float, dim: int, bytes: float, peak_flops: float, peak_exp: float, bandwidth: float
) -> tuple[float, float, float]:
    """Seconds of the two matrix products, of the exponentials, and of the bytes."""
    return 4 * dim * pairs / peak_flops, pairs / peak_exp, bytes / bandwidth


def limit_cases(rng: Generator) -> list[Case]:
    """One case for each thing that can be the limit, then machines and sizes that are drawn.

    Where the exponentials are the limit, bytes take longer than the products: so an answer that lacks the
    exponentials and one that has nothing but the products differ.
    """
    many, few = 1e9 * integer(rng, 5, 9), 1e6 * integer(rng, 5, 9)
    f, e, w = (integer(rng, 2, 9) for _ in range(3))
    return [
        Case("head size 256: products are the limit", (many, 256, 1e6, 1e15, 4e12, 3e12)),
        Case("head size 32: exponentials are the limit", (many, 32, many * 0.5, 1e15, 4e12, 3e12)),
        Case("few pairs, many bytes: memory is the limit", (few, 64, many, 1e15, 4e12, 3e12)),
        Case("another machine, products", (many, 96, 1e8, f * 1e13, 2e12, w * 1e11)),
        Case("another machine, exponentials", (many, 48, 1e8, 1e15, e * 1e11, w * 1e11)),
        Case("another machine, memory", (few, 80, many * 8, f * 1e13, 2e12, w * 1e11)),
        Case("one pair, head size 1", (1.0, 1, 10.0, 4.0, 2.0, 4.0), edge=True),
        Case("no pairs: bytes are still moved", (0.0, 64, 1e6, 1e15, 4e12, 3e12), edge=True),
        Case("all three take the same time", (8.0, 2, 4.0, 64.0, 8.0, 4.0), edge=True),
    ]


def of_times(chosen: Callable[[float, float, float], float]) -> Callable[..., float]:
    """An answer made from the three right times."""
    return lambda *args: chosen(*times(*args))


def says_added(mistake: Mistake) -> str:
    """For the sum."""
    return (
        f"The three overlap: the slowest decides, {mistake.want:.3g} s. You add them up to "
        f"{mistake.got:.3g} s."
    )


def says_exponentials(mistake: Mistake) -> str:
    """For products and bytes without exponentials."""
    products, exponentials, _ = times(*mistake.case.args)
    return (
        f"At dim {mistake.case.args[1]} the exponentials take longer than the matmuls here: "
        f"{exponentials:.3g} s against {products:.3g} s. You left them out."
    )


def says_products_only(mistake: Mistake) -> str:
    """For the products alone."""
    products, exponentials, moved = times(*mistake.case.args)
    return (
        f"The matmuls take {products:.3g} s, but they are not alone: exponentials {exponentials:.3g} s, "
        f"memory {moved:.3g} s."
    )


def says_memory(mistake: Mistake) -> str:
    """For products and exponentials without bytes."""
    products, exponentials, moved = times(*mistake.case.args)
    return (
        f"This case is limited by memory, {moved:.3g} s; you have the other two, {products:.3g} s and "
        f"{exponentials:.3g} s."
    )


def says_one_product(mistake: Mistake) -> str:
    """For 2 * dim."""
    dim = mistake.case.args[1]
    return f"Scores *and* weighted sum: 4 · {dim} operations for each pair; you count 2 · {dim}."


LIMIT = Exercise(
    id="speed.limit",
    title="The limits of a machine",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=limit,
    cases=limit_cases,
    hints=(
        "Three things take time, each with its own part of the machine: matrix products, exponentials, and "
        "bytes that move. Compute three times, in seconds, before you combine them.",
        "Work over speed gives seconds. A pair costs 4 * dim operations (2 * dim for its score, 2 * dim for "
        "its value) and one exponential; the bytes are given.",
        "At best the three run at the same time. Then you wait for one of them: which one?",
    ),
    wrong=(
        Wrong("added", says_added, of_times(lambda m, e, b: m + e + b)),
        Wrong(
            "best of three",
            lambda m: f"You took the fastest, {m.got:.3g} s; the others are not done by then.",
            of_times(min),
        ),
        Wrong("exponentials forgotten", says_exponentials, of_times(lambda m, e, b: max(m, b))),
        Wrong(
            "one matmul",
            says_one_product,
            lambda pairs, dim, *rest: max(times(pairs, dim, *rest)[0] / 2, *times(pairs, dim, *rest)[1:]),
        ),
        Wrong("matrix time only", says_products_only, of_times(lambda m, e, b: m)),
        Wrong("memory forgotten", says_memory, of_times(lambda m, e, b: max(m, e))),
        Wrong(
            "exponentials for each channel",
            lambda m: f"One exponential for each pair, not one for each of its {m.case.args[1]} channels.",
            lambda pairs, dim, *rest: max(
                times(pairs, dim, *rest)[0], dim * times(pairs, dim, *rest)[1], times(pairs, dim, *rest)[2]
            ),
        ),
        Wrong(
            "products and exponentials in turn",
            "You let the exponentials wait for the products. They run on different parts of the machine: at "
            "best they overlap.",
            of_times(lambda m, e, b: max(m + e, b)),
        ),
        Wrong(
            "rate, not time",
            "That is how often a second it could be done; wanted are seconds: work divided by speed.",
            of_times(lambda m, e, b: 1 / max(m, e, b)),
        ),
    ),
)
