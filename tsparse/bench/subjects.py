"""What is measured on: patterns, each beside the same rule as a user of FlexAttention writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..patterns import Pattern, RandomBlocks, SlidingWindow, bigbird, longformer

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Subject:
    """A pattern for n tokens, and the same rule as plain arithmetic that knows nothing of ours."""

    title: str
    pattern: Pattern
    mask_mod: MaskMod
    causal: bool = False


def window(n: int, width: int) -> Subject:
    """A causal window of `width` tokens."""

    def rule(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (k <= q) & (q - k < width)

    return Subject(f"SlidingWindow({width}), N = {n:,}", SlidingWindow(width), rule, causal=True)


def global_window(n: int, radius: int, tokens: int) -> Subject:
    """Longformer's: a window that looks both ways, and first tokens that see all and are seen by all."""

    def rule(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return ((q - k).abs() <= radius) | (q < tokens) | (k < tokens)

    return Subject(f"longformer({radius}, {tokens}), N = {n:,}", longformer(radius, tokens), rule)


def random_window(n: int, block: int) -> Subject:
    """BigBird's: a window of a block to each side, first and last block global, three random blocks.

    The random blocks are drawn from the whole sequence. Whatever draws them, a mask_mod looks them up.
    """
    ends = [*range(block), *range(n - block, n)]
    pattern = bigbird(block, radius=block, tokens=ends, random=3, length=n)
    drawn = RandomBlocks(3, block, length=n).choices(torch.arange(n // block))
    first, second, third = (choice.int() for choice in drawn)

    def rule(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        i, j = q // block, k // block
        seen = (q - k).abs() <= block
        seen = seen | (q < block) | (k < block) | (q >= n - block) | (k >= n - block)
        return seen | (first[i] == j) | (second[i] == j) | (third[i] == j)

    return Subject(f"bigbird({block}), N = {n:,}", pattern, rule)
