"""Modules with sparse attention: positions and multi-head attention.

Plain modules with plain arguments, on tokens `[B, N, E]`. Weights carry PyTorch's names: what was trained
with `nn.MultiheadAttention` loads as it is and computes the same.
"""

from .attention import MultiHeadAttention, SparseSelfAttention
from .positions import ALiBi, Rotary, Sinusoidal, alibi_slopes, rotary, sinusoidal

__all__ = [
    "ALiBi",
    "MultiHeadAttention",
    "Rotary",
    "Sinusoidal",
    "SparseSelfAttention",
    "alibi_slopes",
    "rotary",
    "sinusoidal",
]
