"""Answers to `masks.masked_softmax`."""

import torch

from tests.grade.mask_answers import right, wrong


@right("masks.masked_softmax")
def nan_to_num(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=-1).nan_to_num(0.0)


@right("masks.masked_softmax")
def by_hand(scores, mask):
    hidden = torch.where(mask, scores, -torch.inf)
    top = hidden.amax(-1, keepdim=True)
    e = torch.exp(hidden - torch.where(top.isinf(), 0, top))
    return e / e.sum(-1, keepdim=True).clamp(min=1e-30)


@right("masks.masked_softmax")
def large_number_then_times_the_mask(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, -1e9), dim=-1) * mask


@right("masks.masked_softmax")
def row_by_row(scores, mask):
    rows, seen = scores.reshape(-1, scores.shape[-1]), mask.expand(scores.shape).reshape(-1, scores.shape[-1])
    out = torch.zeros_like(rows)
    for row, (score, may) in enumerate(zip(rows, seen, strict=True)):
        if may.any():
            out[row, may] = torch.softmax(score[may], -1)
    return out.reshape(scores.shape)


@wrong("masks.masked_softmax", "NaN rows")
def infinity_only(scores, mask):
    return torch.softmax(torch.where(mask, scores, -torch.inf), dim=-1)


@wrong("masks.masked_softmax", "-1e9")
def ten_thousand(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, -1e4), dim=-1)


@wrong("masks.masked_softmax", "-1e9")
def smallest_float(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=-1)


@wrong("masks.masked_softmax", "-1e9")
def nan_becomes_the_average(scores, mask):
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1)
    return weights.nan_to_num(1 / scores.shape[-1])


@wrong("masks.masked_softmax", "-1e9 added")
def one_minus_mask_times_a_number(scores, mask):
    return torch.softmax(scores + (1.0 - mask.to(scores.dtype)) * -1e9, dim=-1)


@wrong("masks.masked_softmax", "masked afterwards")
def filled_afterwards(scores, mask):
    return torch.softmax(scores, dim=-1).masked_fill(~mask, 0.0)


@wrong("masks.masked_softmax", "inverted")
def filled_where_visible(scores, mask):
    return torch.softmax(scores.masked_fill(mask, -torch.inf), dim=-1).nan_to_num(0.0)


@wrong("masks.masked_softmax", "score 0")
def filled_with_zero(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, 0.0), dim=-1).masked_fill(~mask.any(-1, keepdim=True), 0)


@wrong("masks.masked_softmax")
def filled_with_minus_ten(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, -10.0), dim=-1).masked_fill(~mask.any(-1, keepdim=True), 0)


@wrong("masks.masked_softmax", "no maximum")
def plain_exp(scores, mask):
    e = scores.exp() * mask
    return torch.where(mask.any(-1, keepdim=True), e / e.sum(-1, keepdim=True), 0)


@wrong("masks.masked_softmax", "over the queries")
def first_axis(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-2).nan_to_num(0.0)


@wrong("masks.masked_softmax", "+ eps below")
def small_number_below(scores, mask):
    hidden = scores.masked_fill(~mask, -torch.inf)
    e = (hidden - hidden.amax(-1, keepdim=True).clamp(min=-1e9)).exp()
    return e / (e.sum(-1, keepdim=True) + 1e-6)


@wrong("masks.masked_softmax", "maximum over hidden keys too, then 0/0")
def maximum_of_everything(scores, mask):
    e = (scores - scores.max()).exp() * mask
    return e / e.sum(-1, keepdim=True)


@wrong("masks.masked_softmax")
def half_precision(scores, mask):
    weights = torch.softmax(scores.half().masked_fill(~mask, -torch.inf), dim=-1).nan_to_num(0.0)
    return weights.to(scores.dtype)


@wrong("masks.masked_softmax", "wrong dtype")
def always_float32(scores, mask):
    return torch.softmax(scores.float().masked_fill(~mask, -torch.inf), dim=-1).nan_to_num(0.0)


@wrong("masks.masked_softmax", "input changed")
def writes_into_the_scores(scores, mask):
    return scores.masked_fill_(~mask, -torch.inf).softmax(-1).nan_to_num_(0.0)


@wrong("masks.masked_softmax", "raised")
def index_with_a_mask_that_must_broadcast(scores, mask):
    scores = scores.clone()
    scores[~mask] = -torch.inf
    return torch.softmax(scores, -1).nan_to_num(0.0)


@wrong("masks.masked_softmax", "0 times infinity, then 0")
def multiplied_by_infinity(scores, mask):
    return torch.softmax(scores + ~mask * -torch.inf, -1).nan_to_num(0.0)  # 0 * inf is NaN


@wrong("masks.masked_softmax", "wrong shape")
def only_the_visible_ones(scores, mask):
    return torch.softmax(scores[mask.expand(scores.shape)], -1)


@wrong("masks.masked_softmax")
def all_weight_on_the_first_key_of_an_empty_row(scores, mask):
    seen = mask.clone()
    seen[..., 0] |= ~mask.any(-1)
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), -1)
