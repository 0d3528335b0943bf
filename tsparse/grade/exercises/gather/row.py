"""`gather.row`: attention of one block of queries over the blocks of keys that its row lists."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.gather.lists import places
from tsparse.grade.watch import NO_ATTENTION


def attend_row(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """Reference: `[bq, E]` from q `[bq, D]` and the listed blocks of k `[M, D]` and v `[M, E]`."""
    keys = places(columns, block, len(k))
    return torch.softmax(q @ k[keys].T * scale, 1) @ v[keys]


def row_cases(rng: Generator) -> list[Case]:
    """Lists with gaps, a last block that is not whole, an empty list, scores far from 0."""

    def case(name: str, bq: int, m: int, d: int, e: int, columns: list[int], block: int) -> Case:
        q, k, v = normal(rng, bq, d), normal(rng, m, d), normal(rng, m, e)
        scale = 0.3 + 0.4 * float(torch.rand((), generator=rng))
        args = q, k, v, torch.tensor(columns, dtype=torch.int64), block, scale
        return Case(name, args, name in EDGES)

    large, small = (case(f"scores around {x}", 3, 12, 4, 5, [0, 2], 4) for x in ("800", "-800"))
    for one, sign in ((large, 1), (small, -1)):
        one.args[0][:, 0], one.args[1][:, 0] = 1.0, sign * 800 / one.args[5]
        one.args[1][:, 0] += torch.arange(12)
    views = case("views that are not contiguous", 4, 15, 6, 3, [0, 2], 5)
    single = case("float32", 5, 17, 8, 6, [1, 3], 5)
    return [
        case("two blocks of four", 3, 20, 4, 6, [1, 3], 5),
        case("one block", 4, 20, 3, 5, [2], 5),
        case("three blocks of five, neighbours", 2, 15, 5, 4, [0, 1, 2], 3),
        case("as many queries as keys, sizes alike", 4, 4, 4, 4, [0, 1], 2),
        case("the last block is short", 5, 22, 4, 3, [0, 4], 5),
        case("only the short block", 3, 13, 2, 4, [3], 4),
        case("blocks of one key", 3, 7, 2, 4, [1, 4, 6], 1),
        case("an empty list", 3, 10, 4, 2, [], 5),
        case("one query, one key", 1, 1, 2, 3, [0], 4),
        large,
        small,
        Case(views.name, (*map(transposed_view, views.args[:3]), *views.args[3:]), edge=True),
        Case("float32", (*(x.float() for x in single.args[:3]), *single.args[3:]), edge=True),
    ]


EDGES = (
    *("only the short block", "blocks of one key", "an empty list", "one query, one key"),
    *("scores around 800", "scores around -800"),
)


def over(keys: Callable[[Tensor, int, int], Tensor]) -> Callable[..., Tensor]:
    """The reference with other keys; `keys` takes columns, block and M."""

    def answer(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
        chosen = keys(columns, block, len(k))
        return torch.softmax(q @ k[chosen].T * scale, 1) @ v[chosen]

    return answer


def per_block(join: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A softmax over each block alone; `join` takes the outputs `[c, bq, E]`."""

    def answer(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
        outs = [attend_row(q, k, v, one, block, scale) for one in columns.split(1)]
        return join(torch.stack(outs)) if len(columns) else attend_row(q, k, v, columns, block, scale)

    return answer


def repeated(columns: Tensor, block: int, m: int) -> Tensor:
    """Keys past the end are the last one."""
    return (columns[:, None] * block + torch.arange(block)).flatten().clamp(max=m - 1)


def span(columns: Tensor, block: int, m: int) -> Tensor:
    """Everything from the first listed block to the last."""
    return places(torch.arange(int(columns[0]), int(columns[-1]) + 1), block, m) if len(columns) else columns


def not_normalised(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """Exponentials from the maximum, never divided."""
    keys = places(columns, block, len(k))
    if not len(keys):
        return attend_row(q, k, v, columns, block, scale)
    s = q @ k[keys].T * scale
    return (s - s.amax(1, keepdim=True)).exp() @ v[keys]


def no_maximum(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """Exponentials of the scores as they are."""
    keys = places(columns, block, len(k))
    p = (q @ k[keys].T * scale).exp()
    return p @ v[keys] / p.sum(1, keepdim=True) if len(keys) else attend_row(q, k, v, columns, block, scale)


def over_queries(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """A softmax along the wrong axis."""
    keys = places(columns, block, len(k))
    return torch.softmax(q @ k[keys].T * scale, 0) @ v[keys]


def filled(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """Keys of 0, with values of 0, up to a whole block."""
    k, v = (torch.cat([x, x.new_zeros(-len(k) % block, x.shape[1])]) for x in (k, v))
    return attend_row(q, k, v, columns, block, scale)


def says_filled(mistake: Mistake) -> str:
    """For a short block that was filled up with keys of 0."""
    m, block = len(mistake.case.args[1]), mistake.case.args[4]
    missing = -m % block
    if missing == 0:
        raise ValueError("every block is whole")
    keys = "a key of 0" if missing == 1 else f"{missing} keys of 0"
    return f"You fill the last block up with {keys}: a score of 0 gets weight too. Leave them out."


def empty_nan(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """0 divided by 0 where nothing is listed."""
    out = attend_row(q, k, v, columns, block, scale)
    return out if len(columns) else out * torch.nan


def count(mistake: Mistake) -> int:
    """How many blocks the row lists; raises ValueError where it is one."""
    blocks = len(mistake.case.args[3])
    if blocks < 2:
        raise ValueError("one block")
    return blocks


def says_numbers(mistake: Mistake) -> str:
    """For block numbers that were taken for key numbers."""
    columns, block = mistake.case.args[3:5]
    one = int(columns[-1])
    last = min(len(mistake.case.args[1]), (one + 1) * block) - 1
    return f"columns has {one}, which means keys {one * block} to {last}; you took key {one}."


def says_repeated(mistake: Mistake) -> str:
    """For a short block that was filled with its last key."""
    m, block = len(mistake.case.args[1]), mistake.case.args[4]
    there = m % block
    if there == 0:
        raise ValueError("every block is whole")
    return (
        f"The last block has {there} {'key' if there == 1 else 'keys'}; you counted the last one "
        f"{block - there + 1} times."
    )


ROW = Exercise(
    id="gather.row",
    title="One row of blocks",
    minutes=12,
    points=10,
    difficulty="easy",
    spec=attend_row,
    cases=row_cases,
    forbidden=NO_ATTENTION,
    hints=(
        "Write down the positions of the listed keys first, as one integer tensor. Block c holds the "
        "positions c * block to c * block + block - 1, as far as they exist.",
        "`columns[:, None] * block + torch.arange(block)` is a table of positions, a row for each block. "
        "Flatten it and keep what is below len(k). Then `k[keys]` and `v[keys]` are small tensors.",
        "The rest is lesson 01 on those: scores times `scale`, one softmax over all gathered keys, times "
        "`v[keys]`. With an empty list all of it works by itself: a product over no key is 0.",
    ),
    wrong=(
        Wrong(
            "softmax per block, averaged",
            lambda m: (
                f"Each of the {count(m)} blocks has a softmax of its own here, and you average: one softmax "
                "runs over all listed keys."
            ),
            per_block(lambda outs: outs.mean(0)),
        ),
        Wrong(
            "softmax per block, added",
            lambda m: f"The weights of a query sum to {count(m)}, the number of blocks: one softmax for all.",
            per_block(lambda outs: outs.sum(0)),
        ),
        Wrong(
            "block numbers as key numbers",
            says_numbers,
            over(lambda columns, block, m: columns.clamp(max=m - 1)),
        ),
        Wrong("last key repeated", says_repeated, over(repeated)),
        Wrong(
            "all keys",
            "You read keys of blocks that are not listed: gather the listed ones first.",
            over(lambda columns, block, m: torch.arange(m)),
        ),
        Wrong(
            "first block to last",
            "Between two listed blocks lie blocks that are not listed; you took all from the first to the "
            "last.",
            over(span),
        ),
        Wrong(
            "first block only",
            lambda m: f"columns lists {count(m)} blocks; you took the first.",
            over(lambda columns, block, m: places(columns[:1], block, m)),
        ),
        Wrong(
            "short block left out",
            "The last block is short and you left it out; the keys that it has count.",
            over(lambda columns, block, m: places(columns[(columns + 1) * block <= m], block, m)),
        ),
        Wrong(
            "no scale",
            "The scores are not multiplied by `scale`.",
            lambda q, k, v, columns, block, scale: attend_row(q, k, v, columns, block, 1.0),
        ),
        Wrong(
            "another scale",
            lambda m: (
                f"You multiply by 1/√{m.case.args[0].shape[1]}; the scale is given, and here it is "
                f"{m.case.args[5]:.2f}."
            ),
            lambda q, k, v, columns, block, scale: attend_row(q, k, v, columns, block, q.shape[1] ** -0.5),
        ),
        Wrong(
            "softmax over the queries",
            "The weights of each *key* sum to 1 here: the softmax runs over the keys of a query, axis 1.",
            over_queries,
        ),
        Wrong("short block filled with 0", says_filled, filled),
        Wrong("empty NaN", "No block is listed, so there is no key: return 0. Yours is NaN.", empty_nan),
        Wrong(
            "not normalised", "Divide by the sum of the exponentials: the weights sum to 1.", not_normalised
        ),
        Wrong(
            "no maximum",
            "exp of a score near 800 overflows, near -800 it is 0: subtract the maximum, or use "
            "torch.softmax.",
            no_maximum,
        ),
    ),
)
