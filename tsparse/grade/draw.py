"""Random inputs for cases, and the small words that sentences about them need."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(rng: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=rng, dtype=dtype)


def qkv(
    rng: torch.Generator, b: int, h: int, n: int, m: int, d: int, e: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries `[b, h, n, d]`, keys `[b, h, m, d]`, values `[b, h, m, e]`."""
    q, k = normal(rng, b, h, n, d, dtype=dtype), normal(rng, b, h, m, d, dtype=dtype)
    return q, k, normal(rng, b, h, m, e, dtype=dtype)


FAR_BELOW = -(2.0**40)
"""A score of about -1e12: below -1e9, which people write in place of -inf.

So far from 0 a sum of two exponentials is lost in its logarithm: cases have one number there.
"""


def scored_far_below(q: Tensor, k: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The shapes of q `[..., N, D]` and k `[..., M, D]`, where every scaled score is `FAR_BELOW`."""
    q, k = torch.zeros_like(q), torch.zeros_like(k)
    q[..., 0], k[..., 0] = 1.0, FAR_BELOW / scale
    return q, k


def mixed_mask(rng: torch.Generator, *shape: int) -> Tensor:
    """Random True and False, at least one of each in every row (rows of 2 or more)."""
    mask = torch.rand(shape, generator=rng) < 0.5
    order = torch.rand(shape, generator=rng).argsort(-1)
    return mask.scatter(-1, order[..., :1], True).scatter(-1, order[..., 1:2], False)


def transposed_view(x: Tensor) -> Tensor:
    """The same numbers, lying in memory with the last two axes exchanged."""
    return x.mT.contiguous().mT


def first(where: Tensor) -> tuple[int, ...]:
    """Index of the first True; of the last place where there is none."""
    found = where.nonzero()
    return tuple(found[0].tolist()) if len(found) else tuple(n - 1 for n in where.shape)


def at(index: tuple[int, ...]) -> str:
    """An index as a learner writes it: `2`, or `(0, 1, 2)`."""
    return str(index[0]) if len(index) == 1 else str(index)
