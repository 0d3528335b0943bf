"""Answers to `masks.padding` and `masks.documents`."""

import torch
import torch.nn.functional as F

from tests.grade.mask_answers import right, wrong


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
