"""Stacks of layers and whole models: encoder, decoder, encoder-decoder, language model, classifier.

A `pattern` is one for all layers or a list with one for each; different heads of a layer get different
patterns from a pattern that tells heads apart. Tokens beyond a row's real length are padding: give `lengths`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import whole
from ..attention import Backend
from ..patterns import Causal, Full, Padding, Pattern
from .attention import check_tokens
from .layers import TransformerLayer
from .positions import ALiBi, Rotary, Sinusoidal

Patterns = Pattern | Sequence[Pattern]
Position = Sinusoidal | Rotary | ALiBi | None


class _Stack(nn.Module):
    """`depth` layers and a last norm, the body of `Encoder` and `Decoder`."""

    cross_attention: bool
    usual: Pattern

    def __init__(
        self,
        dim: int,
        heads: int,
        depth: int,
        pattern: Patterns | None = None,
        block: int | tuple[int, int] = 64,
        kv_heads: int | None = None,
        bias: bool = True,
        position: Rotary | ALiBi | None = None,
        backend: Backend = "auto",
        norm_first: bool = True,
        feed_forward: int | None = None,
        activation: Callable[[Tensor], Tensor] = F.gelu,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(
                dim,
                heads,
                one,
                block,
                kv_heads,
                bias,
                position,
                backend,
                cross_attention=self.cross_attention,
                norm_first=norm_first,
                feed_forward=feed_forward,
                activation=activation,
                dropout=dropout,
            )
            for one in _each_layer(self.usual if pattern is None else pattern, depth)
        )
        self.norm = nn.LayerNorm(dim, bias=bias)


class Encoder(_Stack):
    """`depth` layers and a last norm; weights are named as in `nn.TransformerEncoder(layer, depth, norm)`.

    The other arguments are those of `TransformerLayer`. With causal patterns this is the body of a language
    model. Raises TypeError or ValueError for sizes that do not fit.
    """

    cross_attention, usual = False, Full()

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """`[B, N, E]` from `x [B, N, E]`, of which the first `lengths[b]` tokens are real (default: all)."""
        check_tokens("x", x, self.norm.weight)
        padding = _padding("lengths", lengths, x)
        for layer in self.layers:
            x = layer(x, padding=padding)
        return self.norm(x)


class Decoder(_Stack):
    """`depth` layers with cross-attention and a last norm, named as in `nn.TransformerDecoder`.

    `pattern` is that of self-attention, `Causal()` by default, and is taken as it is: one that is not causal
    lets a token see the future. The other arguments are those of `TransformerLayer`. Raises TypeError or
    ValueError for sizes that do not fit.
    """

    cross_attention, usual = True, Causal()

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        memory_lengths: Tensor | Sequence[int] | None = None,
    ) -> Tensor:
        """`[B, N, E]` from `x [B, N, E]` and `memory [B, M, E]`, with their real lengths (default: all)."""
        check_tokens("x", x, self.norm.weight)
        check_tokens("memory", memory, self.norm.weight)
        padding, of_memory = (
            _padding("lengths", lengths, x),
            _padding("memory_lengths", memory_lengths, memory),
        )
        memory_mask = None if of_memory is None else _real(of_memory, memory)[:, None, None]  # [B, 1, 1, M]
        for layer in self.layers:
            x = layer(x, memory, padding, memory_mask)
        return self.norm(x)


class Transformer(nn.Module):
    """Encoder and decoder with their embeddings and scores over the target vocabulary, for translation.

    `encoder_pattern` and `decoder_pattern` default to `Full()` and `Causal()`; `depth` is that of each stack.
    `position` is Sinusoidal(dim) (added to the embeddings), Rotary(dim // heads) or ALiBi(heads) (of
    self-attention), or None. Raises TypeError or ValueError for sizes that do not fit.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        dim: int,
        heads: int,
        depth: int,
        encoder_pattern: Patterns | None = None,
        decoder_pattern: Patterns | None = None,
        position: Position = None,
        block: int | tuple[int, int] = 64,
        backend: Backend = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        inside = _inside(position, dim)
        self.source = nn.Embedding(whole("source_vocabulary", source_vocabulary, least=1), dim)
        self.target = nn.Embedding(whole("target_vocabulary", target_vocabulary, least=1), dim)
        self.position = position
        self.encoder = Encoder(
            dim, heads, depth, encoder_pattern, block, position=inside, backend=backend, dropout=dropout
        )
        self.decoder = Decoder(
            dim, heads, depth, decoder_pattern, block, position=inside, backend=backend, dropout=dropout
        )
        self.head = nn.Linear(dim, target_vocabulary)

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | Sequence[int] | None = None,
        target_lengths: Tensor | Sequence[int] | None = None,
    ) -> Tensor:
        """Scores `[B, T, target_vocabulary]` of what follows each token of `target [B, T]`.

        `source [B, S]` and `target` are integers; the first `lengths[b]` tokens of each are real (default:
        all). Raises TypeError or ValueError naming the argument that does not fit.
        """
        memory = self.encoder(_embed("source", source, self.source, self.position), source_lengths)
        x = _embed("target", target, self.target, self.position)
        return self.head(self.decoder(x, memory, target_lengths, source_lengths))


class LanguageModel(nn.Module):
    """Scores of the next token, from the tokens so far.

    `pattern` is `Causal()` by default and taken as it is (`Causal() | Prefix(n)` is a prefix language model):
    one that is not causal lets a token see the future. `position` as in `Transformer`. Raises TypeError or
    ValueError for sizes that do not fit.
    """

    def __init__(
        self,
        vocabulary: int,
        dim: int,
        heads: int,
        depth: int,
        pattern: Patterns | None = None,
        position: Position = None,
        block: int | tuple[int, int] = 64,
        kv_heads: int | None = None,
        backend: Backend = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        inside = _inside(position, dim)
        self.embedding = nn.Embedding(whole("vocabulary", vocabulary, least=1), dim)
        self.position = position
        pattern = Causal() if pattern is None else pattern
        self.body = Encoder(
            dim, heads, depth, pattern, block, kv_heads, position=inside, backend=backend, dropout=dropout
        )
        self.head = nn.Linear(dim, vocabulary, bias=False)

    def forward(self, tokens: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Scores `[B, N, vocabulary]` of what follows each of the integers `tokens [B, N]`.

        Padding at the end is seen by no real token of a causal model; `lengths` serve patterns that look
        ahead. Raises TypeError or ValueError naming the argument that does not fit.
        """
        return self.head(self.body(_embed("tokens", tokens, self.embedding, self.position), lengths))


class Classifier(nn.Module):
    """Scores of classes, from the mean over the real tokens of a text.

    `pattern` is `Full()` by default, `position` as in `Transformer`. Raises TypeError or ValueError for sizes
    that do not fit.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        dim: int,
        heads: int,
        depth: int,
        pattern: Patterns | None = None,
        position: Position = None,
        block: int | tuple[int, int] = 64,
        kv_heads: int | None = None,
        backend: Backend = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        inside = _inside(position, dim)
        self.embedding = nn.Embedding(whole("vocabulary", vocabulary, least=1), dim)
        self.position = position
        self.body = Encoder(
            dim, heads, depth, pattern, block, kv_heads, position=inside, backend=backend, dropout=dropout
        )
        self.head = nn.Linear(dim, whole("classes", classes, least=1))

    def forward(self, tokens: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Scores `[B, classes]` of integers `tokens [B, N]`, the first `lengths[b]` real (default: all).

        A text of length 0 has mean 0. Raises TypeError or ValueError naming the argument that does not fit.
        """
        x = self.body(_embed("tokens", tokens, self.embedding, self.position), lengths)
        padding = _padding("lengths", lengths, x)
        if padding is None:
            return self.head(x.mean(dim=1))
        real = _real(padding, x)[..., None]  # [B, N, 1]
        total = x.masked_fill(~real, 0.0).sum(dim=1)
        return self.head(total / real.sum(dim=1).clamp(min=1))


def _each_layer(pattern: Patterns, depth: int) -> Sequence[Pattern]:
    """The pattern of each of `depth` layers."""
    whole("depth", depth, least=1)
    if isinstance(pattern, Pattern):
        return [pattern] * depth
    if not isinstance(pattern, list | tuple):
        raise TypeError(f"pattern must be a Pattern or a list of them, got {type(pattern).__name__}")
    if len(pattern) != depth:
        raise ValueError(f"pattern must have one entry for each of {depth} layers, got {len(pattern)}")
    return pattern


def _inside(position: Position, dim: int) -> Rotary | ALiBi | None:
    """What of `position` works inside attention; TypeError or ValueError if it does not go with `dim`."""
    whole("dim", dim, least=1)
    if not isinstance(position, Sinusoidal):
        return position
    if position.dim != dim:
        raise ValueError(f"position is Sinusoidal({position.dim}), but dim is {dim}")
    return None


def _embed(name: str, tokens: Tensor, embedding: nn.Embedding, position: Position) -> Tensor:
    """Embeddings `[B, N, E]` of integers `[B, N]`, with their places added where `position` says so."""
    if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int32, torch.int64):
        got = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
        raise TypeError(f"{name} must be an int32 or int64 tensor, got {got}")
    if tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(f"{name} must be [batch, tokens], none of them 0, got {list(tokens.shape)}")
    x = embedding(tokens)
    return position(x) if isinstance(position, Sinusoidal) else x


def _padding(name: str, lengths: Tensor | Sequence[int] | None, x: Tensor) -> Padding | None:
    """The pattern of real lengths; ValueError if there is not one for each row of `x`, or one is too long."""
    if lengths is None:
        return None
    padding = Padding(lengths)
    known = not torch.compiler.is_exporting()  # values come when the exported program runs
    if padding.batch != x.shape[0] or (known and int(padding.lengths.max()) > x.shape[1]):
        raise ValueError(
            f"{name} must be {x.shape[0]} numbers, each at most {x.shape[1]}, got {padding.lengths.tolist()}"
        )
    return padding


def _real(padding: Padding, x: Tensor) -> Tensor:
    """Which tokens of `x [B, N, E]` are real: bool `[B, N]`."""
    return torch.arange(x.shape[1], device=x.device) < padding.lengths.to(x.device)[:, None]
