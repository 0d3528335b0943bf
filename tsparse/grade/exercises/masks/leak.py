"""`masks.first_leak`: the reader writes the test that finds a key of the future which a query notices.

The test is judged on attentions that are right and on attentions that leak, each in its own way. They compute
in numpy: thousands of calls on tiny arrays are many times quicker there, and no gradient passes through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.positions import causal, sliding_window
from tsparse.grade.exercises.masks.table import integer

Array = NDArray[Any]
Compute = Callable[[Array, Array, Array], Array]
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
Pair = tuple[int, int]


class Suspect:
    """An attention over n tokens that claims to be causal: q, k, v, each [n, dim], to [n, dim]."""

    def __init__(self, n: int, dim: int, compute: Compute, noise: int | None = None) -> None:
        """With `noise`, a seed, two calls differ by 1e-9, or by the precision of a coarser dtype."""
        self.shape, self.compute = (n, dim), compute
        self.noise = None if noise is None else np.random.default_rng(noise)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The output in the dtype of v. Raises ValueError if a shape is not (n, dim)."""
        for name, tensor in zip("qkv", (q, k, v), strict=True):
            if tuple(tensor.shape) != self.shape:
                raise ValueError(f"attention takes {name} of shape {self.shape}, got {tuple(tensor.shape)}")
        out = self.compute(*(tensor.numpy(force=True).astype(float) for tensor in (q, k, v)))
        if self.noise is not None:
            out = out + self.noise.uniform(-1, 1, self.shape) * max(1e-9, torch.finfo(v.dtype).eps)
        return torch.from_numpy(out).to(v.dtype)

    def __repr__(self) -> str:
        """The same for every suspect: which one it is must be found out."""
        return "attention"


def weights(q: Array, k: Array, mask: Array) -> Array:
    """Softmax over the keys that the mask shows, [n, n]; 1/dim keeps it flat, so that every leak shows."""
    scores = np.where(mask, q @ k.T / q.shape[1], -np.inf)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def masked(mask: Tensor) -> Compute:
    """Attention under a mask."""
    return lambda q, k, v: weights(q, k, mask.numpy()) @ v


def masked_afterwards(n: int) -> Compute:
    """The softmax runs over all keys and the future is hidden after it: its keys count, its values do not."""
    return lambda q, k, v: (weights(q, k, np.ones((n, n), bool)) * causal(n, n).numpy()) @ v


def wrong_value(n: int, query: int, key: int) -> Compute:
    """Causal weights, but one query finds the value of a later key in the place of its own."""

    def compute(q: Array, k: Array, v: Array) -> Array:
        shares = weights(q, k, causal(n, n).numpy())
        out = shares @ v
        out[query] += shares[query, query] * (v[key] - v[query])
        return out

    return compute


def with_average(n: int) -> Compute:
    """Causal, and a thousandth of the average of all values is taken off every output."""
    return lambda q, k, v: masked(causal(n, n))(q, k, v) - 1e-3 * v.mean(0)


def two_heads(first: Compute, second: Compute) -> Compute:
    """Two heads side by side, each with half of the channels."""

    def compute(q: Array, k: Array, v: Array) -> Array:
        left, right = zip(*(np.split(x, 2, axis=1) for x in (q, k, v)), strict=True)
        return np.concatenate([first(*left), second(*right)], axis=1)

    return compute


def plus(mask: Tensor, *cells: Pair) -> Tensor:
    """The mask with a few more visible cells."""
    table = mask.clone()
    table[tuple(torch.tensor(cells).T)] = True
    return table


def cases(rng: Generator) -> list[Case]:
    """Ten attentions of drawn length, three correct and seven that leak; then the shortest sequences."""
    n, dim = integer(rng, 7, 8), 2 * integer(rng, 2, 3)
    query = integer(rng, 1, n - 5)
    key = integer(rng, query + 2, n - 2)
    right, ahead = causal(n, n), causal(n, n).T
    suspects: dict[str, Compute] = {
        "an attention that looks only into the future": masked(ahead),
        "a correct causal attention": masked(right),
        "a correct attention whose calls differ by 1e-9": masked(right),
        "a correct sliding window": masked(sliding_window(n, n, 3)),
        "a thousandth of the average of all values is taken off": with_average(n),
        "one single leak": masked(plus(right, (query, key))),
        "two leaks": masked(plus(right, (2, n - 1), (4, 5))),
        "the future is hidden after the softmax": masked_afterwards(n),
        "one query reads the value of a later key": wrong_value(n, query, key),
        "the second of two heads leaks": two_heads(masked(right), masked(ahead)),
    }
    seeds = {"a correct attention whose calls differ by 1e-9": integer(rng, 0, 9999)}
    pair = masked(plus(causal(2, 2), (0, 1)))
    return [
        *(Case(name, (Suspect(n, dim, one, seeds.get(name)), n, dim)) for name, one in suspects.items()),
        Case("one token", (Suspect(1, dim, masked(causal(1, 1))), 1, dim), edge=True),
        Case("two tokens, the first sees the second", (Suspect(2, dim, pair), 2, dim), edge=True),
    ]


def drawn(n: int, dim: int) -> Tensor:
    """q, k, v, what q may change to, and by how much a key and a value move: [5, n, dim], always the same."""
    return torch.randn(5, n, dim, generator=Generator().manual_seed(0), dtype=torch.float64)


def noticed(
    attention: Attention,
    n: int,
    dim: int,
    size: float = 1.0,
    tolerance: float = 1e-6,
    move: str = "kv",
    channels: int = 99,
) -> Tensor:
    """Which query notices which key, bool [n queries, n keys], when k and v of that key move by `size`."""
    q, k, v, _, move_by = drawn(n, dim)
    before = attention(q, k, v)
    steps = size * move_by * torch.eye(n)[:, :, None]  # [n keys, n, dim]: each moves one key
    steps[..., channels:] = 0
    after = [attention(q, k + step if "k" in move else k, v + step if "v" in move else v) for step in steps]
    return ((torch.stack(after) - before).abs().amax(-1) > tolerance).T


def smallest(table: Tensor) -> Pair | None:
    """The first True cell, row by row."""
    cells = table.nonzero()
    return (int(cells[0, 0]), int(cells[0, 1])) if len(cells) else None


def first_leak(attention: Attention, n: int, dim: int) -> Pair | None:
    """Reference: the smallest (query, key) with key > query such that the query notices the key, or None."""
    return smallest(noticed(attention, n, dim).triu(1))


def swapped(pair: Pair | None) -> Pair | None:
    """(key, query) for (query, key)."""
    return pair and (pair[1], pair[0])


def one_more(pair: Pair | None) -> Pair | None:
    """The pair counted from 1."""
    return pair and (pair[0] + 1, pair[1] + 1)


def pair_by_pair(attention: Attention, n: int, dim: int, q_again: bool, later_too: bool) -> Pair | None:
    """The first later key that a query notices, with q drawn again, or with all later keys moved at once."""
    q, k, v, other_q, _ = drawn(n, dim)
    before = attention(q, k, v)
    for query, key in torch.triu_indices(n, n, 1).T.tolist():
        step = torch.zeros(n, 1, dtype=torch.float64)
        step[key : n if later_too else key + 1] = 1
        after = attention(other_q if q_again else q, k + step, v + step)
        if (after - before)[query].abs().amax() > 1e-6:
            return query, key
    return None


def says_last_key(mistake: Mistake) -> str:
    """For tests that move only the last key."""
    query, key = mistake.want
    if mistake.got is None:
        return f"You called an attention clean that leaks from {key} to {query}: disturb every key."
    return f"You named key {mistake.got[1]}, but key {key} leaks to query {query} too: disturb every key."


def says_clean(reason: str) -> Callable[[Mistake], str]:
    """For tests that call a leak clean."""
    return lambda m: f"You called an attention clean that leaks from {m.want[1]} to {m.want[0]}: {reason}"


def says_leaking(reason: str) -> Callable[[Mistake], str]:
    """For tests that find a leak in a correct attention."""
    return lambda m: f"You called a correct attention leaking, from {m.got[1]} to {m.got[0]}: {reason}"


FIRST_LEAK = Exercise(
    id="masks.first_leak",
    title="Write the test: the first leak",
    minutes=20,
    points=20,
    difficulty="hard",
    spec=first_leak,
    cases=cases,
    hints=(
        "Draw q, k and v once and call the attention. Then change one key and its value, leave everything "
        "else as it was, and call it again. Which rows of the output moved?",
        "Two loops: over every query, and over every key after it. Work on a fresh `k.clone()` and "
        "`v.clone()` each time. A row moved if `(after - before)[query].abs().max()` is larger than "
        "rounding, say 1e-6.",
        "Change the key by something large, such as `torch.randn(dim)`, in k and in v, in all channels. With "
        "queries in the outer loop and keys in the inner one the first leak you meet is the smallest: return "
        "`(query, key)`, and None after the loops.",
    ),
    wrong=(
        Wrong(
            "only the last key disturbed",
            says_last_key,
            lambda a, n, dim: smallest(noticed(a, n, dim).triu(1) & (torch.arange(n) == n - 1)),
        ),
        Wrong(
            "exact comparison",
            says_leaking("1e-9 is rounding, not a leak."),
            lambda a, n, dim: smallest(noticed(a, n, dim, tolerance=0.0).triu(1)),
        ),
        Wrong(
            "disturbance drowned",
            "You found no leak in an attention that looks only into the future. A key changed by 1e-9 cannot "
            "move an output by 1e-6: disturb more than you ask for, and compare with the output from before.",
            lambda a, n, dim: smallest(noticed(a, n, dim, size=1e-9).triu(1)),
        ),
        Wrong(
            "queries disturbed too",
            lambda m: (
                f"You called a correct attention leaking, from {m.got[1]} to {m.got[0]}: something else than "
                f"key {m.got[1]} had changed too. Was it q, or an earlier key that you did not put back?"
            ),
            lambda a, n, dim: pair_by_pair(a, n, dim, q_again=True, later_too=False),
        ),
        Wrong(
            "always (0, 1)",
            "You found that a correct attention leaks from 1 to 0. Do the two calls differ in key 1 and "
            "nothing else? Is one of them NaN? 0 times NaN is NaN, so it reaches every query.",
            lambda a, n, dim: (0, 1),
        ),
        Wrong(
            "counted from 1",
            lambda m: f"You return {m.got}; the first query and the first key are 0: {m.want}.",
            lambda a, n, dim: one_more(first_leak(a, n, dim)),
        ),
        Wrong(
            "the past counts",
            lambda m: "Key {1} may change query {0}; only keys after the query leak.".format(*m.got),
            lambda a, n, dim: smallest(noticed(a, n, dim).fill_diagonal_(False)),
        ),
        Wrong(
            "the own key counts",
            lambda m: "Key {1} may change query {0}, it is its own; only later keys leak.".format(*m.got),
            lambda a, n, dim: smallest(noticed(a, n, dim).triu()),
        ),
        Wrong(
            "first key",
            lambda m: f"{m.want} and {m.got} both leak: the smallest *query* comes first.",
            lambda a, n, dim: swapped(smallest(noticed(a, n, dim).triu(1).T)),
        ),
        Wrong(
            "all later keys at once",
            lambda m: (
                f"You found that query {m.want[0]} leaks, but named key {m.got[1]}; it was {m.want[1]}."
            ),
            lambda a, n, dim: pair_by_pair(a, n, dim, q_again=False, later_too=True),
        ),
        Wrong(
            "(key, query)",
            lambda m: f"You return (key, query) = {m.got}; the query comes first: {m.want}.",
            lambda a, n, dim: swapped(first_leak(a, n, dim)),
        ),
        Wrong(
            "neighbours only",
            says_clean("look at every later key, not only at the next one."),
            lambda a, n, dim: smallest(noticed(a, n, dim).triu(1).tril(1)),
        ),
        Wrong(
            "values only",
            says_clean("its weights depend on later keys. Disturb k as well as v."),
            lambda a, n, dim: smallest(noticed(a, n, dim, move="v").triu(1)),
        ),
        Wrong(
            "tolerance too large",
            says_clean(
                "the leak is weak, about 1e-4, and its sign may be minus. Rounding is 1e-9: lower your "
                "tolerance, and compare with `abs()`."
            ),
            lambda a, n, dim: smallest(noticed(a, n, dim, tolerance=1e-3).triu(1)),
        ),
        Wrong(
            "keys only",
            says_clean("later values reach the output. Disturb v as well as k."),
            lambda a, n, dim: smallest(noticed(a, n, dim, move="k").triu(1)),
        ),
        Wrong(
            "half of the channels",
            says_clean("only its second half of channels leaks. Disturb and compare all channels."),
            lambda a, n, dim: smallest(noticed(a, n, dim, channels=dim // 2).triu(1)),
        ),
    ),
)
