"""Combinations that papers gave a name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..arguments import whole
from .bands import Local
from .base import Pattern
from .random import RandomBlocks
from .tables import Global


def longformer(radius: int, tokens: int | Sequence[int] | Tensor) -> Pattern:
    """Longformer: `Local(radius) | Global(tokens)`; a window of w in the paper is a radius of w / 2.

    Source: Beltagy et al., "Longformer: the long-document transformer", 2020, section 3.1.

    >>> longformer(256, 1)
    Local(256) | Global(1)
    """
    return Local(radius) | Global(tokens)


def bigbird(
    block: int,
    radius: int,
    tokens: int | Sequence[int] | Tensor,
    random: int,
    seed: int = 0,
    length: int | None = None,
) -> Pattern:
    """BigBird: a window, global tokens, and `random` random blocks of `block` positions for each query block.

    `radius` and `tokens` are counted in tokens, as everywhere: a radius of `w * block` touches the w blocks
    on each side. `seed` and `length` as in `RandomBlocks`: an encoder gives its `length`, so that random
    blocks are chosen from the whole sequence; a decoder leaves it out and overlays `Causal()`.
    Source: Zaheer et al., "Big Bird: transformers for longer sequences", 2020, section 2.

    >>> bigbird(64, radius=64, tokens=64, random=3, length=4096)
    Local(64) | Global(64) | RandomBlocks(3, block=64, seed=0, length=4096)
    """
    whole("random", random, least=1)
    return Local(radius) | Global(tokens) | RandomBlocks(random, block, seed, length)
