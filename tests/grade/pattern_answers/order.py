"""Answers to `patterns.strided_order`."""

import torch

from tests.grade.pattern_answers import right, wrong


@right("patterns.strided_order")
def lists(n, stride):
    return torch.tensor([p for remainder in range(stride) for p in range(remainder, n, stride)])


@right("patterns.strided_order")
def padded_and_filtered(n, stride):
    rows = -(-n // stride)
    order = torch.arange(rows * stride).view(rows, stride).T.reshape(-1)
    return order[order < n]


@right("patterns.strided_order")
def sorted_by_a_key(n, stride):
    return torch.tensor(sorted(range(n), key=lambda p: (p % stride, p)))


@wrong("patterns.strided_order", "inverse")
def where_each_goes(n, stride):
    return lists(n, stride).argsort()


@wrong("patterns.strided_order", "needs n divisible")
def reshape_of_the_lesson(n, stride):
    return torch.arange(n).view(-1, stride).T.reshape(-1)


@wrong("patterns.strided_order", "order unchanged")
def chunks(n, stride):
    return (torch.arange(n) // stride).argsort(stable=True)


@wrong("patterns.strided_order", "descending inside")
def falling(n, stride):
    return torch.tensor([p for remainder in range(stride) for p in range(n)[::-1] if p % stride == remainder])


@wrong("patterns.strided_order", "groups reversed")
def last_group_first(n, stride):
    return torch.tensor([p for remainder in range(stride)[::-1] for p in range(remainder, n, stride)])


@wrong("patterns.strided_order", "remainders, not positions")
def sorted_remainders(n, stride):
    return (torch.arange(n) % stride).sort().values


@wrong("patterns.strided_order", "wrong dtype")
def int32_positions(n, stride):
    return lists(n, stride).int()


@wrong("patterns.strided_order", "wrong type")
def a_list(n, stride):
    return lists(n, stride).tolist()


@wrong("patterns.strided_order", "wrong shape")
def table_of_groups(n, stride):
    rows = -(-n // stride)
    return torch.arange(rows * stride).view(rows, stride).T


@wrong("patterns.strided_order")
def padding_left_in(n, stride):
    rows = -(-n // stride)
    return torch.arange(rows * stride).view(rows, stride).T.reshape(-1)


@wrong("patterns.strided_order")
def shorter_piece_left_out(n, stride):
    whole = n // stride * stride
    return torch.arange(whole).view(-1, stride).T.reshape(-1)


@wrong("patterns.strided_order", "remainder 0 last")
def groups_from_1(n, stride):
    order = [p for remainder in range(1, stride) for p in range(remainder, n, stride)]
    return torch.tensor([*order, *range(0, n, stride)])


@wrong("patterns.strided_order")
def permutation_matrix(n, stride):
    return torch.eye(n, dtype=torch.bool)[lists(n, stride)]


@wrong("patterns.strided_order", "inside by chance")
def argsort_that_is_not_stable(n, stride):
    return torch.argsort(torch.arange(n) % stride)
