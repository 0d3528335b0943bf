"""The OpenAI calls: closed forms in NumPy, and the properties that public PyTorch ports of that code lack.

Those ports raise on the first call (a transpose with too many axes), leave the mask out of the block-sparse
function, or let `local` see the whole future; each of these has its test here.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tsparse import BlockLayout
from tsparse.compat import SparseAttention, attention_impl, blocksparse_attention_impl

HEADS = 4
MODES = ["all", "local", "strided", "fixed"]
modes = pytest.mark.parametrize("mode", MODES)
functions = pytest.mark.parametrize(
    "attend", [attention_impl, blocksparse_attention_impl], ids=["dense", "block-sparse"]
)


def tensors(batch: int, n: int, dim: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """q, k and v, the same for the same sizes."""
    generator = torch.Generator().manual_seed(n)
    return [torch.randn(batch, n, dim, generator=generator, dtype=dtype) for _ in range(3)]


def sees(mode: str, n: int, context: int) -> np.ndarray:
    """Which key a query sees, bool `[HEADS, n, n]`."""
    h, q, k = np.ogrid[:HEADS, :n, :n]
    if mode == "all":
        return (k <= q) & (h >= 0)
    if mode == "local":
        return (k <= q) & (k > q - context) & (h >= 0)
    if mode == "strided":
        return (k <= q) & (q % context == k % context) & (h >= 0)
    width = max(1, context // 4)
    return fixed(q, k, context, width, h % (context // width))


def fixed(q: np.ndarray, k: np.ndarray, context: int, width: int, which: np.ndarray) -> np.ndarray:
    """Own chunk, or in earlier ones the sub-block that has `which` others behind it."""
    stop = context - width * which
    summary = (k % context >= stop - width) & (k % context < stop)
    return (k <= q) & ((q // context == k // context) | summary)


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: np.ndarray) -> torch.Tensor:
    """Softmax attention of each head to what it sees, in float64."""
    heads, size = len(seen), q.shape[2] // len(seen)
    queries, keys, values = (x.double().numpy() for x in (q, k, v))
    out = np.zeros(q.shape)
    for h in range(heads):
        own = slice(h * size, (h + 1) * size)
        scores = queries[..., own] @ keys[..., own].swapaxes(1, 2) / np.sqrt(size)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True)) * seen[h]
        out[..., own] = weights / weights.sum(axis=-1, keepdims=True) @ values[..., own]
    return torch.from_numpy(out)


@functions
@modes
@pytest.mark.parametrize("n", [1, 5, 32, 37])
@pytest.mark.parametrize("context", [1, 8, 11, 100])
def test_output_is_attention_to_what_the_mode_sees(
    attend: Callable[..., torch.Tensor], mode: str, n: int, context: int
) -> None:
    q, k, v = tensors(2, n, 8, torch.float64)
    want = attention(q, k, v, sees(mode, n, context))
    torch.testing.assert_close(attend(q, k, v, HEADS, mode, context), want)


@modes
@pytest.mark.parametrize(("n", "context", "blocksize"), [(256, 32, 32), (256, 64, 16), (150, 24, 32)])
def test_both_functions_agree_in_outputs_and_gradients(
    mode: str, n: int, context: int, blocksize: int
) -> None:
    inputs = [x.requires_grad_() for x in tensors(2, n, 64)]
    upstream = torch.randn(2, n, 64, generator=torch.Generator().manual_seed(0))
    dense = attention_impl(*inputs, HEADS, mode, context)
    sparse = blocksparse_attention_impl(*inputs, HEADS, mode, context, blocksize)
    torch.testing.assert_close(sparse, dense, rtol=0, atol=1e-5)
    of_dense, of_sparse = (torch.autograd.grad(out, inputs, upstream) for out in (dense, sparse))
    for got, want in zip(of_sparse, of_dense, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


@modes
def test_calls_of_the_published_example_run(mode: str) -> None:
    q, k, v = tensors(4, 1024, 256)
    sparse = blocksparse_attention_impl(
        q, k, v, heads=4, attn_mode=mode, local_attn_ctx=128, blocksize=32, num_verts=4, vertsize=1
    )
    dense = attention_impl(q, k, v, heads=4, attn_mode=mode, local_attn_ctx=128)
    torch.testing.assert_close(sparse, dense, rtol=0, atol=1e-5)


@functions
@modes
def test_hidden_key_leaves_the_query_bit_identical_and_a_seen_one_does_not(
    attend: Callable[..., torch.Tensor], mode: str
) -> None:
    n, context, query = 48, 8, 29
    q, k, v = tensors(1, n, 16)
    before = attend(q, k, v, HEADS, mode, context, 8)[0, query]
    seen = torch.from_numpy(sees(mode, n, context)[:, query].T.repeat(4, axis=1))  # [n, E]: 4 channels a head
    after = attend(q, k.where(seen, 50.0), v.where(seen, -1e4), HEADS, mode, context, 8)[0, query]
    assert torch.equal(after, before)
    nan = attend(q, k.where(seen, torch.nan), v, HEADS, mode, context, 8)[0, query]
    assert torch.equal(nan, before)
    moved = attend(q, k.where(~seen, k + 1), v.where(~seen, v + 1), HEADS, mode, context, 8)[0, query]
    assert not torch.isclose(moved, before).any()


@functions
@modes
@pytest.mark.parametrize("change", [1, 31, 32, 45])
def test_future_leaves_the_past_bit_identical(
    attend: Callable[..., torch.Tensor], mode: str, change: int
) -> None:
    inputs = tensors(2, 50, 16)
    before = attend(*inputs, HEADS, mode, 8, 16)
    for x in inputs:
        x[:, change:] += 3
    after = attend(*inputs, HEADS, mode, 8, 16)
    assert torch.equal(after[:, :change], before[:, :change])
    assert not torch.equal(after[:, change], before[:, change])


@functions
@modes
def test_gradient_reaches_the_keys_that_are_seen_and_no_other(
    attend: Callable[..., torch.Tensor], mode: str
) -> None:
    n, context, query = 40, 8, 27
    q, k, v = (x.requires_grad_() for x in tensors(1, n, 8, torch.float64))
    attend(q, k, v, HEADS, mode, context, 8)[0, query].sum().backward()
    seen = torch.from_numpy(sees(mode, n, context)[:, query].T.copy())  # [n, heads]
    for x in (k, v):
        reached = x.grad[0].unflatten(1, (HEADS, 2)).ne(0).any(dim=-1)
        assert torch.equal(reached, seen)
    assert q.grad[0].ne(0).any(dim=-1).nonzero().tolist() == [[query]]


@functions
@modes
def test_gradients_are_those_of_finite_differences(attend: Callable[..., torch.Tensor], mode: str) -> None:
    inputs = [x.requires_grad_() for x in tensors(1, 7, 4, torch.float64)]
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, 2, mode, 3, 4), inputs, fast_mode=True)


def test_training_through_strided_attention_learns_to_look_one_stride_back() -> None:
    torch.manual_seed(0)
    attend, stride = SparseAttention(1, "strided", 4), 4
    q, k = torch.nn.Embedding(16, 16), torch.nn.Embedding(16, 16)  # of positions
    step = torch.optim.Adam([*q.parameters(), *k.parameters()], 0.3)
    x = torch.randn(8, 16, 16)
    for _ in range(30):
        out = attend(q.weight.expand(8, 16, 16), k.weight.expand(8, 16, 16), x)
        loss = (out[:, stride:] - x[:, :-stride]).square().mean()
        step.zero_grad()
        loss.backward()
        step.step()
    assert loss < 0.01


@functions
def test_fixed_takes_sub_blocks_of_vertsize_blocks_and_only_num_verts_of_them(
    attend: Callable[..., torch.Tensor],
) -> None:
    q, k, v = tensors(2, 64, 16, torch.float64)
    h, i, j = np.ogrid[:8, :64, :64]
    for verts in (1, 2, 4):
        got = attend(q, k, v, 8, "fixed", 16, blocksize=2, num_verts=verts, vertsize=2)
        torch.testing.assert_close(got, attention(q, k, v, fixed(i, j, 16, 4, h % verts)))


@modes
def test_module_is_the_block_sparse_function(mode: str) -> None:
    q, k, v = tensors(2, 50, 16)
    want = blocksparse_attention_impl(q, k, v, HEADS, mode, 8, 16)
    assert torch.equal(SparseAttention(HEADS, mode, 8, 16)(q, k, v), want)
    by_name = SparseAttention(block_size=16, local_attn_ctx=8, attn_mode=mode, heads=HEADS)
    assert torch.equal(by_name(q, k, v), want)


def test_module_has_four_heads_that_see_all_of_the_past_if_nothing_else_is_said() -> None:
    sparse_attn = SparseAttention(block_size=32)
    q, k, v = tensors(2, 100, 64)
    want = attention_impl(q, k, v, heads=4, attn_mode="all")
    torch.testing.assert_close(sparse_attn(q, k, v), want, rtol=0, atol=1e-5)


def test_module_has_no_state() -> None:
    module = SparseAttention(HEADS, "fixed", 8)
    assert not [*module.parameters(), *module.buffers()]
    module.load_state_dict(SparseAttention().state_dict())
    q, k, v = tensors(1, 20, 8)
    assert torch.equal(module.train()(q, k, v), module.eval()(q, k, v))


@modes
def test_equal_calls_give_equal_bits_and_build_one_layout(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = BlockLayout.build

    def counted(*arguments, **options) -> BlockLayout:
        built.append(build(*arguments, **options))
        return built[-1]

    monkeypatch.setattr(BlockLayout, "build", staticmethod(counted))
    inputs = [x.requires_grad_() for x in tensors(2, 61, 16)]
    runs = []
    for attend in (
        SparseAttention(HEADS, mode, 9, 16),
        SparseAttention(HEADS, mode, 9, 16),
        lambda q, k, v: blocksparse_attention_impl(q, k, v, HEADS, mode, 9, 16),
    ):
        out = attend(*inputs)
        runs.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    for run in runs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(run, runs[0], strict=True))
    assert len(built) == 1
    SparseAttention(HEADS, mode, 9, 16)(*tensors(2, 60, 16))
    assert [layout.n_q for layout in built] == [61, 60]


@functions
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_right_to_its_digits(
    attend: Callable[..., torch.Tensor], dtype: torch.dtype
) -> None:
    q, k, v = tensors(2, 50, 16, dtype)
    for mode in MODES:
        got = attend(q, k, v, HEADS, mode, 8, 16)
        assert got.dtype == dtype
        want = attention(q, k, v, sees(mode, 50, 8)).to(dtype)
        torch.testing.assert_close(got, want)


@functions
def test_autocast_computes_in_the_lower_dtype(attend: Callable[..., torch.Tensor]) -> None:
    q, k, v = tensors(2, 50, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = attend(q, k, v, HEADS, "local", 8)
    assert torch.equal(got, attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), HEADS, "local", 8))


@modes
def test_module_keeps_its_output_and_gradients_under_compile(mode: str) -> None:
    module = SparseAttention(HEADS, mode, 8, 16)
    compiled = torch.compile(module, backend="eager")
    for n in (33, 20):
        inputs = [x.requires_grad_() for x in tensors(2, n, 16)]
        got, want = compiled(*inputs), module(*inputs)
        assert torch.equal(got, want)
        of_got, of_want = (torch.autograd.grad(out.square().sum(), inputs) for out in (got, want))
        assert all(torch.equal(one, other) for one, other in zip(of_got, of_want, strict=True))


@pytest.mark.parametrize(("mode", "context"), [("local", 50), ("strided", 3000)])
def test_sequence_whose_scores_fit_no_memory_is_computed(mode: str, context: int) -> None:
    n, place = 262_144, 262_000  # 256 GiB of scores
    q, k, v = tensors(1, n, 4)
    got = SparseAttention(1, mode, context, 64)(q, k, v)[0, place]
    seen = slice(place - context + 1, place + 1) if mode == "local" else slice(place % context, n, context)
    weights = torch.softmax(k[0, seen] @ q[0, place] / 2, dim=0)
    torch.testing.assert_close(got, weights @ v[0, seen], rtol=0, atol=1e-5)


@functions
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"attn_mode": "global"},
            ValueError,
            "attn_mode must be one of all, local, strided, fixed, got 'glo",
        ),
        ({"attn_mode": None}, ValueError, "attn_mode must be one of all, local, strided, fixed, got None"),
        ({"attn_mode": "local"}, ValueError, 'local_attn_ctx is missing: attn_mode="local" needs it'),
        ({"attn_mode": "strided"}, ValueError, 'local_attn_ctx is missing: attn_mode="strided" needs it'),
        ({"attn_mode": "fixed"}, ValueError, 'local_attn_ctx is missing: attn_mode="fixed" needs it'),
        ({"local_attn_ctx": 0, "attn_mode": "local"}, ValueError, "local_attn_ctx must be 1 or more, got 0"),
        ({"local_attn_ctx": 8.0, "attn_mode": "local"}, TypeError, "must be an integer, got 8.0"),
        ({"heads": 0}, ValueError, "heads must be 1 or more, got 0"),
        ({"heads": 3}, ValueError, "q must be [B, L, E], none of them 0, E a multiple of 3 heads, got [2, 9"),
        ({"heads": True}, TypeError, "heads must be an integer, got True"),
        ({"blocksize": 0}, ValueError, "blocksize must be 1 or more, got 0"),
        ({"blocksize": 32.0}, TypeError, "blocksize must be an integer, got 32.0"),
        ({"q": torch.ones(9, 8)}, ValueError, "q must be [B, L, E]"),
        ({"q": torch.ones(2, 0, 8)}, ValueError, "none of them 0"),
        ({"k": torch.ones(2, 10, 8)}, ValueError, "k must be [2, 9, 8] like q, got [2, 10, 8]"),
        ({"v": torch.ones(2, 9, 16)}, ValueError, "v must be [2, 9, 8] like q, got [2, 9, 16]"),
        ({"v": [[[1.0]]]}, TypeError, "v must be a tensor, got list"),
        ({"k": torch.ones(2, 9, 8).double()}, TypeError, "must have one dtype"),
        ({"q": torch.ones(2, 9, 8).long()}, TypeError, "q must be float16, bfloat16, float32 or float64"),
        (
            {"attn_mode": "fixed", "local_attn_ctx": 8, "vertsize": 1},
            ValueError,
            "vertsize must fit into local_attn_ctx=8 positions, got 1 blocks of 32",
        ),
        (
            {"attn_mode": "fixed", "local_attn_ctx": 8, "num_verts": 3},
            ValueError,
            "heads must be a multiple of num_verts, got 4 and 3",
        ),
        (
            {"attn_mode": "fixed", "local_attn_ctx": 64, "num_verts": 4, "vertsize": 1},
            ValueError,
            "num_verts must be at most 2, the sub-blocks of 32 that a chunk of 64 has, got 4",
        ),
    ],
)
def test_bad_input_is_refused_by_name(
    attend: Callable[..., torch.Tensor], arguments: dict, error: type[Exception], message: str
) -> None:
    q, k, v = tensors(2, 9, 8)
    attend(q, k, v, HEADS, "local", 8)  # what is refused below is not found in a cache as equal to this
    with pytest.raises(error, match=re.escape(message)):
        attend(**({"q": q, "k": k, "v": v, "heads": HEADS, "attn_mode": "all"} | arguments))


def test_module_refuses_its_arguments_when_it_is_built() -> None:
    with pytest.raises(ValueError, match='local_attn_ctx is missing: attn_mode="local" needs it'):
        SparseAttention(4, "local")
