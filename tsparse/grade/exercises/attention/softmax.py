"""`attention.softmax`: stable for numbers of any size.

The maximum that is subtracted: Milakov and Gimelshein 2018 (arXiv:1805.02867), section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tsparse.grade.draw import at, first, normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.watch import NO_SOFTMAX

INF = float("inf")


def softmax(x: Tensor) -> Tensor:
    """Weights `[..., N]` that are positive and sum to 1 along the last axis."""
    return over(x, -1)


def over(x: Tensor, axis: int) -> Tensor:
    """The softmax along any axis."""
    e = (x - x.amax(axis, keepdim=True)).exp()
    return e / e.sum(axis, keepdim=True)


def cases(rng: torch.Generator) -> list[Case]:
    """Ordinary numbers are the values; what overflows, vanishes or is missing are the edges.

    Edge cases keep an ordinary row where they can: an answer that is wrong everywhere should not be taken for
    one that fails at the edge only.
    """
    high, low = normal(rng, 2, 5), normal(rng, 2, 5)
    high[1] += 1000
    low[1] -= 900
    uneven = normal(rng, 3, 5) + torch.tensor([[0.0], [900.0], [-400.0]])
    peaks = normal(rng, 3, 5)
    peaks[1, 2] += 750
    peaks[2, 3] += 950
    missing = normal(rng, 3, 5)
    missing[0, 1] = missing[1, 2:] = missing[2, :4] = -INF
    return [
        Case("2 rows of 3 numbers", (normal(rng, 2, 3).round(decimals=1),)),
        Case("4 rows of 4 numbers", (normal(rng, 4, 4),)),
        Case("a table for each head and batch, [2, 3, 4, 5]", (normal(rng, 2, 3, 4, 5),)),
        Case("one row without a batch, [7]", (normal(rng, 7),)),
        Case("row 1 near +1000", (high,), edge=True),
        Case("row 1 near -900", (low,), edge=True),
        Case("rows near 0, +900 and -400", (uneven,), edge=True),
        Case("one number far above the others of its row", (peaks,), edge=True),
        Case("some entries are -inf", (missing,), edge=True),
        Case("one number, [1]", (normal(rng, 1),), edge=True),
        Case("a transposed view, [5, 4]", (transposed_view(normal(rng, 5, 4)),), edge=True),
        Case("float32", (normal(rng, 3, 11).float(),), edge=True),
    ]


def _minus(x: Tensor, shift: Tensor | float) -> Tensor:
    """A softmax that subtracts `shift`."""
    e = (x - shift).exp()
    return e / e.sum(-1, keepdim=True)


def _first_nan(m: Mistake) -> tuple[tuple[int, ...], Tensor]:
    row = first(m.got.isnan().any(-1))
    return row, m.case.args[0][row]


def _overflowed(m: Mistake) -> str:
    row, x = _first_nan(m)
    what = "exp overflows to `inf` and `inf/inf`" if x.max() > 0 else "every exp is 0 and 0/0"
    return f"Row {at(row)} holds {x.max():.0f}: {what} is NaN. Subtract the row's maximum first."


def _one_maximum(m: Mistake) -> str:
    row, x = _first_nan(m)
    below = m.case.args[0].max() - x.max()
    return (
        f"You subtract one maximum for all rows; row {at(row)} lies {below:.0f} below it and vanishes to "
        "0/0. Each row needs its own."
    )


def _mean(m: Mistake) -> str:
    row, x = _first_nan(m)
    return (
        f"The mean does not bound the row: in row {at(row)} exp({x.max() - x.mean():.0f}) overflows. "
        "Only the maximum does."
    )


def _minimum(m: Mistake) -> str:
    row, x = _first_nan(m)
    return (
        f"What you subtract from row {at(row)} lies {x.max() - x.min():.0f} below its maximum, and exp of "
        "that overflows. Only the maximum bounds the row."
    )


def _wrong_axis(m: Mistake) -> str:
    sums_to_one = [axis for axis in range(m.got.ndim) if (m.got.sum(axis) - 1).abs().max() < 1e-6]
    what = "Columns sum to 1, rows do not" if m.got.ndim == 2 else "Rows do not sum to 1"
    return f"{what}: the sum runs over axis {sums_to_one[0]}, it should be the last, -1."


def _cut_off(m: Mistake) -> str:
    row = m.case.args[0][1]
    return (
        f"You cut large numbers off before exp, so {row.max():.1f} and {row.min():.1f} get equal weight. "
        "Subtract the row's maximum instead."
    )


ALL_TOGETHER = "All rows together sum to 1; each row should. Keep the axis: `sum(-1, keepdim=True)`."

SOFTMAX = Exercise(
    id="attention.softmax",
    title="A softmax that never overflows",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=softmax,
    cases=cases,
    hints=(
        "Two steps: make every number positive with exp, then divide each row by its own sum. "
        "Before that, one subtraction keeps exp from overflowing.",
        "The maximum and the sum both run over the last axis, `-1`, and keep it with `keepdim=True`, so that "
        "they broadcast against x again.",
        "`x.amax(-1, keepdim=True)` holds the maximum of each row. Subtract it, take `.exp()`, call that e; "
        "what is left is e divided by `e.sum(-1, keepdim=True)`.",
    ),
    wrong=(
        Wrong("exp without maximum", _overflowed, lambda x: _minus(x, 0)),
        Wrong("maximum of the whole tensor", _one_maximum, lambda x: _minus(x, x.max())),
        Wrong("wrong axis", _wrong_axis, lambda x: over(x, 0)),
        Wrong("axis 1", _wrong_axis, lambda x: over(x, min(1, x.ndim - 1))),
        Wrong(
            "divided by the sum of everything",
            ALL_TOGETHER,
            lambda x: (x - x.max()).exp() / (x - x.max()).exp().sum(),
        ),
        Wrong(
            "divided by the sum of everything, own maximum",
            ALL_TOGETHER,
            lambda x: (x - x.amax(-1, keepdim=True)).exp() / (x - x.amax(-1, keepdim=True)).exp().sum(),
        ),
        Wrong(
            "+ eps below",
            lambda m: (
                f"Rows sum to {m.got.sum(-1).max():.7f}: the small number in the denominator is not needed, "
                "the sum is at least 1."
            ),
            lambda x: softmax(x) / (1 + 1e-6 * softmax(x).amax(-1, keepdim=True)),
        ),
        Wrong("mean instead of maximum", _mean, lambda x: _minus(x, x.mean(-1, keepdim=True))),
        Wrong("minimum instead of maximum", _minimum, lambda x: _minus(x, x.amin(-1, keepdim=True))),
        Wrong(
            "absolute maximum",
            "You subtract the largest absolute value. From a row near -900 that takes another 900: "
            "every exp is 0, and 0/0 is NaN. Subtract the maximum with its sign.",
            lambda x: _minus(x, x.abs().amax(-1, keepdim=True)),
        ),
        Wrong(
            "column maximum",
            "You subtract each column's maximum: that changes the differences inside a row. "
            "A row may only be shifted as a whole, by its own maximum.",
            lambda x: _minus(x, x.amax(0, keepdim=True)),
        ),
        Wrong("cut off", _cut_off, lambda x: softmax(x.clamp(max=80))),
        Wrong(
            "NaN turned into 0",
            lambda m: (
                f"Row {at(first(m.got.sum(-1) < 0.5))} sums to 0: exp overflowed there, and a 0 in place of "
                "NaN only hides it. Subtract the row's maximum first."
            ),
            lambda x: _minus(x, 0).nan_to_num(0),
        ),
        Wrong(
            "logarithm",
            "You return the logarithm of the weights: all numbers are negative. One exp is missing.",
            lambda x: softmax(x).log(),
        ),
        Wrong(
            "no exp",
            "You divide the numbers themselves by their sum, so a negative number gets a negative weight. "
            "Take exp first.",
            lambda x: x / x.sum(-1, keepdim=True),
        ),
        Wrong(
            "sign",
            "The smallest number gets the largest weight: you took exp of the negative, maximum minus x.",
            lambda x: softmax(-x),
        ),
        Wrong(
            "-inf taken for 0",
            "You replace `-inf` by 0, and exp(0) is 1. Leave `-inf` alone: its exp is 0, as it should be.",
            lambda x: softmax(x.masked_fill(x == -INF, 0)),
        ),
    ),
    forbidden=NO_SOFTMAX | {"aten._safe_softmax"},
    row_sums=True,
)
