"""`heads.multi_head`: project, split, attend, merge, project, with the weights of `nn.MultiheadAttention`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tsparse.grade.draw import mixed_mask, normal, transposed_view
from tsparse.grade.exercise import Case, Exercise
from tsparse.grade.exercises.heads.attending import IN, IN_BIAS, OUT, OUT_BIAS, Weights, multi_head
from tsparse.grade.exercises.heads.multi_head_mistakes import WRONG
from tsparse.grade.watch import NO_MULTI_HEAD


def drawn(rng: torch.Generator, width: int) -> Weights:
    """Random weights under PyTorch's names, biases too: those of a fresh module are 0 and hide mistakes."""
    return {
        IN: normal(rng, 3 * width, width) / math.sqrt(width),
        IN_BIAS: normal(rng, 3 * width),
        OUT: normal(rng, width, width) / math.sqrt(width),
        OUT_BIAS: normal(rng, width),
    }


def cases(rng: torch.Generator) -> list[Case]:
    """No mask, all axes different and then equal; masks; then few heads and channels, and empty rows."""

    def given(batch: int, n: int, heads: int, size: int) -> tuple[Tensor, Weights, int]:
        return normal(rng, batch, n, heads * size), drawn(rng, heads * size), heads

    empty_row = mixed_mask(rng, 4, 4)
    empty_row[2] = False
    x, views, _ = given(2, 5, 3, 4)
    loud, loud_weights, _ = given(1, 4, 2, 3)
    single, single_weights, _ = given(2, 5, 3, 4)
    single_weights = {name: weight.float() for name, weight in single_weights.items()}
    return [
        Case("1 text of 3 tokens, 2 heads of 4 channels, no mask", given(1, 3, 2, 4)),
        Case("batch 2, 5 tokens, 3 heads of 4 channels, no mask", given(2, 5, 3, 4)),
        Case("batch, tokens, heads and channels of a head are all 3", given(3, 3, 3, 3)),
        Case("a mask [4, 4]", (*given(1, 4, 2, 3), mixed_mask(rng, 4, 4))),
        Case("a causal mask, batch 2, 3 heads", (*given(2, 5, 3, 4), torch.ones(5, 5).tril().bool())),
        Case("query 2 may see nothing", (*given(1, 4, 2, 3), empty_row), edge=True),
        Case("one head", given(2, 5, 1, 6), edge=True),
        Case("as many heads as channels", given(2, 5, 6, 1), edge=True),
        Case("one token", given(2, 1, 3, 4), edge=True),
        Case("scores of many hundreds", (40 * loud, loud_weights, 2), edge=True),
        Case("a transposed view", (transposed_view(x), views, 3), edge=True),
        Case("float32", (single.float(), single_weights, 3, torch.ones(5, 5).tril().bool()), edge=True),
    ]


MULTI_HEAD = Exercise(
    id="heads.multi_head",
    title="Multi-head attention with PyTorch's weights",
    minutes=20,
    points=20,
    difficulty="medium",
    spec=multi_head,
    cases=cases,
    hints=(
        "Five steps, one line each: project to q, k, v; split each; attend; merge; project once more. Get it "
        "right without a mask first.",
        "`F.linear(x, weights['in_proj_weight'], weights['in_proj_bias'])` is [B, N, 3E], and `.chunk(3, "
        "dim=-1)` cuts it into q, k and v. Split all three.",
        "`out = attention(q, k, v, mask)` does all heads at once, and scales by the root of D because D is "
        "the last axis now. What is left is `merge(out)` and `F.linear` with `out_proj.weight` and "
        "`out_proj.bias`.",
    ),
    wrong=WRONG,
    forbidden=NO_MULTI_HEAD,
)
