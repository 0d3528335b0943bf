"""Answers to `masks.sliding_window`."""

import torch

from tests.grade.mask_answers import right, wrong


@right("masks.sliding_window")
def two_triangles(n_q, n_kv, window, q_offset=0):
    ones = torch.ones(n_q, n_kv, dtype=torch.bool)
    return ones.tril(q_offset) & ones.triu(q_offset - window + 1)


@right("masks.sliding_window")
def keys_between(n_q, n_kv, window, q_offset=0):
    q, k = torch.arange(n_q).unsqueeze(1) + q_offset, torch.arange(n_kv).unsqueeze(0)
    return torch.logical_and(k <= q, k > q - window)


@right("masks.sliding_window")
def difference_of_two_causal_masks(n_q, n_kv, window, q_offset=0):
    near = torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset)
    far = torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset - window)
    return near ^ far


@wrong("masks.sliding_window", "w+1 keys")
def window_keys_before_the_own_one(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)
    return (behind >= 0) & (behind <= window)


@wrong("masks.sliding_window", "w-1 keys")
def triu_one_off(n_q, n_kv, window, q_offset=0):
    ones = torch.ones(n_q, n_kv, dtype=torch.bool)
    return ones.tril(q_offset) & ones.triu(q_offset - window + 2)


@wrong("masks.sliding_window", "both ways")
def distance_without_a_sign(n_q, n_kv, window, q_offset=0):
    return (torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)).abs() < window


@wrong("masks.sliding_window", "both ways")
def square_of_the_distance(n_q, n_kv, window, q_offset=0):
    return (torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)).pow(2) < window**2


@wrong("masks.sliding_window", "no far limit")
def causal_only(n_q, n_kv, window, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset)


@wrong("masks.sliding_window", "no near limit")
def triu_only(n_q, n_kv, window, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).triu(q_offset - window + 1)


@wrong("masks.sliding_window", "looks ahead")
def key_minus_query(n_q, n_kv, window, q_offset=0):
    ahead = torch.arange(n_kv) - torch.arange(n_q)[:, None] - q_offset
    return (ahead >= 0) & (ahead < window)


@wrong("masks.sliding_window")
def remainder(n_q, n_kv, window, q_offset=0):
    return (torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)) % window == 0


@wrong("masks.sliding_window", "no far limit")
def offset_on_one_side(n_q, n_kv, window, q_offset=0):
    q, k = torch.arange(n_q)[:, None], torch.arange(n_kv)
    return (k <= q + q_offset) & (k > q - window)


@wrong("masks.sliding_window")
def offset_counts_twice_in_the_window(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_q)[:, None] + 2 * q_offset - torch.arange(n_kv)
    return (behind >= 0) & (behind < window)


@wrong("masks.sliding_window")
def window_grows_with_the_offset(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)
    return (behind >= 0) & (behind < window + q_offset)


@wrong("masks.sliding_window", "aligned at the end")
def newest_keys(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_kv - n_q, n_kv)[:, None] - torch.arange(n_kv)
    return (behind >= 0) & (behind < window)


@wrong("masks.sliding_window", "a chain of comparisons")
def brackets_forgotten(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)
    return behind >= 0 & behind < window  # a chain: (behind >= (0 & behind)) and (... < window)


@wrong("masks.sliding_window", "a chain of comparisons")
def joined_with_and(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)
    return behind >= 0 and behind < window


@wrong("masks.sliding_window", "raised")
def keys_and_queries_that_do_not_line_up(n_q, n_kv, window, q_offset=0):
    behind = torch.arange(n_q) + q_offset - torch.arange(n_kv + 1)
    return (behind >= 0) & (behind < window)


@wrong("masks.sliding_window")
def the_last_keys_for_every_query(n_q, n_kv, window, q_offset=0):
    mask = torch.zeros(n_q, n_kv, dtype=torch.bool)
    mask[:, -window:] = True
    return mask


@wrong("masks.sliding_window")
def negative_slices(n_q, n_kv, window, q_offset=0):
    mask = torch.zeros(n_q, n_kv, dtype=torch.bool)
    for i in range(n_q):
        mask[i, i + q_offset - window + 1 : i + q_offset + 1] = True
    return mask
