"""The systems people come from: OpenAI's sparse attention, DeepSpeed's layouts, Longformer, BigBird.

Their layouts are written down here once more as loops over blocks, from their documented meaning. DeepSpeed's
are compared by which blocks they list: a DeepSpeed layout sees all of each block, ours is exact to the
element. There is one deliberate difference. DeepSpeed's "unidirectional" Variable lists blocks in the future
(random blocks are drawn from the whole row), so do Fixed and Variable where global blocks come in groups, and
Dense has no direction at all; and in every one of them a query sees the later keys of its own block. Ours,
overlaid with `Causal()`, never sees the future: where theirs does, ours is the lower triangle of theirs.
"""

import pytest
import torch

from tsparse import (
    BlockLayout,
    Causal,
    Columns,
    Documents,
    Fixed,
    Full,
    Global,
    Local,
    Pattern,
    PerHead,
    Prefix,
    RandomBlocks,
    SlidingWindow,
    Strided,
    bigbird,
    longformer,
)

BLOCK = 4


def blocks(pattern: Pattern, n_blocks: int, heads: int | None = None) -> torch.Tensor:
    """Which blocks the layout of a pattern lists, bool `[heads, R, C]`."""
    layout: BlockLayout = pattern.layout(n_blocks * BLOCK, block=BLOCK, heads=heads)
    found = torch.zeros(layout.heads, n_blocks, n_blocks, dtype=torch.bool)
    for crow, col in (
        (layout.crow_indices[0], layout.col_indices),
        (layout.full_crow_indices[0], layout.full_col_indices),
    ):
        for h in range(layout.heads):
            for row in range(n_blocks):
                found[h, row, col[crow[h, row] : crow[h, row + 1]]] = True
    return found


def sees_no_future(layout: torch.Tensor) -> bool:
    return torch.equal(layout, layout.tril())


# OpenAI


@pytest.mark.parametrize(
    ("pattern", "sees"),
    [
        (Causal(), lambda q, k, ctx: k <= q),
        (SlidingWindow(8), lambda q, k, ctx: 0 <= q - k < ctx),
        (Strided(8) & Causal(), lambda q, k, ctx: k <= q and (q - k) % ctx == 0),
        (Fixed(8, 2) & Causal(), lambda q, k, ctx: k <= q and (q // ctx == k // ctx or k % ctx >= ctx - 2)),
    ],
    ids=["all", "local", "strided", "fixed"],
)
@pytest.mark.parametrize("n", [32, 29])
def test_openai_modes(pattern: Pattern, sees, n: int) -> None:
    want = torch.tensor([[sees(q, k, 8) for k in range(n)] for q in range(n)])
    assert torch.equal(pattern.layout(n, block=4).dense_mask(), want)


def test_openai_strided_heads_are_a_local_and_a_strided_one() -> None:
    both = PerHead([SlidingWindow(8), Strided(8) & Causal()]).mask(32)
    q, k = torch.arange(32)[:, None], torch.arange(32)
    assert torch.equal(both[0, 0], (q - k >= 0) & (q - k < 8))
    assert torch.equal(both[0, 1], (q >= k) & ((q - k) % 8 == 0))


def test_openai_fixed_heads_take_one_sub_block_each() -> None:
    mask = (Fixed(8, 2, heads=4) & Causal()).mask(32)
    for head in range(4):
        for q in range(32):
            for k in range(32):
                summary = 8 - 2 * (head + 1) <= k % 8 < 8 - 2 * head
                assert mask[0, head, q, k] == (k <= q and (q // 8 == k // 8 or summary))


# DeepSpeed: R x C layouts, as its configurations define them


def deepspeed_fixed(
    n: int, local: int, width: int, unidirectional: bool, heads: int = 1, horizontal: bool = False
) -> torch.Tensor:
    layout = torch.zeros(heads, n, n, dtype=torch.bool)
    for h in range(heads):
        for row in range(n):
            chunk = row - row % local
            layout[h, row, chunk : row + 1 if unidirectional else chunk + local] = True
        for chunk in range(0, n, local):
            first = chunk + local - (1 + h) * width
            layout[h, first if unidirectional else 0 :, first : first + width] = True
            if horizontal:
                layout[h, first : first + width] = True
    return layout


def deepspeed_variable(
    n: int, windows: list[int], spans: list[tuple[int, int]], unidirectional: bool, horizontal: bool = False
) -> torch.Tensor:
    layout = torch.zeros(1, n, n, dtype=torch.bool)
    start = 0
    for size in windows + windows[-1:] * n:
        for row in range(start, min(start + size, n)):
            layout[0, row, start : row + 1 if unidirectional else start + size] = True
        start += size
    for first, stop in spans:
        layout[0, first if unidirectional else 0 :, first:stop] = True
        if horizontal:
            layout[0, first:stop] = True
    return layout


def deepspeed_window(n: int, window: int, unidirectional: bool) -> torch.Tensor:
    layout = torch.zeros(1, n, n, dtype=torch.bool)
    for row in range(n):
        stop = row + 1 if unidirectional else row + window // 2 + 1
        layout[0, row, max(0, row - window // 2) : stop] = True
    return layout


def with_global(layout: torch.Tensor, spans: list[tuple[int, int]], unidirectional: bool) -> torch.Tensor:
    layout = layout.clone()
    for first, stop in spans:
        layout[:, first:stop] = layout[:, :, first:stop] = True
    return layout.tril() if unidirectional else layout


def tokens(spans: list[tuple[int, int]]) -> list[int]:
    """The positions in spans of blocks."""
    return [position for first, stop in spans for position in range(first * BLOCK, stop * BLOCK)]


def test_deepspeed_dense() -> None:
    assert blocks(Full(), 5).all()
    assert sees_no_future(blocks(Causal(), 5))


@pytest.mark.parametrize("width", [1, 2])
def test_deepspeed_fixed_bidirectional(width: int) -> None:
    want = deepspeed_fixed(12, 4, width, unidirectional=False)
    assert torch.equal(blocks(Fixed(4 * BLOCK, width * BLOCK), 12), want)
    summaries = tokens([(chunk + 4 - width, chunk + 4) for chunk in (0, 4, 8)])
    with_rows = Fixed(4 * BLOCK, width * BLOCK) | Global(summaries)
    assert torch.equal(blocks(with_rows, 12), deepspeed_fixed(12, 4, width, False, horizontal=True))


def test_deepspeed_fixed_unidirectional() -> None:
    ours = Fixed(4 * BLOCK, BLOCK) & Causal()
    assert torch.equal(blocks(ours, 12), deepspeed_fixed(12, 4, 1, unidirectional=True))


def test_deepspeed_fixed_sees_the_future_with_wider_summaries_and_ours_does_not() -> None:
    theirs = deepspeed_fixed(12, 4, 2, unidirectional=True)
    ours = blocks(Fixed(4 * BLOCK, 2 * BLOCK) & Causal(), 12)
    assert not sees_no_future(theirs)
    assert torch.equal(ours, theirs.tril())


@pytest.mark.parametrize("unidirectional", [False, True])
def test_deepspeed_fixed_with_different_global_patterns(unidirectional: bool) -> None:
    ours = Fixed(4 * BLOCK, BLOCK, heads=4)
    found = blocks(ours & Causal() if unidirectional else ours, 12, heads=4)
    assert torch.equal(found, deepspeed_fixed(12, 4, 1, unidirectional, heads=4))


def test_deepspeed_fixed_moves_the_summary_of_a_short_last_chunk_and_ours_has_none() -> None:
    # theirs: if the last chunk is too short, its last blocks are the summary; ours: the last of a whole chunk
    theirs = deepspeed_fixed(8, 4, 1, unidirectional=False)
    assert torch.equal(blocks(Fixed(4 * BLOCK, BLOCK), 10)[:, :8, :8], theirs)
    assert not blocks(Fixed(4 * BLOCK, BLOCK), 10)[:, :8, 8:].any()


WINDOWS, SPANS = [2, 1, 3], [(0, 1), (5, 7)]


def variable(spans: list[tuple[int, int]], n: int) -> Pattern:
    """Windows of blocks are documents; global columns are differences of prefixes."""
    pattern: Pattern = Documents.from_lengths([size * BLOCK for size in WINDOWS + WINDOWS[-1:] * n])
    for first, stop in spans:
        pattern = pattern | Prefix(stop * BLOCK) & ~Prefix(first * BLOCK)
    return pattern


def test_deepspeed_variable_bidirectional() -> None:
    assert torch.equal(blocks(variable(SPANS, 12), 12), deepspeed_variable(12, WINDOWS, SPANS, False))
    with_rows = variable(SPANS, 12) | Global(tokens(SPANS))
    assert torch.equal(blocks(with_rows, 12), deepspeed_variable(12, WINDOWS, SPANS, False, horizontal=True))


def test_deepspeed_variable_unidirectional() -> None:
    single = [(0, 1), (5, 6)]
    ours = blocks(variable(single, 12) & Causal(), 12)
    assert torch.equal(ours, deepspeed_variable(12, WINDOWS, single, unidirectional=True))


def test_deepspeed_variable_sees_the_future_with_global_spans_and_ours_does_not() -> None:
    theirs = deepspeed_variable(12, WINDOWS, SPANS, unidirectional=True)
    assert not sees_no_future(theirs)
    assert torch.equal(blocks(variable(SPANS, 12) & Causal(), 12), theirs.tril())


def test_deepspeed_variable_draws_random_blocks_from_the_future_and_ours_does_not() -> None:
    n, random = 12, RandomBlocks(2, BLOCK, seed=1, length=12 * BLOCK)
    theirs = deepspeed_variable(n, WINDOWS, SPANS[:1], unidirectional=True)
    theirs[0, torch.arange(n)[:, None], torch.stack(random.choices(torch.arange(n)), dim=1)] = True
    assert not sees_no_future(theirs)
    ours = blocks((variable(SPANS[:1], n) | RandomBlocks(2, BLOCK, seed=1)) & Causal(), n)
    assert sees_no_future(ours)
    bidirectional = deepspeed_variable(n, WINDOWS, SPANS[:1], unidirectional=False)
    drawn = torch.zeros_like(bidirectional)
    drawn[0, torch.arange(n)[:, None], torch.stack(random.choices(torch.arange(n)), dim=1)] = True
    assert drawn.sum(dim=-1).eq(2).all()  # `num_random_blocks` different ones in each row
    assert torch.equal(blocks(variable(SPANS[:1], n) | random, n), bidirectional | drawn)


@pytest.mark.parametrize("unidirectional", [False, True])
def test_deepspeed_bigbird(unidirectional: bool) -> None:
    n, length = 12, None if unidirectional else 12 * BLOCK
    # a radius of one block, in tokens, touches one block on each side: a window of 3
    ours = bigbird(BLOCK, radius=BLOCK, tokens=2 * BLOCK, random=2, seed=4, length=length)
    theirs = deepspeed_window(n, 3, unidirectional)
    choices = torch.stack(RandomBlocks(2, BLOCK, 4, length).choices(torch.arange(n)), dim=1)
    theirs[0, torch.arange(n)[:, None], choices] = True
    theirs = with_global(theirs, [(0, 2)], unidirectional)
    assert torch.equal(blocks(ours & Causal() if unidirectional else ours, n), theirs)


@pytest.mark.parametrize("unidirectional", [False, True])
@pytest.mark.parametrize("radius", [BLOCK + 1, 2 * BLOCK])
def test_deepspeed_longformer(unidirectional: bool, radius: int) -> None:
    ours = longformer(radius, tokens(SPANS))
    theirs = with_global(deepspeed_window(12, 5, unidirectional), SPANS, unidirectional)
    assert torch.equal(blocks(ours & Causal() if unidirectional else ours, 12), theirs)


@pytest.mark.parametrize("unidirectional", [False, True])
def test_deepspeed_local_sliding_window(unidirectional: bool) -> None:
    ours = SlidingWindow(BLOCK + 1) if unidirectional else Local(BLOCK)
    assert torch.equal(blocks(ours, 12), deepspeed_window(12, 3, unidirectional))


def test_columns_make_any_sub_block_a_summary() -> None:
    # DeepSpeed may give heads fewer different global patterns than a chunk has sub-blocks
    second = Columns(4 * BLOCK, 2 * BLOCK) & ~Columns(4 * BLOCK, BLOCK)
    assert blocks(second, 8)[0, 0].tolist() == [False, True, False, False] * 2


# Longformer and BigBird, element by element


@pytest.mark.parametrize("chosen", [[0], [3, 20, 21], []])
def test_longformer_sees_half_a_window_on_each_side_and_chosen_tokens(chosen: list[int]) -> None:
    window, n = 8, 30
    mask = longformer(window // 2, chosen).layout(n, block=4).dense_mask()
    for q in range(n):
        for k in range(n):
            assert mask[q, k] == (abs(q - k) <= window / 2 or q in chosen or k in chosen)


def test_longformer_tokens_of_questions_differ_by_batch_entry() -> None:
    marks = torch.zeros(2, 20, dtype=torch.bool)
    marks[0, :3] = marks[1, :7] = True
    mask = longformer(2, marks).layout(20, block=4).dense_mask()
    for b, question in enumerate((3, 7)):
        for q in range(20):
            for k in range(20):
                assert mask[b, 0, q, k] == (abs(q - k) <= 2 or min(q, k) < question)


def test_bigbird_sees_its_window_the_first_tokens_and_its_random_blocks() -> None:
    n, random = 40, RandomBlocks(2, 4, seed=9, length=40)
    mask = bigbird(4, radius=3, tokens=2, random=2, seed=9, length=n).layout(n, block=8).dense_mask()
    choices = torch.stack(random.choices(torch.arange(10)), dim=1).tolist()
    for q in range(n):
        for k in range(n):
            assert mask[q, k] == (abs(q - k) <= 3 or min(q, k) < 2 or k // 4 in choices[q // 4])
