"""Answers to `patterns.bigbird`."""

import torch

from tests.grade.pattern_answers import right, wrong


def near(n, radius):
    return (torch.arange(n)[:, None] - torch.arange(n)).abs() <= radius


@right("patterns.bigbird")
def filled_step_by_step(n, radius, global_tokens, random_keys):
    mask = near(n, radius)
    mask[:global_tokens] = True
    mask[:, :global_tokens] = True
    for i in range(n):
        mask[i, random_keys[i]] = True
    return mask


@right("patterns.bigbird")
def compared_with_every_draw(n, radius, global_tokens, random_keys):
    drawn = (random_keys[:, :, None] == torch.arange(n)).any(1)
    first = torch.arange(n) < global_tokens
    return near(n, radius) | drawn | first | first[:, None]


@right("patterns.bigbird")
def indexed_with_rows(n, radius, global_tokens, random_keys):
    mask = near(n, radius)
    mask[torch.arange(n)[:, None], random_keys] = True
    mask[:global_tokens], mask[:, :global_tokens] = True, True
    return mask


@wrong("patterns.bigbird", "random keys for all")
def every_row_gets_every_key(n, radius, global_tokens, random_keys):
    mask = filled_step_by_step(n, radius, global_tokens, random_keys)
    mask[:, random_keys.flatten()] = True
    return mask


@wrong("patterns.bigbird", "transposed")
def keys_get_the_queries(n, radius, global_tokens, random_keys):
    mask = filled_step_by_step(n, radius, global_tokens, random_keys[:, :0])
    for i in range(n):
        mask[random_keys[i], i] = True
    return mask


@wrong("patterns.bigbird", "made symmetric")
def mirrored(n, radius, global_tokens, random_keys):
    mask = filled_step_by_step(n, radius, global_tokens, random_keys)
    return mask | mask.T


@wrong("patterns.bigbird", "global columns missing")
def only_rows(n, radius, global_tokens, random_keys):
    mask = filled_step_by_step(n, radius, 0, random_keys)
    mask[:global_tokens] = True
    return mask


@wrong("patterns.bigbird", "global rows missing")
def only_columns(n, radius, global_tokens, random_keys):
    mask = filled_step_by_step(n, radius, 0, random_keys)
    mask[:, :global_tokens] = True
    return mask


@wrong("patterns.bigbird", "causal")
def for_a_decoder(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius, global_tokens, random_keys).tril()


@wrong("patterns.bigbird", "window one short")
def less_than_radius(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius - 1, global_tokens, random_keys) | near(n, 0)


@wrong("patterns.bigbird", "window looks back only")
def window_behind_only(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, -1, global_tokens, random_keys) | near(n, radius).tril()


@wrong("patterns.bigbird")
def half_of_the_radius(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius // 2, global_tokens, random_keys)


@wrong("patterns.bigbird")
def drawn_again(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius, global_tokens, torch.randint(n, random_keys.shape))


@wrong("patterns.bigbird")
def last_tokens_are_global(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius, 0, random_keys) | filled_step_by_step(
        n, -1, global_tokens, random_keys[:, :0]
    ).flip(0, 1)


@wrong("patterns.bigbird")
def only_the_last_draw(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius, global_tokens, random_keys[:, -1:])


@wrong("patterns.bigbird", "random keys ignored")
def longformer(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius, global_tokens, random_keys[:, :0])


@wrong("patterns.bigbird")
def one_global_token_only(n, radius, global_tokens, random_keys):
    return filled_step_by_step(n, radius, min(global_tokens, 1), random_keys)
