"""backend="gather": what the reference computes, without ever making the N x M scores."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.backends import tensors
from tsparse import (
    BlockLayout,
    Causal,
    Documents,
    Full,
    Global,
    Padding,
    Pattern,
    SlidingWindow,
    chunks,
    reference,
    sparse_attention,
)


@pytest.mark.parametrize(("keys_at_once", "scores_at_once"), [(1, 1), (8, 64), (12, 1 << 19), (1024, 200)])
def test_long_rows_in_pieces_give_the_same(
    keys_at_once: int, scores_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", keys_at_once)
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", scores_at_once)
    q, k, v = tensors(40, 40, batch=2)
    for pattern in (Causal() & Padding([40, 11]), SlidingWindow(6) | Global([0, 9, 30]), ~Causal()):
        layout = pattern.layout(40, block=4)
        got = sparse_attention(q, k, v, layout, return_lse=True, backend="gather")
        want = reference.attention(q, k, v, layout.dense_mask(), return_lse=True)
        torch.testing.assert_close(got, want)


def test_pieces_of_very_different_scores_merge_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 4)
    q, k, v = tensors(12, 12)
    q, k = q * 30, k * torch.linspace(1, 30, 12)[:, None]
    got = sparse_attention(q, k, v, Full().layout(12, block=4), return_lse=True, backend="gather")
    torch.testing.assert_close(got, reference.attention(q, k, v, return_lse=True))


def test_inputs_need_not_be_contiguous_and_are_left_alone() -> None:
    q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in tensors(24, 24))
    copies = [x.clone() for x in (q, k, v)]
    out = sparse_attention(q, k, v, Causal().layout(24, block=8), softcap=2.0, backend="gather")
    torch.testing.assert_close(out, reference.attention(q, k, v, Causal().mask(24), softcap=2.0))
    assert all(torch.equal(x, copy) for x, copy in zip((q, k, v), copies, strict=True))


class LargestTensor(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that any operation returned."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [
            leaf.untyped_storage().nbytes() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)
        ]
        self.bytes = max([self.bytes, *sizes])
        return result


def test_no_tensor_in_between_is_larger_than_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "KEYS_AT_ONCE", 1 << 8)
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", 1 << 13)
    q, k, v = tensors(2048, 2048, batch=1, heads=1, kv_heads=1, dtype=torch.float32)
    layout = (SlidingWindow(64) | Global([0, 1000])).layout(2048, block=16)
    with LargestTensor() as seen:
        sparse_attention(q, k, v, layout, backend="gather")
    assert seen.bytes <= q.untyped_storage().nbytes()


class Products(TorchDispatchMode):
    """Remembers where batched matrix products were written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.bmm, torch.ops.aten.baddbmm_):
            self.written.append(result.data_ptr())
        return result


@pytest.mark.parametrize("pattern", [SlidingWindow(50), SlidingWindow(50) | Global([0, 100])], ids=repr)
def test_scores_of_a_chunk_are_written_where_the_last_ones_were(
    pattern: Pattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "SCORES_AT_ONCE", 1 << 10)
    q, k, v = tensors(512, 512, batch=1, heads=1, kv_heads=1)
    layout = pattern.layout(512, block=16)
    with Products() as products:
        sparse_attention(q, k, v, layout, backend="gather")
    assert len(products.written) > 20
    assert len(set(products.written[-20:])) <= 3  # scores and output, one of which grew


class Counted(Causal):
    """Causal, counting how many elements it was asked for."""

    asked = 0

    def __call__(
        self, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor
    ) -> torch.Tensor:
        seen = super().__call__(b, h, q_idx, kv_idx)
        type(self).asked += seen.numel()
        return seen


def test_a_pattern_is_asked_once_for_all_heads_and_batch_entries_and_for_all_calls() -> None:
    q, k, v = tensors(64, 64)
    layout = Counted().layout(64, block=8)
    Counted.asked = 0
    first = sparse_attention(q, k, v, layout, backend="gather")
    assert 0 < Counted.asked <= 8 * 8 * 8  # one block of each row of blocks at most
    Counted.asked = 0
    assert torch.equal(sparse_attention(q, k, v, layout, backend="gather"), first)
    assert Counted.asked == 0


def test_what_is_kept_with_a_layout_serves_any_number_of_heads_and_goes_with_it() -> None:
    layout = Causal().layout(12, block=4)
    for batch, heads, kv_heads in ((1, 4, 4), (3, 4, 2), (2, 2, 1)):
        q, k, v = tensors(12, 12, batch, heads, kv_heads)
        want = reference.attention(q, k, v, layout.dense_mask())
        torch.testing.assert_close(sparse_attention(q, k, v, layout, backend="gather"), want)
    gone = weakref.ref(layout)
    del layout
    assert gone() is None


def test_a_compiled_model_calls_it_between_its_graphs_and_trains() -> None:
    project, layout = torch.nn.Linear(8, 3 * 8), Causal().layout(12, block=4)
    graphs: list[torch.fx.GraphModule] = []

    def loss(x: torch.Tensor) -> torch.Tensor:
        q, k, v = project(x).view(2, 12, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return sparse_attention(q, k, v, layout, backend="gather").square().sum()

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    x = torch.randn(2, 12, 8)
    (want,) = torch.autograd.grad(loss(x), project.weight)
    compiled = torch.compile(loss, backend=backend)
    for _ in range(2):
        (got,) = torch.autograd.grad(compiled(x), project.weight)
        torch.testing.assert_close(got, want)
    assert 2 <= len(graphs) <= 4  # what comes before and after, not each step of gather


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gather_works_on_a_gpu() -> None:
    q, k, v = (x.cuda() for x in tensors(40, 40))
    for pattern in (
        Documents.from_lengths([15, 25]) & Causal(),
        SlidingWindow(5) | Global([3]),
        Padding([9, 0, 40]),
    ):
        layout: BlockLayout = pattern.layout(40, block=8, device="cuda")
        out = sparse_attention(q, k, v, layout, backend="gather")
        want = reference.attention(q.cpu(), k.cpu(), v.cpu(), layout.to("cpu").dense_mask())
        torch.testing.assert_close(out.cpu(), want)
