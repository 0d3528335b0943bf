"""`gather.backward`: the gradients of block-sparse attention, walking the same lists once more."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.attention.softmax_backward import NO_AUTOGRAD
from tsparse.grade.exercises.blocks.lists import csr
from tsparse.grade.exercises.gather import lists
from tsparse.grade.exercises.gather.forward import forward, poisoned
from tsparse.grade.exercises.gather.lists import Visible, places
from tsparse.grade.watch import NO_ATTENTION

Gradients = tuple[Tensor, Tensor, Tensor]
Into = Callable[[Tensor, Tensor, Tensor], None]
Weigh = Callable[[Tensor, Tensor, Tensor], Tensor]
Asked = Callable[[Visible, Tensor, Tensor], Tensor]


def add(total: Tensor, places: Tensor, more: Tensor) -> None:
    """Add at the given places of axis 1."""
    total.index_add_(1, places, more)


def weights(s: Tensor, lse: Tensor, seen: Tensor) -> Tensor:
    """The weights from their scores `[H, r, c]` and the queries' lse `[H, r, 1]`, 0 where nothing is seen."""
    return torch.where(seen, (s - lse).exp(), 0.0)


def asked(visible: Visible, rows: Tensor, keys: Tensor) -> Tensor:
    """The rule, for positions in the sequence."""
    return visible(rows[:, None], keys)


def walk(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    dout: Tensor,
    crow: Tensor,
    col: Tensor,
    block: int,
    visible: Visible,
    scale: float,
    delta: Tensor | None = None,
    into: Into = add,
    weigh: Weigh = weights,
    rule: Asked = asked,
) -> Gradients:
    """Every row of blocks: gather, weights from lse, gradients; dk and dv are put away by `into`."""
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    delta = (out * dout).sum(-1) if delta is None else delta
    for i in range(len(crow) - 1):
        rows = torch.arange(i * block, min((i + 1) * block, q.shape[1]))
        keys = places(col[crow[i] : crow[i + 1]], block, k.shape[1])
        if not len(keys):
            continue
        s = q[:, rows] @ k[:, keys].mT * scale
        p = weigh(s, lse[:, rows, None], rule(visible, rows, keys))
        dp = dout[:, rows] @ v[:, keys].mT
        ds = p * (dp - delta[:, rows, None]) * scale
        dq[:, rows] = ds @ k[:, keys]
        into(dk, keys, ds.mT @ q[:, rows])
        into(dv, keys, p.mT @ dout[:, rows])
    return dq, dk, dv


def backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    dout: Tensor,
    crow: Tensor,
    col: Tensor,
    block: int,
    visible: Visible,
    scale: float,
) -> Gradients:
    """Reference: dq `[H, N, D]`, dk `[H, M, D]`, dv `[H, M, E]`."""
    return walk(q, k, v, out, lse, dout, crow, col, block, visible, scale)


def backward_cases(rng: Generator) -> list[Case]:
    """The features of the forward's cases one by one, with the output and lse that belong to them."""

    def with_results(one: Case) -> Case:
        """The case of the forward pass with out, lse and a gradient of out."""
        q, k, v, *more = one.args
        out, lse = forward(q, k, v, *more)
        return Case(
            one.name, (q, k, v, out, lse, normal(rng, *out.shape), *more), one.edge, poison=one.poison
        )

    def plain(
        name: str, sizes: tuple[int, ...], table: Tensor, rule: lists.Rule = lists.everything, block: int = 4
    ) -> Case:
        scale = 0.3 + 0.4 * float(torch.rand((), generator=rng))
        args = (*lists.qkv(rng, *sizes), *csr(table), block, Visible(rule), scale)
        return Case(name, args, name in EDGES)

    def case(*args: Any) -> Case:
        return with_results(plain(*args))

    shifted = []
    for x, sign in (("800", 1), ("-800", -1)):
        one = plain(f"scores around {x}", (2, 8, 12, 3, 4), lists.table_of([[0, 2], [1]], 3))
        one.args[0][..., 0], one.args[1][..., 0] = 1.0, sign * 800 / one.args[7]
        shifted.append(with_results(one))
    table = lists.random_table(rng, 4, 5)
    views = case("views that are not contiguous", (2, 14, 17, 3, 4), table)
    single = case("float32", (2, 16, 20, 8, 5), table, lists.scattered)
    n, block = lists.LENGTH, lists.BLOCK
    few = csr(lists.few(rng, n // block))
    far = with_results(
        Case("", (*lists.qkv(rng, 1, n, n, 2, 2), *few, block, Visible(lists.everything), 0.5))
    )
    return [
        case("3 query blocks, 4 key blocks", (2, 12, 16, 3, 5), lists.table_of([[1, 2], [0, 2], [0, 2]], 4)),
        case("as many queries as keys", (4, 16, 16, 4, 4), lists.random_table(rng, 4, 4)),
        case("a causal rule", (2, 15, 15, 4, 3), torch.ones(4, 4).tril().bool(), lists.causal),
        case(
            "blocks of 5, another rule", (1, 20, 25, 6, 2), lists.random_table(rng, 4, 5), lists.scattered, 5
        ),
        case("3 heads, 8 x 8 blocks, one row lists them all", (3, 31, 30, 4, 5), lists.one_full_row(8, 8)),
        *map(with_results, poisoned(plain(TILES, (2, 18, 23, 3, 4), lists.unlisted()))),
        case("one query more than the blocks hold", (2, 9, 13, 4, 3), lists.random_table(rng, 3, 4)),
        case("row 1 lists nothing", (2, 12, 16, 3, 4), lists.table_of([[0, 3], [], [1]], 4)),
        case("query 9 sees nothing", (2, 12, 12, 3, 4), lists.random_table(rng, 3, 3), lists.all_but_nine),
        case("one query, one key", (1, 1, 1, 2, 3), lists.table_of([[0]], 1)),
        *shifted,
        Case(views.name, (*map(transposed_view, views.args[:3]), *views.args[3:]), edge=True),
        Case("float32", (*(x.float() for x in single.args[:6]), *single.args[6:]), edge=True),
        Case(f"{n:,} queries and keys, 10 blocks of {block:,}", far.args, edge=True, heavy=True),
    ]


TILES = "6 key blocks, of which no row lists all"
EDGES = (
    *("one query more than the blocks hold", "row 1 lists nothing", "query 9 sees nothing"),
    *("one query, one key", "scores around 800", "scores around -800"),
)


def replace(total: Tensor, places: Tensor, more: Tensor) -> None:
    """Write over what was there."""
    total[:, places] = more


def scaled(dq: bool, dk: bool) -> Callable[..., Gradients]:
    """The reference without the scale in dq or dk."""

    def answer(*args: Any) -> Gradients:
        scale = args[-1]
        first, second, third = backward(*args)
        return first / scale if dq else first, second / scale if dk else second, third

    return answer


def scaled_down(*args: Any) -> Gradients:
    """The reference with the scale once more in dq."""
    first, second, third = backward(*args)
    return first * args[-1], second, third


def blind(mistake: Mistake) -> int:
    """The first query that sees nothing; raises IndexError where each sees something."""
    return int((mistake.case.args[4] == -math.inf).nonzero()[0, 1])


def with_delta(delta: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Gradients]:
    """The reference with another delta, from out and dout."""

    def answer(*args: Any) -> Gradients:
        return partial(walk, delta=delta(args[3], args[5]))(*args)

    return answer


def with_rule(rule: Callable[[Visible, int], lists.Rule]) -> Callable[..., Gradients]:
    """The reference with another rule, from the given one and the size of a block."""

    def answer(*args: Any) -> Gradients:
        given = list(args)
        given[9] = Visible(rule(args[9], args[8]))
        return backward(*given)

    return answer


def dense(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    dout: Tensor,
    crow: Tensor,
    col: Tensor,
    block: int,
    visible: Visible,
    scale: float,
) -> Gradients:
    """All scores, then a mask."""
    n, m = q.shape[1], k.shape[1]
    table = lists.table_from(crow, col, math.ceil(m / block))
    listed = table.repeat_interleave(block, 0)[:n].repeat_interleave(block, 1)[:, :m]
    seen = listed & visible(torch.arange(n)[:, None], torch.arange(m))
    p = torch.where(seen, (q @ k.mT * scale - lse[..., None]).exp(), 0.0)
    ds = p * (dout @ v.mT - (out * dout).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ dout


def crowded(mistake: Mistake) -> tuple[int, int]:
    """The key block that most rows list, and how many; raises ValueError where each has one at most."""
    col = mistake.case.args[7]
    counts = col.long().bincount()
    if counts.max() < 2:
        raise ValueError("no key block is listed twice")
    return int(counts.argmax()), int(counts.max())


def says_replaced(mistake: Mistake) -> str:
    """For gradients of keys that the last row wrote over."""
    block, rows = crowded(mistake)
    return (
        f"Key block {block} is listed by {rows} rows of blocks; the last one's gradient replaced the others "
        "in dk and dv. Add."
    )


def says_visible(mistake: Mistake) -> str:
    """For a rule that was not asked again: a pair that got a gradient."""
    n, m = mistake.case.args[0].shape[1], mistake.case.args[1].shape[1]
    crow, col, block, visible = mistake.case.args[6:10]
    listed = lists.table_from(crow, col, math.ceil(m / block))
    q, k = torch.arange(n)[:, None], torch.arange(m)
    query, key = (listed[q // block, k // block] & ~visible(q, k)).nonzero()[-1].tolist()
    return (
        f"Query {query} does not see key {key}, and yours lets them change each other: exp(s - lse) is not 0 "
        "for a hidden pair, so ask `visible` again."
    )


BACKWARD = Exercise(
    id="gather.backward",
    title="Block-sparse attention, backward",
    minutes=40,
    points=20,
    difficulty="hard",
    spec=backward,
    cases=backward_cases,
    forbidden=NO_AUTOGRAD | NO_ATTENTION,
    largest=lists.allowed,
    hints=(
        "The same loop as in `gather.forward`, over rows of blocks. In front of it delta `[H, N]`: the sum "
        "over the last axis of out * dout. In it the scores again, and p = exp(s - lse), 0 where hidden.",
        "For each row of blocks: dp = dout v^T, ds = p * (dp - delta) * scale, dq = ds k. Then dk = ds^T q "
        "and dv = p^T dout belong to the keys that were gathered.",
        "Several rows list the same key block, so dk and dv are added to: `dk[:, keys] += ...`, or "
        "`dk.index_add_(1, keys, ...)`. dq of a row is written once. Where lse is -inf, exp(s - lse) is inf: "
        "torch.where with `visible` makes it 0.",
    ),
    wrong=(
        Wrong(
            "delta forgotten",
            "dq and dk are off, dv is right: subtract delta, the sum of dout·out, from dp.",
            with_delta(lambda out, dout: torch.zeros_like(out[..., 0])),
        ),
        Wrong(
            "delta added",
            "The sign of delta is minus: ds = p·(dp - delta).",
            with_delta(lambda out, dout: -(out * dout).sum(-1)),
        ),
        Wrong("written over", says_replaced, partial(walk, into=replace)),
        Wrong(
            "scale missing in dq", "dq is 1/scale times too large; dk is right.", scaled(dq=True, dk=False)
        ),
        Wrong(
            "scale missing in dk", "dk is 1/scale times too large; dq is right.", scaled(dq=False, dk=True)
        ),
        Wrong(
            "scale missing in both",
            "dq and dk are 1/scale times too large: a score is scale * q·k.",
            scaled(dq=True, dk=True),
        ),
        Wrong("rule not applied again", says_visible, with_rule(lambda visible, block: lists.everything)),
        Wrong(
            "rule asked inside the block",
            "`visible` wants positions in the sequence: key 1 of block 3 is key 3 * block + 1, and queries "
            "alike.",
            with_rule(lambda visible, block: lambda q, k: visible(q % block, k % block)),
        ),
        Wrong(
            "rule asked with places in the list",
            "`visible` wants positions in the sequence: you gave it places among the gathered queries and "
            "keys.",
            partial(walk, rule=lambda visible, q, k: asked(visible, q - q[0], torch.arange(len(k)))),
        ),
        Wrong(
            "NaN where nothing is seen",
            lambda m: (
                f"Query {blind(m)} sees nothing, so its lse is `-inf`, and `exp(s - lse)` is `inf`: 0 times "
                "that is NaN. Set p to 0 with `torch.where`."
            ),
            partial(walk, weigh=lambda s, lse, seen: (s - lse).exp() * seen),
        ),
        Wrong(
            "a softmax once more",
            "p = exp(s - lse), 0 where hidden: a softmax of all gathered scores gives hidden keys weight.",
            partial(walk, weigh=lambda s, lse, seen: s.softmax(-1).where(seen, 0.0)),
        ),
        Wrong(
            "scale twice in dq",
            "dq is scale times too small; dk is right: ds is multiplied by the scale once.",
            scaled_down,
        ),
        Wrong(
            "delta from dout alone",
            "delta is the sum of dout·out, not of dout·dout.",
            with_delta(lambda out, dout: (dout * dout).sum(-1)),
        ),
        Wrong(
            "delta a mean",
            lambda m: (
                f"delta is {m.case.args[3].shape[-1]} times too small: the sum of dout·out over the "
                "channels, not their mean."
            ),
            with_delta(lambda out, dout: (out * dout).mean(-1)),
        ),
        Wrong(
            "transposed lists",
            "You walked columns as if they were rows: col[crow[i] : crow[i + 1]] are *key* blocks.",
            lambda q, k, v, out, lse, dout, crow, col, block, visible, scale: backward(
                *(q, k, v, out, lse, dout),
                *lists.transposed(crow, col, len(crow) - 1, math.ceil(k.shape[1] / block)),
                *(block, visible, scale),
            ),
        ),
        Wrong("N x M", lists.says_all, dense),
    ),
)
