"""`transformer.encoder_layer`: x plus attention, then x plus feed-forward, each on normalised tokens."""

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
    draw_padding,
    draw_weights,
    feed_forward,
    layer_norm,
    most_on_fillers,
    multi_head,
    over_keys,
    padding_axes,
    tanh_gelu,
    without_biases,
)

Mask = Tensor | None
Half = Callable[[Tensor], Tensor]


def encoder_layer(x: Tensor, weights: Weights, heads: int, padding: Mask = None) -> Tensor:
    """Reference: `[B, N, E]` from x `[B, N, E]`; padding `[B, N]` is True for real tokens."""
    attend, forward = halves(weights, heads, over_keys(padding))
    x = x + attend(layer_norm(x, weights, "norm1"))
    return x + forward(layer_norm(x, weights, "norm2"))


def halves(weights: Weights, heads: int, mask: Mask) -> tuple[Half, Half]:
    """Self-attention and feed-forward, without norm and without residual."""
    return (
        lambda x: multi_head(x, x, weights, "self_attn", heads, mask),
        lambda x: feed_forward(x, weights),
    )


def cases(rng: Generator) -> list[Case]:
    """All sizes different, all alike, padding; then one token, one head, float32 and what lies crosswise."""

    def case(
        name: str, sizes: tuple[int, int, int, int, int], padded: bool = False, edge: bool = False
    ) -> Case:
        batch, n, width, heads, wide = sizes
        padding = (draw_padding(rng, batch, n),) if padded else ()
        weights = draw_weights(rng, width, wide, cross=False)
        return Case(name, (normal(rng, batch, n, width), weights, heads, *padding), edge)

    single = draw_weights(rng, 6, 10, cross=False, dtype=torch.float32)
    crosswise = draw_weights(rng, 6, 10, cross=False)
    real = torch.ones(2, 5, dtype=torch.bool)
    return [
        case("2 texts of 5 tokens, width 6, 3 heads", (2, 5, 6, 3, 10)),
        case("every size is 4, 2 heads", (4, 4, 4, 2, 4)),
        case("3 texts of 7 tokens, some of them padding", (3, 7, 6, 2, 11), padded=True),
        case("4 texts of 4 tokens, some of them padding", (4, 4, 8, 4, 8), padded=True),
        case("one token", (2, 1, 6, 3, 10), edge=True),
        case("one head", (2, 5, 6, 1, 10), padded=True, edge=True),
        case("as many heads as channels", (1, 3, 4, 4, 9), edge=True),
        Case("padding that hides nothing", (normal(rng, 2, 5, 6), crosswise, 2, real), edge=True),
        Case("a transposed view", (transposed_view(normal(rng, 2, 5, 6)), crosswise, 3), edge=True),
        Case("float32", (normal(rng, 2, 5, 6, dtype=torch.float32), single, 3, real.clone()), edge=True),
    ]


def without_residual(x: Tensor, weights: Weights, heads: int, padding: Mask, half: int) -> Tensor:
    """One half replaces x instead of being added; half 1 is attention, half 2 feed-forward."""
    attend, forward = halves(weights, heads, over_keys(padding))
    x = (half != 1) * x + attend(layer_norm(x, weights, "norm1"))
    return (half != 2) * x + forward(layer_norm(x, weights, "norm2"))


def with_norms(x: Tensor, weights: Weights, heads: int, padding: Mask, first: Half, second: Half) -> Tensor:
    """The layer with other norms in front of its halves."""
    attend, forward = halves(weights, heads, over_keys(padding))
    x = x + attend(first(x))
    return x + forward(second(x))


def norm(weights: Weights, name: str) -> Half:
    """A norm as a function."""
    return lambda x: layer_norm(x, weights, name)


def post_norm(x: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Each sum is normalised, as in the paper of 2017."""
    attend, forward = halves(weights, heads, over_keys(padding))
    x = layer_norm(x + attend(x), weights, "norm1")
    return layer_norm(x + forward(x), weights, "norm2")


def stream_normalised(x: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """The normalised x is kept and added to."""
    attend, forward = halves(weights, heads, over_keys(padding))
    x = layer_norm(x, weights, "norm1")
    x = layer_norm(x + attend(x), weights, "norm2")
    return x + forward(x)


def parallel(x: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Both halves read the same x."""
    attend, forward = halves(weights, heads, over_keys(padding))
    return x + attend(layer_norm(x, weights, "norm1")) + forward(layer_norm(x, weights, "norm2"))


def with_forward(x: Tensor, weights: Weights, heads: int, padding: Mask, forward: Half) -> Tensor:
    """The layer with another feed-forward half."""
    attend, _ = halves(weights, heads, over_keys(padding))
    x = x + attend(layer_norm(x, weights, "norm1"))
    return x + forward(layer_norm(x, weights, "norm2"))


def keys_not_normalised(x: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Queries come from the normalised tokens, keys and values from x."""
    read = multi_head(layer_norm(x, weights, "norm1"), x, weights, "self_attn", heads, over_keys(padding))
    x = x + read
    return x + feed_forward(layer_norm(x, weights, "norm2"), weights)


def masked(x: Tensor, weights: Weights, heads: int, mask: Mask) -> Tensor:
    """The layer with a mask of any form."""
    h = layer_norm(x, weights, "norm1")
    x = x + multi_head(h, h, weights, "self_attn", heads, mask)
    return x + feed_forward(layer_norm(x, weights, "norm2"), weights)


def last_sum_normalised(x: Tensor, weights: Weights, heads: int, padding: Mask) -> Tensor:
    """Feed-forward is added to what it read."""
    attend, forward = halves(weights, heads, over_keys(padding))
    x = layer_norm(x + attend(layer_norm(x, weights, "norm1")), weights, "norm2")
    return x + forward(x)


def over_queries(padding: Mask) -> Mask:
    """Padding [B, N] as a mask [B, 1, N, 1]."""
    return None if padding is None else padding[:, None, :, None]


def over_both(padding: Mask) -> Mask:
    """Padding [B, N] as a mask [B, 1, N, N] that hides fillers as keys and as queries."""
    return None if padding is None else padding[:, None, :, None] & padding[:, None, None, :]


def says_fillers(mistake: Mistake) -> str:
    """For padding that is ignored."""
    x, weights, heads, padding = mistake.case.args
    h = layer_norm(x, weights, "norm1")
    most = most_on_fillers(h, h, weights, "self_attn", heads, padding)
    return f"A filler gets weight {most:.2g}; it should get 0. Where does `padding` enter the attention?"


PADDING_AXES = padding_axes("padding", "N, N")

ENCODER_LAYER = Exercise(
    id="transformer.encoder_layer",
    title="An encoder layer",
    minutes=25,
    points=15,
    difficulty="medium",
    spec=encoder_layer,
    cases=cases,
    forbidden=NO_LAYER,
    hints=(
        "Two halves of one form: x plus (something made of the normalised x). The something is "
        "self-attention in the first half and feed-forward in the second. Each half has a norm of its own.",
        "Self-attention: `h = layer_norm(x, weights, 'norm1')`, and h is both arguments of `multi_head`. "
        "Feed-forward: a matrix, GELU, a matrix; a linear layer is `x @ W.T + b`.",
        "The mask must broadcast to [B, heads, N, N] and hide keys, the last axis: "
        "`padding[:, None, None, :]`. The second half begins with the x that the first one returned.",
    ),
    wrong=(
        Wrong(
            "post-norm",
            "You normalise after adding; pre-norm normalises what goes *into* each half.",
            lambda x, w, heads, padding=None: post_norm(x, w, heads, padding),
        ),
        Wrong(
            "no residual",
            "Attention's output replaces x instead of being added.",
            lambda x, w, heads, padding=None: without_residual(x, w, heads, padding, half=1),
        ),
        Wrong(
            "last residual missing",
            "Feed-forward's output replaces x instead of being added.",
            lambda x, w, heads, padding=None: without_residual(x, w, heads, padding, half=2),
        ),
        Wrong(
            "residual after the norm",
            "You add to the normalised x; the stream itself stays untouched by any norm.",
            lambda x, w, heads, padding=None: stream_normalised(x, w, heads, padding),
        ),
        Wrong(
            "last residual after the norm",
            "Feed-forward is added to the normalised x; add it to x itself, which no norm touches.",
            lambda x, w, heads, padding=None: last_sum_normalised(x, w, heads, padding),
        ),
        Wrong(
            "one norm twice",
            "The second half uses norm1's weights; its own are norm2's.",
            lambda x, w, heads, padding=None: with_norms(
                x, w, heads, padding, norm(w, "norm1"), norm(w, "norm1")
            ),
        ),
        Wrong(
            "norms exchanged",
            "norm1 belongs to attention and norm2 to feed-forward; yours are exchanged.",
            lambda x, w, heads, padding=None: with_norms(
                x, w, heads, padding, norm(w, "norm2"), norm(w, "norm1")
            ),
        ),
        Wrong(
            "first norm missing",
            "Attention reads x as it is; `norm1` comes before it.",
            lambda x, w, heads, padding=None: with_norms(x, w, heads, padding, lambda x: x, norm(w, "norm2")),
        ),
        Wrong(
            "second norm missing",
            "Feed-forward reads x as it is; `norm2` comes before it.",
            lambda x, w, heads, padding=None: with_norms(x, w, heads, padding, norm(w, "norm1"), lambda x: x),
        ),
        Wrong(
            "no norms",
            "Your layer normalises nothing: neither `norm1` nor `norm2` is used.",
            lambda x, w, heads, padding=None: with_norms(x, w, heads, padding, lambda x: x, lambda x: x),
        ),
        Wrong(
            "keys not normalised",
            "Queries come from the normalised x, keys and values from x itself: both arguments of "
            "`multi_head` are the normalised one.",
            lambda x, w, heads, padding=None: keys_not_normalised(x, w, heads, padding),
        ),
        Wrong(
            "ReLU",
            "The non-linearity is GELU; yours is ReLU.",
            lambda x, w, heads, padding=None: with_forward(
                x, w, heads, padding, lambda x: feed_forward(x, w, F.relu)
            ),
        ),
        Wrong(
            "tanh GELU",
            'Nearly right: that is GELU\'s approximation with tanh. `activation="gelu"` is the exact one.',
            lambda x, w, heads, padding=None: with_forward(
                x, w, heads, padding, lambda x: feed_forward(x, w, tanh_gelu)
            ),
        ),
        Wrong(
            "no activation",
            "There is no GELU between the two matrices; without it they are one matrix.",
            lambda x, w, heads, padding=None: with_forward(
                x, w, heads, padding, lambda x: feed_forward(x, w, lambda x: x)
            ),
        ),
        Wrong(
            "feed-forward without biases",
            "Right without `linear1.bias` and `linear2.bias`; a fresh layer's are small, these are not.",
            lambda x, w, heads, padding=None: with_forward(
                x, w, heads, padding, lambda x: without_biases(x, w)
            ),
        ),
        Wrong(
            "no feed-forward",
            "You return x + attention; the second half, feed-forward, is missing.",
            lambda x, w, heads, padding=None: with_forward(x, w, heads, padding, torch.zeros_like),
        ),
        Wrong(
            "both halves in parallel",
            "The feed-forward half reads x, not x + attention.",
            lambda x, w, heads, padding=None: parallel(x, w, heads, padding),
        ),
        Wrong(
            "padding inverted",
            "Real tokens are hidden and fillers are read: True in `padding` is a real token, and True in a "
            "mask may be seen.",
            lambda x, w, heads, padding=None: encoder_layer(
                x, w, heads, None if padding is None else ~padding
            ),
        ),
        Wrong("padding ignored", says_fillers, lambda x, w, heads, padding=None: encoder_layer(x, w, heads)),
        Wrong(
            "padding hides queries",
            "Rows of fillers are NaN: your mask hides queries, the third axis. A mask over keys is "
            "[B, 1, 1, N].",
            lambda x, w, heads, padding=None: masked(x, w, heads, over_queries(padding)),
        ),
        Wrong(
            "padding hides queries too",
            "Rows of fillers are NaN: your mask hides all keys from them. A filler may look, it is only not "
            "looked at: [B, 1, 1, N].",
            lambda x, w, heads, padding=None: masked(x, w, heads, over_both(padding)),
        ),
        Wrong(
            "padding as it is",
            PADDING_AXES,
            lambda x, w, heads, padding=None: masked(x, w, heads, padding),
            raises=True,
        ),
        Wrong(
            "padding [B, 1, N]",
            PADDING_AXES,
            lambda x, w, heads, padding=None: masked(
                x, w, heads, None if padding is None else padding[:, None]
            ),
            raises=True,
        ),
        Wrong(
            "fillers set to 0",
            "You set the rows of fillers to 0. Nobody reads them: leave them as they were computed.",
            lambda x, w, heads, padding=None: (
                encoder_layer(x, w, heads, padding) * (1 if padding is None else padding[..., None])
            ),
        ),
        Wrong(
            "causal",
            "Token 0 sees only itself. An encoder reads the whole text; no causal mask here.",
            lambda x, w, heads, padding=None: masked(x, w, heads, causal_and(padding, x.shape[1])),
        ),
    ),
)


def causal_and(padding: Mask, n: int) -> Tensor:
    """A causal mask [n, n], with padding if there is some."""
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    return causal if padding is None else causal & padding[:, None, None, :]
