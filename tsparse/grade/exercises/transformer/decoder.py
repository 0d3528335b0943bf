"""`transformer.decoder_layer`: causal self-attention, cross-attention, feed-forward."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.transformer.parts import (
    NO_LAYER,
    Weights,
    attention_weights,
    draw_padding,
    draw_weights,
    feed_forward,
    layer_norm,
    most_on_fillers,
    multi_head,
    over_keys,
    padding_axes,
)

Mask = Tensor | None
Step = Callable[[Tensor], Tensor]


def decoder_layer(
    y: Tensor, memory: Tensor, weights: Weights, heads: int, memory_padding: Mask = None
) -> Tensor:
    """Reference: `[B, T, E]` from y `[B, T, E]` and memory `[B, S, E]`, True for real tokens of memory."""
    y = y + look_back(y, weights, heads, causal(y))
    y = y + look_across(y, memory, weights, heads, over_keys(memory_padding))
    return y + think(y, weights)


def causal(y: Tensor) -> Tensor:
    """The causal mask [T, T]."""
    return torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).tril()


def look_back(y: Tensor, weights: Weights, heads: int, mask: Mask) -> Tensor:
    """Self-attention on the normalised tokens."""
    h = layer_norm(y, weights, "norm1")
    return multi_head(h, h, weights, "self_attn", heads, mask)


def look_across(
    y: Tensor, memory: Tensor, weights: Weights, heads: int, mask: Mask, norm: str = "norm2"
) -> Tensor:
    """Cross-attention: normalised tokens of y read memory as it is."""
    return multi_head(layer_norm(y, weights, norm), memory, weights, "multihead_attn", heads, mask)


def think(y: Tensor, weights: Weights, norm: str = "norm3") -> Tensor:
    """Feed-forward on the normalised tokens."""
    return feed_forward(layer_norm(y, weights, norm), weights)


def cases(rng: Generator) -> list[Case]:
    """All sizes different, all alike, padding; then one token on either side, float32, a transposed view."""

    def case(
        name: str, sizes: tuple[int, int, int, int, int, int], padded: bool = False, edge: bool = False
    ) -> Case:
        batch, t, s, width, heads, wide = sizes
        padding = (draw_padding(rng, batch, s),) if padded else ()
        y, memory = normal(rng, batch, t, width), normal(rng, batch, s, width)
        return Case(name, (y, memory, draw_weights(rng, width, wide, True), heads, *padding), edge)

    single = draw_weights(rng, 6, 10, cross=True, dtype=torch.float32)
    y, memory = (normal(rng, 2, n, 6, dtype=torch.float32) for n in (4, 5))
    crosswise = [transposed_view(normal(rng, 2, n, 6)) for n in (4, 5)]
    return [
        case("2 texts, 5 tokens out, 7 in, width 6, 3 heads", (2, 5, 7, 6, 3, 10)),
        case("every size is 4, 2 heads", (4, 4, 4, 4, 2, 4)),
        case("3 texts, 4 tokens out, 7 in, some of them padding", (3, 4, 7, 6, 2, 11), padded=True),
        case("5 texts, 5 tokens out, 5 in, some of them padding", (5, 5, 5, 8, 4, 8), padded=True),
        case("one token out", (2, 1, 5, 6, 3, 10), edge=True),
        case("one token in", (2, 4, 1, 6, 3, 10), edge=True),
        case("more tokens out than in, one head", (2, 7, 3, 6, 1, 10), padded=True, edge=True),
        Case("transposed views", (*crosswise, draw_weights(rng, 6, 10, True), 3), edge=True),
        Case("float32", (y, memory, single, 3, draw_padding(rng, 2, 5)), edge=True),
    ]


def with_masks(y: Tensor, memory: Tensor, weights: Weights, heads: int, back: Mask, across: Mask) -> Tensor:
    """The layer with other masks."""
    y = y + look_back(y, weights, heads, back)
    y = y + look_across(y, memory, weights, heads, across)
    return y + think(y, weights)


def causal_across(y: Tensor, memory: Tensor, padding: Mask) -> Tensor:
    """The causal mask put on cross-attention too, [T, S] or [B, 1, T, S]."""
    mask = torch.ones(y.shape[1], memory.shape[1], dtype=torch.bool).tril()
    first = torch.arange(memory.shape[1]) == 0  # real in every row: draw_padding says so
    return mask if padding is None else mask & (padding[:, None, None, :] | first)


def in_order(y: Tensor, weights: Weights, parts: list[Step]) -> Tensor:
    """Parts added one after another, then feed-forward."""
    for part in parts:
        y = y + part(y)
    return y + think(y, weights)


def wrong_norms(
    y: Tensor, memory: Tensor, weights: Weights, heads: int, padding: Mask, across: str, last: str
) -> Tensor:
    """The layer with other norms before cross-attention and feed-forward."""
    y = y + look_back(y, weights, heads, causal(y))
    y = y + look_across(y, memory, weights, heads, over_keys(padding), across)
    return y + think(y, weights, last)


def without_residual(
    y: Tensor, memory: Tensor, weights: Weights, heads: int, padding: Mask, part: int
) -> Tensor:
    """Part 1, 2 or 3 replaces y instead of being added."""
    y = (part != 1) * y + look_back(y, weights, heads, causal(y))
    y = (part != 2) * y + look_across(y, memory, weights, heads, over_keys(padding))
    return (part != 3) * y + think(y, weights)


def reads_itself(y: Tensor, memory: Tensor, weights: Weights, heads: int) -> Tensor:
    """Cross-attention with y in the place of memory."""
    y = y + look_back(y, weights, heads, causal(y))
    h = layer_norm(y, weights, "norm2")
    y = y + multi_head(h, h, weights, "multihead_attn", heads, causal(y))
    return y + think(y, weights)


def reads_old_norm(y: Tensor, memory: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Cross-attention with the queries of self-attention, made before it was added."""
    h = layer_norm(y, weights, "norm1")
    y = y + multi_head(h, h, weights, "self_attn", heads, causal(y))
    y = y + multi_head(h, memory, weights, "multihead_attn", heads, over_keys(padding))
    return y + think(y, weights)


def same_weights(y: Tensor, memory: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Cross-attention with the weights of self-attention."""
    y = y + look_back(y, weights, heads, causal(y))
    h = layer_norm(y, weights, "norm2")
    y = y + multi_head(h, memory, weights, "self_attn", heads, over_keys(padding))
    return y + think(y, weights)


def post_norm(y: Tensor, memory: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Each sum is normalised."""
    across = over_keys(padding)
    y = layer_norm(y + multi_head(y, y, weights, "self_attn", heads, causal(y)), weights, "norm1")
    y = layer_norm(y + multi_head(y, memory, weights, "multihead_attn", heads, across), weights, "norm2")
    return layer_norm(y + feed_forward(y, weights), weights, "norm3")


def relu(y: Tensor, memory: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """ReLU in the place of GELU."""
    y = y + look_back(y, weights, heads, causal(y))
    y = y + look_across(y, memory, weights, heads, over_keys(padding))
    return y + feed_forward(layer_norm(y, weights, "norm3"), weights, F.relu)


def says_future(mistake: Mistake) -> str:
    """For self-attention without a causal mask: how much of the future token 0 reads."""
    y, _, weights, heads = mistake.case.args[:4]
    h = layer_norm(y, weights, "norm1")
    shares, _ = attention_weights(h, h, weights, "self_attn", heads)
    ahead = float(shares[..., 0, 1:].sum(-1).max())
    return (
        f"Token 0 gives weight {ahead:.2g} to later tokens: with {y.shape[1]} tokens, change token "
        f"{y.shape[1] - 1} and the output of token 0 moves. Self-attention must be causal."
    )


def says_fillers(mistake: Mistake) -> str:
    """For memory padding that is ignored."""
    y, memory, weights, heads, padding = mistake.case.args
    y = y + look_back(y, weights, heads, causal(y))
    h = layer_norm(y, weights, "norm2")
    most = most_on_fillers(h, memory, weights, "multihead_attn", heads, padding)
    return f"Padding tokens of the input get weight up to {most:.2g}; they should get 0."


PADDING_AXES = padding_axes("memory_padding", "T, S")

DECODER_LAYER = Exercise(
    id="transformer.decoder_layer",
    title="A decoder layer",
    minutes=30,
    points=20,
    difficulty="hard",
    spec=decoder_layer,
    cases=cases,
    forbidden=NO_LAYER,
    hints=(
        "Three parts of one form, y plus (something made of the normalised y): self-attention with norm1, "
        "cross-attention with norm2, feed-forward with norm3. Each begins with the y of the one before.",
        "Self-attention gets a causal mask [T, T]. Cross-attention is `multi_head` with the normalised y "
        "first and `memory`, as it is, second; its weights are called `multihead_attn`.",
        "Cross-attention is not causal: every output token may read the whole input. Its only mask is "
        "`memory_padding[:, None, None, :]`, if there is one.",
    ),
    wrong=(
        Wrong(
            "not causal",
            says_future,
            lambda y, memory, w, heads, padding=None: with_masks(
                y, memory, w, heads, None, over_keys(padding)
            ),
        ),
        Wrong(
            "cross-attention causal too",
            "Output token 0 sees only input token 0; the whole input is known. Libraries shipped this.",
            lambda y, memory, w, heads, padding=None: with_masks(
                y, memory, w, heads, causal(y), causal_across(y, memory, padding)
            ),
        ),
        Wrong(
            "own key hidden",
            "Token 0 sees nothing and is NaN: a token may see itself, so the causal mask keeps its diagonal.",
            lambda y, memory, w, heads, padding=None: with_masks(
                y, memory, w, heads, causal(y).tril(-1), over_keys(padding)
            ),
        ),
        Wrong(
            "padding as it is",
            PADDING_AXES,
            lambda y, memory, w, heads, padding=None: with_masks(y, memory, w, heads, causal(y), padding),
            raises=True,
        ),
        Wrong(
            "padding [B, 1, S]",
            PADDING_AXES,
            lambda y, memory, w, heads, padding=None: with_masks(
                y, memory, w, heads, causal(y), None if padding is None else padding[:, None]
            ),
            raises=True,
        ),
        Wrong(
            "norm before self-attention used again",
            "Cross-attention reads the normalised y of self-attention. y has grown since: normalise it anew, "
            "with norm2.",
            lambda y, memory, w, heads, padding=None: reads_old_norm(y, memory, w, heads, padding),
        ),
        Wrong(
            "reads itself",
            "Cross-attention takes keys and values from y, not from memory.",
            lambda y, memory, w, heads, padding=None: reads_itself(y, memory, w, heads),
        ),
        Wrong(
            "memory normalised again",
            "`norm2` is for y; the encoder's output comes as it is.",
            lambda y, memory, w, heads, padding=None: decoder_layer(
                y, layer_norm(memory, w, "norm2"), w, heads, padding
            ),
        ),
        Wrong(
            "last residual missing",
            "Feed-forward replaces y instead of being added.",
            lambda y, memory, w, heads, padding=None: without_residual(y, memory, w, heads, padding, 3),
        ),
        Wrong(
            "cross-attention replaces y",
            "Cross-attention replaces y instead of being added.",
            lambda y, memory, w, heads, padding=None: without_residual(y, memory, w, heads, padding, 2),
        ),
        Wrong(
            "self-attention replaces y",
            "Self-attention replaces y instead of being added.",
            lambda y, memory, w, heads, padding=None: without_residual(y, memory, w, heads, padding, 1),
        ),
        Wrong(
            "memory padding ignored",
            says_fillers,
            lambda y, memory, w, heads, padding=None: decoder_layer(y, memory, w, heads),
        ),
        Wrong(
            "padding inverted",
            "Real tokens of memory are hidden and fillers are read: True is a real token.",
            lambda y, memory, w, heads, padding=None: decoder_layer(
                y, memory, w, heads, None if padding is None else ~padding
            ),
        ),
        Wrong(
            "no cross-attention",
            "Changing memory changes nothing: there is no cross-attention.",
            lambda y, memory, w, heads, padding=None: in_order(
                y, w, [lambda y: look_back(y, w, heads, causal(y))]
            ),
        ),
        Wrong(
            "no self-attention",
            "There is no self-attention: each output token knows nothing of the ones before it.",
            lambda y, memory, w, heads, padding=None: in_order(
                y, w, [lambda y: look_across(y, memory, w, heads, over_keys(padding))]
            ),
        ),
        Wrong(
            "cross-attention first",
            "Cross-attention comes second; yours comes before self-attention.",
            lambda y, memory, w, heads, padding=None: in_order(
                y,
                w,
                [
                    lambda y: look_across(y, memory, w, heads, over_keys(padding)),
                    lambda y: look_back(y, w, heads, causal(y)),
                ],
            ),
        ),
        Wrong(
            "one set of weights",
            "Cross-attention has weights of its own, `multihead_attn`; yours takes those of `self_attn`.",
            lambda y, memory, w, heads, padding=None: same_weights(y, memory, w, heads, padding),
        ),
        Wrong(
            "norm1 for cross-attention",
            "Cross-attention uses norm1's weights; its own are norm2's.",
            lambda y, memory, w, heads, padding=None: wrong_norms(
                y, memory, w, heads, padding, "norm1", "norm3"
            ),
        ),
        Wrong(
            "norm2 for feed-forward",
            "Feed-forward uses norm2's weights; its own are norm3's.",
            lambda y, memory, w, heads, padding=None: wrong_norms(
                y, memory, w, heads, padding, "norm2", "norm2"
            ),
        ),
        Wrong(
            "post-norm",
            "You normalise after adding; pre-norm normalises what goes *into* each part.",
            lambda y, memory, w, heads, padding=None: post_norm(y, memory, w, heads, padding),
        ),
        Wrong(
            "ReLU",
            "The non-linearity is GELU; yours is ReLU.",
            lambda y, memory, w, heads, padding=None: relu(y, memory, w, heads, padding),
        ),
    ),
)
