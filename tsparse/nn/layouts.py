"""One layout for each pattern and size, made at the first forward and kept."""

from __future__ import annotations

from functools import lru_cache

import torch

from ..layout import BlockLayout
from ..patterns import Padding, Pattern

LAYOUTS_KEPT = 64


@torch.compiler.disable
@lru_cache(LAYOUTS_KEPT)
def kept_layout(
    pattern: Pattern,
    padding: Padding | None,
    n_q: int,
    n_kv: int,
    q_offset: int,
    block: int | tuple[int, int],
    heads: int,
    device: torch.device,
) -> BlockLayout:
    """The layout of `pattern`, or of `pattern & padding`; the one made before if all arguments are the same.

    Patterns are the same if they are one object, so that layers with different patterns never share a layout
    and layers with one pattern always do. The `LAYOUTS_KEPT` used last are kept. They are made outside of
    inference mode, whose tensors could not train later.
    """
    with torch.inference_mode(False):
        both = pattern if padding is None else pattern & padding
        return both.layout(n_q, n_kv, block=block, heads=heads, q_offset=q_offset, device=device)
