"""Layouts: the right blocks, rightly called partial or full, in well-formed lists, at any size."""

import dataclasses
import subprocess
import sys

import pytest
import torch

from tests import closed_forms as forms
from tests.closed_forms import ATOMS, EXPRESSIONS, PER_HEAD, Form, assert_blocks, brute_force_blocks, listed
from tsparse import (
    BlockLayout,
    Causal,
    Columns,
    Dilated,
    Documents,
    Fixed,
    Full,
    Global,
    Local,
    Padding,
    Pattern,
    PerHead,
    RandomBlocks,
    SlidingWindow,
    Strided,
    bigbird,
    blocks,
    longformer,
)
from tsparse.blocks import BlockLists

MILLION = 1_048_576


def assert_means(layout: BlockLayout, form: Form) -> None:
    """Its lists and its mask say what the form says."""
    assert_blocks(layout, form.masks(layout.n_q, layout.n_kv, layout.q_offset))


@pytest.mark.parametrize("form", ATOMS + EXPRESSIONS + PER_HEAD, ids=repr)
@pytest.mark.parametrize("block", [(4, 4), (8, 4), (3, 7), (2, 9), (64, 64), (1, 1)])
def test_lists_hold_exactly_the_blocks_that_brute_force_finds(form: Form, block: tuple[int, int]) -> None:
    for n_q, n_kv, q_offset in ((40, 40, 0), (17, 40, 0), (40, 21, 0), (5, 39, 34), (1, 1, 0)):
        assert_means(form.pattern.layout(n_q, n_kv, block=block, q_offset=q_offset), form)


def test_lists_of_batch_entries_share_one_flat_array() -> None:
    layout = Padding([3, 0, 8]).layout(8, block=4)
    assert layout.crow_indices.tolist() == [[[0, 1, 2]], [[2, 2, 2]], [[2, 2, 2]]]
    assert layout.full_crow_indices.tolist() == [[[0, 0, 0]], [[0, 0, 0]], [[0, 2, 4]]]
    assert (layout.batch, layout.heads) == (3, 1)


def test_lists_of_heads_share_one_flat_array() -> None:
    layout = PerHead([Causal(), ~Full(), Local(0)]).layout(4, block=2, heads=3)
    assert layout.crow_indices.tolist() == [[[0, 1, 2], [2, 2, 2], [2, 3, 4]]]
    assert layout.full_crow_indices.tolist() == [[[0, 0, 1], [1, 1, 1], [1, 1, 1]]]
    assert (layout.batch, layout.heads) == (1, 3)
    assert Causal().layout(4, heads=3).heads == 1


@pytest.mark.parametrize("ids", [[[0, 1, 0, 1], [1, 1, 0, 0]], [[0, 0, 1, 1], [0, 1, 0, 0]]])
def test_documents_in_pieces_may_differ_by_batch_entry(ids: list[list[int]]) -> None:
    assert_means(Documents(ids).layout(4, block=2), forms.documents(ids))


def test_block_without_all_its_keys_is_partial_and_without_all_its_queries_full() -> None:
    layout = Full().layout(5, 5, block=2)
    assert listed(layout.crow_indices, layout.col_indices) == [(0, 0, 2), (0, 1, 2), (0, 2, 2)]
    assert (0, 2, 0) in listed(layout.full_crow_indices, layout.full_col_indices)


@pytest.mark.parametrize(
    "pattern",
    [
        SlidingWindow(8),
        Local(5),
        Global([3, 9]),
        Documents.from_lengths([5, 30, 29]),
        Padding([50, 3]),
        Dilated(9, 3),
        Dilated(3, 10),
        Strided(3),
        Strided(12),
        Columns(12, 2),
        RandomBlocks(3, block=3),
        RandomBlocks(3, block=16, length=64),
        PerHead([Causal(), Strided(7)]),
        Fixed(8, 4),
        longformer(64, 2),
    ],
    ids=repr,
)
def test_named_pattern_is_laid_out_without_looking_at_elements(
    pattern: Pattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(*places: torch.Tensor) -> None:
        raise AssertionError("the layout looked at single elements")

    want = pattern.mask(53, 64)
    monkeypatch.setattr(blocks, "tile_masks", looked)
    layout = pattern.layout(53, 64, block=4)
    monkeypatch.undo()
    assert torch.equal(layout.dense_mask(), want)


class Even(Pattern):
    """A pattern of somebody else's: only a rule, which differs by head."""

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        return (q_idx + kv_idx) % 2 == 0


def test_pattern_with_nothing_but_a_rule_has_layouts() -> None:
    assert_means(Even().layout(9, 14, block=(4, 1)), Form(Even(), lambda b, h, q, k: (q + k) % 2 == 0))


@pytest.mark.parametrize("elements", [1, 40])
def test_undecided_blocks_are_looked_at_in_bounded_chunks(
    elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "ELEMENTS_AT_ONCE", elements)
    form = forms.documents([3, 1, 2, 2, 0] * 8) & forms.causal()
    assert_means(form.pattern.layout(40, block=(4, 5)), form)


@pytest.mark.parametrize("form", [*EXPRESSIONS[:4], forms.full(), forms.padding([40, 0, 13])], ids=repr)
def test_density_and_fill_count_blocks_and_elements(form: Form) -> None:
    layout = form.pattern.layout(37, 39, block=(8, 6))
    mask = form.dense(37, 39)
    blocks = sum(map(len, brute_force_blocks(mask, (8, 6))))
    assert layout.density == pytest.approx(blocks / (len(mask) * 5 * 7))
    assert layout.fill == pytest.approx(int(mask.sum()) / (blocks * 48))


def test_layout_that_lists_nothing_wastes_nothing() -> None:
    layout = (~Full()).layout(8, block=4)
    assert (layout.density, layout.fill) == (0.0, 1.0)


def test_layouts_are_equal_only_to_themselves() -> None:
    one, other = Causal().layout(8), Causal().layout(8)
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_layouts_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Causal().layout(8).pattern = Full()  # type: ignore[misc]


def test_layout_moves_to_another_device_with_all_its_lists() -> None:
    layout = Causal().layout(8, block=4)
    moved = layout.to("meta")
    assert layout.device.type == "cpu"
    assert moved.device.type == "meta"
    for lists in (moved.by_query, moved.transposed()):
        assert all(getattr(lists, field.name).is_meta for field in dataclasses.fields(BlockLists))


def test_layout_tells_its_size() -> None:
    layout = (SlidingWindow(3) & Causal()).layout(9, block=(4, 2))
    assert (layout.n_q, layout.n_kv, layout.block, layout.q_offset) == (9, 9, (4, 2), 0)
    assert (layout.n_q_blocks, layout.n_kv_blocks) == (3, 5)
    assert repr(layout).startswith("BlockLayout(SlidingWindow(3) & Causal(), n_q=9, n_kv=9, block=(4, 2)")


@pytest.mark.parametrize(
    ("pattern", "partial", "full"),
    [
        # the diagonal, from the block row on where the window ends inside: 8192 + (8192 - 32)
        (SlidingWindow(4096), 8192 + 8160, sum(min(row, 31) for row in range(8192))),
        # the diagonal, the window's end from row 2 on, column 0 from where the window has left it
        ((SlidingWindow(256) | Global(4)) & Causal(), 8192 + 8190 + 8189, 8191),
        (Local(128), 2 * 8191, 8192),
        # row 0 sees 4 tokens' worth of everything: 8192 partial, and so do the others of column 0
        (Global(4), 2 * 8192 - 1, 0),
        (Documents.from_lengths([MILLION // 64] * 64), 0, 64 * 128**2),
        # permuted: 1024 sequences of 1024 tokens
        (Strided(1024), 0, 1024 * 8**2),
        (Strided(1024) & Causal(), 1024 * 8, 1024 * 28),
        # the window spans 9 blocks, the diagonal one of them, and the outermost holds a single key
        (Dilated(257, 4), sum(min(row, 8) + 1 for row in range(8192)), 0),
        # the blocks beside the diagonal; the diagonal itself; row and column 0
        (longformer(128, 128), 2 * 8191 - 2, 8192 + 2 * 8191),
    ],
    ids=repr,
)
def test_layout_of_a_million_tokens_has_the_blocks_one_can_count(
    pattern: Pattern, partial: int, full: int
) -> None:
    layout = pattern.layout(MILLION, block=128)
    assert (len(layout.col_indices), len(layout.full_col_indices)) == (partial, full)


def test_bigbird_of_a_million_tokens_has_the_blocks_one_can_count() -> None:
    layout = bigbird(128, radius=128, tokens=128, random=3, length=MILLION).layout(MILLION, block=128)
    choices = torch.stack(RandomBlocks(3, 128, length=MILLION).choices(torch.arange(1, 8192)), dim=1)
    row = torch.arange(1, 8192)[:, None]
    new = (choices > 0) & (choices != row)  # neither in the global column nor the full diagonal
    window = int((new & ((choices - row).abs() == 1)).sum())  # was partial, becomes full
    assert len(layout.full_col_indices) == 8192 + 2 * 8191 + int(new.sum())
    assert len(layout.col_indices) == 2 * 8191 - 2 - window


def test_layout_of_a_million_tokens_needs_under_500_megabytes() -> None:
    pytest.importorskip("resource", reason="memory is read with the resource module, which Windows lacks")
    code = f"""
import resource
from tsparse import Causal, Global, SlidingWindow, Strided, bigbird, longformer
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
SlidingWindow(4096).layout({MILLION}, block=128)
((SlidingWindow(256) | Global(4)) & Causal()).layout({MILLION}, block=128)
longformer(256, 4).layout({MILLION}, block=128)
bigbird(64, 128, 64, 3, length={MILLION}).layout({MILLION}, block=128)
(bigbird(128, 128, 64, 3) & Causal()).layout({MILLION}, block=128)
(Strided(1024) & Causal()).layout({MILLION}, block=128)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    unit = 1 if sys.platform == "darwin" else 1024
    grown = int(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    )
    assert grown * unit < 500e6
