"""`patterns.bigbird`: neighbours, global tokens, and random keys that are given; no direction is hidden."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import distance, hidden, integer, keys, queries, shown


def bigbird(n: int, radius: int, global_tokens: int, random_keys: Tensor) -> Tensor:
    """Reference: bool [n, n], neighbours, rows and columns of the first tokens, and the drawn keys."""
    return near(n, radius) | rows(n, global_tokens) | columns(n, global_tokens) | drawn(n, random_keys)


def near(n: int, radius: int) -> Tensor:
    """Bool [n, n]: at most `radius` apart."""
    return distance(n, n).abs() <= radius


def rows(n: int, tokens: int) -> Tensor:
    """Bool [n, n]: the query is one of the first `tokens`."""
    return (queries(n) < tokens).expand(n, n)


def columns(n: int, tokens: int) -> Tensor:
    """Bool [n, n]: the key is one of the first `tokens`."""
    return (keys(n) < tokens).expand(n, n)


def drawn(n: int, random_keys: Tensor) -> Tensor:
    """Bool [n, n]: the key was drawn for the query, `random_keys` [n, r]."""
    return torch.zeros(n, n, dtype=torch.bool).scatter(1, random_keys, True)


def own_draw(n: int, count: int) -> Tensor:
    """Keys [n, count] that are always the same ones, and not the given ones."""
    return torch.randint(n, (n, count), generator=torch.Generator().manual_seed(0))


def cases(rng: Generator) -> list[Case]:
    """Neighbours and global tokens, neighbours and random keys, all three, then nothing of one kind."""
    n = integer(rng, 12, 14)
    own = torch.arange(10)[:, None]
    some = torch.randint(n, (n, 2), generator=rng)
    far = (torch.arange(11)[:, None] + torch.randint(4, 8, (11, 1), generator=rng)) % 11
    return [
        Case("10 tokens, radius 1, two global tokens, each draws itself", (10, 1, 2, own)),
        Case("11 tokens, radius 2, no global token, one random key each", (11, 2, 0, far)),
        Case(f"{n} tokens, radius 2, one global token, two random keys each", (n, 2, 1, some)),
        Case("no random keys", (7, 1, 1, torch.zeros(7, 0, dtype=torch.long)), edge=True),
        Case("radius 0: no neighbours", (9, 0, 1, far[:9] % 9), edge=True),
        Case("all tokens are global", (5, 1, 5, torch.zeros(5, 1, dtype=torch.long)), edge=True),
        Case("one token", (1, 2, 0, torch.zeros(1, 1, dtype=torch.long)), edge=True),
        Case(
            "random keys are every second column", (n, 1, 0, some.repeat_interleave(2, 1)[:, ::2]), edge=True
        ),
    ]


def says_rows(mistake: Mistake) -> str:
    """For global tokens that do not see everything."""
    query, key = hidden(mistake)
    return f"Global token {query} should see everything; its row lacks key {key}."


def says_columns(mistake: Mistake) -> str:
    """For global tokens that are not seen by everybody."""
    query, key = hidden(mistake)
    return f"Everybody should see global token {key}; query {query} does not."


def says_drawn(mistake: Mistake) -> str:
    """For random keys that also work the other way round."""
    query, key = shown(mistake)
    return f"Key {query} was drawn for query {key}, not key {key} for query {query}."


def says_transposed(mistake: Mistake) -> str:
    """For random keys read as queries."""
    query, key = hidden(mistake)
    return f"`random_keys[{query}]` are the keys *of query* {query}: it should see key {key}."


def says_not_drawn(mistake: Mistake) -> str:
    """For random keys that are left out."""
    query, key = hidden(mistake)
    return f"Key {key} was drawn for query {query}, which does not see it."


def says_window(mistake: Mistake) -> str:
    """For windows of another size."""
    radius = mistake.case.args[1]
    short = bool((mistake.want & ~mistake.got).any())
    query, key = hidden(mistake) if short else shown(mistake)
    verb = "should see" if short else "should not see"
    return f"Radius {radius} means {radius} on each side: query {query} {verb} key {key}."


BIGBIRD = Exercise(
    id="patterns.bigbird",
    title="Neighbours, global tokens, random keys",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=bigbird,
    cases=cases,
    hints=(
        "Make a table for each of the three parts and join them with `|`. The global part is two tables: "
        "the row of a global token is all True, and so is its column.",
        "`(query < global_tokens) | (key < global_tokens)` is the global part, with the queries as a column "
        "[n, 1]. For the random part begin with a table of False.",
        "Row i of the random part is True at `random_keys[i]`: `table.scatter(1, random_keys, True)`, or a "
        "loop over the queries with `table[i, random_keys[i]] = True`.",
    ),
    wrong=(
        Wrong(
            "global rows missing",
            says_rows,
            lambda n, radius, g, r: near(n, radius) | columns(n, g) | drawn(n, r),
        ),
        Wrong(
            "global columns missing",
            says_columns,
            lambda n, radius, g, r: near(n, radius) | rows(n, g) | drawn(n, r),
        ),
        Wrong(
            "global pairs only",
            says_rows,
            lambda n, radius, g, r: near(n, radius) | (rows(n, g) & columns(n, g)) | drawn(n, r),
        ),
        Wrong(
            "the global token by its number",
            lambda m: (
                f"global_tokens={m.case.args[2]} is how many: the first tokens are global, not token "
                f"{m.case.args[2]}."
            ),
            lambda n, radius, g, r: near(n, radius) | (queries(n) == g) | (keys(n) == g) | drawn(n, r),
        ),
        Wrong(
            "made symmetric",
            says_drawn,
            lambda n, radius, g, r: bigbird(n, radius, g, r) | drawn(n, r).T,
        ),
        Wrong(
            "transposed",
            says_transposed,
            lambda n, radius, g, r: bigbird(n, radius, g, r[:, :0]) | drawn(n, r).T,
        ),
        Wrong(
            "random keys for all",
            lambda m: (
                "Query {} sees key {}, which was drawn for another query: `mask[:, random_keys]` marks "
                "whole columns.".format(*shown(m))
            ),
            lambda n, radius, g, r: bigbird(n, radius, g, r) | (keys(n) == r.reshape(-1, 1)).any(0),
        ),
        Wrong("random keys ignored", says_not_drawn, lambda n, radius, g, r: bigbird(n, radius, g, r[:, :0])),
        Wrong(
            "first random key only", says_not_drawn, lambda n, radius, g, r: bigbird(n, radius, g, r[:, :1])
        ),
        Wrong(
            "window one short",
            says_window,
            lambda n, radius, g, r: bigbird(n, radius - 1, g, r) | near(n, 0),
        ),
        Wrong("window one too wide", says_window, lambda n, radius, g, r: bigbird(n, radius + 1, g, r)),
        Wrong(
            "window looks back only",
            lambda m: "A window of an encoder looks both ways; query {} should see key {}.".format(
                *hidden(m)
            ),
            lambda n, radius, g, r: bigbird(n, -1, g, r) | near(n, radius).tril(),
        ),
        Wrong(
            "no neighbours",
            lambda m: "Query {} does not see its neighbour {}.".format(*hidden(m)),
            lambda n, radius, g, r: bigbird(n, -1, g, r),
        ),
        Wrong(
            "own draw",
            "Your random keys are not the given ones: training and evaluation would differ.",
            lambda n, radius, g, r: bigbird(n, radius, g, own_draw(n, r.shape[1])),
        ),
        Wrong(
            "causal",
            lambda m: "BigBird's encoder looks both ways; query {} should see key {}.".format(*hidden(m)),
            lambda n, radius, g, r: bigbird(n, radius, g, r).tril(),
        ),
    ),
)
