"""The work that a layout makes: every listed block once, what looks alike together, windows not copied."""

import pytest
import torch

from tests.backends import tensors
from tests.closed_forms import ATOMS, EXPRESSIONS, Form
from tests.test_gather import LargestTensor
from tests.test_gather_backward import gradients
from tsparse import BlockLayout, Causal, Full, Global, Local, Pattern, SlidingWindow, Strided, chunks
from tsparse.runs import UNDECIDED, Grid, Runs


class EveryOther(Pattern):
    """Head h sees the keys k with k % 3 == h % 3, up to its own."""

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        return (kv_idx % 3 == h % 3) & (kv_idx <= q_idx)

    def runs(self, grid: Grid) -> Runs:
        runs = Runs.uniform(UNDECIDED, grid)
        return Runs(runs.bounds.expand(2, 4, -1, -1), runs.labels.expand(2, 4, -1, -1))


class Every(Pattern):
    """The first `width` queries of every `period` see all keys."""

    def __init__(self, period: int, width: int) -> None:
        self.period, self.width = period, width

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        return (q_idx % self.period < self.width) & (kv_idx >= 0)

    def runs(self, grid: Grid) -> Runs:
        return Runs.uniform(UNDECIDED, grid)


class Neighbours(Pattern):
    """A block of queries sees all but the first key of its block and of the two beside it."""

    def __init__(self, block: int) -> None:
        self.block = block

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        return ((q_idx // self.block - kv_idx // self.block).abs() <= 1) & (kv_idx % self.block > 0)

    def runs(self, grid: Grid) -> Runs:
        return Runs.uniform(UNDECIDED, grid)


def windows(layout: BlockLayout, heads: int = 1) -> list[chunks.Chunk]:
    """Those chunks whose keys are overlapping stretches."""
    made = chunks.chunks(layout, 1, heads, heads)
    return [c for c in made if isinstance(c.keys, chunks.Windows) and c.keys.step < c.keys.width]


def seen(layout: BlockLayout, batch: int, heads: int, kv_heads: int) -> torch.Tensor:
    """How often each key is computed and not hidden for each query, `[B, H, N, M]`."""
    n_q, n_kv = layout.n_q_blocks * layout.block[0], layout.n_kv_blocks * layout.block[1]
    times = torch.zeros(batch, heads, n_q, n_kv, dtype=torch.int64)
    for chunk in chunks.chunks(layout, batch, heads, kv_heads):
        queries, keys = chunk.places(layout.block[1], layout.device)
        scores = torch.zeros(*queries.shape, keys.shape[1])
        for hidden in chunk.hidden:
            hidden.hide(scores)
        b, h, q = (x[:, :, None] for x in (queries // n_q // heads, queries // n_q % heads, queries % n_q))
        assert (keys[:, None, :] // n_kv == b * kv_heads + h // (heads // kv_heads)).all()  # of its own head
        times.index_put_((b, h, q, keys[:, None, :] % n_kv), (scores == 0).long(), accumulate=True)
    assert times[..., 39:].sum() == 0  # nothing past the end
    return times[:, :, :37, :39]


@pytest.mark.parametrize("form", ATOMS + EXPRESSIONS, ids=repr)
@pytest.mark.parametrize(("keys_at_once", "part"), [(8, 2), (1024, 32)])
def test_every_key_that_a_query_sees_is_computed_once_and_no_other(
    form: Form, keys_at_once: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", keys_at_once)
    monkeypatch.setattr(chunks, "PART", part)
    monkeypatch.setattr(chunks, "STRETCH", 2)
    layout = form.pattern.layout(37, 39, block=(4, 3))
    times = seen(layout, form.batch, 4, 2)
    assert torch.equal(times, layout.dense_mask().expand_as(times).long())


@pytest.mark.parametrize(
    "pattern", [SlidingWindow(20), Local(3), Local(9), Causal() & ~SlidingWindow(5) & Local(30)]
)
@pytest.mark.parametrize("block", [(8, 8), (8, 4), (8, 2), (4, 8)])
@pytest.mark.parametrize("n", [200, 197])
@pytest.mark.parametrize("part", [2, 3, 32])
def test_windows_equal_the_reference(
    pattern: Pattern, block: tuple[int, int], n: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "PART", part)
    q, k, v = tensors(n, n, batch=2)
    layout = pattern.layout(n, block=block)
    assert windows(layout) or block[0] < block[1]  # two rows of blocks that begin with one key block
    options = {"alibi_slopes": torch.rand(2, 4), "softcap": 2.0}
    got, want = (gradients(q, k, v, layout, backend, **options) for backend in ("gather", "reference"))
    torch.testing.assert_close(got, want)


EDGES = [chunks.Stripes(0, 1, 1, 1), chunks.Stripes(257, 31, 289, 33)]
"""What a window of 256 hides from 32 queries in 288 keys: one before the first, then 33 from row to row."""


def test_no_key_of_a_sliding_window_is_copied_not_even_for_the_first_rows() -> None:
    layout = SlidingWindow(256).layout(4096, block=64)
    made = chunks.chunks(layout, 1, 4, 4)
    assert sum(c.pieces * c.height for c in windows(layout, heads=4)) == 4 * (4096 - 256)
    first = [(c.queries, c.keys) for c in made if c.height == 64]  # each of four rows in all heads at once
    assert sorted(first) == [
        (slice(row, 193 + row, 64), chunks.Windows(0, 4096, 64 * (row + 1))) for row in range(4)
    ]
    assert len(made) == len(windows(layout, heads=4)) + len(first)


@pytest.mark.parametrize("block", [32, 64, 128])
@pytest.mark.parametrize("n", [4096, 4090])
def test_queries_of_a_sliding_window_share_288_keys_whatever_the_block(block: int, n: int) -> None:
    made = windows(SlidingWindow(256).layout(n, block=block))
    for chunk in made:
        first, step, width = chunk.keys
        assert (chunk.height, step, width) == (32, 32, 288)
        assert first == (chunk.queries.start - 8) * 32
        assert chunk.hidden == EDGES
    assert sum(chunk.pieces * chunk.height for chunk in made) == n // block * block - 256  # a last row apart


def test_a_few_stripes_hide_what_a_mask_hides() -> None:
    for mask in (
        torch.ones(6, 9, dtype=torch.bool).tril(-2),
        ~torch.ones(6, 9, dtype=torch.bool).tril(3).triu(1),
        torch.arange(54).view(6, 9) % 7 < 3,
        torch.tensor([[True, False, True, True], [False, True, False, True]]),
        torch.ones(3, 4, dtype=torch.bool),
    ):
        scores = torch.full((2, *mask.shape), torch.nan)
        stripes = chunks._stripes(mask)
        for stripe in stripes:
            stripe.hide(scores)
        assert torch.equal(scores == -torch.inf, mask.expand_as(scores))
        assert sum(stripe.runs * stripe.length for stripe in stripes) == mask.sum()


def test_parts_of_windows_need_not_look_alike() -> None:
    for chunk in windows((Local(40) & Every(64, 40)).layout(2048, block=64)):
        assert (chunk.height, chunk.keys.step) == (32, 32)
        assert max(len(x.masks) for x in chunk.hidden) == 2


def test_blocks_whose_parts_all_see_the_same_keys_stay_whole() -> None:
    made = windows(Neighbours(64).layout(2048, block=64))
    assert made
    assert {(chunk.height, chunk.keys.step) for chunk in made} == {(64, 64)}


def test_keys_of_windows_are_not_copied() -> None:
    from tsparse.gather import _load

    tiles = torch.randn(64, 8, 5)
    (chunk,) = windows(SlidingWindow(20).layout(512, block=8))
    loaded = _load(tiles, chunk, torch.empty(0))
    assert loaded.untyped_storage().data_ptr() == tiles.untyped_storage().data_ptr()
    assert torch.equal(loaded, tiles.flatten(0, 1)[chunk.places(8, tiles.device)[1]])


def test_a_chunk_holds_no_row_twice_and_no_more_scores_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 32)
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", 1000)
    for layout in (
        SlidingWindow(20).layout(400, block=8),
        (SlidingWindow(50) | Global([0, 100])).layout(200, block=8),
        EveryOther().layout(64, block=4, heads=4),
        Full().layout(100, block=(4, 8)),
    ):
        for chunk in chunks.chunks(layout, 2, 4, 4):
            queries, keys = chunk.places(layout.block[1], layout.device)
            assert len(queries.unique()) == queries.numel()
            most = chunks.WITHOUT_COPIES * 1000 if isinstance(chunk.keys, chunks.Windows) else 1000
            scores = queries.numel() * keys.shape[1]
            assert scores <= most or len(queries) == 1
            assert scores > 100  # not many small ones either


@pytest.mark.parametrize("block", [16, 128])
def test_one_query_of_a_long_text_makes_nothing_longer_than_the_text(block: int) -> None:
    layout = (Strided(block) & Causal()).layout(1, 1 << 18, block=block, q_offset=(1 << 18) - 1)
    with LargestTensor() as seen:
        chunks.chunks(layout, 1, 2, 2)  # the windows of its two heads are as far apart as the text is long
    assert seen.bytes <= 4 * layout.n_kv


def test_first_pieces_come_before_the_others_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 16)
    begun: set[int] = set()
    for chunk in chunks.chunks(Causal().layout(200, block=8), 1, 2, 2):
        queries = set(chunk.places(8, torch.device("cpu"))[0].flatten().tolist())
        assert queries.isdisjoint(begun) if chunk.begins else queries <= begun
        begun |= queries
    assert begun == set(range(400))
