"""The work that a layout makes: every listed block once, what looks alike together, windows not copied."""

from collections import Counter

import pytest
import torch

from tests.backends import tensors
from tests.closed_forms import ATOMS, EXPRESSIONS, Form
from tests.test_gather_backward import gradients
from tsparse import BlockLayout, Causal, Full, Global, Local, Pattern, SlidingWindow, chunks
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


def rows(chunk: chunks.Chunk) -> list[int]:
    row = chunk.row
    return list(range(row.start, row.stop)) if isinstance(row, slice) else row.tolist()


def visited(layout: BlockLayout, batch: int, heads: int, kv_heads: int) -> Counter[tuple[int, int]]:
    made = chunks.chunks(layout, batch, heads, kv_heads)
    return Counter((r, t) for c in made for r, ts in zip(rows(c), c.tiles.tolist(), strict=True) for t in ts)


@pytest.mark.parametrize("form", ATOMS + EXPRESSIONS, ids=repr)
@pytest.mark.parametrize("keys_at_once", [8, 1024])
def test_every_listed_block_is_visited_once(form: Form, keys_at_once: int, monkeypatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", keys_at_once)
    monkeypatch.setattr(chunks, "STRETCH", 2)
    layout = form.pattern.layout(37, 39, block=(4, 3))
    blocks = reference_blocks(layout, form.batch)
    want = Counter(
        ((b * 4 + h) * layout.n_q_blocks + r, (b * 2 + h // 2) * layout.n_kv_blocks + c)
        for b, r, c in blocks
        for h in range(4)
    )
    assert visited(layout, form.batch, 4, 2) == want


def reference_blocks(layout: BlockLayout, batch: int) -> list[tuple[int, int, int]]:
    """The (batch entry, row, column) of blocks in which the dense mask has anything."""
    mask = layout.dense_mask().expand(batch, 1, 37, 39)[:, 0]
    some = (
        torch.nn.functional.pad(mask, (0, 0, 0, 3)).unflatten(1, (10, 4)).unflatten(3, (13, 3)).any(4).any(2)
    )
    return [tuple(place) for place in some.nonzero().tolist()]


@pytest.mark.parametrize("pattern", [SlidingWindow(20), Local(9), Causal() & ~SlidingWindow(5) & Local(30)])
@pytest.mark.parametrize("block", [(8, 8), (8, 4), (8, 2), (4, 8)])
@pytest.mark.parametrize("n", [200, 197])
def test_windows_equal_the_reference(pattern: Pattern, block: tuple[int, int], n: int) -> None:
    q, k, v = tensors(n, n, batch=2)
    layout = pattern.layout(n, block=block)
    windows = [c for c in chunks.chunks(layout, 2, 4, 2) if c.window]
    assert bool(windows) == (block[0] >= block[1])  # else two rows of blocks begin with one key block
    options = {"alibi_slopes": torch.rand(2, 4), "softcap": 2.0}
    got, want = (gradients(q, k, v, layout, backend, **options) for backend in ("gather", "reference"))
    torch.testing.assert_close(got, want)


def test_almost_all_of_a_sliding_window_is_in_windows_that_share_their_masks() -> None:
    made = chunks.chunks(SlidingWindow(256).layout(4096, block=64), 1, 4, 4)
    windows = [c for c in made if c.window]
    assert sum(len(c.tiles) for c in windows) == 4 * 60  # each head: all but its first four of 64 rows
    assert all(len(c.which) == 1 and len(c.hidden) == len(c.slots) == 2 for c in windows)
    assert len(made) - len(windows) == 4  # those rows, all heads together


def test_keys_of_windows_are_not_copied() -> None:
    from tsparse.gather import _load

    tiles = torch.randn(64, 8, 5)
    (chunk,) = (c for c in chunks.chunks(SlidingWindow(20).layout(512, block=8), 1, 1, 1) if c.window)
    loaded = _load(tiles, chunk, torch.float32)
    assert loaded.untyped_storage().data_ptr() == tiles.untyped_storage().data_ptr()
    assert torch.equal(loaded, tiles[chunk.tiles].flatten(1, 2))


def test_a_chunk_holds_no_row_twice_and_no_more_scores_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 32)
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", 1000)
    for layout in (
        (SlidingWindow(50) | Global([0, 100])).layout(200, block=8),
        EveryOther().layout(64, block=4, heads=4),
        Full().layout(100, block=(4, 8)),
    ):
        for chunk in chunks.chunks(layout, 2, 4, 4):
            assert len(set(rows(chunk))) == len(chunk.tiles)
            assert chunk.tiles.numel() * layout.block[0] * layout.block[1] <= 1000 or len(chunk.tiles) == 1


def test_first_pieces_come_before_the_others_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 16)
    begun: set[int] = set()
    for chunk in chunks.chunks(Causal().layout(200, block=8), 1, 2, 2):
        assert all((row in begun) != chunk.begins for row in rows(chunk))
        begun.update(rows(chunk))
    assert begun == set(range(50))
