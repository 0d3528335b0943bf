"""`cost.longest_sequence`: where dense attention runs out of memory, to the token."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Generator

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer


def longest_sequence(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """Reference: the largest n with (4 n dim + 2 n²) heads itemsize batch <= memory.

    Completing the square, n² + 2 dim n <= room becomes (n + dim)² <= room + dim².
    """
    room = memory // (2 * heads * itemsize * batch)
    return math.isqrt(room + dim * dim) - dim


def needed(n: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """Bytes that dense attention holds for n tokens."""
    return (4 * n * dim + 2 * n * n) * heads * itemsize * batch


def longest_cases(rng: Generator) -> list[Case]:
    """Round sizes, then memory that is just enough and one byte less, small and very large."""
    n, dim, heads = integer(rng, 40, 60), integer(rng, 15, 31), 2 * integer(rng, 1, 3) + 1
    large = 3_000_000_000 + integer(rng, 0, 1_000_000)
    return [
        Case("1 MB, one head of 64", (1_000_000, 1, 64)),
        Case(f"1 MB, {heads} heads of {dim}", (1_000_000, heads, dim)),
        Case("1 MB in float64", (1_000_000, heads, dim, 8)),
        Case("1 MB for a batch of 3", (1_000_000, heads, dim, 4, 3)),
        Case("16 GiB, 32 heads of 128", (16 * 2**30, 32, 128)),
        Case(f"just enough for {n} tokens", (needed(n, heads, dim), heads, dim)),
        Case(f"one byte less than {n} tokens need", (needed(n, heads, dim) - 1, heads, dim)),
        Case("no memory", (0, heads, dim), edge=True),
        Case("just enough for one token", (needed(1, heads, dim), heads, dim), edge=True),
        Case("one byte less than one token needs", (needed(1, heads, dim) - 1, heads, dim), edge=True),
        Case(
            "one byte less than 3 thousand million tokens need",
            (needed(large, 1, dim) - 1, 1, dim),
            edge=True,
        ),
        Case("2^68 bytes", (2**68, 2, 64), edge=True),
    ]


def by_square(solve: Callable[[int, int], int]) -> Callable[..., int]:
    """The reference with another solution of n² + 2 dim n <= room, `solve(room, dim)`."""

    def answer(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
        return max(0, solve(memory // (2 * heads * itemsize * batch), dim))

    return answer


def rounded_up(square: int) -> int:
    """The smallest whole number whose square is not less."""
    below = math.isqrt(square)
    return below + (below * below < square)


def tables_only(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """q, k, v and the output forgotten."""
    return longest_sequence(memory, heads, 0, itemsize, batch)


def one_table(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """One n x n table: n² + 4 dim n <= room."""
    room = memory // (heads * itemsize * batch)
    return math.isqrt(room + 4 * dim * dim) - 2 * dim


def one_vector(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """One n x dim tensor in place of four: 2 n² + dim n <= room."""
    room = memory // (heads * itemsize * batch)
    return (math.isqrt(dim * dim + 8 * room) - dim) // 4


def batch_forgotten(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """One text."""
    return longest_sequence(memory, heads, dim, itemsize)


def heads_forgotten(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """One head."""
    return longest_sequence(memory, 1, dim, itemsize, batch)


def always_float32(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """itemsize ignored."""
    return longest_sequence(memory, heads, dim, 4, batch)


def elements(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """Elements in place of bytes."""
    return longest_sequence(memory, heads, dim, 1, batch)


def one_short(memory: int, heads: int, dim: int, itemsize: int = 4, batch: int = 1) -> int:
    """Strictly less than memory."""
    return max(0, longest_sequence(memory - 1, heads, dim, itemsize, batch)) if memory else 0


def says_too_long(mistake: Mistake) -> str:
    """For a sequence that does not fit."""
    memory, *rest = mistake.case.args
    need = f"{needed(mistake.got, *rest):,} of {memory:,} bytes"
    return f"{mistake.got:,} tokens do not quite fit: they need {need}."


def says_float(mistake: Mistake) -> str:
    """For a root that was rounded."""
    off = abs(mistake.got - mistake.want)
    return (
        f"You are off by {off:,}: a float has 53 binary digits, and the number under the root has more. "
        "`math.isqrt` is exact."
    )


def says_tables_only(mistake: Mistake) -> str:
    """For q, k, v and the output forgotten."""
    memory, *rest = mistake.case.args
    return (
        f"q, k, v and the output need room too: with them {mistake.got:,} tokens take "
        f"{needed(mistake.got, *rest):,} of {memory:,} bytes."
    )


LONGEST_SEQUENCE = Exercise(
    id="cost.longest_sequence",
    title="The longest sequence that fits",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=longest_sequence,
    cases=longest_cases,
    hints=(
        "Divide first: how many elements may one head of one text have? Whole elements: `//`. What is left "
        "is to find the largest n with 2 n² + 4 n dim elements.",
        "Halve it: n² + 2 dim n <= room. The left side is nearly a square: add dim² on both sides, and it "
        "becomes (n + dim)² <= room + dim².",
        "`math.isqrt(x)` is the largest whole number whose square is at most x, exact for any size. So n is "
        "an isqrt minus dim. A search by halving an interval is right too; a loop over n takes too long.",
    ),
    wrong=(
        Wrong("linear part forgotten", says_tables_only, tables_only),
        Wrong(
            "scores once",
            "Scores *and* weights are alive together while the softmax runs: two n x n tables, you have one.",
            one_table,
        ),
        Wrong(
            "one vector",
            "q, k, v and the output are four tensors of n x dim; you count one.",
            one_vector,
        ),
        Wrong("elements", "Elements, not bytes: each takes `itemsize` of them.", elements),
        Wrong(
            "heads forgotten",
            lambda m: f"Right for one head; {m.case.args[1]} heads share the memory.",
            heads_forgotten,
        ),
        Wrong(
            "itemsize ignored",
            lambda m: f"You take 4 bytes for each element; here itemsize is {m.case.args[3]}.",
            always_float32,
        ),
        Wrong(
            "batch forgotten",
            lambda m: f"Right for a batch of 1; here {m.case.args[4]} texts share the memory.",
            batch_forgotten,
        ),
        Wrong("rounded up", says_too_long, by_square(lambda room, dim: rounded_up(room + dim * dim) - dim)),
        Wrong(
            "dim not taken away",
            lambda m: f"The root is n + dim, not n: take the {m.case.args[2]} away at the end.",
            by_square(lambda room, dim: math.isqrt(room + dim * dim)),
        ),
        Wrong(
            "dim not squared",
            lambda m: (
                f"To complete the square, add dim² = {m.case.args[2] ** 2} on both sides; you add "
                f"{m.case.args[2]}."
            ),
            by_square(lambda room, dim: math.isqrt(room + dim) - dim),
        ),
        Wrong(
            "at least one",
            lambda m: (
                f"Not one token fits: it needs {needed(1, *m.case.args[1:])} bytes and there are "
                f"{m.case.args[0]}. The answer is 0."
            ),
            lambda *args: max(1, longest_sequence(*args)),
        ),
        Wrong(
            "less, not at most",
            "Memory that is just enough is enough: the sum may equal `memory`.",
            one_short,
        ),
        Wrong("float root", says_float, by_square(lambda room, dim: int(math.sqrt(room + dim * dim)) - dim)),
    ),
)
