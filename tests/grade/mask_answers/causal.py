"""Answers to `masks.causal`."""

import numpy as np
import torch

from tests.grade.mask_answers import right, wrong


@right("masks.causal")
def tril_with_a_diagonal(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(diagonal=q_offset)


@right("masks.causal")
def loops(n_q, n_kv, q_offset=0):
    mask = torch.zeros(n_q, n_kv, dtype=torch.bool)
    for i in range(n_q):
        for j in range(n_kv):
            mask[i, j] = j <= i + q_offset
    return mask


@right("masks.causal")
def not_triu(n_q, n_kv, q_offset=0):
    return torch.triu(torch.ones(n_q, n_kv), diagonal=q_offset + 1) == 0


@right("masks.causal")
def meshgrid(n_q, n_kv, q_offset=0):
    i, j = torch.meshgrid(torch.arange(q_offset, q_offset + n_q), torch.arange(n_kv), indexing="ij")
    return i >= j


@wrong("masks.causal", "own key hidden")
def strict_tril(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset - 1)


@wrong("masks.causal", "looks ahead")
def triu(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).triu(q_offset)


@wrong("masks.causal", "inverted")
def triu_1_as_for_multihead_attention(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).triu(q_offset + 1)


@wrong("masks.causal", "one key too many")
def tril_1(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset + 1)


@wrong("masks.causal", "q_offset ignored")
def diagonal_forgotten(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril()


@wrong("masks.causal", "aligned at the end")
def lower_right(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(n_kv - n_q)


@wrong("masks.causal", "q_offset subtracted")
def offset_on_the_keys(n_q, n_kv, q_offset=0):
    return torch.arange(n_kv) + q_offset <= torch.arange(n_q)[:, None]


@wrong("masks.causal", "wrong shape")
def square(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_q, dtype=torch.bool).tril()


@wrong("masks.causal", "keys down")
def column_and_row_exchanged(n_q, n_kv, q_offset=0):
    return torch.arange(n_kv)[:, None] <= torch.arange(n_q) + q_offset


@wrong("masks.causal", "wrong dtype")
def ones_and_zeros(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv).tril(q_offset)


@wrong("masks.causal", "wrong dtype")
def integers(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset).long()


@wrong("masks.causal", "wrong dtype")
def bytes_in_place_of_bools(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.uint8).tril(q_offset)


@wrong("masks.causal", "0 and -inf")
def added_to_scores(n_q, n_kv, q_offset=0):
    return torch.full((n_q, n_kv), -torch.inf).triu(q_offset + 1)


@wrong("masks.causal", "wrong type")
def numpy_array(n_q, n_kv, q_offset=0):
    return np.tri(n_q, n_kv, q_offset, dtype=bool)


@wrong("masks.causal", "wrong type")
def nested_lists(n_q, n_kv, q_offset=0):
    return [[j <= i + q_offset for j in range(n_kv)] for i in range(n_q)]


@wrong("masks.causal")
def absolute_distance(n_q, n_kv, q_offset=0):
    return (torch.arange(n_kv) - torch.arange(n_q)[:, None]).abs() <= q_offset


@wrong("masks.causal")
def offset_counts_twice(n_q, n_kv, q_offset=0):
    return torch.arange(n_kv) <= torch.arange(n_q)[:, None] + 2 * q_offset


@wrong("masks.causal")
def last_query_is_the_first(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset).flip(0)


@wrong("masks.causal", "wrong shape")
def axes_for_batch_and_heads(n_q, n_kv, q_offset=0):
    return torch.ones(1, 1, n_q, n_kv, dtype=torch.bool).tril(q_offset)


@wrong("masks.causal", "returns nothing")
def forgot_to_return(n_q, n_kv, q_offset=0):
    torch.ones(n_q, n_kv, dtype=torch.bool).tril(q_offset)


@wrong("masks.causal")
def offset_made_positive(n_q, n_kv, q_offset=0):
    return torch.ones(n_q, n_kv, dtype=torch.bool).tril(max(q_offset, 0))


@wrong("masks.causal", "q_offset ignored")
def right_for_one_shape(n_q, n_kv, q_offset=0):
    return torch.arange(n_kv) <= torch.arange(n_q)[:, None] + (q_offset if n_q > 1 else 0)
