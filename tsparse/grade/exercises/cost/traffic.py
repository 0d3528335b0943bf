"""`cost.attention_bytes`: what crosses memory, with and without the N x N tables."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer

TYPES = {2: "float16", 4: "float32", 8: "float64"}


def attention_bytes(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """Reference: q, k, v and the output cross once; unfused, scores and weights are written and read."""
    return traffic(n, heads, dim, itemsize, 4, 0 if fused else 4)


def traffic(n: int, heads: int, dim: int, itemsize: int, vectors: int, tables: int) -> int:
    """Bytes of so many `[n, dim]` and so many `[n, n]` for each head."""
    return (vectors * n * dim + tables * n * n) * heads * itemsize


def bytes_cases(rng: Generator) -> list[Case]:
    """Fused before unfused, one head before several, other itemsizes; no two numbers alike."""
    n, dim, heads = integer(rng, 20, 30), integer(rng, 5, 11), 2 * integer(rng, 1, 3) + 1
    return [
        Case("fused, one head, float32", (10, 1, 3, 4, True)),
        Case(f"fused, {heads} heads, float16", (n, heads, dim, 2, True)),
        Case("unfused, one head, float32", (10, 1, 3, 4, False)),
        Case(f"unfused, {heads} heads, float16", (n, heads, dim, 2, False)),
        Case(f"unfused, {heads} heads, float64", (n + 1, heads, dim, 8, False)),
        Case("unfused, as many heads as tokens", (dim, dim, dim, 4, False)),
        Case("unfused, one token", (1, heads, dim, 4, False), edge=True),
        Case("fused, one token", (1, heads, dim, 2, True), edge=True),
        Case("no tokens", (0, heads, dim, 4, False), edge=True),
        Case("a million tokens, unfused", (1_048_576, 32, 128, 2, False), edge=True),
    ]


def counting(vectors: int, tables: int) -> Callable[..., int]:
    """An answer that counts so many vectors, and so many tables where it is not fused."""
    return lambda n, heads, dim, itemsize, fused: traffic(
        n, heads, dim, itemsize, vectors, 0 if fused else tables
    )


def elements(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """Not multiplied by the bytes of an element."""
    return attention_bytes(n, heads, dim, 1, fused)


def always_float32(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """`itemsize` ignored."""
    return attention_bytes(n, heads, dim, 4, fused)


def tables_only(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """Unfused, nothing but the tables."""
    return traffic(n, heads, dim, itemsize, 4, 0) if fused else traffic(n, heads, dim, itemsize, 0, 4)


def one_table(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """The same tables for all heads."""
    return traffic(n, heads, dim, itemsize, 4, 0) + (0 if fused else 4 * n * n * itemsize)


def never_fused(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """`fused` ignored."""
    return attention_bytes(n, heads, dim, itemsize, False)


def always_fused(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """`fused` ignored, the other way."""
    return attention_bytes(n, heads, dim, itemsize, True)


def exchanged(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """`fused` understood the wrong way round."""
    return attention_bytes(n, heads, dim, itemsize, not fused)


def heads_forgotten(n: int, heads: int, dim: int, itemsize: int, fused: bool) -> int:
    """One head."""
    return attention_bytes(n, 1, dim, itemsize, fused)


def says_elements(mistake: Mistake) -> str:
    """For elements in place of bytes."""
    itemsize = mistake.case.args[3]
    return f"Elements, not bytes: a {TYPES[itemsize]} has {itemsize} bytes, times itemsize."


def says_tables(mistake: Mistake) -> str:
    """For too few crossings of the n x n tables."""
    n = mistake.case.args[0]
    return (
        f"A {n} x {n} table crosses memory four times for each head: scores written, scores read, weights "
        f"written, weights read. You count {_crossings(mistake)}."
    )


def says_fused(mistake: Mistake) -> str:
    """For tables in fused attention."""
    n = mistake.case.args[0]
    return f"Fused attention keeps its {n} x {n} scores on the chip: that is its point. They cross no memory."


def says_heads(mistake: Mistake) -> str:
    """For one table for all heads."""
    n, heads = mistake.case.args[:2]
    return f"Each of the {heads} heads has its own {n} x {n} table."


def _crossings(mistake: Mistake) -> int:
    n, heads, dim, itemsize, _ = mistake.case.args
    return int((mistake.got - traffic(n, heads, dim, itemsize, 4, 0)) // (n * n * heads * itemsize))


ATTENTION_BYTES = Exercise(
    id="cost.attention_bytes",
    title="Bytes that cross memory",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=attention_bytes,
    cases=bytes_cases,
    hints=(
        "List the tensors of one head and their shapes. Which are [n, dim], which are [n, n]? Count elements "
        "first and bytes at the end.",
        "Fused: q, k and v are read once, the output is written once, and nothing else moves. That is four "
        "times n * dim elements for each head.",
        "Unfused, two [n, n] tables are made, scores and weights, and each of them is written by one line "
        "and read by the next: four crossings of n * n elements for each head, besides the rest.",
    ),
    wrong=(
        Wrong("elements", says_elements, elements),
        Wrong(
            "itemsize ignored",
            lambda m: f"You take 4 bytes for each element; a {TYPES[m.case.args[3]]} has {m.case.args[3]}.",
            always_float32,
        ),
        Wrong(
            "tables only",
            "Besides the tables, q, k, v and the output cross memory in unfused attention too.",
            tables_only,
        ),
        Wrong(
            "output forgotten",
            "Three tensors of n x dim are read and one is written: the result crosses memory too.",
            counting(3, 4),
        ),
        Wrong(
            "q, k and v once",
            "q, k and v are three tensors, and the output is the fourth; you count n x dim once.",
            counting(1, 4),
        ),
        Wrong("heads forgotten", lambda m: f"One head; there are {m.case.args[1]}.", heads_forgotten),
        Wrong("fused still writes it", says_fused, never_fused),
        Wrong(
            "fused and unfused exchanged",
            "You exchanged the two: `fused=True` is the one that moves no table.",
            exchanged,
        ),
        Wrong(
            "scale moved too",
            "You count six crossings; the scale is applied while the scores are written, so four are left.",
            counting(4, 6),
        ),
        Wrong("matrix once", says_tables, counting(4, 1)),
        Wrong(
            "tables in elements",
            lambda m: (
                "You count the tables in elements and the rest in bytes: each of {0} x {0} numbers has {1} "
                "bytes too.".format(m.case.args[0], m.case.args[3])
            ),
            lambda n, heads, dim, itemsize, fused: (
                traffic(n, heads, dim, itemsize, 4, 0) + (0 if fused else 4 * n * n * heads)
            ),
        ),
        Wrong("never read", says_tables, counting(4, 2)),
        Wrong("weights not read", says_tables, counting(4, 3)),
        Wrong(
            "table forgotten",
            lambda m: (
                "Unfused, scores and weights are written to memory and read back, {0} x {0} for each head; "
                "you count them in neither case.".format(m.case.args[0])
            ),
            always_fused,
        ),
        Wrong("one matrix for all heads", says_heads, one_table),
    ),
)
