"""`online.attention`: attention tile by tile, with an online softmax and one tile of scores at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import scored_far_below
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.watch import NO_ATTENTION

State = tuple[Tensor, Tensor, Tensor]
Update = Callable[[State, Tensor, Tensor], State]

KEYS, STRIP = 4_500_000, 32
"""Keys and queries of the heavy case: one strip of its scores takes 1.15 GB in float64."""


def start(n: int, size: int, dtype: torch.dtype, lowest: float) -> State:
    """m_i, l_i and acc of n queries before the first tile."""
    return (
        torch.full((n,), lowest, dtype=dtype),
        torch.zeros(n, dtype=dtype),
        torch.zeros(n, size, dtype=dtype),
    )


def update(state: State, s: Tensor, v: Tensor) -> State:
    """What is carried along, after one more tile of scores s [n, c] and values v [c, E]."""
    m_i, l_i, acc = state
    m_new = torch.maximum(m_i, s.amax(1))
    p, alpha = torch.exp(s - m_new[:, None]), torch.exp(m_i - m_new)
    return m_new, l_i * alpha + p.sum(1), acc * alpha[:, None] + p @ v


def walk(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    block_q: int,
    block_k: int,
    step: Update = update,
    last: int = 0,
    lowest: float = -math.inf,
) -> Tensor:
    """Attention by tiles, with `step` as its update; `last` keys at the end of k are never read.

    The maximum starts at `lowest`.
    """
    out = torch.empty(len(q), v.shape[1], dtype=q.dtype)
    for rows in torch.arange(len(q)).split(block_q):
        q_i = q[rows] / math.sqrt(q.shape[1])
        state = start(len(rows), v.shape[1], q.dtype, lowest)
        for j in range(0, len(k) - last, block_k):
            state = step(state, q_i @ k[j : j + block_k].T, v[j : j + block_k])
        out[rows] = state[2] / state[1][:, None]
    return out


def tiled(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    """Reference: attention [N, E] of q [N, D] over k [M, D] and v [M, E], in tiles of block_q x block_k."""
    return walk(q, k, v, block_q, block_k)


def tiled_cases(rng: Generator) -> list[Case]:
    """Lengths that are and are not multiples of a block, maxima that rise late, and one strip of 1.15 GB."""

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    def case(name: str, n: int, m: int, d: int, e: int, blocks: tuple[int, int], edge: bool = False) -> Case:
        return Case(name, (numbers(n, d), numbers(m, d), numbers(m, e), *blocks), edge)

    rising = case("scores rise from tile to tile", 12, 24, 5, 3, (4, 8))
    rising.args[1].mul_(torch.arange(1, 25)[:, None])
    large, small = (case(f"scores around {x}", 9, 20, 4, 3, (4, 8), edge=True) for x in ("800", "-800"))
    for one, sign in ((large, 1.0), (small, -1.0)):
        one.args[0][:, 0], one.args[1][:, 0] = 1.0, sign * 1600 + one.args[1][:, 0]
    far = case("scores rise by more than exp can hold", 9, 20, 4, 3, (4, 8), edge=True)
    far.args[0][:, 0], far.args[1][:, 0] = 1.0, 200.0 * torch.arange(20)
    below = case("one key, scores around -1e12", 9, 1, 4, 3, (4, 8), edge=True)
    apart = case("scores around 800 and -800 in one tile", 9, 20, 4, 3, (4, 8), edge=True)
    apart.args[0][:, 0], apart.args[1][:, 0] = torch.tensor([1.0, -1.0]).repeat(5)[:9], 1600.0
    turned = case("k and v that are not contiguous", 10, 14, 5, 4, (4, 4), edge=True)
    args = (turned.args[0], *(x.T.contiguous().T for x in turned.args[1:3]), 4, 4)
    single = case("float32", 19, 23, 8, 5, (8, 8), edge=True)
    long = torch.zeros(STRIP, 1, dtype=torch.float64), *(numbers(1, 1).expand(KEYS, 1) for _ in range(2))
    return [
        case("12 queries, 24 keys, tiles of 4 x 8", 12, 24, 5, 3, (4, 8)),
        rising,
        case("70 queries, 100 keys, tiles of 16 x 16", 70, 100, 4, 3, (16, 16)),
        case("as many queries as keys", 16, 16, 16, 16, (4, 4)),
        case("tiles wider than high", 17, 31, 6, 7, (2, 8)),
        case("one tile", 5, 7, 3, 4, (5, 7), edge=True),
        case("fewer queries and keys than a tile has", 5, 7, 3, 4, (16, 16), edge=True),
        case("one key more than the tiles hold", 9, 17, 3, 2, (8, 8), edge=True),
        case("one query, one key", 1, 1, 2, 3, (4, 4), edge=True),
        large,
        small,
        far,
        Case(below.name, (*scored_far_below(below.args[0], below.args[1], 0.5), *below.args[2:]), edge=True),
        apart,
        Case(turned.name, args, edge=True),
        Case("float32", (*(x.float() for x in single.args[:3]), 8, 8), edge=True),
        Case(f"{STRIP} queries, {KEYS:,} keys", (*long, STRIP, 1 << 15), edge=True, heavy=True),
    ]


def tile(case: Case) -> int:
    """Elements of one tile of scores."""
    block_q, block_k = case.args[3:]
    return int(block_q * block_k)


def allowed(case: Case) -> int:
    """A tile of scores, or q, k, v and out, filled up to whole blocks."""
    q, k, v, block_q, block_k = case.args
    size = max(q.shape[1], v.shape[1])
    return max(tile(case), (len(q) + block_q) * size, (len(k) + block_k) * size)


def says_held(mistake: Mistake) -> str:
    """For more scores at once than a tile has."""
    q, k = mistake.case.args[:2]
    return f"You held {len(q) * len(k):,} scores at once; one tile has {tile(mistake.case):,}."


def says_strip(mistake: Mistake) -> str:
    """For all keys at once, for a few queries."""
    k, _, block_q = mistake.case.args[1:4]
    return (
        f"You held {block_q * len(k):,} scores at once, {block_q} queries by all keys; one tile has "
        f"{tile(mistake.case):,}."
    )


def left(mistake: Mistake) -> tuple[int, int]:
    """The first and the last key of a tile that is not whole; raises ValueError where all are."""
    m, block_k = len(mistake.case.args[1]), mistake.case.args[4]
    if m % block_k == 0:
        raise ValueError("every tile is whole")
    return m - m % block_k, m - 1


def says_dropped(mistake: Mistake) -> str:
    """For a last tile that was left out."""
    first, last = left(mistake)
    return f"Key {first} was never read." if first == last else f"Keys {first} to {last} were never read."


def says_filled(mistake: Mistake) -> str:
    """For places past the end that take part."""
    first, last = left(mistake)
    there = last - first + 1
    return (
        f"The last tile has {there} {'key' if there == 1 else 'keys'}; the other "
        f"{mistake.case.args[4] - there} places got score 0 and weight exp(0 - m). Give them `-inf`."
    )


def says_shared(mistake: Mistake) -> str:
    """For one maximum of all queries of a tile; raises IndexError where no query came to nothing."""
    q, k = mistake.case.args[:2]
    query = int(mistake.got.isnan().any(1).nonzero()[0, 0])
    score = float((k @ q[query]).max()) / math.sqrt(q.shape[1])
    return (
        f"The largest score of query {query} is {score:.0f}; measured from the maximum of another query all "
        "its exponentials are 0, and 0/0 is NaN. Each query has its own maximum."
    )


def whole_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of some queries with all their scores at once."""
    return torch.softmax(q @ k.T / math.sqrt(q.shape[1]), 1) @ v


def acc_kept(state: State, s: Tensor, v: Tensor) -> State:
    """acc is not multiplied by alpha."""
    m_new, l_new, acc_new = update(state, s, v)
    alpha = torch.exp(state[0] - m_new)[:, None]
    return m_new, l_new, acc_new + state[2] * (1 - alpha)


def l_kept(state: State, s: Tensor, v: Tensor) -> State:
    """l is not multiplied by alpha."""
    m_new, l_new, acc_new = update(state, s, v)
    return m_new, l_new + state[1] * (1 - torch.exp(state[0] - m_new)), acc_new


def nothing_rescaled(state: State, s: Tensor, v: Tensor) -> State:
    """Each tile is measured from the maximum so far, and what was before stays as it is."""
    m_new = torch.maximum(state[0], s.amax(1))
    p = torch.exp(s - m_new[:, None])
    return m_new, state[1] + p.sum(1), state[2] + p @ v


def own_maximum(state: State, s: Tensor, v: Tensor) -> State:
    """Each tile is measured from its own maximum."""
    p = torch.exp(s - s.amax(1)[:, None])
    return state[0], state[1] + p.sum(1), state[2] + p @ v


def first_maximum(state: State, s: Tensor, v: Tensor) -> State:
    """The first tile's maximum is used for ever."""
    m_i = torch.where(state[0] == -math.inf, s.amax(1), state[0])
    p = torch.exp(s - m_i[:, None])
    return m_i, state[1] + p.sum(1), state[2] + p @ v


def tile_maximum(state: State, s: Tensor, v: Tensor) -> State:
    """All queries of a tile are measured from one maximum."""
    m_new = torch.maximum(state[0], s.max())
    p, alpha = torch.exp(s - m_new[:, None]), torch.exp(state[0] - m_new)
    return m_new, state[1] * alpha + p.sum(1), state[2] * alpha[:, None] + p @ v


def divided(state: State, s: Tensor, v: Tensor) -> State:
    """What was gathered is divided by its sum before the next tile comes."""
    m_i, l_i, acc = state
    return update((m_i, l_i, acc / l_i.where(l_i > 0, 1.0)[:, None]), s, v)


def averaged(state: State, s: Tensor, v: Tensor) -> State:
    """Finished tiles are averaged."""
    return state[0], state[1] + 1, state[2] + torch.softmax(s, 1) @ v


def filled_up(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    """The last tile is filled up with keys of zeros, which take part."""
    more = -len(k) % block_k
    pad = torch.nn.functional.pad
    return walk(q, pad(k, (0, 0, 0, more)), pad(v, (0, 0, 0, more)), block_q, block_k)


def filled_up_low(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    """The last tile is filled up with keys whose score is -1e9."""
    more = -len(k) % block_k
    scores = torch.cat([q @ k.T / math.sqrt(q.shape[1]), q.new_full((len(q), more), -1e9)], 1)
    return scores.softmax(1) @ torch.nn.functional.pad(v, (0, 0, 0, more))


def one_dropped(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    """Only whole tiles are walked; where there is none, the first."""
    return walk(q, k, v, block_q, block_k, last=len(k) % block_k if len(k) > block_k else 0)


def unscaled(q: Tensor, k: Tensor, v: Tensor, block_q: int, block_k: int) -> Tensor:
    """Scores are not divided by the root of D."""
    return walk(q * math.sqrt(q.shape[1]), k, v, block_q, block_k)


ATTENTION = Exercise(
    id="online.attention",
    title="Attention in tiles",
    minutes=30,
    points=20,
    difficulty="hard",
    spec=tiled,
    cases=tiled_cases,
    forbidden=NO_ATTENTION,
    largest=allowed,
    hints=(
        "Outer loop: `block_q` queries, with m_i = -inf, l_i = 0 and acc = 0 for each. Inner loop: `block_k` "
        "keys, with the six steps of the lesson.",
        "In update the new maximum is the larger of m_i and the tile's row maximum. alpha = exp(old - new) "
        "multiplies l_i and acc, then the tile's share is added to both.",
        "At the end divide acc by l_i, once. Slices such as `k[j : j + block_k]` end by themselves where the "
        "keys end, and a tile that is filled up needs -inf there.",
    ),
    wrong=(
        Wrong(
            "all scores",
            says_held,
            lambda q, k, v, block_q, block_k: whole_rows(q, k, v),
        ),
        Wrong(
            "a strip",
            says_strip,
            lambda q, k, v, block_q, block_k: torch.cat(
                [whole_rows(rows, k, v) for rows in q.split(block_q)]
            ),
        ),
        Wrong(
            "acc not rescaled",
            "The maximum rose and l shrank with it; acc did not: multiply it by alpha too.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, acc_kept),
        ),
        Wrong(
            "l not rescaled",
            "acc shrank with the new maximum; l did not: multiply it by alpha too.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, l_kept),
        ),
        Wrong(
            "nothing rescaled",
            "The maximum rose, and what l and acc had gathered was measured from the old one: multiply both "
            "by alpha = exp(old - new).",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, nothing_rescaled),
        ),
        Wrong(
            "tile's own maximum",
            "Tile 2 is measured from its own maximum, tile 1's sum from another.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, own_maximum),
        ),
        Wrong(
            "first maximum for ever",
            "exp(s - m) overflowed or vanished in a later tile: m is the first tile's maximum, and it must "
            "follow.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, first_maximum),
        ),
        Wrong(
            "softmax per tile",
            "You averaged finished tiles; they must share one sum.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, averaged),
        ),
        Wrong(
            "one maximum for a tile",
            says_shared,
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, tile_maximum),
        ),
        Wrong(
            "divided in every tile",
            "You divide by l in every tile, so that the next one adds its share to a finished average: "
            "divide once, after the last.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, divided),
        ),
        Wrong("last tile dropped", says_dropped, one_dropped),
        Wrong("missing keys score 0", says_filled, filled_up),
        Wrong(
            "missing keys score -1e9",
            "The score of the key is around -1e12, and the places past the end have a larger, finite one: "
            "they take all the weight. Give them `-inf`.",
            filled_up_low,
        ),
        Wrong(
            "maximum starts at -1e9",
            "The scores here are around -1e12, below the number that your maximum starts with: all weights "
            "become 0, and 0/0 is NaN. Start with `-inf`.",
            lambda q, k, v, block_q, block_k: walk(q, k, v, block_q, block_k, lowest=-1e9),
        ),
        Wrong(
            "no scale",
            "Scores are the products divided by the root of D; yours are not divided.",
            unscaled,
        ),
    ),
)
