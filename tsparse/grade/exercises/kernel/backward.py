"""What the backward kernels of lesson 16 are tried on: what a forward pass leaves behind, and block lists."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Mistake
from tsparse.grade.exercises.blocks.lists import csr
from tsparse.grade.exercises.kernel.lists import elements, in_window
from tsparse.grade.launches import padded

HEAD_DIM = 16
TALL, SQUARE = (32, 16), (16, 16)
SCALE = 0.31


class Inputs(NamedTuple):
    """What both kernels are given. `first` and `second` are crow and col of the lists, or their transpose.

    `block` is BLOCK_M and BLOCK_N.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    do: Tensor
    lse: Tensor
    delta: Tensor
    first: Tensor
    second: Tensor
    sm_scale: float
    window: int
    block: tuple[int, int] = TALL

    @property
    def rule(self) -> Tensor:
        """Whether query i may see key j, 0 <= i - j < window: `[n_q, n_kv]`."""
        return in_window(len(self.q), len(self.k), self.window)


class Gradients(NamedTuple):
    """The gradients of q `[n_q, D]`, k and v `[n_kv, D]`."""

    dq: Tensor
    dk: Tensor
    dv: Tensor


def gradients(x: Inputs, table: Tensor) -> Gradients:
    """The gradients over the blocks of a table `[R, C]`, in float64 and given back in the dtype of q."""
    q, k, v, do, lse, delta = (one.double() for one in x[:6])
    mask = elements(table, len(q), len(k), x.block) & x.rule
    p = torch.where(mask, torch.exp(q @ k.T * x.sm_scale - lse[:, None]), 0.0)
    ds = p * (do @ v.T - delta[:, None]) * x.sm_scale
    return Gradients(*(found.to(x.q.dtype) for found in (ds @ k, ds.T @ q, p.T @ do)))


def forward(x: Inputs, table: Tensor) -> Inputs:
    """The same inputs with the lse and delta that a forward pass over the table's blocks leaves behind."""
    q, k, v, do = (one.double() for one in x[:4])
    mask = elements(table, len(q), len(k), x.block) & x.rule
    scores = (q @ k.T * x.sm_scale).masked_fill(~mask, -math.inf)
    out = scores.softmax(-1).nan_to_num(0.0) @ v
    sums = torch.float64 if x.q.dtype == torch.float64 else torch.float32
    return x._replace(lse=scores.logsumexp(-1).to(sums), delta=(out * do).sum(-1).to(sums))


def cases(rng: Generator, transposed: bool) -> list[Case]:
    """Full blocks, the diagonal, a window; asymmetric lists; ragged ends, rows that see nothing."""
    whole = 10_000  # a window that hides nothing but the future

    def case(
        name: str, n_q: int, n_kv: int, table: Tensor, window: int = whole, edge: bool = False,
        times: float = 1.0, dtype: torch.dtype = torch.float32, block: tuple[int, int] = TALL,
    ) -> Case:  # fmt: skip
        q, do, k, v = (normal(rng, n, HEAD_DIM, dtype=dtype) for n in (n_q, n_q, n_kv, n_kv))
        unknown = torch.empty(0)
        crow_col = csr(table.T if transposed else table)
        given = Inputs(times * q, k, v, do, unknown, unknown, *crow_col, SCALE, window, block)
        return Case(name, tuple(forward(given, table)), edge)

    def some(rows: int, columns: int, *places: tuple[int, int]) -> Tensor:
        table = torch.zeros(rows, columns, dtype=torch.bool)
        table[tuple(torch.tensor(places).T)] = True
        return table

    narrow = int(torch.randint(5, 15, (), generator=rng))
    wide = int(torch.randint(20, 30, (), generator=rng))
    return [
        case("one full block of 16 x 16", 32, 16, some(2, 1, (1, 0)), block=SQUARE),
        case("one full block of 32 x 16", 64, 16, some(2, 1, (1, 0))),
        case("2 x 2 full blocks", 96, 32, some(3, 2, (1, 0), (1, 1), (2, 0), (2, 1))),
        case("a block on the diagonal", 32, 16, some(1, 1, (0, 0))),
        case(f"a window of {wide}", 64, 64, touched(64, wide), wide),
        case(ASYMMETRIC, 96, 64, asymmetric(rng)),
        case("45 queries, 41 keys", 45, 41, some(2, 3, (0, 0), (1, 0), (1, 2))),
        case("a block whose last queries see nothing", 64, 16, some(2, 1, (0, 0), (1, 0)), narrow, edge=True),
        case("a window past the last key", 64, 41, some(2, 3, (0, 0), (1, 2)), narrow, edge=True),
        case("a list that is empty", 96, 48, some(3, 3, (0, 1), (2, 0), (2, 1)), edge=True),
        case("scores up to 800", 64, 32, some(2, 2, (0, 0), (1, 1)), edge=True, times=150.0),
        case("float16", 70, 50, asymmetric(rng), 50, edge=True, dtype=torch.float16),
        case("float64", 33, 17, some(2, 2, (0, 0), (1, 0), (1, 1)), edge=True, dtype=torch.float64),
    ]


ASYMMETRIC = "lists that are not symmetric"


def asymmetric(rng: Generator) -> Tensor:
    """3 x 4 blocks of 32 x 16 that hold a visible pair, half of them drawn: block (1, 0), not (0, 1)."""
    possible = torch.arange(4) * TALL[1] < (torch.arange(3)[:, None] + 1) * TALL[0]
    table = possible & (torch.rand(3, 4, generator=rng) < 0.5)
    table[0, 0] = table[1, 0] = table[2, 0] = table[2, 1] = table[1, 2] = True
    table[0, 1] = table[1, 1] = table[2, 3] = False
    return table


def touched(n: int, window: int) -> Tensor:
    """Which blocks of 32 x 16 of a window over n tokens hold a visible pair; n is a multiple of both."""
    (m, k), mask = TALL, in_window(n, n, window)
    return mask.view(n // m, m, n // k, k).any(3).any(1)


def pointers(x: Inputs) -> dict[str, Any]:
    """The inputs as arguments of a launch: rows lie apart, in q and do alike, in k and v alike."""
    return {
        "q_ptr": padded(x.q, 3),
        "k_ptr": padded(x.k, 5),
        "v_ptr": padded(x.v, 5),
        "do_ptr": padded(x.do, 3),
        "lse_ptr": x.lse,
        "delta_ptr": x.delta[
            :, None
        ].clone(),  # a column, so that its rows are counted as those of the others
    }


def numbers(x: Inputs, pointers: dict[str, Any], output: str) -> dict[str, Any]:
    """What stands after the pointers: the lengths, the strides, the scale."""
    return {
        "n_q": len(x.q),
        "n_kv": len(x.k),
        "stride_q": pointers["q_ptr"].stride(0),
        "stride_k": pointers["k_ptr"].stride(0),
        f"stride_{output}": pointers[f"{output}_ptr"].stride(0),
        "sm_scale": x.sm_scale,
    }


def constants(x: Inputs) -> dict[str, Any]:
    """The `tl.constexpr` of both kernels."""
    return {"WINDOW": x.window, "HEAD_DIM": HEAD_DIM, "BLOCK_M": x.block[0], "BLOCK_N": x.block[1]}


def inputs(mistake: Mistake) -> Inputs:
    """The arguments of the case."""
    return Inputs(*mistake.case.args)


def hidden_pair(x: Inputs, table: Tensor) -> tuple[int, int]:
    """The first query and key, in a block of the table, that may not see one another.

    Raises ValueError where there is none.
    """
    pairs = (elements(table, len(x.q), len(x.k), x.block) & ~x.rule).nonzero()
    if not len(pairs):
        raise ValueError("here every listed pair is visible")
    return int(pairs[0, 0]), int(pairs[0, 1])


def blind(x: Inputs) -> int:
    """The first query that sees nothing.

    Raises ValueError where there is none.
    """
    found = (x.lse == -math.inf).nonzero()
    if not len(found):
        raise ValueError("here every query sees something")
    return int(found[0])


def minus_infinity(mistake: Mistake) -> str:
    """The sentence for a kernel that hides scores before lse is subtracted."""
    return (
        f"Query {blind(inputs(mistake))} sees nothing: its lse is `-inf`, and `-inf - -inf` is NaN. Hide p, "
        "not s: `tl.where(seen, tl.exp(s - lse), 0.0)`."
    )


def hidden_counts(x: Inputs, table: Tensor) -> str:
    """The sentence for a kernel that forgets the rule of the forward pass."""
    query, key = hidden_pair(x, table)
    return (
        f"Query {query} may not see key {key}, but exp(s - lse) of the two is not 0: apply the rule in the "
        "backward too."
    )
