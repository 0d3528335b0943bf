"""Answers to `patterns.strided`."""

import torch

from tests.grade.pattern_answers import right, wrong


def places(n):
    return torch.arange(n)[:, None], torch.arange(n)


@right("patterns.strided")
def rows_by_slices(n, stride):
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        mask[i, i % stride : i + 1 : stride] = True
    return mask


@right("patterns.strided")
def equal_remainders(n, stride):
    q, k = places(n)
    return (q % stride == k % stride).tril()


@right("patterns.strided")
def sum_of_diagonals(n, stride):
    return sum(torch.diag(torch.ones(n - step), -step) for step in range(0, n, stride)).bool()


@wrong("patterns.strided", "k % stride")
def slices_from_the_beginning(n, stride):
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        mask[i, : i + 1 : stride] = True
    return mask


@wrong("patterns.strided", "own key hidden")
def slices_that_end_too_early(n, stride):
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        mask[i, i % stride : i : stride] = True
    return mask


@wrong("patterns.strided", "not causal")
def remainders_only(n, stride):
    q, k = places(n)
    return q % stride == k % stride


@wrong("patterns.strided", "looks ahead")
def key_minus_query(n, stride):
    q, k = places(n)
    return (k >= q) & ((k - q) % stride == 0)


@wrong("patterns.strided")
def sum_instead_of_difference(n, stride):
    q, k = places(n)
    return (k <= q) & ((q + k) % stride == 0)


@wrong("patterns.strided")
def inverted(n, stride):
    q, k = places(n)
    return ~((k <= q) & ((q - k) % stride == 0))


@wrong("patterns.strided")
def powers_of_the_stride(n, stride):
    q, k = places(n)
    behind = q - k
    return (behind == 0) | (behind == stride) | (behind == stride**2)


@wrong("patterns.strided", "window added")
def local_or_strided(n, stride):
    q, k = places(n)
    return (k <= q) & ((q - k < stride) | ((q - k) % stride == 0))


@wrong("patterns.strided")
def dilated_window_of_three(n, stride):
    q, k = places(n)
    return (k <= q) & ((q - k) % stride == 0) & (q - k < 3 * stride)


@wrong("patterns.strided", "one step too long")
def stride_keys_between(n, stride):
    q, k = places(n)
    return (k <= q) & ((q - k) % (stride + 1) == 0)


@wrong("patterns.strided")
def last_column_forgotten(n, stride):
    mask = equal_remainders(n, stride)
    mask[:, 0] = False
    return mask


@wrong("patterns.strided", "wrong dtype")
def numbers(n, stride):
    return equal_remainders(n, stride).long()
