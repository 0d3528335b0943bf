"""Answers to `patterns.reach`."""

import torch

from tests.grade.pattern_answers import right, wrong


def with_own(mask):
    return mask | torch.eye(len(mask), dtype=torch.bool)


@right("patterns.reach")
def row_by_row(mask, layers):
    step, rows = with_own(mask), []
    for query in range(len(mask)):
        held = torch.zeros(len(mask), dtype=torch.bool)
        held[query] = True
        for _ in range(layers):
            held = step[held].any(0)
        rows.append(held)
    return torch.stack(rows)


@right("patterns.reach")
def matrix_power_of_truth(mask, layers):
    reached = torch.eye(len(mask), dtype=torch.bool)
    step = with_own(mask)
    while layers:
        if layers % 2:
            reached = (step[:, :, None] & reached).any(1)
        step, layers = (step[:, :, None] & step).any(1), layers // 2
    return reached


@right("patterns.reach")
def counted_but_cut_off(mask, layers):
    paths, step = torch.eye(len(mask)), with_own(mask).float()
    for _ in range(layers):
        paths = (step @ paths).clamp(max=1)
    return paths > 0


@right("patterns.reach")
def residual_added_in_the_loop(mask, layers):
    reached = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(layers):
        reached = reached | (mask.float() @ reached.float() > 0)
    return reached


@wrong("patterns.reach", "paths counted")
def integer_matrix_power(mask, layers):
    return torch.linalg.matrix_power(with_own(mask).long(), layers) > 0


@wrong("patterns.reach")
def float32_paths(mask, layers):
    paths, step = torch.eye(len(mask)), with_own(mask).float()
    for _ in range(layers):
        paths = step @ paths
    return paths > 0


@wrong("patterns.reach", "no residual")
def mask_to_the_power(mask, layers):
    reached = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(layers):
        reached = mask.float() @ reached.float() > 0
    return reached


@wrong("patterns.reach", "residual only at the end")
def diagonal_filled_afterwards(mask, layers):
    reached = mask_to_the_power(mask, layers)
    reached.fill_diagonal_(True)
    return reached


@wrong("patterns.reach", "one layer too many")
def begins_with_the_mask(mask, layers):
    reached = with_own(mask)
    for _ in range(layers):
        reached = with_own(mask).float() @ reached.float() > 0
    return reached


@wrong("patterns.reach", "one layer too few")
def loop_from_1(mask, layers):
    reached = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(1, layers):
        reached = with_own(mask).float() @ reached.float() > 0
    return reached


@wrong("patterns.reach", "transposed")
def whom_it_reaches(mask, layers):
    return row_by_row(mask.T, layers)


@wrong("patterns.reach")
def squared_in_every_layer(mask, layers):
    reached = with_own(mask)
    for _ in range(layers):
        reached = reached.float() @ reached.float() > 0
    return reached


@wrong("patterns.reach")
def only_what_is_new(mask, layers):
    return row_by_row(mask, layers) & ~row_by_row(mask, max(layers - 1, 0))


@wrong("patterns.reach", "the mask itself")
def layers_ignored(mask, layers):
    return mask.clone()


@wrong("patterns.reach")
def everything_after_two(mask, layers):
    return torch.ones_like(mask) if layers >= 2 else with_own(mask)


@wrong("patterns.reach", "both directions")
def undirected(mask, layers):
    return row_by_row(mask | mask.T, layers)


@wrong("patterns.reach", "input changed")
def diagonal_of_the_input_is_filled(mask, layers):
    mask.fill_diagonal_(True)
    return row_by_row(mask, layers)


@wrong("patterns.reach", "wrong dtype")
def counts_returned(mask, layers):
    return row_by_row(mask, layers).float()


@right("patterns.reach")
def by_sets_of_tokens(mask, layers):
    """In plain Python, without a product of matrices."""
    n, out, sees = len(mask), torch.zeros_like(mask), mask.tolist()
    for query in range(n):
        held = {query}
        for _ in range(layers):
            new = held | {key for token in held for key in range(n) if sees[token][key]}
            if new == held:
                break
            held = new
        out[query, list(held)] = True
    return out


@wrong("patterns.reach")
def shares_that_fade(mask, layers):
    """A path is there, however little comes through it."""
    share = with_own(mask).float()
    share, left = share / share.sum(1, keepdim=True), torch.eye(len(mask))
    for _ in range(layers):
        left = share @ left
    return left > 1e-4
