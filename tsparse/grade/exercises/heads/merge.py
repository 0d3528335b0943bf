"""`heads.merge`: heads laid side by side again, `[B, H, N, D]` to `[B, N, H*D]`."""

from __future__ import annotations

import torch
from torch import Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.heads.split import numbered, split


def merge(x: Tensor) -> Tensor:
    """Reference: the inverse of `split`."""
    return x.transpose(1, 2).flatten(2)


def cases(rng: torch.Generator) -> list[Case]:
    """Numbers that say their place, then all axes different, then all equal; few heads and few channels."""
    places = split(numbered(3, 8), 2).contiguous()
    return [
        Case("2 heads, 3 tokens, 4 channels (number = 10 * token + channel of the result)", (places,)),
        Case("batch 2, 3 heads, 5 tokens, 4 channels", (normal(rng, 2, 3, 5, 4),)),
        Case("batch 2, 4 heads, 7 tokens, 3 channels", (normal(rng, 2, 4, 7, 3),)),
        Case("every axis is 3", (normal(rng, 3, 3, 3, 3),)),
        Case("one head", (normal(rng, 2, 1, 5, 6),), edge=True),
        Case("one channel in each head", (normal(rng, 2, 6, 5, 1),), edge=True),
        Case("one token", (normal(rng, 2, 3, 1, 4),), edge=True),
        Case("more heads than tokens", (normal(rng, 1, 5, 2, 4),), edge=True),
        Case("a transposed view", (transposed_view(normal(rng, 2, 3, 5, 4)),), edge=True),
        Case("float32, numbers near 800", (800 + normal(rng, 2, 3, 5, 4).float(),), edge=True),
    ]


def cut_anew(x: Tensor) -> Tensor:
    """`[B, N, H*D]`, cut from the list of numbers without a swap."""
    return x.reshape(x.shape[0], x.shape[2], -1)


def _mixed(m: Mistake) -> str:
    _, heads, n, _ = m.case.args[0].shape
    tokens = ", ".join(map(str, range(min(heads, n))))
    return f"Token 0 now holds head 0 of tokens {tokens}: swap heads and tokens first."


MERGE = Exercise(
    id="heads.merge",
    title="Lay the heads side by side",
    minutes=6,
    points=10,
    difficulty="easy",
    spec=merge,
    cases=cases,
    hints=(
        "It is `split` backwards: what was done last is undone first.",
        "First let heads and tokens change places again, so that the H pieces of one token stand next to "
        "each other: [B, N, H, D].",
        "Then make one axis of the last two. `view` refuses here, because after a transpose the numbers do "
        "not lie in order in memory; `reshape` (or `flatten(2)`) copies them.",
    ),
    wrong=(
        Wrong("reshape without transpose", _mixed, cut_anew),
        Wrong(
            "interleaved",
            "Channel 1 should be the second of head 0; yours is the first of head 1.",
            lambda x: x.permute(0, 2, 3, 1).flatten(2),
        ),
        Wrong(
            "view after transpose",
            "`view` needs memory in order; after a transpose use `reshape`.",
            lambda x: x.transpose(1, 2).view(x.shape[0], x.shape[2], -1),
            raises=True,
        ),
        Wrong(
            "mean over heads",
            "You average the heads; they are laid side by side.",
            lambda x: x.mean(1),
        ),
        Wrong("sum over heads", "You add the heads up; they are laid side by side.", lambda x: x.sum(1)),
        Wrong(
            "batch and length swapped",
            lambda m: f"Your result is {list(m.got.shape)}, that is [N, B, …]; the batch stays in front.",
            lambda x: merge(x).transpose(0, 1),
        ),
        Wrong(
            "not merged",
            "Your result is [B, N, H, D]: heads and channels are still two axes. Make one of them.",
            lambda x: x.transpose(1, 2),
        ),
        Wrong(
            "one after another",
            lambda m: (
                f"You put the heads one after another: {m.got.shape[1]} tokens. They stand side by side, in "
                f"{m.want.shape[2]} channels of {m.want.shape[1]} tokens."
            ),
            lambda x: x.flatten(1, 2),
        ),
        Wrong(
            "tokens and channels swapped",
            "Shape right, contents mixed: you exchanged tokens with channels, not tokens with heads.",
            lambda x: x.mT.reshape(x.shape[0], x.shape[2], -1),
        ),
    ),
)
