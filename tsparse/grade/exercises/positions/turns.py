"""Ways to turn `x [B, H, N, D]` by positions: that of `positions.rotary`, and the parts of wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Halves = tuple[Tensor, Tensor]


def rotary(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Reference: `x [B, H, N, D]`, pair (i, i + D/2) turned by position * base^(-2i/D); x's dtype."""
    return turned(x, angles(x, positions, base))


def angles(x: Tensor, positions: Tensor, base: float) -> Tensor:
    """position * base^(-2i/D), float64 `[N, D / 2]`."""
    return positions[:, None] * base ** (-exponents(x))


def exponents(x: Tensor) -> Tensor:
    """2i/D for each pair, float64 `[D / 2]`."""
    return torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1]


def turned(x: Tensor, angle: Tensor) -> Tensor:
    """The pairs (i, i + D/2) turned by angles that broadcast to `[B, H, N, D / 2]`."""
    return joined(x, *turn(*halves(x), angle.cos().to(x), angle.sin().to(x)))


def halves(x: Tensor) -> Halves:
    """The first and the second half of the channels: what pairs consist of."""
    first, second = x.chunk(2, -1)
    return first, second


def turn(a: Tensor, b: Tensor, cos: Tensor, sin: Tensor) -> Halves:
    """The pair (a, b) turned anticlockwise."""
    return a * cos - b * sin, b * cos + a * sin


def joined(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Two halves side by side, in x's dtype."""
    return torch.cat([first, second], -1).to(x.dtype)


def by_angles(angle: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """Turned by other angles, of (x, positions as a column `[N, 1]`, base)."""
    return lambda x, positions, base=10000.0: turned(x, angle(x, positions[:, None], base))


def by_pairs(rule: Callable[[Tensor, Tensor, Tensor, Tensor], Halves]) -> Callable[..., Tensor]:
    """The right angles, and another rule for what becomes of a pair: of (a, b, cos, sin)."""

    def answer(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
        angle = angles(x, positions, base)
        return joined(x, *rule(*halves(x), angle.cos().to(x), angle.sin().to(x)))

    return answer


def neighbours(x: Tensor) -> Tensor:
    """The channels 0, 2, 4, ..., 1, 3, 5, ...: neighbours become halves."""
    return torch.cat([x[..., 0::2], x[..., 1::2]], -1)


def interleaved(x: Tensor) -> Tensor:
    """The inverse of `neighbours`."""
    return torch.stack(halves(x), -1).flatten(-2)


def with_both(x: Tensor, other: Tensor, angle: Tensor) -> Tensor:
    """`x cos + other sin`, as libraries write it: `angle [N, D]`, `other` is x turned by 90 degrees."""
    return (x * angle.cos() + other * angle.sin()).to(x.dtype)


def quarter(x: Tensor) -> Tensor:
    """Every pair (i, i + D/2) turned by 90 degrees."""
    a, b = halves(x)
    return torch.cat([-b, a], -1)


def for_heads(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Angles `[N, 1, D / 2]`: the second axis from the left of them meets the heads."""
    return turned(x, angles(x, positions, base)[:, None])


def of_length(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """The number of tokens in place of the number of channels."""
    tokens = x.shape[2]
    return turned(x, positions[:, None] * base ** (-torch.arange(0, tokens, 2) / tokens))


def table(x: Tensor, positions: Tensor, base: float) -> Tensor:
    """Sines and cosines alternating, `[N, D]`."""
    angle = angles(x, positions, base)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1).to(x)


def in_float32(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Angles and their cosines in float32."""
    angle = positions[:, None] * base ** -exponents(x).float()
    return turned(x, angle)
