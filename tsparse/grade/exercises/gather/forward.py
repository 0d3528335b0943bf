"""`gather.forward`: block-sparse attention over all rows of blocks, with the lse of every query."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.blocks.lists import csr
from tsparse.grade.exercises.gather import lists
from tsparse.grade.exercises.gather.lists import Visible, places
from tsparse.grade.watch import NO_ATTENTION

Result = tuple[Tensor, Tensor]
Row = Callable[[Tensor, Tensor, Tensor, Tensor, float], Result]
Listed = Callable[[Tensor, Tensor, int, int], tuple[Tensor, Tensor]]
Rule = Callable[[Visible, Tensor, Tensor, int], Tensor]


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Result:
    """Output `[H, r, E]` and lse `[H, r]` of queries `[H, r, D]` over keys that were gathered."""
    s = (q @ k.mT * scale).masked_fill(~seen, -math.inf)
    lse = s.logsumexp(-1)
    p = torch.where(seen, (s - lse[..., None]).exp(), 0.0)
    return p @ v, lse


def asked(visible: Visible, rows: Tensor, keys: Tensor, block: int) -> Tensor:
    """The rule, for positions in the sequence."""
    return visible(rows[:, None], keys)


def walk(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    crow: Tensor,
    col: Tensor,
    block: int,
    visible: Visible,
    scale: float,
    row: Row = attend,
    rule: Rule = asked,
) -> Result:
    """Every row of blocks: gather what it lists, attend by `row` where `rule` says so, store."""
    out = q.new_zeros(*q.shape[:2], v.shape[2])
    lse = q.new_full(q.shape[:2], -math.inf)
    for i in range(len(crow) - 1):
        rows = torch.arange(i * block, min((i + 1) * block, q.shape[1]))
        keys = places(col[crow[i] : crow[i + 1]], block, k.shape[1])
        if len(keys):
            seen = rule(visible, rows, keys, block)
            out[:, rows], lse[:, rows] = row(q[:, rows], k[:, keys], v[:, keys], seen, scale)
    return out, lse


def forward(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Visible, scale: float
) -> Result:
    """Reference: output `[H, N, E]` and lse `[H, N]` over the listed blocks."""
    return walk(q, k, v, crow, col, block, visible, scale)


def forward_cases(rng: Generator) -> list[Case]:
    """Rules inside blocks, asymmetric lists, ragged ends, empty rows, NaN in a tile of values."""

    def case(
        name: str, sizes: tuple[int, ...], table: Tensor, rule: lists.Rule = lists.everything, block: int = 4
    ) -> Case:
        scale = 0.3 + 0.4 * float(torch.rand((), generator=rng))
        args = (*lists.qkv(rng, *sizes), *csr(table), block, Visible(rule), scale)
        return Case(name, args, name in EDGES)

    several = case(
        "3 heads, 8 x 8 blocks, one row lists them all", (3, 31, 30, 4, 5), lists.one_full_row(8, 8)
    )
    empty = case("row 1 lists nothing", (2, 12, 16, 3, 4), lists.table_of([[0, 3], [], [1]], 4))
    large, small = (
        case(f"scores around {x}", (2, 8, 12, 3, 4), lists.table_of([[0, 2], [1]], 3), lists.causal)
        for x in ("800", "-800")
    )
    for one, sign in ((large, 1), (small, -1)):
        one.args[0][..., 0], one.args[1][..., 0] = 1.0, sign * 800 / one.args[7]
    table = lists.random_table(rng, 4, 5)
    views = case("views that are not contiguous", (2, 14, 17, 3, 4), table)
    single = case("float32", (2, 16, 20, 8, 5), table, lists.scattered)
    return [
        case("2 heads, 12 queries, 16 keys", (2, 12, 16, 3, 5), lists.table_of([[1, 3], [0], [0, 2]], 4)),
        case("as many queries as keys", (4, 16, 16, 4, 4), lists.random_table(rng, 4, 4)),
        case("a causal rule", (2, 15, 15, 4, 3), torch.ones(4, 4).tril().bool(), lists.causal),
        case(
            "blocks of 5, another rule", (1, 20, 25, 6, 2), lists.random_table(rng, 4, 5), lists.scattered, 5
        ),
        several,
        *poisoned(case("6 key blocks, of which no row lists all", (2, 18, 23, 3, 4), lists.unlisted())),
        case("one query more than the blocks hold", (2, 9, 13, 4, 3), lists.random_table(rng, 3, 4)),
        empty,
        case("query 9 sees nothing", (2, 12, 12, 3, 4), lists.random_table(rng, 3, 3), lists.all_but_nine),
        case("one query, one key", (1, 1, 1, 2, 3), lists.table_of([[0]], 1)),
        case("blocks of one", (2, 5, 7, 3, 2), lists.random_table(rng, 5, 7), lists.everything, 1),
        large,
        small,
        Case(views.name, (*map(transposed_view, views.args[:3]), *views.args[3:]), edge=True),
        Case("float32", (*(x.float() for x in single.args[:3]), *single.args[3:]), edge=True),
        heavy(rng),
    ]


EDGES = (
    *("one query more than the blocks hold", "row 1 lists nothing", "query 9 sees nothing"),
    *("one query, one key", "blocks of one", "scores around 800", "scores around -800"),
)


def poisoned(case: Case) -> list[Case]:
    """The case with NaN in one tile of values at a time: rows that do not list it must stay finite."""
    q, k, v, crow, col, block, visible, scale = case.args

    def one(tile: int) -> Case:
        spoiled = v.clone()
        spoiled[:, tile * block : (tile + 1) * block] = math.nan
        args = q, k, spoiled, crow, col, block, visible, scale
        return Case(f"{case.name}, NaN in value tile {tile}", args, poison=tile)

    return [case, *map(one, range(math.ceil(k.shape[1] / block)))]


def heavy(rng: Generator) -> Case:
    """Ten blocks of 128 x 128: what they hold fits, all scores do not."""
    n, block = lists.LENGTH, lists.BLOCK
    table = lists.few(rng, n // block)
    args = (*lists.qkv(rng, 1, n, n, 2, 2), *csr(table), block, Visible(lists.everything), 0.5)
    return Case(f"{n:,} queries and keys, 10 blocks of {block:,}", args, edge=True, heavy=True)


def dense(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Visible, scale: float
) -> Result:
    """All scores, then a mask."""
    n, m = q.shape[1], k.shape[1]
    table = lists.table_from(crow, col, math.ceil(m / block))
    listed = table.repeat_interleave(block, 0)[:n].repeat_interleave(block, 1)[:, :m]
    return attend(q, k, v, listed & asked(visible, torch.arange(n), torch.arange(m), block), scale)


def padded(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Visible, scale: float
) -> Result:
    """Every row's list filled up with block 0 to the longest, and all rows in one product."""
    (h, n, d), m, e, rows = q.shape, k.shape[1], v.shape[2], len(crow) - 1
    counts = crow[1:] - crow[:-1]
    longest = max(1, int(counts.max()))
    listed = torch.zeros(rows, longest, dtype=torch.int64)
    real = torch.arange(longest) < counts[:, None]
    listed[real] = col.long()
    rows_at = torch.arange(rows * block).view(rows, block)
    keys = (listed[..., None] * block + torch.arange(block)).flatten(1)
    seen = visible(rows_at[..., None], keys[:, None]) & real.repeat_interleave(block, 1)[:, None]
    seen = seen & (keys < m)[:, None]
    filled = q.new_zeros(h, rows * block, d)
    filled[:, :n] = q
    inside = keys.clamp(max=m - 1)
    out, lse = attend(filled.view(h, rows, block, d), k[:, inside], v[:, inside], seen, scale)
    return out.reshape(h, -1, e)[:, :n], lse.reshape(h, -1)[:, :n]


def per_block(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float, block: int) -> Result:
    """A softmax over each block alone, averaged over the blocks; lse as it should be."""
    ends = range(0, k.shape[1], block)
    parts = [attend(q, k[:, a : a + block], v[:, a : a + block], seen[:, a : a + block], scale) for a in ends]
    return torch.stack([out for out, _ in parts]).mean(0), attend(q, k, v, seen, scale)[1]


def last_lse(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float, block: int) -> Result:
    """The lse of the last block in the list."""
    a = (k.shape[1] - 1) // block * block
    return attend(q, k, v, seen, scale)[0], attend(q, k[:, a:], v[:, a:], seen[:, a:], scale)[1]


def plain_softmax(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Result:
    """NaN where everything is hidden."""
    s = (q @ k.mT * scale).masked_fill(~seen, -math.inf)
    return s.softmax(-1) @ v, s.logsumexp(-1)


def finite_mask(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Result:
    """-1e9 in place of -inf."""
    s = (q @ k.mT * scale).masked_fill(~seen, -1e9)
    return s.softmax(-1) @ v, s.logsumexp(-1)


def raw_lse(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Result:
    """The lse of scores that were not multiplied by the scale."""
    return attend(q, k, v, seen, scale)[0], attend(q, k, v, seen, 1.0)[1]


def largest_score(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Result:
    """The largest score in place of the lse."""
    s = (q @ k.mT * scale).masked_fill(~seen, -math.inf)
    return attend(q, k, v, seen, scale)[0], s.amax(-1)


def no_maximum(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Result:
    """Exponentials of the scores as they are."""
    p = (q @ k.mT * scale).exp() * seen
    total = p.sum(-1)
    return p @ v / total.where(total > 0, 1.0)[..., None], total.log()


def changed_lse(change: Callable[[Tensor], Tensor]) -> Callable[..., Result]:
    """The reference with another lse."""

    def answer(*args: Any) -> Result:
        out, lse = forward(*args)
        return out, change(lse)

    return answer


def with_rule(rule: Rule) -> Callable[..., Result]:
    """The walk with another rule."""
    return partial(walk, rule=rule)


def with_blocks(row: Callable[..., Result]) -> Callable[..., Result]:
    """The walk with a `row` that is told the size of a block."""

    def answer(*args: Any) -> Result:
        return partial(walk, row=partial(row, block=args[5]))(*args)

    return answer


def from_start(crow: Tensor, col: Tensor) -> Tensor:
    """Lists of the right lengths, each read from the start of col."""
    counts = (crow[1:] - crow[:-1]).tolist()
    return torch.cat([col[:count] for count in counts]) if counts else col


def span(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Visible, scale: float
) -> Result:
    """Everything from the first listed block of a row to the last."""
    table = lists.table_from(crow, col, math.ceil(k.shape[1] / block)).long()
    between = table.cumsum(1).clamp(max=1) * table.flip(1).cumsum(1).clamp(max=1).flip(1) > 0
    return forward(q, k, v, *csr(between), block, visible, scale)


def first_empty(mistake: Mistake) -> int:
    """The first query that sees nothing; raises IndexError where each sees something."""
    return int((mistake.want[1] == -math.inf).nonzero()[0, 1])


def says_hidden(mistake: Mistake) -> str:
    """For a rule that was never asked: one pair that should have been hidden."""
    n, m = mistake.case.args[0].shape[1], mistake.case.args[1].shape[1]
    crow, col, block, visible = mistake.case.args[3:7]
    listed = lists.table_from(crow, col, math.ceil(m / block))
    q, k = torch.arange(n)[:, None], torch.arange(m)
    query, key = (listed[q // block, k // block] & ~visible(q, k)).nonzero()[-1].tolist()
    return f"Query {query} saw key {key}, though `visible({query}, {key})` is False."


FORWARD = Exercise(
    id="gather.forward",
    title="Block-sparse attention, forward",
    minutes=35,
    points=20,
    difficulty="hard",
    spec=forward,
    cases=forward_cases,
    forbidden=NO_ATTENTION,
    largest=lists.allowed,
    hints=(
        "One loop over the rows of blocks. Row i has the queries from i * block on (the last row may have "
        "fewer) and lists `col[crow[i] : crow[i + 1]]`. Gather their keys as in `gather.row`.",
        "Inside the loop: scores `[H, rows, keys]`, then -inf where `visible(rows[:, None], keys)` is False, "
        "with positions in the sequence. `torch.logsumexp(s, -1)` is lse, and `exp(s - lse)` are the "
        "weights.",
        "Start with out = 0 and lse = -inf, and leave a row that lists nothing as it is. A query to which "
        "everything is hidden has lse -inf, and -inf - -inf is NaN: set its weights to 0 with torch.where.",
    ),
    wrong=(
        Wrong("N x M", lists.says_all, dense),
        Wrong(
            "rule ignored", says_hidden, with_rule(lambda visible, q, k, block: (q[:, None] >= 0) & (k >= 0))
        ),
        Wrong(
            "rule asked inside the block",
            "`visible` wants positions in the sequence: key 1 of block 3 is key 3 * block + 1, and queries "
            "alike.",
            with_rule(lambda visible, q, k, block: visible(q[:, None] % block, k % block)),
        ),
        Wrong(
            "rule asked with places in the list",
            "`visible` wants positions in the sequence: you gave it places among the gathered queries and "
            "keys.",
            with_rule(
                lambda visible, q, k, block: visible(torch.arange(len(q))[:, None], torch.arange(len(k)))
            ),
        ),
        Wrong(
            "rule asked the wrong way round",
            "`visible(query, key)`: you asked it for (key, query).",
            with_rule(lambda visible, q, k, block: visible(k, q[:, None])),
        ),
        Wrong(
            "empty rows NaN",
            lambda m: f"Query {first_empty(m)} sees nothing: output 0, lse `-inf`. Yours is NaN.",
            partial(walk, row=plain_softmax),
        ),
        Wrong(
            "lse in base 2",
            "lse is 1.44 times too large: the natural logarithm, please.",
            changed_lse(lambda lse: lse * math.log2(math.e)),
        ),
        Wrong(
            "lse 0 on empty rows",
            lambda m: (
                f"Query {first_empty(m)} sees nothing: the logarithm of an empty sum is `-inf`, and your lse "
                "is 0."
            ),
            changed_lse(lambda lse: lse.masked_fill(lse == -math.inf, 0.0)),
        ),
        Wrong("padded to the longest list", lists.says_padded, padded),
        Wrong(
            "transposed lists",
            "You walked columns as if they were rows: col[crow[i] : crow[i + 1]] are *key* blocks.",
            lambda q, k, v, crow, col, block, visible, scale: forward(
                *(q, k, v, *lists.transposed(crow, col, len(crow) - 1, math.ceil(k.shape[1] / block))),
                *(block, visible, scale),
            ),
        ),
        Wrong(
            "lists read from the start",
            "Row i's list starts at col[crow[i]]; you start every row at col[0].",
            lambda q, k, v, crow, col, *more: forward(q, k, v, crow, from_start(crow, col), *more),
        ),
        Wrong(
            "softmax per block, averaged",
            "You normalise each block alone and average: the softmax runs over the whole row of blocks.",
            with_blocks(per_block),
        ),
        Wrong(
            "lse of the last block",
            "Your lse belongs to the last block of the list; wanted is that of the whole row.",
            with_blocks(last_lse),
        ),
        Wrong(
            "no scale",
            "The scores are not multiplied by `scale`.",
            lambda q, k, v, crow, col, block, visible, scale: forward(
                q, k, v, crow, col, block, visible, 1.0
            ),
        ),
        Wrong(
            "lse without the scale",
            "The output is right; your lse is that of scores that are not multiplied by `scale`.",
            partial(walk, row=raw_lse),
        ),
        Wrong(
            "largest score",
            "Your second result is the largest score of each query; lse is the logarithm of the whole sum.",
            partial(walk, row=largest_score),
        ),
        Wrong(
            "-1e9",
            lambda m: (
                f"Query {first_empty(m)} sees nothing: output 0, lse `-inf`. With a large negative number in "
                "place of `-inf` its weights are not 0."
            ),
            partial(walk, row=finite_mask),
        ),
        Wrong(
            "first block to last",
            "Between two listed blocks lie blocks that are not listed; you took all from the first to the "
            "last.",
            span,
        ),
        Wrong(
            "no maximum",
            "exp of a score near 800 overflows, near -800 it is 0: let torch.logsumexp subtract the maximum.",
            partial(walk, row=no_maximum),
        ),
    ),
)
