"""`attention.softmax_backward`: the Jacobian of the softmax times a gradient, without the Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Wrong

NO_AUTOGRAD = frozenset(
    {
        "torch.autograd.grad",
        "torch.autograd.backward",
        "torch.Tensor.backward",
        "torch._make_dual",
        "aten._softmax_backward_data",
    }
)
"""To write the backward is the exercise."""


def softmax_backward(p: Tensor, dp: Tensor) -> Tensor:
    """Gradient of the scores from the weights `p [..., N]` and their gradient `dp [..., N]`."""
    return p * (dp - (p * dp).sum(-1, keepdim=True))


def cases(rng: torch.Generator) -> list[Case]:
    """Ordinary rows are the values; weights of 0 and 1 and gradients with a large common part the edges."""

    def pair(*shape: int) -> tuple[Tensor, Tensor]:
        return normal(rng, *shape).softmax(-1), normal(rng, *shape)

    short = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float64)
    hidden, d_hidden = pair(4, 5)
    hidden[0, 2], hidden[1, 1:], hidden[2] = 0.0, 0.0, 0.0
    hidden = torch.nn.functional.normalize(hidden, p=1, dim=-1)
    lifted, d_lifted = pair(2, 3, 5)
    return [
        Case("2 rows of 3 weights", (short, normal(rng, 2, 3).round(decimals=1))),
        Case("4 rows of 4 weights", pair(4, 4)),
        Case("a table for each head and batch, [2, 3, 4, 5]", pair(2, 3, 4, 5)),
        Case("one row without a batch, [7]", pair(7)),
        Case("hidden keys, a row with one key, a row with none", (hidden, d_hidden), edge=True),
        Case("dp near +800", (lifted, d_lifted + 800), edge=True),
        Case("dp near -800", (lifted, d_lifted - 800), edge=True),
        Case("transposed views", tuple(transposed_view(x) for x in pair(5, 4)), edge=True),
        Case("float32", tuple(x.float() for x in pair(3, 11)), edge=True),
    ]


OWN_ROW = "Rows are independent: the sum runs over the last axis only."

SOFTMAX_BACKWARD = Exercise(
    id="attention.softmax_backward",
    title="The gradient of the softmax, by hand",
    minutes=20,
    points=15,
    difficulty="hard",
    spec=softmax_backward,
    cases=cases,
    hints=(
        "Multiply the Jacobian by dp: ds_i = sum over j of dp_j p_j (1[i = j] - p_i). Take the two terms in "
        "the bracket apart: in the first, only j = i is left of the sum.",
        "ds_i = p_i dp_i - p_i * (sum over j of p_j dp_j). The sum is one number for each row.",
        "`(p * dp).sum(-1, keepdim=True)` is that number. Subtract it from dp, and multiply the result by p.",
    ),
    wrong=(
        Wrong(
            "p * dp",
            "Only the diagonal of the Jacobian: raising one score lowers all other weights.",
            lambda p, dp: p * dp,
        ),
        Wrong(
            "sum not weighted",
            "Subtract the *weighted* sum (p·dp), not the sum.",
            lambda p, dp: p * (dp - dp.sum(-1, keepdim=True)),
        ),
        Wrong(
            "mean",
            "You subtract the mean of dp; weights are not all 1/N.",
            lambda p, dp: p * (dp - dp.mean(-1, keepdim=True)),
        ),
        Wrong("sum over all rows", OWN_ROW, lambda p, dp: p * (dp - (p * dp).sum())),
        Wrong("sum over the first axis", OWN_ROW, lambda p, dp: p * (dp - (p * dp).sum(0, keepdim=True))),
        Wrong(
            "sum over axis 1",
            OWN_ROW,
            lambda p, dp: p * (dp - (p * dp).sum(min(1, p.ndim - 1), keepdim=True)),
        ),
        Wrong(
            "mean of p·dp",
            "You take the mean of p·dp over the row; it is the sum.",
            lambda p, dp: p * (dp - (p * dp).mean(-1, keepdim=True)),
        ),
        Wrong(
            "dp p (1-p)",
            "That is the sigmoid's derivative; softmax ties the entries together.",
            lambda p, dp: dp * p * (1 - p),
        ),
        Wrong(
            "sum added",
            "You add the weighted sum; it is subtracted, because raising one score lowers all other weights.",
            lambda p, dp: p * (dp + (p * dp).sum(-1, keepdim=True)),
        ),
        Wrong("sign", "Right size, opposite sign.", lambda p, dp: -softmax_backward(p, dp)),
        Wrong(
            "p forgotten outside",
            "dp minus its weighted sum is right; each entry must still be multiplied by its own weight p.",
            lambda p, dp: dp - (p * dp).sum(-1, keepdim=True),
        ),
        Wrong(
            "p forgotten at the sum",
            "The sum must be multiplied by p too: p * dp - p * sum, or p * (dp - sum).",
            lambda p, dp: p * dp - (p * dp).sum(-1, keepdim=True),
        ),
        Wrong(
            "p and dp exchanged",
            "p and dp have changed places: it is dp from which the sum is subtracted, and p that multiplies.",
            lambda p, dp: dp * (p - (p * dp).sum(-1, keepdim=True)),
        ),
        Wrong(
            "weights minus target",
            "p - dp is the gradient of softmax *and* cross-entropy together; here dp is any gradient.",
            lambda p, dp: p - dp,
        ),
        Wrong(
            "log_softmax",
            "dp - p · (sum of dp) is the gradient of log_softmax; here p is the softmax itself.",
            lambda p, dp: dp - p * dp.sum(-1, keepdim=True),
        ),
        Wrong(
            "softmax of the weights",
            "p are weights already: you took their softmax again.",
            lambda p, dp: softmax_backward(p.softmax(-1), dp),
        ),
    ),
    forbidden=NO_AUTOGRAD,
)
