"""`masks.masked_softmax`: weights from scores and a mask, where a row may see nothing."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Reference: weights f[..., N, M]; hidden keys get 0, a row that may see nothing is 0."""
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), -1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0)


def masked_softmax_cases(rng: Generator) -> list[Case]:
    """Hidden keys, large scores, a row that sees nothing, masks that broadcast."""

    def scores(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    def mask(*shape: int) -> Tensor:
        """Hides about half of the keys; every row sees key 1 and never key 0."""
        table = torch.rand(shape, generator=rng) < 0.5
        table[..., 0], table[..., 1] = False, True
        return table

    empty, some, above, far = mask(5, 7), mask(4, 6), scores(4, 6), scores(4, 6)
    empty[3] = False
    above[:, 0] += 800
    far[:, 0] += 20_000
    everything = torch.ones(3, 5, dtype=torch.bool)
    return [
        Case("some keys are hidden", (scores(4, 6), mask(4, 6))),
        Case("nothing is hidden", (scores(3, 5), everything)),
        Case("5 queries, 5 keys", (scores(5, 5), mask(5, 5))),
        Case("scores around 800", (scores(4, 6) + 800, mask(4, 6))),
        Case("scores around -800", (scores(4, 6) - 800, mask(4, 6))),
        Case("a hidden score 800 above the visible ones", (above, some)),
        Case("row 3 may see nothing", (scores(5, 7), empty), edge=True),
        Case("no row may see anything", (scores(3, 4), torch.zeros(3, 4, dtype=torch.bool)), edge=True),
        Case("scores around -20000", (scores(4, 6) - 20_000, some), edge=True),
        Case("a hidden score 20000 above the visible ones", (far, some), edge=True),
        Case("batch and heads", (scores(2, 3, 4, 5), mask(2, 3, 4, 5)), edge=True),
        Case("a mask [N, M] for scores [B, H, N, M]", (scores(2, 3, 5, 7), empty), edge=True),
        Case("a padding mask [B, 1, 1, M]", (scores(3, 2, 4, 5), mask(3, 1, 1, 5)), edge=True),
        Case("float32", ((scores(5, 7) * 5 + 800).float(), empty), edge=True),
        Case("scores that are not contiguous", (scores(7, 5).T, empty), edge=True),
        Case("one key", (scores(2, 1), torch.tensor([[True], [False]])), edge=True),
    ]


def empty_row(mistake: Mistake) -> int:
    """The first row that may see nothing."""
    return int((~mistake.case.args[1].any(-1)).nonzero()[0, -1])


def says_sum(mistake: Mistake) -> str:
    """For weights that were masked after the softmax."""
    sums = mistake.got.sum(-1).flatten()
    row = int((sums - 1).abs().argmax())
    return (
        f"Row {row} sums to {float(sums[row]):.2f}: hide before the softmax, so that the weight is shared "
        "out among what is left."
    )


def says_not_zero(mistake: Mistake) -> str:
    """For a number in place of -inf that shows."""
    weight = float((mistake.got * ~mistake.case.args[1]).max())
    return f"A hidden key has weight {weight:.2g}: exp(0) is 1, and only `exp(-inf)` is 0."


def says_large_number(mistake: Mistake) -> str:
    """For a large negative number in place of -inf."""
    row, count = empty_row(mistake), mistake.got.shape[-1]
    return (
        f"Row {row} may see nothing and gets weights that sum to {float(mistake.got[row].sum()):.0f} over "
        f"all {count} hidden keys: a large number is not `-inf`."
    )


def says_everywhere(mistake: Mistake) -> str:
    """For an empty row that became the uniform one."""
    row, count = empty_row(mistake), mistake.got.shape[-1]
    return f"Row {row} may see nothing and gets 1/{count} everywhere: a large number is not `-inf`."


def says_not_low_enough(mistake: Mistake) -> str:
    """For a number in place of -inf that is not low enough."""
    scores, mask = mistake.case.args
    return (
        f"The visible scores are about {float(scores[mask].mean()):.0f} here. The number that you give to "
        "hidden keys lies above that, so they win. Only `-inf` is always low enough."
    )


def says_not_far_enough(mistake: Mistake) -> str:
    """For a number that is added to hidden scores and leaves one above the visible ones."""
    scores, mask = mistake.case.args
    above = float(scores[~mask].max() - scores[mask].mean())
    return (
        f"A hidden score lies {above:.0f} above the visible ones. The number that you add leaves it above "
        "them, so it wins. Only `-inf` is always low enough."
    )


def by_hand(
    scores: Tensor, mask: Tensor, top: Tensor | float, eps: float = 0.0, unguarded: bool = False
) -> Tensor:
    """A softmax over the visible keys, after subtracting `top`; rows without weight are 0, or 0/0."""
    weights = torch.exp(scores - top) * mask
    total = weights.sum(-1, keepdim=True)
    return weights / (total + eps) if unguarded else torch.where(total == 0, 0, weights / (total + eps))


def visible_top(scores: Tensor, mask: Tensor) -> Tensor:
    """The largest visible score of each row, [..., N, 1]; 0 where there is none."""
    top = scores.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
    return top.masked_fill(top == -torch.inf, 0)


def nowhere_empty(mask: Tensor) -> Tensor:
    """1 for rows that see a key, 0 for rows that see nothing, [..., N, 1]."""
    return mask.any(-1, keepdim=True)


HIDDEN_MAXIMUM = (
    "The maximum you subtract belongs to a hidden key; beside it every visible key rounds to 0. Take the "
    "maximum over the visible keys."
)
ZERO_TIMES_INFINITY = (
    "0 times `-inf` is NaN: where the mask is True you add NaN to the scores. Use `masked_fill` or "
    "`torch.where`."
)

MASKED_SOFTMAX = Exercise(
    id="masks.masked_softmax",
    title="Softmax over the visible keys",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=masked_softmax,
    cases=masked_softmax_cases,
    row_sums=True,
    hints=(
        "A hidden key must get weight 0 and the visible ones must share 1 among them. So hide it before the "
        "softmax: which score s has exp(s) = 0?",
        "`scores.masked_fill(~mask, -torch.inf)` and a softmax over the last axis. Now look at a row in "
        "which every score is -inf.",
        "Rows that may see nothing come out as NaN. `mask.any(-1, keepdim=True)` says which rows those are; "
        "put 0 there with `torch.where` or `masked_fill`.",
    ),
    wrong=(
        Wrong(
            "NaN rows",
            lambda m: f"Row {empty_row(m)} may see nothing; `-inf` everywhere gives 0/0. Make it 0.",
            lambda scores, mask: torch.softmax(scores.masked_fill(~mask, -torch.inf), -1),
        ),
        Wrong(
            "-1e9",
            says_everywhere,
            lambda scores, mask: torch.softmax(scores.masked_fill(~mask, -1e9), -1),
        ),
        Wrong(
            "-1e9 added",
            says_large_number,
            lambda scores, mask: torch.softmax(scores + ~mask * -1e9, -1),
        ),
        Wrong(
            "-1e4",
            says_not_low_enough,
            lambda scores, mask: torch.softmax(scores.masked_fill(~mask, -1e4), -1) * nowhere_empty(mask),
        ),
        Wrong(
            "-1e4, then masked again",
            says_not_low_enough,
            lambda scores, mask: torch.softmax(scores.masked_fill(~mask, -1e4), -1) * mask,
        ),
        Wrong(
            "-1e4 added",
            says_not_far_enough,
            lambda scores, mask: torch.softmax(scores + ~mask * -1e4, -1) * nowhere_empty(mask),
        ),
        Wrong(
            "-1e4 added, then masked again",
            says_not_far_enough,
            lambda scores, mask: torch.softmax(scores + ~mask * -1e4, -1) * mask,
        ),
        Wrong("masked afterwards", says_sum, lambda scores, mask: torch.softmax(scores, -1) * mask),
        Wrong(
            "inverted",
            "You kept what should be hidden.",
            lambda scores, mask: masked_softmax(scores, ~mask),
        ),
        Wrong(
            "mask ignored",
            "Hidden keys have weight: your result does not depend on the mask.",
            lambda scores, mask: torch.softmax(scores, -1),
        ),
        Wrong(
            "added as 0/1",
            "You added the mask to the scores: visible keys get +1, hidden ones stay.",
            lambda scores, mask: torch.softmax(scores + mask, -1) * nowhere_empty(mask),
        ),
        Wrong(
            "score 0",
            says_not_zero,
            lambda scores, mask: torch.softmax(scores * mask, -1) * nowhere_empty(mask),
        ),
        Wrong(
            "no maximum",
            lambda m: (
                f"exp({float(m.case.args[0].max()):.0f}) overflowed; subtract the row's maximum over the "
                "visible keys."
            ),
            lambda scores, mask: by_hand(scores, mask, 0.0),
        ),
        Wrong(
            "maximum over hidden keys too",
            HIDDEN_MAXIMUM,
            lambda scores, mask: by_hand(scores, mask, scores.amax(-1, keepdim=True)),
        ),
        Wrong(
            "maximum over hidden keys too, then 0/0",
            HIDDEN_MAXIMUM,
            lambda scores, mask: by_hand(scores, mask, scores.amax(-1, keepdim=True), unguarded=True),
        ),
        Wrong(
            "0 times infinity",
            ZERO_TIMES_INFINITY,
            lambda scores, mask: torch.softmax(scores + ~mask * -torch.inf, -1),
        ),
        Wrong(
            "0 times infinity, then 0",
            ZERO_TIMES_INFINITY,
            lambda scores, mask: torch.softmax(scores + ~mask * -torch.inf, -1).nan_to_num(0),
        ),
        Wrong(
            "scores cut off",
            "You cut large scores off, so that different scores become equal. Subtract the row's maximum "
            "instead.",
            lambda scores, mask: by_hand(scores.clamp(-50, 50), mask, 0.0),
        ),
        Wrong(
            "over the queries",
            "Your columns sum to 1, not your rows: the sum runs over the keys, the last axis.",
            lambda scores, mask: masked_softmax(scores.mT, mask.expand(scores.shape).mT).mT,
        ),
        Wrong(
            "+ eps below",
            lambda m: (
                f"Rows sum to {float(m.got.sum(-1).flatten()[0]):.7f}: the small number in the denominator "
                "is not needed. Treat rows that see nothing apart."
            ),
            lambda scores, mask: by_hand(scores, mask, visible_top(scores, mask), 1e-6),
        ),
    ),
)
