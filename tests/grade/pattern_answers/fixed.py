"""Answers to `patterns.fixed`."""

import torch

from tests.grade.pattern_answers import right, wrong


def rule(n, stride, width):
    q, k = torch.arange(n)[:, None], torch.arange(n)
    return k <= q, q // stride == k // stride, k % stride >= stride - width


@right("patterns.fixed")
def row_by_row(n, stride, width):
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        mask[i, i // stride * stride : i + 1] = True
        for end in range(stride, i + 1, stride):
            mask[i, max(end - width, 0) : end] = True
    return mask


@right("patterns.fixed")
def counted_from_the_end_of_the_chunk(n, stride, width):
    causal, own, _ = rule(n, stride, width)
    return causal & (own | (stride - 1 - torch.arange(n) % stride < width))


@right("patterns.fixed")
def blocks_and_columns(n, stride, width):
    chunks = -(-n // stride)
    own = torch.block_diag(*chunks * [torch.ones(stride, stride)])[:n, :n].bool()
    summary = torch.zeros(stride, dtype=torch.bool)
    summary[-width:] = True
    return (own | summary.repeat(chunks)[:n]).tril()


@wrong("patterns.fixed", "places counted from 1")
def counted_from_1(n, stride, width):
    causal, own, _ = rule(n, stride, width)
    return causal & (own | ((torch.arange(n) + 1) % stride >= stride - width))


@wrong("patterns.fixed", "one column too few")
def strictly_greater(n, stride, width):
    causal, own, _ = rule(n, stride, width)
    return causal & (own | (torch.arange(n) % stride > stride - width))


@wrong("patterns.fixed", "not causal")
def as_the_pattern_of_the_package(n, stride, width):
    _, own, summary = rule(n, stride, width)
    return own | summary


@wrong("patterns.fixed", "summaries not causal")
def brackets_in_the_wrong_place(n, stride, width):
    causal, own, summary = rule(n, stride, width)
    return causal & own | summary


@wrong("patterns.fixed", "own chunk missing")
def summaries_alone(n, stride, width):
    causal, _, summary = rule(n, stride, width)
    return causal & summary


@wrong("patterns.fixed", "window for chunk")
def the_last_stride_keys(n, stride, width):
    causal, _, summary = rule(n, stride, width)
    q, k = torch.arange(n)[:, None], torch.arange(n)
    return causal & ((q - k < stride) | summary)


@wrong("patterns.fixed", "first columns")
def columns_of_lesson_08(n, stride, width):
    causal, own, _ = rule(n, stride, width)
    return causal & (own | (torch.arange(n) % stride < width))


@wrong("patterns.fixed", "strides for summaries")
def strided_in_place_of_summaries(n, stride, width):
    causal, own, _ = rule(n, stride, width)
    q, k = torch.arange(n)[:, None], torch.arange(n)
    return causal & (own | ((q - k) % stride == 0))


@wrong("patterns.fixed")
def chunk_of_width(n, stride, width):
    causal, _, summary = rule(n, stride, width)
    q, k = torch.arange(n)[:, None], torch.arange(n)
    return causal & ((q // width == k // width) | summary)


@wrong("patterns.fixed")
def summaries_of_the_query(n, stride, width):
    causal, own, summary = rule(n, stride, width)
    return causal & (own | summary[:, None])


@wrong("patterns.fixed", "and instead of or")
def all_three(n, stride, width):
    causal, own, summary = rule(n, stride, width)
    return causal & own & summary


@wrong("patterns.fixed")
def last_chunk_dropped(n, stride, width):
    mask = torch.zeros(n, n, dtype=torch.bool)
    whole = n // stride * stride
    mask[:whole, :whole] = row_by_row(whole, stride, width)
    return mask


@wrong("patterns.fixed", "own chunk only")
def chunks_are_documents(n, stride, width):
    causal, own, _ = rule(n, stride, width)
    return causal & own
