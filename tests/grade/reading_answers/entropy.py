"""Answers to `reading.entropy`."""

import math

import torch

from tests.grade.reading_answers import right, wrong


@right("reading.entropy")
def where_a_weight_is_zero(weights):
    logs = torch.where(weights > 0, weights, 1).log()
    return -(weights * logs).sum(-1).mean(-1)


@right("reading.entropy")
def nan_to_num(weights):
    return -(weights * weights.log()).nan_to_num(0).sum(-1).mean(-1)


@right("reading.entropy")
def head_by_head(weights):
    out = weights.new_zeros(weights.shape[:2])
    for layer in range(weights.shape[0]):
        for head in range(weights.shape[1]):
            for row in weights[layer, head]:
                seen = row[row > 0]
                out[layer, head] -= (seen * seen.log()).sum() / weights.shape[2]
    return out


@right("reading.entropy")
def xlogy(weights):
    return -torch.xlogy(weights, weights).sum(dim=3).mean(dim=2)


@wrong("reading.entropy", "NaN at 0")
def straight_from_the_formula(weights):
    return -(weights * torch.log(weights)).sum(-1).mean(-1)


@wrong("reading.entropy", "rows with a hidden key dropped")
def nan_to_num_too_late(weights):
    return -(weights * weights.log()).sum(-1).nan_to_num(0).mean(-1)


@wrong("reading.entropy", "nearly right")
def small_number_inside_the_logarithm(weights):
    return -(weights * (weights + 1e-6).log()).sum(-1).mean(-1)


@wrong("reading.entropy", "bits")
def log2(weights):
    return -torch.where(weights > 0, weights * weights.log2(), 0).sum(-1).mean(-1)


@wrong("reading.entropy", "summed")
def summed_over_both(weights):
    return -torch.xlogy(weights, weights).sum(dim=(2, 3))


@wrong("reading.entropy", "mean over keys too")
def mean_over_both(weights):
    return -torch.xlogy(weights, weights).mean(dim=(2, 3))


@wrong("reading.entropy", "entropy of the average")
def rows_averaged_first(weights):
    mean = weights.mean(2)
    return -torch.xlogy(mean, mean).sum(-1)


@wrong("reading.entropy", "sign")
def minus_forgotten(weights):
    return torch.xlogy(weights, weights).sum(-1).mean(-1)


@wrong("reading.entropy", "divided by log M")
def share_of_the_largest(weights):
    return torch.special.entr(weights).sum(-1).mean(-1) / max(math.log(weights.shape[-1]), 1e-9)


@wrong("reading.entropy")
def one_minus_the_sum_of_squares(weights):
    return 1 - weights.square().sum(-1).mean(-1)


@wrong("reading.entropy")
def largest_over_queries(weights):
    return torch.special.entr(weights).sum(-1).amax(-1)


@wrong("reading.entropy", "one for each query")
def without_the_mean(weights):
    return torch.special.entr(weights).sum(-1)


@wrong("reading.entropy", "all heads together")
def one_for_each_layer(weights):
    return torch.special.entr(weights).sum(-1).mean((1, 2))


@wrong("reading.entropy", "returns nothing")
def no_return(weights):
    torch.special.entr(weights).sum(-1).mean(-1)


@wrong("reading.entropy", "wrong dtype")
def always_float32(weights):
    return torch.special.entr(weights.float()).sum(-1).mean(-1)


@wrong("reading.entropy", "input changed")
def clamps_in_place(weights):
    weights.clamp_(min=1e-12)
    return -(weights * weights.log()).sum(-1).mean(-1)


@wrong("reading.entropy")
def axes_exchanged(weights):
    return torch.special.entr(weights).sum(-1).mean(-1).T


@wrong("reading.entropy", "blind queries left out")
def mean_over_queries_that_see_something(weights):
    entropies, sees = torch.special.entr(weights).sum(-1), weights.any(-1)
    return (entropies * sees).sum(-1) / sees.sum(-1)
