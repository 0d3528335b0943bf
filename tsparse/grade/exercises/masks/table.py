"""What the mask exercises share: positions of queries and keys, and where a wrong mask goes wrong first."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Mistake


def queries(n_q: int, q_offset: int = 0) -> Tensor:
    """Positions of the queries, [n_q, 1]."""
    return torch.arange(n_q)[:, None] + q_offset


def keys(n_kv: int) -> Tensor:
    """Positions of the keys, [n_kv]."""
    return torch.arange(n_kv)


def distance(n_q: int, n_kv: int, q_offset: int = 0) -> Tensor:
    """How far each key lies behind each query, [n_q, n_kv]; negative in the future."""
    return queries(n_q, q_offset) - keys(n_kv)


def integer(rng: Generator, low: int, high: int) -> int:
    """A number from low to high, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=rng))


def shown(mistake: Mistake) -> tuple[int, int]:
    """The first (query, key) that the answer shows and should hide."""
    query, key = (mistake.got & ~mistake.want).nonzero()[0].tolist()
    return query, key


def hidden(mistake: Mistake) -> tuple[int, int]:
    """The first (query, key) that the answer hides and should show."""
    query, key = (mistake.want & ~mistake.got).nonzero()[0].tolist()
    return query, key


def says_own_key(mistake: Mistake) -> str:
    """For masks in which a query does not see its own key."""
    query, _ = hidden(mistake)
    return f"Query {query} does not see itself: a token may see its own key."
