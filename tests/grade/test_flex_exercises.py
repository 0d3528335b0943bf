"""The exercises of lesson 10 against answers that are not in their lists: right pass, wrong fail."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, and_masks, flex_attention, or_masks

from tests.grade.toys import judged
from tsparse import Causal, Prefix, SlidingWindow
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.flex.lists import block_lists, block_lists_cases
from tsparse.grade.exercises.flex.rules import sink_window
from tsparse.grade.exercises.flex.scores import capped_alibi


class SinkWindow:
    """A mask_mod as an object."""

    def __init__(self, window: int, sinks: int) -> None:
        self.window, self.sinks = window, sinks

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        behind = q_idx - kv_idx
        near = torch.logical_and(behind >= 0, behind < self.window)
        return near.logical_or((kv_idx < self.sinks).logical_and(behind >= 0))


def joined(window: int, sinks: int) -> Callable[..., Tensor]:
    def causal(b, h, q, k):
        return q >= k

    def near(b, h, q, k):
        return q < k + window

    def sink(b, h, q, k):
        return k < sinks

    return and_masks(causal, or_masks(near, sink))


def by_tables(slopes: Tensor, cap: float) -> Callable[..., Tensor]:
    negative = -slopes

    def change(score: Tensor, batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        capped = (score / cap).tanh().mul(cap)
        return torch.add(capped, negative[head] * torch.where(q > k, q - k, k - q))

    return change


def with_arguments(
    slopes: Tensor, cap: float, score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor
) -> Tensor:
    bent = 2 * cap * (torch.sigmoid(2 * score / cap) - 0.5)
    return bent - slopes[h] * torch.maximum(q - k, k - q)


def lists_by_loop(crow: Tensor, col: Tensor, n_cols: int) -> tuple[Tensor, Tensor]:
    rows = [col[start:stop].tolist() for start, stop in zip(crow.tolist(), crow.tolist()[1:], strict=False)]
    padded = [row + [0] * (n_cols - len(row)) for row in rows]
    return torch.tensor([[[len(row) for row in rows]]], dtype=torch.int32), torch.tensor(
        [[padded]], dtype=torch.int32
    )


def lists_by_scatter(crow: Tensor, col: Tensor, n_cols: int) -> tuple[Tensor, Tensor]:
    counts = crow[1:] - crow[:-1]
    row = torch.arange(len(counts)).repeat_interleave(counts)
    indices = col.new_zeros(1, 1, len(counts), n_cols)
    indices[0, 0, row, torch.arange(len(col)) - crow[row]] = col
    return counts.reshape(1, 1, -1), indices


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "mask_mod": [SinkWindow, joined, lambda window, sinks: SlidingWindow(window) | Causal() & Prefix(sinks)],
    "score_mod": [by_tables, lambda slopes, cap: partial(with_arguments, slopes, cap)],
    "block_lists": [lists_by_loop, lists_by_scatter],
}


def rule(says: Callable[[int, int, Tensor, Tensor], Any]) -> Callable[..., Any]:
    return lambda w, s: lambda b, h, q, k: says(w, s, q, k)


def score(says: Callable[..., Any]) -> Callable[..., Any]:
    return lambda slopes, cap: lambda s, b, h, q, k: says(slopes, cap, s, b, h, q, k)


def right_score(slopes: Tensor, cap: float, s: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return capped_alibi(slopes, cap)(s, b, h, q, k)


def lists(change: Callable[[Tensor, Tensor], Any]) -> Callable[..., Any]:
    return lambda crow, col, n_cols: change(*block_lists(crow, col, n_cols))


def first_call_only(window: int, sinks: int) -> Callable[..., Tensor]:
    """Keeps the table of the first call."""
    kept: list[Tensor] = first_call_only.kept  # type: ignore[attr-defined]

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        kept.append(sink_window(window, sinks)(b, h, q, k))
        return kept[0]

    return mask_mod


first_call_only.kept = []  # type: ignore[attr-defined]

WRONG: dict[str, dict[str, Callable[..., Any]]] = {
    "mask_mod": {
        "opposite polarity": rule(lambda w, s, q, k: ~sink_window(w, s)(q, q, q, k)),
        "numbers": rule(lambda w, s, q, k: sink_window(w, s)(q, q, q, k).float()),
        "chunks": rule(lambda w, s, q, k: (k <= q) & ((q // w == k // w) | (k < s))),
        "own key hidden": rule(lambda w, s, q, k: (k < q) & ((q - k < w) | (k < s))),
        "sinks counted into the window": rule(lambda w, s, q, k: (k <= q) & ((q - k < w - s) | (k < s))),
        "one sink too few": rule(lambda w, s, q, k: (k <= q) & ((q - k < w) | (k < s - 1))),
        "no future limit for sinks or window": rule(lambda w, s, q, k: (q - k < w) | ((k < s) & (q > w))),
        "window and sinks exchanged": lambda w, s: sink_window(s, w),
        "global rows too": rule(lambda w, s, q, k: sink_window(w, s)(q, q, q, k) | (q < s)),
        "the mask itself": lambda w, s: sink_window(w, s)(
            *(torch.arange(12)[:, None],) * 3, torch.arange(12)
        ),
        "table of the first call": first_call_only,
        "everything": rule(lambda w, s, q, k: q == q),
        "stops at position 99": rule(lambda w, s, q, k: sink_window(w, s)(q, q, q, k) & (q < 99)),
        "only for two axes": lambda w, s: lambda b, h, q, k: sink_window(w, s)(b, h, q[:, 0][:, None], k),
    },
    "score_mod": {
        "cap squared": score(lambda m, c, s, b, h, q, k: c * right_score(m, c, s, b, h, q, k)),
        "cap outside of tanh too": score(
            lambda m, c, s, b, h, q, k: (s / c).tanh() * c / c - m[h] * (q - k).abs()
        ),
        "squared distance": score(lambda m, c, s, b, h, q, k: c * (s / c).tanh() - m[h] * (q - k) ** 2),
        "distance one more": score(
            lambda m, c, s, b, h, q, k: c * (s / c).tanh() - m[h] * ((q - k).abs() + 1)
        ),
        "nothing for the future": score(
            lambda m, c, s, b, h, q, k: c * (s / c).tanh() - m[h] * (q - k).clamp(min=0)
        ),
        "heads reversed": score(lambda m, c, s, b, h, q, k: right_score(m.flip(0), c, s, b, h, q, k)),
        "mean slope": score(lambda m, c, s, b, h, q, k: right_score(m * 0 + m.mean(), c, s, b, h, q, k)),
        "cap doubled": score(lambda m, c, s, b, h, q, k: right_score(m, 2 * c, s, b, h, q, k)),
        "sigmoid": score(lambda m, c, s, b, h, q, k: c * (s / c).sigmoid() - m[h] * (q - k).abs()),
        "hardtanh far out": score(
            lambda m, c, s, b, h, q, k: (
                torch.where(s.abs() > 99, s, c * (s / c).tanh()) - m[h] * (q - k).abs()
            )
        ),
        "float64 always": score(lambda m, c, s, b, h, q, k: right_score(m, c, s.double(), b, h, q, k)),
        "counted anew": score(
            lambda m, c, s, b, h, q, k: right_score(m, c, s, b, h, q - (q.min() if q.ndim else 0), k)
        ),
        "the score": lambda slopes, cap: torch.tensor(cap),
    },
    "block_lists": {
        "one list": lambda crow, col, n_cols: block_lists(crow, col, n_cols)[1],
        "exchanged": lists(lambda n, i: (i, n)),
        "descending": lists(lambda n, i: (n, i.flip(-1))),
        "last row lost": lists(lambda n, i: (n[..., :-1], i[..., :-1, :])),
        "counted from 1": lists(lambda n, i: (n, i + 1)),
        "one column more": lambda crow, col, n_cols: block_lists(crow, col, n_cols + 1),
        "n_cols in unused places": lambda crow, col, n_cols: (
            block_lists(crow, col, n_cols)[0],
            block_lists(crow, col, n_cols)[1].where(
                torch.arange(n_cols) < crow.diff()[:, None], torch.tensor(n_cols).int()
            ),
        ),
        "counts of columns": lambda crow, col, n_cols: (
            torch.bincount(col.long(), minlength=n_cols).int()[None, None],
            block_lists(crow, col, n_cols)[1],
        ),
        "at least one": lists(lambda n, i: (n.clamp(min=1), i)),
        "counts int64": lists(lambda n, i: (n.long(), i)),
        "one lead axis": lists(lambda n, i: (n[0], i[0])),
        "numbers": lists(lambda n, i: (n.float(), i.float())),
        "repeats the last": lists(lambda n, i: (n, i.cummax(-1).values)),
    },
}


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Any]) -> None:
    for seed in range(3):
        verdict = judged(exercise(f"flex.{id}"), answer, seed=seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, wrongs in WRONG.items() for what in wrongs])
def test_wrong_answer_that_is_not_listed_fails(id: str, what: str) -> None:
    for seed in range(3):
        assert judged(exercise(f"flex.{id}"), WRONG[id][what], seed=seed).status == "FAIL"


def test_most_wrong_answers_are_named() -> None:
    vague = (None, "right on some cases")
    told = [judged(exercise(f"flex.{id}"), answer).mistake for id in WRONG for answer in WRONG[id].values()]
    assert sum(name not in vague for name in told) >= 0.6 * len(told)


def in_place(slopes: Tensor, cap: float) -> Callable[..., Tensor]:
    """Right numbers, and the score is written into."""

    def score_mod(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        score /= cap
        return cap * score.tanh() - slopes[h] * (q - k).abs()

    return score_mod


def test_score_that_is_written_into_is_refused_as_the_compiler_refuses_it() -> None:
    verdict = judged(exercise("flex.score_mod"), in_place)
    assert (verdict.status, verdict.mistake) == ("FAIL", "input changed")
    assert "changed its input `score`" in verdict.message
    score_mod = in_place(torch.ones(1), 2.0)
    q = torch.ones(1, 1, 4, 16)
    with pytest.raises(Exception, match="Mutations detected in score_mod"):
        torch.compile(flex_attention, fullgraph=True)(q, q, q, score_mod=score_mod)


def test_lists_of_the_reference_are_what_flex_attention_transposes_rightly() -> None:
    for case in block_lists_cases(torch.Generator().manual_seed(0)):
        crow, col, n_cols = case.args
        made = BlockMask.from_kv_blocks(*block_lists(crow, col, n_cols), BLOCK_SIZE=16)
        table = torch.zeros(len(crow) - 1, n_cols, dtype=torch.int32)
        table[torch.arange(len(crow) - 1).repeat_interleave(crow.diff()), col.long()] = 1
        assert torch.equal(made.to_dense()[0, 0], table)
        assert torch.equal(made.q_num_blocks[0, 0], table.sum(0, dtype=torch.int32))


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    q, k = torch.tensor([5]), torch.arange(6)
    assert sink_window(2, 1)(q, q, q, k).tolist() == [True, False, False, False, True, True]
    slopes = torch.tensor([0.5, 0.25])
    zero, one = torch.tensor(0), torch.tensor(1)
    bent = capped_alibi(slopes, 2.0)(torch.tensor(2.0), zero, one, torch.tensor(3), torch.tensor(7))
    assert float(bent) == pytest.approx(0.523, abs=5e-4)
    counts, indices = block_lists(
        torch.tensor([0, 1, 3], dtype=torch.int32), torch.tensor([0, 0, 2], dtype=torch.int32), 3
    )
    assert counts.tolist() == [[[1, 2]]]
    assert indices.tolist() == [[[[0, 0, 0], [0, 2, 0]]]]


def test_part_of_another_type_is_named() -> None:
    verdict = judged(exercise("flex.block_lists"), WRONG["block_lists"]["counts int64"])
    assert verdict.mistake == "wrong dtype"
    assert verdict.message == "Part 0 of your result: The type is int64; the task says int32."
