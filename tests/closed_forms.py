"""Every pattern beside its meaning, written once more in NumPy, and the kinds of blocks by brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from tsparse import (
    Causal,
    Documents,
    Full,
    Global,
    Local,
    Padding,
    Pattern,
    Prefix,
    SlidingWindow,
)

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Form:
    """A pattern, what it means (`rule(b, q, k)` on positions), and for how many batch entries."""

    pattern: Pattern
    rule: Rule
    batch: int = 1

    def __repr__(self) -> str:
        return repr(self.pattern)

    def __and__(self, other: Form) -> Form:
        return Form(
            self.pattern & other.pattern,
            lambda b, q, k: self.rule(b, q, k) & other.rule(b, q, k),
            max(self.batch, other.batch),
        )

    def __or__(self, other: Form) -> Form:
        return Form(
            self.pattern | other.pattern,
            lambda b, q, k: self.rule(b, q, k) | other.rule(b, q, k),
            max(self.batch, other.batch),
        )

    def __invert__(self) -> Form:
        return Form(~self.pattern, lambda b, q, k: ~self.rule(b, q, k), self.batch)

    def dense(self, n_q: int, n_kv: int, q_offset: int = 0) -> torch.Tensor:
        """`[batch, n_q, n_kv]`, True = may attend."""
        b, q, k = np.ogrid[: self.batch, q_offset : q_offset + n_q, :n_kv]
        seen = np.asarray(self.rule(b, q, k))
        return torch.from_numpy(np.broadcast_to(seen, (self.batch, n_q, n_kv)).copy())


N = 40  # positions that the tables cover


def full() -> Form:
    return Form(Full(), lambda b, q, k: np.ones(np.broadcast(b, q, k).shape, dtype=bool))


def causal() -> Form:
    return Form(Causal(), lambda b, q, k: q >= k)


def window(size: int) -> Form:
    return Form(SlidingWindow(size), lambda b, q, k: (k > q - size) & (k <= q))


def local(radius: int) -> Form:
    return Form(Local(radius), lambda b, q, k: (k >= q - radius) & (k <= q + radius))


def prefix(length: int) -> Form:
    return Form(Prefix(length), lambda b, q, k: (k < length) & (q == q))


def padding(lengths: list[int]) -> Form:
    table = np.array(lengths)
    return Form(Padding(lengths), lambda b, q, k: (k < table[b]) & (q == q), len(lengths))


def documents(ids: list[int] | list[list[int]]) -> Form:
    table = np.array(ids)
    if table.ndim == 1:
        return Form(Documents(ids), lambda b, q, k: table[q] == table[k])
    return Form(Documents(ids), lambda b, q, k: table[b, q] == table[b, k], len(ids))


def first_tokens(count: int) -> Form:
    return Form(Global(count), lambda b, q, k: (q < count) | (k < count))


def tokens_at(places: list[int]) -> Form:
    return Form(Global(places), lambda b, q, k: np.isin(q, places) | np.isin(k, places))


def marked_tokens(marks: list[list[bool]]) -> Form:
    table = np.array(marks)
    return Form(Global(torch.tensor(marks)), lambda b, q, k: table[b, q] | table[b, k], len(marks))


def _packed(*lengths: int) -> list[int]:
    return [i for i, length in enumerate(lengths) for _ in range(length)]


ATOMS = [
    full(),
    causal(),
    window(1),
    window(7),
    window(100),
    local(0),
    local(5),
    prefix(0),
    prefix(9),
    padding([40, 0, 13]),
    documents(_packed(5, 11, 8, 16)),
    documents([3, 3, 1, 1, 1, 2, 2, 2, 2, 2] * 4),
    documents([_packed(1, 39), _packed(20, 4, 16), _packed(40)]),
    first_tokens(0),
    first_tokens(6),
    tokens_at([]),
    tokens_at([0, 17, 18, 33, 1000]),
    marked_tokens([[i % 13 == b for i in range(N)] for b in range(3)]),
]

EXPRESSIONS = [
    (window(6) | first_tokens(3)) & causal(),
    causal() | prefix(11),
    causal() & documents(_packed(5, 11, 8, 16)),
    causal() & padding([30, 7]),
    ~causal(),
    ~(local(3) | tokens_at([20])),
    local(4) & ~local(1),
    window(9) & ~window(4) | documents(_packed(3, 30, 7)) & prefix(10),
    full() & ~full(),
    causal() & ~causal() | prefix(2),
]


def brute_force_blocks(
    mask: torch.Tensor, block: tuple[int, int]
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The (slot, row, column) of the partial and of the full blocks of `mask [slots, n_q, n_kv]`.

    A block is full if it has all its keys and every query it has sees them all.
    """
    partial, full_ones = [], []
    elements = mask.numpy()
    slots, n_q, n_kv = elements.shape
    for slot in range(slots):
        for row, i in enumerate(range(0, n_q, block[0])):
            for column, j in enumerate(range(0, n_kv, block[1])):
                inside = elements[slot, i : i + block[0], j : j + block[1]]
                if inside.all() and j + block[1] <= n_kv:
                    full_ones.append((slot, row, column))
                elif inside.any():
                    partial.append((slot, row, column))
    return partial, full_ones
