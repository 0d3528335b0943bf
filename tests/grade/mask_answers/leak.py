"""Answers to `masks.first_leak`."""

import torch

from tests.grade.mask_answers import right, wrong


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


@wrong("masks.first_leak", "tolerance too large")
def rises_only(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    for query in range(n):
        for key in range(query + 1, n):
            step = torch.zeros(n, 1, dtype=torch.float64)
            step[key] = 1
            if (attention(q, k + step, v + step) - before)[query].max() > 1e-6:
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
