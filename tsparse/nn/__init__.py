"""Modules with sparse attention: positions, multi-head attention, layers, models.

Plain modules with plain arguments, on tokens `[B, N, E]`. Weights carry PyTorch's names: what was trained
with `nn.MultiheadAttention` or `nn.TransformerEncoderLayer` loads as it is and computes the same.

    model = LanguageModel(256, dim=64, heads=4, depth=2, pattern=SlidingWindow(128), position=Rotary(16))
    scores = model(tokens)  # [B, N, 256]
"""

from .attention import MultiHeadAttention, SparseSelfAttention
from .layers import TransformerLayer
from .models import Classifier, Decoder, Encoder, LanguageModel, Transformer
from .positions import ALiBi, Rotary, Sinusoidal, alibi_slopes, rotary, sinusoidal
from .recurrent import Recurrent

__all__ = [
    "ALiBi",
    "Classifier",
    "Decoder",
    "Encoder",
    "LanguageModel",
    "MultiHeadAttention",
    "Recurrent",
    "Rotary",
    "Sinusoidal",
    "SparseSelfAttention",
    "Transformer",
    "TransformerLayer",
    "alibi_slopes",
    "rotary",
    "sinusoidal",
]
