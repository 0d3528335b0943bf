"""Other right and other wrong answers to the exercises of lesson 02 than the ones in their own lists."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tsparse.grade.checking import judge, run_here
from tsparse.grade.exercises import exercise

SEEDS = range(3)
RIGHT = []
WRONG = []


def right(id):
    """Register a right answer, written in another way than the reference."""
    return lambda answer: RIGHT.append((id, answer)) or answer


def wrong(id, named=None):
    """Register a wrong answer; `named` is the mistake that a learner is told, None if that may vary."""
    return lambda answer: WRONG.append((id, named, answer)) or answer


def named(case):
    return f"{case[0].removeprefix('masks.')}-{case[-1].__name__}"


# masks.causal


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


# masks.sliding_window


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


# masks.padding


@right("masks.padding")
def view_and_compare(lengths, n_kv):
    return torch.arange(n_kv).view(1, 1, 1, n_kv) < lengths.view(-1, 1, 1, 1)


@right("masks.padding")
def filled_row_by_row(lengths, n_kv):
    mask = torch.zeros(len(lengths), 1, 1, n_kv, dtype=torch.bool)
    for b, length in enumerate(lengths):
        mask[b, :, :, :length] = True
    return mask


@right("masks.padding")
def expanded_positions(lengths, n_kv):
    places = torch.arange(n_kv).expand(len(lengths), n_kv)
    return (places < lengths.unsqueeze(1)).unsqueeze(1).unsqueeze(1)


@wrong("masks.padding", "inverted")
def as_key_padding_mask(lengths, n_kv):
    return (torch.arange(n_kv) >= lengths[:, None])[:, None, None]


@wrong("masks.padding", "one too many")
def less_or_equal(lengths, n_kv):
    return (torch.arange(n_kv) <= lengths[:, None])[:, None, None]


@wrong("masks.padding", "one too few")
def counted_from_1(lengths, n_kv):
    return (torch.arange(1, n_kv + 1) < lengths[:, None])[:, None, None]


@wrong("masks.padding", "[B, n]")
def two_axes(lengths, n_kv):
    return torch.arange(n_kv) < lengths[:, None]


@wrong("masks.padding", "wrong shape")
def batch_in_the_place_of_queries(lengths, n_kv):
    return (torch.arange(n_kv) < lengths[:, None])[None, None]


@wrong("masks.padding", "on the query axis")
def keys_in_the_place_of_queries(lengths, n_kv):
    return (torch.arange(n_kv) < lengths[:, None])[:, None, :, None]


@wrong("masks.padding", "square")
def both_axes(lengths, n_kv):
    real = torch.arange(n_kv) < lengths[:, None]
    return real[:, None, :, None] & real[:, None, None, :]


@wrong("masks.padding", "a row for every query")
def repeated_for_every_query(lengths, n_kv):
    return (torch.arange(n_kv) < lengths[:, None])[:, None, None].expand(-1, 1, n_kv, n_kv)


@wrong("masks.padding", "as long as the longest text")
def n_kv_ignored(lengths, n_kv):
    return (torch.arange(int(lengths.max())) < lengths[:, None])[:, None, None]


@wrong("masks.padding", "on the left")
def padding_first(lengths, n_kv):
    return (torch.arange(n_kv) >= n_kv - lengths[:, None])[:, None, None]


@wrong("masks.padding", "wrong dtype")
def floats(lengths, n_kv):
    return (torch.arange(n_kv) < lengths[:, None])[:, None, None].float()


@wrong("masks.padding")
def one_length_for_all(lengths, n_kv):
    return (torch.arange(n_kv) < lengths[0]).expand(len(lengths), 1, 1, n_kv)


@wrong("masks.padding", "length 0 taken for full")
def empty_text_sees_everything(lengths, n_kv):
    full = torch.where(lengths == 0, n_kv, lengths)
    return (torch.arange(n_kv) < full[:, None])[:, None, None]


@wrong("masks.padding")
def the_token_at_the_length(lengths, n_kv):
    return (torch.arange(n_kv) == lengths[:, None])[:, None, None]


@wrong("masks.padding")
def causal_too(lengths, n_kv):
    real = (torch.arange(n_kv) < lengths[:, None])[:, None, None]
    return real & torch.ones(n_kv, n_kv, dtype=torch.bool).tril()


# masks.documents


@right("masks.documents")
def loops_over_pairs(ids):
    return torch.tensor([[bool(a == b) for b in ids] for a in ids])


@right("masks.documents")
def difference_is_zero(ids):
    return (ids.unsqueeze(1) - ids.unsqueeze(0)) == 0


@right("masks.documents")
def unique_then_one_hot(ids):
    names, place = ids.unique(return_inverse=True)
    of = F.one_hot(place, len(names))
    return (of @ of.T).bool()


@wrong("masks.documents", "a new run is a new document")
def boundaries_summed(ids):
    number = torch.cat([ids.new_zeros(1), (ids.diff() != 0).long()]).cumsum(0)
    return number[:, None] == number


@wrong("masks.documents", "earlier documents too")
def greater_or_equal(ids):
    return ids[:, None] >= ids[None, :]


@wrong("masks.documents", "causal built in")
def same_and_causal(ids):
    return (ids[:, None] == ids) & (torch.arange(len(ids))[:, None] >= torch.arange(len(ids)))


@wrong("masks.documents", "id 0 taken for padding")
def both_ids_true(ids):
    return (ids[:, None] == ids) & ids.bool()


@wrong("masks.documents")
def product_is_the_square(ids):
    return (ids[:, None] * ids == ids[:, None] ** 2) & (ids != 0)


@wrong("masks.documents", "inverted")
def different_ids(ids):
    return ids[:, None] != ids


@wrong("masks.documents", "own key hidden")
def without_the_diagonal(ids):
    return (ids[:, None] == ids).fill_diagonal_(False)


@wrong("masks.documents", "wrong dtype")
def integers_of_documents(ids):
    return (ids[:, None] == ids).int()


@wrong("masks.documents")
def sorted_first(ids):
    ids = ids.sort().values
    return ids[:, None] == ids


@wrong("masks.documents")
def neighbouring_ids(ids):
    return (ids[:, None] - ids).abs() <= 1


@wrong("masks.documents")
def own_document_and_all_before(ids):
    return (ids[:, None] == ids) | torch.ones(len(ids), len(ids), dtype=torch.bool).tril()


@wrong("masks.documents")
def negative_sentinel(ids):
    return (ids[:, None] == ids) & (ids[:, None] > 0)


@wrong("masks.documents", "wrong shape")
def lined_up_with_itself(ids):
    return ids == ids


@wrong("masks.documents")
def parity(ids):
    return ids[:, None] % 2 == ids % 2


# masks.masked_softmax


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


# masks.first_leak


def two_calls(attention, n, dim, query, key, size=1.0):
    """Output of the query before and after one key and its value have moved."""
    q, k, v = (torch.randn(n, dim, dtype=torch.float64) for _ in range(3))
    before = attention(q, k, v)[query]
    k[key] += size * torch.randn(dim, dtype=torch.float64)
    v[key] += size * torch.randn(dim, dtype=torch.float64)
    return before, attention(q, k, v)[query]


@right("masks.first_leak")
def pair_by_pair(attention, n, dim):
    for query in range(n):
        for key in range(query + 1, n):
            if not torch.allclose(*two_calls(attention, n, dim, query, key), rtol=0, atol=1e-7):
                return query, key
    return None


@right("masks.first_leak")
def float32_and_one_key_at_a_time(attention, n, dim):
    q, k, v = torch.randn(3, n, dim)
    before = attention(q, k, v)
    found = []
    for key in range(n):
        other_k, other_v = k.clone(), v.clone()
        other_k[key], other_v[key] = torch.randn(dim), torch.randn(dim)
        moved = (attention(q, other_k, other_v) - before).abs().amax(-1) > 2e-6
        found += [(query, key) for query in range(key) if moved[query]]
    return min(found, default=None)


@right("masks.first_leak")
def keys_and_values_apart(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    for query in range(n):
        for key in range(query + 1, n):
            other = torch.randn(n, dim, dtype=torch.float64)
            rows = torch.arange(n)[:, None] == key
            by_key = attention(q, torch.where(rows, other, k), v)
            by_value = attention(q, k, torch.where(rows, other, v))
            if max((by_key - before)[query].abs().max(), (by_value - before)[query].abs().max()) > 1e-6:
                return query, key
    return None


@wrong("masks.first_leak", "disturbance drowned")
def always_clean(attention, n, dim):
    leaks = ()
    return leaks[0] if leaks else None


@wrong("masks.first_leak", "always (0, 1)")
def always_leaking(attention, n, dim):
    return (0, 1)


@wrong("masks.first_leak", "disturbance drowned")
def changed_before_the_first_call(attention, n, dim):
    q, k, v = torch.randn(3, n, dim)
    for query in range(n):
        for key in range(query + 1, n):
            other = k  # the same tensor
            other[key] += 1
            if (attention(q, other, v) - attention(q, k, v))[query].abs().max() > 1e-6:
                return query, key
    return None


@wrong("masks.first_leak", "queries disturbed too")
def keys_never_put_back(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    for query in range(n):
        for key in range(query + 1, n):
            k[key] += 1
            v[key] += 1
            if (attention(q, k, v) - before)[query].abs().max() > 1e-6:
                return query, key
    return None


@wrong("masks.first_leak", "exact comparison")
def torch_equal(attention, n, dim):
    for query in range(n):
        for key in range(query + 1, n):
            if not torch.equal(*two_calls(attention, n, dim, query, key)):
                return query, key
    return None


@wrong("masks.first_leak", "tolerance too large")
def a_hundredth_is_enough(attention, n, dim):
    for query in range(n):
        for key in range(query + 1, n):
            before, after = two_calls(attention, n, dim, query, key, size=3.0)
            if (after - before).abs().max() > 1e-2:
                return query, key
    return None


@wrong("masks.first_leak", "neighbours only")
def next_token_only(attention, n, dim):
    for query in range(n - 1):
        if not torch.allclose(*two_calls(attention, n, dim, query, query + 1), atol=1e-7):
            return query, query + 1
    return None


@wrong("masks.first_leak", "values only")
def moves_values(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    for query in range(n):
        for key in range(query + 1, n):
            other = v.clone()
            other[key] = 0
            if not torch.allclose(attention(q, k, other)[query], before[query]):
                return query, key
    return None


@wrong("masks.first_leak", "keys only")
def moves_keys(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    for query in range(n):
        for key in range(query + 1, n):
            other = k.clone()
            other[key] = -other[key]
            if not torch.allclose(attention(q, other, v)[query], before[query]):
                return query, key
    return None


@wrong("masks.first_leak", "half of the channels")
def first_channel_only(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    for query in range(n):
        for key in range(query + 1, n):
            other_k, other_v = k.clone(), v.clone()
            other_k[key, 0] += 1
            other_v[key, 0] += 1
            if (attention(q, other_k, other_v) - before)[query].abs().max() > 1e-6:
                return query, key
    return None


@wrong("masks.first_leak", "always (0, 1)")
def not_a_number(attention, n, dim):
    q, k, v = torch.randn(3, n, dim)
    for query in range(n):
        for key in range(query + 1, n):
            other = v.clone()
            other[key] = torch.nan
            if attention(q, k, other)[query].isnan().any():
                return query, key
    return None


@wrong("masks.first_leak", "wrong type")
def returns_a_list(attention, n, dim):
    pair = pair_by_pair(attention, n, dim)
    return pair and list(pair)


@wrong("masks.first_leak")
def returns_a_bool(attention, n, dim):
    return pair_by_pair(attention, n, dim) is not None


@wrong("masks.first_leak", "counted from 1")
def counted_from_one(attention, n, dim):
    pair = pair_by_pair(attention, n, dim)
    return pair and (pair[0] + 1, pair[1] + 1)


@wrong("masks.first_leak")
def largest_change(attention, n, dim):
    changes = {
        (query, key): float((torch.sub(*two_calls(attention, n, dim, query, key))).abs().max())
        for query in range(n)
        for key in range(query + 1, n)
    }
    worst = max(changes, key=changes.get, default=None)
    return worst if worst and changes[worst] > 1e-6 else None


@wrong("masks.first_leak", "(key, query)")
def key_first(attention, n, dim):
    pair = pair_by_pair(attention, n, dim)
    return pair and pair[::-1]


@wrong("masks.first_leak")
def one_random_pair(attention, n, dim):
    query, key = sorted(torch.randperm(n)[:2].tolist()) if n > 1 else (0, 0)
    return None if torch.allclose(*two_calls(attention, n, dim, query, key), atol=1e-7) else (query, key)


@wrong("masks.first_leak", "raised")
def wrong_shape_for_attention(attention, n, dim):
    q, k, v = torch.randn(3, 1, 1, n, dim)
    attention(q, k, v)


@pytest.mark.parametrize("case", RIGHT, ids=named)
def test_right_answer_written_differently_passes(case):
    id, answer = case
    for seed in SEEDS:
        verdict = judge(exercise(id), run_here(answer), seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize("case", WRONG, ids=named)
def test_wrong_answer_is_rejected_and_named(case):
    id, name, answer = case
    for seed in SEEDS:
        verdict = judge(exercise(id), run_here(answer), seed)
        assert verdict.status == "FAIL"
        assert verdict.earned < verdict.points
        if name is not None:
            assert verdict.mistake == name, verdict.message


def test_most_wrong_answers_are_named():
    """Counted over every answer of this file, by what a learner is told: a name and not only a place."""
    vague = (None, "right on some cases")
    told = [judge(exercise(id), run_here(answer), 0).mistake for id, _, answer in WRONG]
    assert sum(name not in vague for name in told) >= 0.8 * len(told)


@pytest.mark.parametrize("id", sorted({id for id, *_ in WRONG}))
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id):
    assert sum(id == other for other, _ in RIGHT) >= 2
    assert sum(id == other for other, *_ in WRONG) >= 10


def test_suspect_says_which_argument_has_the_wrong_shape():
    attention, n, dim = exercise("masks.first_leak").cases(torch.Generator().manual_seed(0))[0].args
    good, bad = torch.randn(n, dim), torch.randn(n + 1, dim)
    with pytest.raises(ValueError, match="takes k of shape"):
        attention(good, bad, good)


def test_suspect_gives_no_gradient_so_that_it_can_live_in_another_process():
    attention, n, dim = exercise("masks.first_leak").cases(torch.Generator().manual_seed(0))[0].args
    q = torch.randn(n, dim, requires_grad=True)
    assert not attention(q, q, q).requires_grad
