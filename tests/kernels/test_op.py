"""backend="triton": what the kernels compute, in the interpreter and on a GPU where there is one."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tsparse import (
    BlockLayout,
    Causal,
    Documents,
    Full,
    Global,
    Padding,
    PerHead,
    SlidingWindow,
    Strided,
    sparse_attention,
)
from tsparse.kernels import interpret, op, tiles
from tsparse.kernels.op import Lists
from tsparse.kernels.tiles import Tile

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
on_each_device = pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_gpu])]
)
every_dtype = pytest.mark.parametrize(
    ("device", "dtype"),
    [("cpu", torch.float16), ("cpu", torch.float32), ("cpu", torch.float64)]
    + [
        pytest.param("cuda", dtype, marks=[pytest.mark.gpu, needs_gpu])
        for dtype in (torch.float16, torch.bfloat16, torch.float32)
    ],
    ids=str,
)


def tensors(
    n_q: int,
    n_kv: int | None = None,
    heads: tuple[int, int] = (2, 1),
    sizes: tuple[int, int] = (8, 5),
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v with `heads` query and key heads, and `sizes` of keys and of values."""
    generator = torch.Generator().manual_seed(n_q)
    n_kv = n_q if n_kv is None else n_kv
    shapes = (heads[0], n_q, sizes[0]), (heads[1], n_kv, sizes[0]), (heads[1], n_kv, sizes[1])
    q, k, v = (torch.randn(batch, *shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return q.to(device, dtype), k.to(device, dtype), v.to(device, dtype)


def results(
    q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout, backend: str = "triton", **options
) -> list[Tensor]:
    """Output, lse, and the gradients of q, k and v from random weights of both."""
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    out, lse = sparse_attention(q, k, v, layout, return_lse=True, backend=backend, **options)
    generator = torch.Generator().manual_seed(7)
    dout, dlse = (torch.randn(x.shape, generator=generator).to(x) for x in (out, lse))
    return [out.detach(), lse.detach(), *torch.autograd.grad((out, lse), (q, k, v), (dout, dlse))]


def assert_right(q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout, **options) -> None:
    """The error against float64 is no worse than that of plain PyTorch at this dtype, and rounding."""
    got = results(q, k, v, layout, **options)
    plain = results(q, k, v, layout, "reference", **options)
    exact = results(*(x.double() for x in (q, k, v)), layout, "reference", **options)
    for mine, pytorchs, want in zip(got, plain, exact, strict=True):
        assert mine.dtype == pytorchs.dtype
        assert torch.equal(mine == -math.inf, want == -math.inf)  # lse of a query that sees nothing
        error, allowed = ((x.double() - want).masked_fill(want == -math.inf, 0) for x in (mine, pytorchs))
        rounding = 8 * torch.finfo(q.dtype).eps * want.masked_fill(want == -math.inf, 0).abs().max()
        assert error.abs().max() <= 2 * allowed.abs().max() + rounding


@on_each_device
@pytest.mark.parametrize(
    ("n_q", "n_kv", "q_offset", "block"),
    [
        (48, 48, 0, (16, 16)),
        (1, 1, 0, (16, 32)),
        (5, 39, 34, (16, 16)),
        (40, 20, 0, (32, 64)),
        (70, 90, 0, 64),
    ],
)
def test_kernels_equal_the_reference_at_any_size(n_q, n_kv, q_offset, block, device: str) -> None:
    q, k, v = tensors(n_q, n_kv, device=device)
    for pattern in (Causal(), (SlidingWindow(9) | Global([2, 20])) & Causal()):
        assert_right(q, k, v, pattern.layout(n_q, n_kv, block=block, q_offset=q_offset, device=device))


@every_dtype
@pytest.mark.parametrize("size", [16, 33, 64, 128, 256])
def test_every_dtype_and_head_size(size: int, device: str, dtype: torch.dtype) -> None:
    q, k, v = tensors(70, heads=(2, 1), sizes=(size, size), dtype=dtype, device=device)
    assert_right(q, k, v, (SlidingWindow(40) | Global(1)).layout(70, block=64, device=device))


@on_each_device
@pytest.mark.parametrize(
    ("slopes", "softcap"),
    [(None, 1.5), (torch.tensor([0.5, -0.1]), None), (torch.tensor([[0.5, -0.1], [0.0, 0.25]]), 1.5)],
)
def test_softcap_and_alibi(slopes: Tensor | None, softcap: float | None, device: str) -> None:
    q, k, v = tensors(21, 40, batch=2, device=device)
    options = {
        "scale": 0.9,
        "alibi_slopes": None if slopes is None else slopes.to(device),
        "softcap": softcap,
    }
    pattern = SlidingWindow(9) | Global([2, 20])
    assert_right(q, k, v, pattern.layout(21, 40, block=32, q_offset=17, device=device), **options)
    q, k, v = tensors(40, batch=2, device=device)  # permuted: distances are those in the sequence
    assert_right(q, k, v, (Strided(3) & Causal()).layout(40, block=32, device=device), **options)


@on_each_device
def test_heads_and_batch_entries_may_have_layouts_of_their_own(device: str) -> None:
    q, k, v = tensors(40, heads=(4, 2), batch=2, device=device)
    pattern = PerHead([Causal(), SlidingWindow(3), Full(), Global(2)]) & Padding([11, 40])
    assert_right(q, k, v, pattern.layout(40, block=(16, 32), device=device))


@on_each_device
def test_query_that_sees_nothing_gets_zero_and_no_gradient(device: str) -> None:
    q, k, v = tensors(40, batch=2, device=device)
    layout = (Causal() & Padding([0, 40]) & ~SlidingWindow(30)).layout(40, block=32, device=device)
    out, lse, dq, dk, dv = results(q, k, v, layout)
    assert (out[0] == 0).all()
    assert (lse[0] == -math.inf).all()
    assert (torch.cat([dq[0], dk[0].repeat(2, 1, 1)]) == 0).all()
    assert (dv[0] == 0).all()
    assert (out[1, :, :30] == 0).all()
    assert (dq[1, :, :30] == 0).all()
    assert (out[1, :, 30:] != 0).all()


def test_large_scores_overflow_nowhere() -> None:
    q, k, v = tensors(40, dtype=torch.float64)
    layout = Causal().layout(40, block=32)
    scaled = 300 * q, 300 * k, v
    torch.testing.assert_close(results(*scaled, layout), results(*scaled, layout, "reference"))


def test_positions_past_the_end_add_nothing_however_steep_the_slope() -> None:
    inputs, layout = tensors(40, 64, dtype=torch.float64), Full().layout(40, 64, block=64)
    slopes = torch.tensor([-90.0, 90.0])
    got, want = (results(*inputs, layout, name, alibi_slopes=slopes) for name in ("triton", "reference"))
    torch.testing.assert_close(got, want)


def test_only_what_requires_a_gradient_gets_one_and_no_list_of_the_layout_does() -> None:
    inputs, layout = tensors(40), SlidingWindow(9).layout(40, block=64)
    *_, dq, dk, dv = results(*inputs, layout)
    for place, want in enumerate((dq, dk, dv)):
        q, k, v = (x.clone().requires_grad_(at == place) for at, x in enumerate(inputs))
        out, lse = sparse_attention(q, k, v, layout, return_lse=True, backend="triton")
        generator = torch.Generator().manual_seed(7)
        weights = [torch.randn(x.shape, generator=generator) for x in (out, lse)]
        torch.autograd.backward((out, lse), weights)
        gradients = [q.grad, k.grad, v.grad]
        assert torch.equal(gradients.pop(place), want)
        assert gradients == [None, None]
    lists = Lists.of(layout.by_query, layout.partial_blocks.by_query)
    assert not any(x.requires_grad for x in lists)


def test_gradient_of_the_only_score_of_a_query_is_zero_in_half_precision() -> None:
    q, k, v = tensors(40, sizes=(256, 256), dtype=torch.float16)
    layout = SlidingWindow(1).layout(40, block=64)
    q.requires_grad_()
    out = sparse_attention(q, k, v, layout, backend="triton")
    (dq,) = torch.autograd.grad(out, q, torch.randn(out.shape, dtype=out.dtype))
    assert dq.abs().max() < 1e-3  # a difference of two sums of 256 products


@on_each_device
def test_a_block_is_walked_in_smaller_tiles(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "choose", lambda *_: Tile(16, 32, num_warps=4, num_stages=1))
    q, k, v = tensors(100, heads=(1, 1), device=device)
    for pattern in (SlidingWindow(40), Documents.from_lengths([30, 40, 30]) & Causal()):
        assert_right(q, k, v, pattern.layout(100, block=64, device=device))


def test_gradients_agree_with_differences() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(20, 24, heads=(4, 2), sizes=(3, 2), dtype=torch.float64))
    layout = PerHead([Causal(), SlidingWindow(3), Full(), Global([1])]).layout(20, 24, block=32)
    slopes = torch.tensor([0.1, 0.2, 0.0, 0.3])

    def attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        options = {"alibi_slopes": slopes, "softcap": 2.0, "return_lse": True}
        return sparse_attention(q, k, v, layout, **options, backend="triton")

    assert gradcheck(attend, (q, k, v), fast_mode=True)


def test_second_derivatives_are_refused() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(20))
    out = sparse_attention(q, k, v, Causal().layout(20, block=16), backend="triton")
    (dq,) = torch.autograd.grad(out.square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="has first derivatives only"):
        dq.sum().backward()


@on_each_device
def test_same_input_gives_the_same_bits(device: str) -> None:
    q, k, v = tensors(90, heads=(2, 1), device=device)
    layout = (SlidingWindow(20) | Global([5, 60])).layout(90, block=32, device=device)
    assert all(map(torch.equal, results(q, k, v, layout), results(q, k, v, layout)))


@on_each_device
@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_nan_or_infinity_in_a_key_reaches_only_the_queries_that_see_it(poison: float, device: str) -> None:
    q, k, v = tensors(64, device=device)
    pattern = (SlidingWindow(6) | Global([0])) & Causal()
    layout = pattern.layout(64, block=16, device=device)
    clean = sparse_attention(q, k, v, layout, backend="triton")
    k[:, :, 9] = poison
    out = sparse_attention(q, k, v, layout, backend="triton")
    sees = pattern.mask(64)[:, 9].to(device)
    assert torch.equal(out[:, :, ~sees], clean[:, :, ~sees])
    assert not torch.equal(out[:, :, sees], clean[:, :, sees])


@on_each_device
def test_inputs_and_gradients_may_lie_in_memory_in_any_order(device: str) -> None:
    layout = Causal().layout(40, block=64, device=device)
    q, k, v = tensors(40, heads=(4, 2), sizes=(8, 8), batch=2, device=device)
    want = results(q, k, v, layout)
    heads_last = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    assert all(map(torch.equal, results(*heads_last, layout), want))
    tokens_last = [x.mT.contiguous().mT for x in (q, k, v)]
    assert all(map(torch.equal, results(*tokens_last, layout), want))
    apart = [torch.stack([x, x], dim=-1)[..., 0] for x in (q, k, v)]
    assert all(map(torch.equal, results(*apart, layout), want))
    q.requires_grad_()
    gradients = []
    for backend in ("triton", "reference"):
        out, lse = sparse_attention(q, k, v, layout, return_lse=True, backend=backend)
        gradients += torch.autograd.grad(
            out.sum() + 2 * lse.sum(), q
        )  # one number for all of dout, and of dlse
    torch.testing.assert_close(*gradients)


def test_rows_may_lie_more_than_two_thousand_million_numbers_apart() -> None:
    storage = torch.empty(2**31 + 2**20, dtype=torch.float16)  # memory is taken where it is written to
    q, k, v = tensors(17, heads=(2, 2), sizes=(8, 8), dtype=torch.float16)
    far_rows = storage.as_strided((1, 2, 17, 8), (0, 8, 2**27, 1))
    far_heads = storage.as_strided((1, 2, 17, 8), (0, 2**31, 8, 1))
    layout = Causal().layout(17, block=16)
    want = results(q, k, v, layout)
    for far in (far_rows, far_heads):
        far.copy_(k)
        assert all(map(torch.equal, results(q, far, v, layout), want))
        far.copy_(q)
        assert all(map(torch.equal, results(far, k, v, layout)[:2], want[:2]))


def arguments(layout: BlockLayout, slopes: Tensor | None, softcap: float | None) -> tuple[object, ...]:
    partial = layout.partial_blocks
    q, k, v = (x.requires_grad_() for x in tensors(layout.n_q, sizes=(8, 8), dtype=torch.float64))
    by_query, by_key = Lists.of(layout.by_query, partial.by_query), Lists.of(layout.by_key, partial.by_key)
    rest = layout.permutation, slopes, layout.block, layout.q_offset, 0.3, softcap
    return q, k, v, by_query, by_key, partial.bits, *rest


@pytest.mark.parametrize(
    ("pattern", "slopes", "softcap"),
    [
        ((SlidingWindow(20) | Global([3])) & Causal(), None, None),
        (Strided(5), torch.rand(1, 2, dtype=torch.float64), 2.0),
    ],
)
def test_operator_passes_pytorchs_own_checks(pattern, slopes, softcap) -> None:
    passed = torch.library.opcheck(
        op.block_sparse_attention, arguments(pattern.layout(37, block=32), slopes, softcap)
    )
    assert set(passed.values()) == {"SUCCESS"}
    assert len(passed) == 4


def test_model_compiles_in_one_piece_with_any_layout() -> None:
    def attend(q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout) -> Tensor:
        return sparse_attention(2 * q, k, v, layout, backend="triton").square()

    q, k, v = (x.requires_grad_() for x in tensors(40, dtype=torch.float64))
    compiled = torch.compile(attend, fullgraph=True, backend="aot_eager")
    for pattern, block in ((Causal(), 32), (SlidingWindow(7), 32), (Strided(4), 64)):
        layout = pattern.layout(40, block=block)
        got, want = compiled(q, k, v, layout), attend(q, k, v, layout)
        assert torch.equal(got, want)
        gradients = (torch.autograd.grad(out.sum(), (q, k, v)) for out in (got, want))
        assert all(map(torch.equal, *gradients))


def test_autocast_and_no_grad() -> None:
    q, k, v = (x.requires_grad_() for x in tensors(20))
    layout = Causal().layout(20, block=16)
    with torch.autocast("cpu", dtype=torch.float16), torch.no_grad():
        out = sparse_attention(q, k, v, layout, backend="triton")
    assert out.dtype == torch.float16
    assert not out.requires_grad
    half = (x.detach().half() for x in (q, k, v))
    assert torch.equal(out, sparse_attention(*half, layout, backend="triton"))


# what is refused


def test_bfloat16_is_refused_in_the_interpreter() -> None:
    q, k, v = tensors(20, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match=r"got torch\.bfloat16.*use backend=\"gather\", or q\.float"):
        sparse_attention(q, k, v, Causal().layout(20), backend="triton")


@pytest.mark.parametrize("sizes", [(257, 8), (8, 300)])
def test_head_size_above_256_is_refused(sizes: tuple[int, int]) -> None:
    q, k, v = tensors(20, sizes=sizes)
    with pytest.raises(ValueError, match=f"head sizes up to 256, got {max(sizes)}; use"):
        sparse_attention(q, k, v, Causal().layout(20), backend="triton")


@pytest.mark.parametrize("block", [8, (16, 24), (50, 64)])
def test_block_that_no_tile_divides_is_refused(block: int | tuple[int, int]) -> None:
    q, k, v = tensors(20)
    with pytest.raises(ValueError, match=r"blocks that are multiples of 16, got .*block=64"):
        sparse_attention(q, k, v, Causal().layout(20, block=block), backend="triton")


@pytest.mark.parametrize(("batch", "needed"), [(1, 12), (4, 24)])
def test_more_programs_or_steps_than_32_bits_count_are_refused(
    batch: int, needed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(op, "MOST", needed)
    q, k, v = tensors(40, batch=batch)
    with pytest.raises(
        ValueError, match=f"forward would need {needed} programs or steps, .* be below {needed}"
    ):
        sparse_attention(q, k, v, Causal().layout(40, block=16), backend="triton")


def test_interpreter_that_computes_nonsense_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = interpret.Canary("computes nonsense", "install another version")
    monkeypatch.setattr(interpret, "canary", lambda: found)
    q, k, v = tensors(20)
    with pytest.raises(RuntimeError, match=r"cannot be used .*install another version"):
        sparse_attention(q, k, v, Causal().layout(20, block=16), backend="triton")


def test_layout_on_another_device_is_refused() -> None:
    q, k, v = tensors(20)
    with pytest.raises(ValueError, match=r"layout is on meta, but q is on cpu; use layout\.to\('cpu'\)"):
        sparse_attention(q, k, v, Causal().layout(20).to("meta"), backend="triton")


@pytest.mark.parametrize("target", ["interpreter", "sm_75", "sm_80", "sm_90", "sm_100", "gfx942"])
@pytest.mark.parametrize("block", [(16, 16), (64, 128), (96, 48), (128, 128)])
def test_tile_divides_the_block(block: tuple[int, int], target: str) -> None:
    for kernel in ("forward", "dkdv", "dq"):
        tile = tiles.choose(kernel, target, torch.float16, 64, block)
        assert block[0] % tile.BLOCK_M == 0
        assert block[1] % tile.BLOCK_N == 0
        assert min(tile.BLOCK_M, tile.BLOCK_N) >= 16
