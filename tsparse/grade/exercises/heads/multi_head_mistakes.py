"""The wrong answers to `heads.multi_head`.

Most are the reference with other weights: what a learner forgets or exchanges stands there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tsparse.grade.draw import first
from tsparse.grade.exercise import Mistake, Wrong
from tsparse.grade.exercises.attention.scores import scores
from tsparse.grade.exercises.attention.sdpa import attention, visible, weights
from tsparse.grade.exercises.heads import merge as merging
from tsparse.grade.exercises.heads import split as splitting
from tsparse.grade.exercises.heads.attending import IN, IN_BIAS, OUT, OUT_BIAS, Weights, computed, multi_head


def with_weights(change: Callable[[Weights, int], Weights]) -> Callable[..., Tensor]:
    """The answer that is right for other weights: `change` takes those given and the number of heads."""
    return lambda x, given, heads, mask=None: multi_head(x, given | change(given, heads), heads, mask)


def with_heads(change: Callable[[int, int], int]) -> Callable[..., Tensor]:
    """The answer with another number of heads, a function of the width and of the right one."""
    return lambda x, given, heads, mask=None: multi_head(x, given, change(x.shape[2], heads), mask)


def thirds(given: Weights, order: tuple[int, int, int]) -> Weights:
    """The input projection with its thirds in another order."""
    return {name: torch.cat([given[name].chunk(3)[place] for place in order]) for name in (IN, IN_BIAS)}


def in_order(order: tuple[int, int, int]) -> Callable[..., Tensor]:
    """The answer that reads the thirds of the input projection in another order."""
    return with_weights(lambda given, heads: thirds(given, order))


def query_times(given: Weights, factor: float) -> Weights:
    """The input projection with its first third, the queries, made larger."""
    changed = thirds(given, (0, 1, 2))
    for weight in changed.values():
        weight[: weight.shape[0] // 3] *= factor
    return changed


def without_bias_of(third: int) -> Callable[..., Tensor]:
    """The answer that forgets a third of the input bias. (That of the keys changes nothing.)"""

    def change(given: Weights, heads: int) -> Weights:
        bias = given[IN_BIAS].unflatten(0, (3, -1)).clone()
        bias[third] = 0
        return {IN_BIAS: bias.flatten()}

    return with_weights(change)


def turned(given: Weights, *names: str) -> Weights:
    """Every square matrix under these names transposed."""
    return {name: torch.cat([part.T for part in given[name].split(given[name].shape[1])]) for name in names}


def by_head(given: Weights, heads: int) -> Weights:
    """The input projection read as q, k and v of head 0, then those of head 1, and so on."""
    return {
        name: given[name].unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2) for name in (IN, IN_BIAS)
    }


def with_softmax(softmax: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer whose weights come from another softmax of the scores, hidden ones at -inf."""

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        return softmax(scores(q, k).masked_fill(~visible(q, k, mask), -math.inf)) @ v

    return lambda x, given, heads, mask=None: computed(
        x, given, heads, mask, splitting.split, attend, merging.merge
    )


def after_the_softmax(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention that hides weights instead of scores."""
    seen = visible(q, k, mask)
    return weights(scores(q, k), torch.ones_like(seen)) * seen @ v


def _width(m: Mistake) -> tuple[int, int]:
    return m.case.args[0].shape[2], m.case.args[2]


def _scale(m: Mistake) -> str:
    width, heads = _width(m)
    return (
        f"Scale is 1/sqrt(E) = {width**-0.5:.2f}; each head has D = E/H = {width // heads} channels: "
        f"1/sqrt(D) = {(width // heads) ** -0.5:.2f}."
    )


def _no_scale(m: Mistake) -> str:
    width, heads = _width(m)
    return f"The scores of a head lack the division by sqrt(D) = {math.sqrt(width // heads):.2f}."


def _scaled_twice(m: Mistake) -> str:
    width, heads = _width(m)
    return f"The scores are divided by sqrt(D) = {math.sqrt(width // heads):.2f} twice; once is enough."


def _seen(m: Mistake) -> str:
    return f"With and without mask your output is the same; query {first(~m.case.args[3])[0]} sees all."


TRANSPOSED = "Linear layers compute x @ W.T. W is E x E, so x @ W has the right shape too and hides this."
WRONG_ORDERS = (
    ("order kqv", (1, 0, 2), "q and k are exchanged: the first third is q."),
    ("order qvk", (0, 2, 1), "k and v are exchanged: the second third is k, the last is v."),
    ("order vkq", (2, 1, 0), "q and v are exchanged: the first third is q, the last is v."),
    ("order kvq", (2, 0, 1), "You read the thirds as k, v, q; they stand in the order q, k, v."),
    ("order vqk", (1, 2, 0), "You read the thirds as v, q, k; they stand in the order q, k, v."),
)

WRONG = (
    Wrong("weights not transposed", TRANSPOSED, with_weights(lambda given, heads: turned(given, IN, OUT))),
    Wrong("input weights not transposed", TRANSPOSED, with_weights(lambda given, heads: turned(given, IN))),
    Wrong("output weights not transposed", TRANSPOSED, with_weights(lambda given, heads: turned(given, OUT))),
    *(Wrong(name, sentence, in_order(order)) for name, order, sentence in WRONG_ORDERS),
    Wrong(
        "input bias forgotten",
        "`in_proj_bias` is missing. PyTorch starts it at 0, so a fresh module would not show it.",
        with_weights(lambda given, heads: {IN_BIAS: torch.zeros_like(given[IN_BIAS])}),
    ),
    Wrong(
        "bias of the queries forgotten",
        "The queries lack their part of `in_proj_bias`, the first third.",
        without_bias_of(0),
    ),
    Wrong(
        "bias of the values forgotten",
        "The values lack their part of `in_proj_bias`, the last third.",
        without_bias_of(2),
    ),
    Wrong(
        "output bias forgotten",
        "Off by a constant for all tokens: `out_proj.bias` is missing.",
        with_weights(lambda given, heads: {OUT_BIAS: torch.zeros_like(given[OUT_BIAS])}),
    ),
    Wrong(
        "both biases forgotten",
        "`in_proj_bias` and `out_proj.bias` are missing. PyTorch starts both at 0, so a fresh module "
        "would not show it.",
        with_weights(
            lambda given, heads: {name: torch.zeros_like(given[name]) for name in (IN_BIAS, OUT_BIAS)}
        ),
    ),
    Wrong(
        "no output projection",
        "Heads are side by side but never mixed: `out_proj` is missing.",
        with_weights(
            lambda given, heads: {
                OUT: torch.eye(len(given[OUT])).to(given[OUT]),
                OUT_BIAS: torch.zeros_like(given[OUT_BIAS]),
            }
        ),
    ),
    Wrong(
        "scale of the whole width",
        _scale,
        with_weights(lambda given, heads: query_times(given, heads**-0.5)),
    ),
    Wrong(
        "no scale",
        _no_scale,
        with_weights(lambda given, heads: query_times(given, math.sqrt(len(given[OUT]) // heads))),
    ),
    Wrong(
        "scaled twice",
        _scaled_twice,
        with_weights(lambda given, heads: query_times(given, (len(given[OUT]) // heads) ** -0.5)),
    ),
    Wrong(
        "one head",
        "One softmax over all channels: `heads` changes nothing. Split q, k and v before you attend.",
        with_heads(lambda width, heads: 1),
    ),
    Wrong(
        "heads taken for their size",
        lambda m: (
            f"You use {_width(m)[0] // _width(m)[1]} heads of {_width(m)[1]} channels. `heads` is how "
            f"many there are: {_width(m)[1]}, of {_width(m)[0] // _width(m)[1]} channels each."
        ),
        with_heads(lambda width, heads: width // heads),
    ),
    Wrong(
        "projection cut by heads first",
        "You cut the projection into heads first and each head into q, k, v (some libraries store it "
        "so). Here all of q comes first, then all of k, then all of v.",
        with_weights(by_head),
    ),
    Wrong(
        "view without transpose",
        "Your heads hold whole tokens instead of channels of all tokens, so tokens of different heads "
        "never meet. View to [B, N, H, D] first, then swap axes 1 and 2.",
        lambda x, given, heads, mask=None: computed(
            x, given, heads, mask, splitting.cut_anew, attention, lambda out: out.reshape(x.shape)
        ),
    ),
    Wrong(
        "split without transpose",
        "Splitting mixes up q, k and v: view to [B, N, H, D] first, then swap axes 1 and 2.",
        lambda x, given, heads, mask=None: computed(
            x, given, heads, mask, splitting.cut_anew, attention, merging.merge
        ),
    ),
    Wrong(
        "merge without transpose",
        "The heads are right and mixed up afterwards: swap heads and tokens before you merge.",
        lambda x, given, heads, mask=None: computed(
            x, given, heads, mask, splitting.split, attention, merging.cut_anew
        ),
    ),
    Wrong(
        "channels dealt round",
        "Your head 0 takes every H-th channel; it should take the first D.",
        lambda x, given, heads, mask=None: computed(
            x,
            given,
            heads,
            mask,
            splitting.interleaved,
            attention,
            lambda out: out.permute(0, 2, 3, 1).flatten(2),
        ),
    ),
    Wrong(
        "mask of the module",
        "`nn.MultiheadAttention` says True = hidden. Here True = may attend.",
        lambda x, given, heads, mask=None: multi_head(x, given, heads, None if mask is None else ~mask),
    ),
    Wrong(
        "residual added",
        "You add x to the result; that is the business of a layer (lesson 05), not of attention.",
        lambda x, given, heads, mask=None: x + multi_head(x, given, heads, mask),
    ),
    Wrong("mask ignored", _seen, lambda x, given, heads, mask=None: multi_head(x, given, heads)),
    Wrong(
        "mask after the softmax",
        "Hidden keys still take their share of the weight: hide the scores *before* the softmax.",
        lambda x, given, heads, mask=None: computed(
            x, given, heads, mask, splitting.split, after_the_softmax, merging.merge
        ),
    ),
    Wrong(
        "softmax over the queries",
        "Your softmax runs over the queries: the weights of one query must sum to 1, over the keys (the "
        "last axis).",
        with_softmax(lambda s: s.softmax(-2).nan_to_num(0)),
    ),
    Wrong(
        "-inf and nothing more",
        lambda m: (
            f"Query {first(~m.case.args[3].any(-1))[0]} sees nothing: 0/0 = NaN. Its heads are 0, so its "
            "output is `out_proj.bias`."
        ),
        with_softmax(lambda s: s.softmax(-1)),
    ),
    Wrong(
        "0 for a query that sees nothing",
        lambda m: (
            f"Query {first(~m.case.args[3].any(-1))[0]} sees nothing: its heads are 0, and the output "
            "projection still adds its bias. Yours is 0."
        ),
        lambda x, given, heads, mask=None: (
            multi_head(x, given, heads, mask) * (1 if mask is None else mask.any(-1, keepdim=True))
        ),
    ),
    Wrong(
        "-1e9",
        lambda m: (
            f"Query {first(~m.case.args[3].any(-1))[0]} sees nothing and gets an average of all values. "
            "Its heads are 0, so its output is `out_proj.bias`."
        ),
        with_softmax(lambda s: s.clamp(min=-1e9).softmax(-1)),
    ),
)
