"""One layout for each pattern and size, made at the first forward and kept."""

from __future__ import annotations

from functools import lru_cache

import torch

from ..layout import BlockLayout
from ..patterns import Padding, Pattern

LAYOUTS_KEPT = 64
PADDED_KEPT = 8  # padding comes with one batch and not again, but layers share it


@torch.compiler.disable(reason='layouts are made outside of graphs; backend="reference" needs none')
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
    and layers with one pattern always do. The `LAYOUTS_KEPT` used last are kept, and `PADDED_KEPT` of those
    with padding. They are made outside of inference mode, whose tensors could not train later.

    Raises RuntimeError under `torch.export`, which cannot make a layout, only use one that was kept.
    """
    kept = _kept if padding is None else _kept_padded
    return kept(pattern, padding, n_q, n_kv, q_offset, block, heads, device)


def _make(
    pattern: Pattern,
    padding: Padding | None,
    n_q: int,
    n_kv: int,
    q_offset: int,
    block: int | tuple[int, int],
    heads: int,
    device: torch.device,
) -> BlockLayout:
    """A layout that is not kept yet."""
    if torch.compiler.is_exporting():
        raise RuntimeError(
            "torch.export cannot make a layout: run the model once on the input to export, "
            'or build it with backend="reference"'
        )
    with torch.inference_mode(False):
        both = pattern if padding is None else pattern & padding
        return both.layout(n_q, n_kv, block=block, heads=heads, q_offset=q_offset, device=device)


_kept, _kept_padded = lru_cache(LAYOUTS_KEPT)(_make), lru_cache(PADDED_KEPT)(_make)
