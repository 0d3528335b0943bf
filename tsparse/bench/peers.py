"""What people would use instead: SDPA, compiled FlexAttention, the attention modules of Hugging Face.

Each function prepares one and returns a call that does one forward pass, `[B, H, N, D]` or `[B, N, E]`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from ..attention import sparse_attention
from ..layout import BlockLayout
from .racing import NotMeasured
from .subjects import MaskMod

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def ours(layout: BlockLayout) -> Attend:
    """`sparse_attention` with a layout."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = sparse_attention(q, k, v, layout)
        assert isinstance(out, Tensor)  # no lse was asked for
        return out

    return attend


def flex(mask_mod: MaskMod, n: int, block: int) -> Attend:
    """FlexAttention, compiled for this mask alone on its first call; NotMeasured without a C++ compiler.

    A function compiled for many masks goes dense after eight of them, so nothing compiled before is kept.
    """
    torch._dynamo.reset()
    block_mask = create_block_mask(mask_mod, None, None, n, n, device="cpu", BLOCK_SIZE=block)
    compiled = torch.compile(flex_attention, fullgraph=True, dynamic=False)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        try:
            return compiled(q, k, v, block_mask=block_mask)
        except RuntimeError as error:
            if "InvalidCxxCompiler" not in str(error):
                raise
            raise NotMeasured("it needs a C++ compiler: install g++ or clang, or name one in CXX") from None

    return attend


def masked(mask: Tensor) -> Attend:
    """SDPA with a boolean mask `[N, N]`."""
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask)


def dense(causal: bool) -> Attend:
    """SDPA without a mask."""
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def dense_mask(mask_mod: MaskMod, n: int) -> Tensor:
    """What a mask_mod says for n queries and n keys, bool `[n, n]`."""
    index = torch.arange(n)
    zero = torch.zeros((), dtype=torch.int64)
    return mask_mod(zero, zero, index[:, None], index)


def gradients(attend: Attend, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> tuple[Tensor, ...]:
    """Forward and backward: output and gradients of q, k and v, which require them."""
    out = attend(q, k, v)
    return out.detach(), *torch.autograd.grad(out, (q, k, v), dout)


def longformer_module(dim: int, heads: int, radius: int, x: Tensor) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Hugging Face's LongformerSelfAttention on `x [1, N, E]`, `|q - k| <= radius`, no global tokens.

    It projects x to q, k and v, attends, and returns the heads side by side. Raises NotMeasured.
    """
    room = _transformers("longformer", "modeling_longformer")
    config = _transformers("longformer", "configuration_longformer").LongformerConfig(
        hidden_size=dim,
        num_attention_heads=heads,
        attention_window=[2 * radius],
        attention_probs_dropout_prob=0.0,
    )
    module = room.LongformerSelfAttention(config, layer_id=0).eval()
    nothing = torch.zeros(x.shape[:2])
    none = nothing.bool()

    def call() -> Tensor:
        return module(x, nothing, is_index_masked=none, is_index_global_attn=none, is_global_attn=False)[0]

    return module, call


def bigbird_module(
    dim: int, heads: int, block: int, random: int, x: Tensor
) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Hugging Face's BigBirdBlockSparseAttention on `x [1, N, E]`, in evaluation.

    It projects x to q, k and v, attends, and returns the heads side by side. In eval() it takes block 0
    in place of each of its random blocks: the work is the same, the result is not. Raises NotMeasured.
    """
    room = _transformers("big_bird", "modeling_big_bird")
    config = _transformers("big_bird", "configuration_big_bird").BigBirdConfig(
        hidden_size=dim, num_attention_heads=heads, block_size=block, num_random_blocks=random, use_bias=True
    )
    module = room.BigBirdBlockSparseAttention(config).eval()
    everything = torch.ones(x.shape[:2])
    blocked, band, rows, columns = room.BigBirdModel.create_masks_for_block_sparse_attn(everything, block)
    return module, lambda: module(x, band, rows, columns, blocked, blocked)[0]


def between_projections(module: Any, layout: BlockLayout, heads: int, x: Tensor) -> Callable[[], Tensor]:
    """Ours in the place of a module's attention: its own three projections, and the heads side by side."""

    def call() -> Tensor:
        q, k, v = (
            project(x).unflatten(2, (heads, -1)).transpose(1, 2)  # [B, H, N, D]
            for project in (module.query, module.key, module.value)
        )
        return ours(layout)(q, k, v).transpose(1, 2).flatten(2)

    return call


def _transformers(model: str, file: str) -> Any:
    """A file of a model of `transformers`, which is told to look nothing up."""
    if importlib.util.find_spec("transformers") is None:
        raise NotMeasured("transformers is not installed: in the course's folder, pip install -e '.[bench]'")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return importlib.import_module(f"transformers.models.{model}.{file}")
