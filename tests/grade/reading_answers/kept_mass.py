"""Answers to `reading.kept_mass`."""

import torch

from tests.grade.reading_answers import right, wrong


@right("reading.kept_mass")
def masked_fill(weights, mask):
    return weights.masked_fill(~mask, 0).sum((-1, -2)) / weights.shape[-2]


@right("reading.kept_mass")
def einsum(weights, mask):
    return torch.einsum("hnm,nm->h", weights, mask.to(weights.dtype)) / mask.shape[0]


@right("reading.kept_mass")
def one_minus_what_is_lost(weights, mask):
    return 1 - torch.where(mask, 0, weights).sum(2).mean(1)


@right("reading.kept_mass")
def query_by_query(weights, mask):
    rows = [weights[:, query, mask[query]].sum(-1) for query in range(len(mask))]
    return torch.stack(rows).mean(0)


@wrong("reading.kept_mass", "share of places")
def density(weights, mask):
    return torch.full(weights.shape[:1], mask.double().mean().item(), dtype=weights.dtype)


@wrong("reading.kept_mass", "mean over all places")
def mean_of_everything(weights, mask):
    return (weights * mask).flatten(1).mean(1)


@wrong("reading.kept_mass", "mass thrown away")
def hidden_kept(weights, mask):
    return weights.masked_fill(mask, 0).sum(-1).mean(-1)


@wrong("reading.kept_mass", "summed over queries")
def total(weights, mask):
    return (weights * mask).flatten(1).sum(1)


@wrong("reading.kept_mass", "mean over visible places")
def mean_of_what_is_seen(weights, mask):
    return torch.stack([head[mask].sum() / mask.sum() for head in weights])


@wrong("reading.kept_mass", "all heads together")
def one_number(weights, mask):
    return (weights * mask).sum(-1).mean()


@wrong("reading.kept_mass", "one for each query")
def without_the_mean(weights, mask):
    return (weights * mask).sum(-1)


@wrong("reading.kept_mass")
def softmax_again(weights, mask):
    return weights.masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num(0).amax(-1).mean(-1)


@wrong("reading.kept_mass", "shared out again")
def always_one(weights, mask):
    kept = weights * mask
    return (kept / kept.sum(-1, keepdim=True)).nan_to_num(0).sum(-1).mean(-1)


@wrong("reading.kept_mass", "blind queries left out")
def only_queries_that_see(weights, mask):
    return (weights * mask).sum(-1)[:, mask.any(-1)].mean(-1).nan_to_num(0)


@wrong("reading.kept_mass")
def mean_of_the_halves(weights, mask):
    return (weights * mask).sum(-1).median(-1).values


@wrong("reading.kept_mass", "right for other arguments")
def mask_turned(weights, mask):
    turned = mask.T if mask.shape[0] == mask.shape[1] else mask
    return (weights * turned).sum(-1).mean(-1)


@wrong("reading.kept_mass", "wrong dtype")
def always_float64(weights, mask):
    return (weights.double() * mask).sum(-1).mean(-1)


@wrong("reading.kept_mass", "input changed")
def hides_in_place(weights, mask):
    return weights.masked_fill_(~mask, 0).sum(-1).mean(-1)


@wrong("reading.kept_mass", "returns nothing")
def prints(weights, mask):
    print((weights * mask).sum(-1).mean(-1))
