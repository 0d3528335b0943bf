"""`heads.split`: channels cut into heads, `[B, N, H*D]` to `[B, H, N, D]`."""

from __future__ import annotations

import torch
from torch import Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong


def split(x: Tensor, heads: int) -> Tensor:
    """Reference: head h takes the channels h*D to (h+1)*D of every token."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def numbered(tokens: int, channels: int) -> Tensor:
    """`[1, tokens, channels]`: ten times the token plus the channel, so that every number says its place."""
    return 10.0 * torch.arange(tokens, dtype=torch.float64)[None, :, None] + torch.arange(channels)


def cases(rng: torch.Generator) -> list[Case]:
    """Numbers that say their place, then all axes different, then all equal; few heads and few channels."""
    return [
        Case("3 tokens of 8 channels (number = 10 * token + channel), 2 heads", (numbered(3, 8), 2)),
        Case("batch 2, 5 tokens, 3 heads of 4 channels", (normal(rng, 2, 5, 12), 3)),
        Case("batch 2, 7 tokens, 4 heads of 3 channels", (normal(rng, 2, 7, 12), 4)),
        Case("batch, tokens, heads and channels of a head are all 3", (normal(rng, 3, 3, 9), 3)),
        Case("one head", (normal(rng, 2, 5, 6), 1), edge=True),
        Case("as many heads as channels", (normal(rng, 2, 5, 6), 6), edge=True),
        Case("one token", (normal(rng, 2, 1, 12), 3), edge=True),
        Case("more heads than tokens", (normal(rng, 1, 2, 20), 5), edge=True),
        Case("a transposed view", (transposed_view(normal(rng, 2, 5, 12)), 3), edge=True),
        Case("float32, numbers near 800", (800 + normal(rng, 2, 5, 12).float(), 3), edge=True),
    ]


def sizes(m: Mistake) -> tuple[int, int, int, int]:
    """B, N, H and D of a case."""
    x, heads = m.case.args
    return x.shape[0], x.shape[1], heads, x.shape[2] // heads


def in_one_axis(x: Tensor, heads: int) -> Tensor:
    """`[B*H, N, D]`, cut from the list of numbers without a swap: what libraries have shipped."""
    return x.reshape(x.shape[0] * heads, x.shape[1], x.shape[2] // heads)


def cut_anew(x: Tensor, heads: int) -> Tensor:
    """`[B, H, N, D]`, cut from the list of numbers without a swap."""
    return in_one_axis(x, heads).unflatten(0, (-1, heads))


def interleaved(x: Tensor, heads: int) -> Tensor:
    """Head h takes every H-th channel from h on."""
    return x.unflatten(2, (-1, heads)).permute(0, 3, 1, 2)


def _mixed(m: Mistake) -> str:
    _, n, heads, _ = sizes(m)
    head, token, holds = (1, 0, n // heads) if n >= heads else (0, 1, 0)
    return (
        f"Shape right, contents mixed: token {token} of head {head} holds numbers of token {holds}. View to "
        "[B, N, H, D] first, then swap axes 1 and 2."
    )


def _interleaved(m: Mistake) -> str:
    _, _, heads, size = sizes(m)
    yours = ", ".join(str(heads * place) for place in range(min(size, 3)))
    return f"Your head 0 takes channels {yours}{', …' if size > 3 else ''}; it should take 0 to {size - 1}."


def _is(what: str) -> str:
    return f"Your result is [{what}]"


SPLIT = Exercise(
    id="heads.split",
    title="Cut the channels into heads",
    minutes=8,
    points=10,
    difficulty="easy",
    spec=split,
    cases=cases,
    hints=(
        "Two steps. First cut every token's row of H*D channels into H pieces of D, without moving anything. "
        "Then let heads and tokens change places.",
        "`view` may cut an axis into two. After the first step the shape is [B, N, H, D]: axis 1 still "
        "counts the tokens.",
        "Step one is `x.view(B, N, heads, -1)` with B and N from `x.shape`; step two exchanges axes 1 and 2 "
        "with `transpose`.",
    ),
    wrong=(
        Wrong("view without transpose", _mixed, cut_anew),
        Wrong("interleaved", _interleaved, interleaved),
        Wrong(
            "not moved",
            f"{_is('B, N, H, D')}; heads come before tokens: swap axes 1 and 2.",
            lambda x, heads: split(x, heads).transpose(1, 2),
        ),
        Wrong(
            "heads first",
            f"{_is('H, B, N, D')}; the batch stays in front.",
            lambda x, heads: split(x, heads).transpose(0, 1),
        ),
        Wrong(
            "D and N swapped",
            f"{_is('B, H, D, N')}: one swap too many.",
            lambda x, heads: split(x, heads).mT,
        ),
        Wrong(
            "heads taken for their size",
            lambda m: (
                f"You cut into {sizes(m)[3]} heads of {sizes(m)[2]} channels. `heads` is how many there "
                f"are: {sizes(m)[2]}, of {sizes(m)[3]} channels each."
            ),
            lambda x, heads: split(x, x.shape[2] // heads),
        ),
        Wrong(
            "batch and heads in one axis",
            f"{_is('B*H, N, D')}: right numbers, but batch and heads stay two axes, [B, H, N, D].",
            lambda x, heads: split(x, heads).flatten(0, 1),
        ),
        Wrong(
            "batch and heads in one axis, without a swap",
            f"{_is('B*H, N, D')}, and its numbers are mixed: a head holds some tokens whole instead of its "
            "channels of all tokens. View to [B, N, H, D] first, then swap axes 1 and 2.",
            in_one_axis,
        ),
        Wrong(
            "swapped before cutting",
            "Shape right, contents mixed: you exchange tokens and channels before the channels are cut. View "
            "to [B, N, H, D] first, then swap axes 1 and 2.",
            lambda x, heads: cut_anew(x.mT.reshape(x.shape), heads),
        ),
    ),
)
