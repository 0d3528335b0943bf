"""Every pattern beside its meaning, written once more in NumPy, and the kinds of blocks by brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from tsparse import (
    BlockLayout,
    Causal,
    Columns,
    Dilated,
    Documents,
    Fixed,
    Full,
    Global,
    Local,
    Padding,
    Pattern,
    PerHead,
    Prefix,
    RandomBlocks,
    SlidingWindow,
    Strided,
    bigbird,
    longformer,
)

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Form:
    """A pattern, what it means (`rule(b, h, q, k)` on positions), for how many batch entries and heads."""

    pattern: Pattern
    rule: Rule
    batch: int = 1
    heads: int = 1

    def __repr__(self) -> str:
        return repr(self.pattern)

    def __and__(self, other: Form) -> Form:
        return Form(
            self.pattern & other.pattern,
            lambda b, h, q, k: self.at(b, h, q, k) & other.at(b, h, q, k),
            max(self.batch, other.batch),
            max(self.heads, other.heads),
        )

    def __or__(self, other: Form) -> Form:
        return Form(
            self.pattern | other.pattern,
            lambda b, h, q, k: self.at(b, h, q, k) | other.at(b, h, q, k),
            max(self.batch, other.batch),
            max(self.heads, other.heads),
        )

    def __invert__(self) -> Form:
        return Form(~self.pattern, lambda b, h, q, k: ~self.at(b, h, q, k), self.batch, self.heads)

    def at(self, b: np.ndarray, h: np.ndarray, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        """The rule, where others tell batch entries or heads apart and this one does not."""
        return self.rule(b * (self.batch > 1), h * (self.heads > 1), q, k)

    def masks(self, n_q: int, n_kv: int, q_offset: int = 0) -> torch.Tensor:
        """`[batch, heads, n_q, n_kv]`, True = may attend."""
        b, h, q, k = np.ogrid[: self.batch, : self.heads, q_offset : q_offset + n_q, :n_kv]
        seen = np.asarray(self.rule(b, h, q, k))
        return torch.from_numpy(np.broadcast_to(seen, (self.batch, self.heads, n_q, n_kv)).copy())

    def dense(self, n_q: int, n_kv: int, q_offset: int = 0) -> torch.Tensor:
        """`[batch, n_q, n_kv]` of a pattern that is the same for all heads."""
        assert self.heads == 1
        return self.masks(n_q, n_kv, q_offset)[:, 0]


N = 40  # positions that the tables cover


def full() -> Form:
    return Form(Full(), lambda b, h, q, k: np.ones(np.broadcast(b, q, k).shape, dtype=bool))


def causal() -> Form:
    return Form(Causal(), lambda b, h, q, k: q >= k)


def window(size: int) -> Form:
    return Form(SlidingWindow(size), lambda b, h, q, k: (k > q - size) & (k <= q))


def local(radius: int) -> Form:
    return Form(Local(radius), lambda b, h, q, k: (k >= q - radius) & (k <= q + radius))


def prefix(length: int) -> Form:
    return Form(Prefix(length), lambda b, h, q, k: (k < length) & (q == q))


def padding(lengths: list[int]) -> Form:
    table = np.array(lengths)
    return Form(Padding(lengths), lambda b, h, q, k: (k < table[b]) & (q == q), len(lengths))


def documents(ids: list[int] | list[list[int]]) -> Form:
    table = np.array(ids)
    if table.ndim == 1:
        return Form(Documents(ids), lambda b, h, q, k: table[q] == table[k])
    return Form(Documents(ids), lambda b, h, q, k: table[b, q] == table[b, k], len(ids))


def first_tokens(count: int) -> Form:
    return Form(Global(count), lambda b, h, q, k: (q < count) | (k < count))


def tokens_at(places: list[int]) -> Form:
    return Form(Global(places), lambda b, h, q, k: np.isin(q, places) | np.isin(k, places))


def marked_tokens(marks: list[list[bool]]) -> Form:
    table = np.array(marks)
    return Form(Global(torch.tensor(marks)), lambda b, h, q, k: table[b, q] | table[b, k], len(marks))


def dilated(size: int, dilation: int) -> Form:
    kept = [m * dilation for m in range(size)]
    return Form(Dilated(size, dilation), lambda b, h, q, k: np.isin(q - k, kept))


def strided(stride: int) -> Form:
    return Form(Strided(stride), lambda b, h, q, k: q % stride == k % stride)


def columns(stride: int, width: int) -> Form:
    kept = [k for k in range(2 * N) if k - stride * (k // stride) < width]
    return Form(Columns(stride, width), lambda b, h, q, k: np.isin(k, kept) & (q == q))


def fixed(stride: int, width: int) -> Form:
    chunk = np.arange(2 * N) // stride
    last = np.array([(p + width) // stride > p // stride for p in range(2 * N)])
    return Form(Fixed(stride, width), lambda b, h, q, k: (chunk[q] == chunk[k]) | last[k])


def fixed_heads(stride: int, width: int, heads: int) -> Form:
    summaries = np.zeros((heads, 2 * N), dtype=bool)
    for head in range(heads):
        for chunk in range(0, 2 * N, stride):
            stop = chunk + stride - width * (head % (stride // width))
            summaries[head, stop - width : stop] = True
    return Form(
        Fixed(stride, width, heads=heads),
        lambda b, h, q, k: (q // stride == k // stride) | summaries[h, k],
        heads=heads,
    )


def random_blocks(count: int, block: int, seed: int, length: int | None = None) -> Form:
    table = np.zeros((2 * N, 2 * N), dtype=bool)  # of blocks
    for i in range(2 * N):
        table[i, list(_choices(count, seed, i, None if length is None else -(-length // block)))] = True
    return Form(RandomBlocks(count, block, seed, length), lambda b, h, q, k: table[q // block, k // block])


def _choices(count: int, seed: int, i: int, blocks: int | None) -> set[int]:
    """The key blocks of query block i: of the blocks up to i, or `count` different ones of `blocks`."""

    def mix(x: int) -> int:
        for _ in range(2):
            x = (x ^ x >> 16) * 73_244_475 % 2**32
        return x ^ x >> 16

    numbers = [mix(mix(i ^ mix(seed)) ^ mix(c + 1)) for c in range(count)]
    if blocks is None:
        return {number % (i + 1) for number in numbers}
    chosen: set[int] = set()
    for top, number in zip(range(blocks - count, blocks), numbers, strict=True):
        chosen.add(top if number % (top + 1) in chosen else number % (top + 1))
    return chosen


def per_head(forms: list[Form]) -> Form:
    def rule(b: np.ndarray, h: np.ndarray, q: np.ndarray, k: np.ndarray) -> np.ndarray:
        seen = [np.broadcast_to(form.at(b, h[:, :1], q, k), np.broadcast(b, q, k).shape) for form in forms]
        return np.concatenate(seen, axis=1)

    return Form(PerHead([f.pattern for f in forms]), rule, max(f.batch for f in forms), len(forms))


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
    padding([23]),  # one for all, as are the other tables of one row below
    documents(_packed(5, 11, 8, 16)),
    documents([3, 3, 1, 1, 1, 2, 2, 2, 2, 2] * 4),
    documents([_packed(1, 39), _packed(20, 4, 16), _packed(40)]),
    documents([_packed(15, 25)]),
    first_tokens(0),
    first_tokens(6),
    tokens_at([]),
    tokens_at([0, 17, 18, 33, 1000]),
    marked_tokens([[i % 13 == b for i in range(N)] for b in range(3)]),
    marked_tokens([[i % 11 == 4 for i in range(N)]]),
    dilated(3, 2),
    dilated(4, 9),
    dilated(2, 100),
    dilated(50, 3),
    dilated(6, 1),
    strided(1),
    strided(3),
    strided(8),
    strided(11),
    strided(100),
    columns(5, 2),
    columns(16, 1),
    columns(8, 8),
    fixed(8, 3),
    fixed(16, 4),
    fixed(5, 5),
    fixed(64, 60),
    random_blocks(2, 4, seed=0),
    random_blocks(3, 7, seed=5),
    random_blocks(9, 1, seed=2**32 - 1),
    random_blocks(3, 5, seed=1, length=N),
    random_blocks(2, 32, seed=0, length=N),
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
    strided(5) & causal(),
    causal() & strided(8),
    (strided(6) | window(6)) & causal(),
    fixed(8, 2) & causal(),
    dilated(3, 4) | columns(9, 2),
    Form(longformer(4, [0, 20]), (local(4) | tokens_at([0, 20])).rule),
    Form(
        bigbird(4, radius=5, tokens=4, random=2, seed=3, length=N),
        (local(5) | first_tokens(4) | random_blocks(2, 4, seed=3, length=N)).rule,
    ),
    Form(bigbird(8, 3, 2, 1), (local(3) | first_tokens(2) | random_blocks(1, 8, seed=0)).rule) & causal(),
]

PER_HEAD = [
    fixed_heads(8, 2, heads=4),
    per_head([window(6)]),
    fixed_heads(9, 2, heads=6),
    fixed_heads(6, 4, heads=2) & causal(),
    per_head([causal(), strided(3), random_blocks(2, 4, seed=1)]),
    per_head([documents([2, 0, 1, 1] * 10), padding([7, 40]), first_tokens(3)]) & ~window(3),
    padding([5, 33]) | per_head([dilated(3, 5)]),
    ~per_head([local(3), columns(7, 2), strided(4) & causal()]),
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


def listed(crow: torch.Tensor, col: torch.Tensor) -> list[tuple[int, ...]]:
    """The (slot, row, column) of all entries of block lists, read with the loop of the docstring."""
    assert crow.dtype == col.dtype == torch.int32
    found, columns = [], col.tolist()
    for slot, row_starts in enumerate(crow.flatten(0, 1).tolist()):
        for row in range(len(row_starts) - 1):
            found += [(slot, row, columns[i]) for i in range(row_starts[row], row_starts[row + 1])]
    return found


def assert_blocks(layout: BlockLayout, mask: torch.Tensor) -> None:
    """Lists, transposed lists and dense mask are what brute force finds in `mask [B', H', N, M]`."""
    order = layout.permutation
    arranged = mask if order is None else mask[:, :, order][..., order]
    partial, full = brute_force_blocks(arranged.flatten(0, 1), layout.block)
    assert listed(layout.crow_indices, layout.col_indices) == partial
    assert listed(layout.full_crow_indices, layout.full_col_indices) == full
    turned = layout.transposed()
    for crow, col, found in (
        (turned.crow_indices, turned.col_indices, partial),
        (turned.full_crow_indices, turned.full_col_indices, full),
    ):
        assert crow.shape[-1] == layout.n_kv_blocks + 1
        assert listed(crow, col) == sorted((slot, column, row) for slot, row, column in found)
    assert torch.equal(layout.dense_mask(), mask[0, 0] if mask.shape[:2] == (1, 1) else mask)
