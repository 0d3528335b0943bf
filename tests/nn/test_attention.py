"""Multi-head attention and sparse self-attention, against PyTorch's modules and against dense masks."""

import gc
import re
import weakref

import pytest
import torch
from torch import nn

from tests.nn.weights import randomised, tokens
from tsparse import Causal, Documents, Full, Global, Local, Padding, PerHead, SlidingWindow, reference
from tsparse.nn import ALiBi, MultiHeadAttention, Rotary, SparseSelfAttention, alibi_slopes, rotary
from tsparse.nn.layouts import PADDED_KEPT, kept_layout

BACKENDS = ["auto", "gather", "reference"]
WINDOW = (SlidingWindow(5) | Global(2)) & Causal()


def from_scratch(module, x, mask, slopes=None, turn=None) -> torch.Tensor:
    """What a module with 4 query heads should compute, from its weights."""
    rows = [12, module.kv_heads * 3, module.kv_heads * 3]
    parts = (x @ module.in_proj_weight.T + module.in_proj_bias).split(rows, dim=-1)
    q, k, v = (part.unflatten(2, (-1, 3)).transpose(1, 2) for part in parts)
    if turn is not None:
        q, k = turn(q), turn(k)
    out = reference.attention(q, k, v, mask, alibi_slopes=slopes)
    return out.transpose(1, 2).flatten(2) @ module.out_proj.weight.T + module.out_proj.bias


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_multi_head_equals_pytorch_with_its_weights(backend, bias) -> None:
    theirs = randomised(nn.MultiheadAttention(12, 4, bias=bias, batch_first=True))
    ours = MultiHeadAttention(12, 4, bias=bias, backend=backend).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    query, key, value = tokens(2, 5, 12), tokens(2, 7, 12), tokens(2, 7, 12) + 1
    mask = (Causal() | Global(1)).mask(5, 7)
    want = theirs(query, key, value, attn_mask=~mask)[0]  # True = hidden over there
    torch.testing.assert_close(ours(query, key, value, mask=mask), want)
    torch.testing.assert_close(ours(query, key), theirs(query, key, key)[0])
    torch.testing.assert_close(ours(query), theirs(query, query, query)[0])


def test_multi_head_starts_as_pytorch_starts() -> None:
    ours, theirs = MultiHeadAttention(64, 4), nn.MultiheadAttention(64, 4)
    for name, weight in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name].std(), weight.std(), atol=0.01, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layout_says_who_sees_whom(backend) -> None:
    module = randomised(MultiHeadAttention(12, 4, kv_heads=2, backend=backend))
    x = tokens(2, 21, 12)
    with torch.no_grad():
        got = module(x, layout=WINDOW.layout(21, block=8))
        torch.testing.assert_close(got, from_scratch(module, x, WINDOW.mask(21)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_grouped_queries_equal_repeated_keys(backend) -> None:
    grouped = randomised(SparseSelfAttention(12, 4, WINDOW, 8, kv_heads=2, backend=backend))
    every = SparseSelfAttention(12, 4, WINDOW, 8, backend=backend).double()
    q, k, v = (
        part.unflatten(0, (-1, 3)) for part in torch.arange(12 + 6 + 6).split([12, 6, 6])
    )  # rows of in_proj, by head
    rows = torch.cat([q, k.repeat_interleave(2, 0), v.repeat_interleave(2, 0)]).flatten()
    weights = {name: w[rows] if "in_proj" in name else w for name, w in grouped.state_dict().items()}
    every.load_state_dict(weights)
    x = tokens(2, 19, 12)
    with torch.no_grad():
        torch.testing.assert_close(grouped(x), every(x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "pattern",
    [Full(), WINDOW, Documents([[0] * 9 + [1] * 11, [3] * 20]), PerHead([SlidingWindow(3), Local(1)] * 2)],
    ids=repr,
)
def test_sparse_self_attention_is_attention_under_the_pattern(pattern, backend) -> None:
    module = randomised(SparseSelfAttention(12, 4, pattern, 8, backend=backend))
    x = tokens(2, 20, 12)
    mask = pattern(
        torch.arange(2)[:, None, None, None],
        torch.arange(4)[:, None, None],
        torch.arange(20)[:, None],
        torch.arange(20),
    )
    with torch.no_grad():
        torch.testing.assert_close(module(x), from_scratch(module, x, mask))


@pytest.mark.parametrize("backend", BACKENDS)
def test_positions_reach_the_scores(backend) -> None:
    x = tokens(2, 11, 12)
    alibi = randomised(SparseSelfAttention(12, 4, Causal(), 4, position=ALiBi(4), backend=backend))
    with torch.no_grad():
        want = from_scratch(alibi, x, Causal().mask(11), slopes=alibi_slopes(4))
        torch.testing.assert_close(alibi(x), want)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rotary_stands_where_the_layout_says(backend) -> None:
    module = randomised(MultiHeadAttention(8, 2, position=Rotary(4), backend=backend))
    x = tokens(1, 9, 8)
    with torch.no_grad():
        whole = module(x, layout=Causal().layout(9, block=4))
        last = module(x[:, 6:], x, layout=Causal().layout(3, 9, q_offset=6, block=4))
        torch.testing.assert_close(last, whole[:, 6:])
        without = randomised(MultiHeadAttention(8, 2, backend=backend))
        assert not torch.allclose(without(x, layout=Causal().layout(9, block=4)), whole)
        q, k, v = without.project(x, x, x, q_offset=0)
        places = torch.arange(9)
        out = reference.attention(rotary(q, places), rotary(k, places), v, Causal().mask(9))
        torch.testing.assert_close(whole, without.out_proj(out.transpose(1, 2).flatten(2)))


def test_dense_attention_with_alibi_lowers_far_keys() -> None:
    module = randomised(MultiHeadAttention(12, 4, position=ALiBi(4)))
    x = tokens(2, 6, 12)
    torch.testing.assert_close(module(x), from_scratch(module, x, None, slopes=alibi_slopes(4)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_future_leaves_the_past_bit_identical(backend) -> None:
    module = randomised(SparseSelfAttention(12, 4, WINDOW, 8, position=ALiBi(4), backend=backend))
    x = tokens(2, 30, 12)
    changed = x.clone()
    changed[:, 17:] = 100.0
    with torch.no_grad():
        before, after = module(x), module(changed)
    assert torch.equal(before[:, :17], after[:, :17])
    assert not torch.equal(before[:, 17:], after[:, 17:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_padding_is_seen_by_nobody(backend) -> None:
    module = randomised(SparseSelfAttention(12, 4, Full(), 8, backend=backend))
    x = tokens(2, 13, 12)
    with torch.no_grad():
        got = module(x, Padding([13, 6]))
        torch.testing.assert_close(got[0], module(x[:1])[0])
        torch.testing.assert_close(got[1, :6], module(x[1:, :6])[0])
        nothing = module(x, Padding([13, 0]))[1]
    torch.testing.assert_close(nothing, module.out_proj.bias.expand(13, 12))


def test_query_that_sees_nothing_gets_the_bias_and_no_gradient() -> None:
    module = randomised(MultiHeadAttention(12, 4))
    x = tokens(1, 3, 12).requires_grad_()
    mask = torch.tensor([[True, False, False], [False, False, False], [True, False, False]])
    out = module(x, mask=mask)
    torch.testing.assert_close(out[0, 1], module.out_proj.bias)
    out.sum().backward()
    assert torch.equal(x.grad[0, 1], torch.zeros(12, dtype=torch.float64))
    assert x.grad.isfinite().all()


def test_gradients_equal_those_of_pytorch() -> None:
    theirs = randomised(nn.MultiheadAttention(12, 4, batch_first=True))
    ours = SparseSelfAttention(12, 4, WINDOW, 8, backend="reference").double()
    ours.load_state_dict(theirs.state_dict())
    x = tokens(2, 14, 12)
    (ours(x) ** 2).sum().backward()
    (theirs(x, x, x, attn_mask=~WINDOW.mask(14))[0] ** 2).sum().backward()
    for (name, weight), want in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, want.grad, msg=name)


def test_autocast_computes_in_the_lower_dtype() -> None:
    for backend in BACKENDS:
        module = SparseSelfAttention(12, 4, WINDOW, 8, backend=backend)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            assert module(tokens(1, 9, 12).float()).dtype == torch.bfloat16


def test_autocast_does_not_reach_into_the_reference() -> None:
    ruled = SparseSelfAttention(12, 4, WINDOW, 8, backend="reference")
    listed = MultiHeadAttention(12, 4, backend="reference")
    listed.load_state_dict(ruled.state_dict())
    x = tokens(2, 33, 12).float()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ruled(x), listed(x, layout=WINDOW.layout(33, block=8)))


def test_equal_sizes_of_one_pattern_share_a_layout_and_two_patterns_never_do() -> None:
    one, other = SlidingWindow(3), SlidingWindow(3)
    arguments = (None, 40, 40, 0, 8, 4, torch.device("cpu"))
    first = kept_layout(one, *arguments)
    assert kept_layout(one, *arguments) is first
    assert kept_layout(other, *arguments) is not first
    assert kept_layout(one, None, 41, 41, 0, 8, 4, torch.device("cpu")).n_q == 41
    assert kept_layout(one, None, 40, 40, 0, 16, 4, torch.device("cpu")).block == (16, 16)
    assert kept_layout(one, None, 3, 40, 37, 8, 4, torch.device("cpu")).q_offset == 37
    padded = kept_layout(one, Padding([40, 7]), *arguments[1:])
    assert padded.batch == 2
    assert kept_layout(one, Padding([40, 9]), *arguments[1:]) is not padded


def test_layouts_with_padding_are_few_and_push_no_other_out() -> None:
    pattern, sizes = SlidingWindow(3), (40, 40, 0, 8, 4, torch.device("cpu"))
    first = kept_layout(pattern, None, *sizes)
    padded = [weakref.ref(kept_layout(pattern, Padding([40, n % 40]), *sizes)) for n in range(100)]
    assert kept_layout(pattern, None, *sizes) is first
    gc.collect()
    assert [layout() is not None for layout in padded] == [n >= 100 - PADDED_KEPT for n in range(100)]


def test_modules_with_different_patterns_do_not_disturb_each_other() -> None:
    narrow, wide = (randomised(SparseSelfAttention(12, 4, SlidingWindow(w), 8)) for w in (2, 9))
    x = tokens(1, 20, 12)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(narrow(x), from_scratch(narrow, x, SlidingWindow(2).mask(20)))
            torch.testing.assert_close(wide(x), from_scratch(wide, x, SlidingWindow(9).mask(20)))


def test_layout_made_in_inference_mode_can_train_later() -> None:
    pattern = SlidingWindow(3)
    with torch.inference_mode():
        layout = kept_layout(pattern, None, 9, 9, 0, 4, 1, torch.device("cpu"))
    assert not any(x.is_inference() for x in (layout.crow_indices, layout.col_indices))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dim": 0}, ValueError, "dim must be 1 or more, got 0"),
        ({"dim": 12.0}, TypeError, "dim must be an integer, got 12.0"),
        ({"heads": 0}, ValueError, "heads must be 1 or more, got 0"),
        ({"heads": 5}, ValueError, "dim must be a multiple of heads, got dim=12 and heads=5"),
        ({"kv_heads": 3}, ValueError, "heads must be a multiple of kv_heads, got 4 and 3"),
        ({"kv_heads": 0}, ValueError, "kv_heads must be 1 or more, got 0"),
        ({"position": Rotary(4)}, ValueError, "position is Rotary(4), but the heads have size 3"),
        ({"position": ALiBi(2)}, ValueError, "position is ALiBi(2), but heads is 4"),
        ({"position": "rotary"}, TypeError, "position must be a Rotary, an ALiBi or None, got str"),
        ({"backend": "cuda"}, ValueError, "backend must be one of auto, reference"),
    ],
)
def test_bad_sizes_are_refused_by_name(arguments, error, message) -> None:
    for build in (MultiHeadAttention, lambda **kw: SparseSelfAttention(pattern=Full(), **kw)):
        with pytest.raises(error, match=re.escape(message)):
            build(**({"dim": 12, "heads": 4} | arguments))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"pattern": Causal().layout(4)}, TypeError, "pattern must be a Pattern, such as Causal(), got Bloc"),
        ({"block": 0}, ValueError, "block must be 1 or more, got 0"),
        ({"block": (8, 2.0)}, TypeError, "block must be an integer, got 2.0"),
        ({"block": (8, 8, 8)}, TypeError, "block must be an integer or (queries, keys), got (8, 8, 8)"),
    ],
)
def test_bad_patterns_and_blocks_are_refused_by_name(arguments, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        SparseSelfAttention(**({"dim": 12, "heads": 4, "pattern": Full()} | arguments))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"query": [1.0]}, TypeError, "query must be a floating point tensor, got list"),
        (
            {"query": torch.ones(1, 2, 12).long()},
            TypeError,
            "must be a floating point tensor, got torch.int64",
        ),
        (
            {"query": tokens(2, 5, 8)},
            ValueError,
            "query must be [batch, tokens, 12], none of them 0, got [2, 5",
        ),
        ({"query": tokens(2, 0, 12)}, ValueError, "none of them 0, got [2, 0, 12]"),
        (
            {"query": tokens(2, 5, 12).float()},
            TypeError,
            "must be torch.float64 like the weights, got torch.flo",
        ),
        ({"key": tokens(3, 5, 12)}, ValueError, "query, key and value must share B"),
        ({"value": tokens(2, 4, 12)}, ValueError, "and key and value their length"),
        ({"mask": torch.ones(5, 5)}, TypeError, "mask must be a bool tensor, True = may attend"),
        ({"mask": torch.ones(5, 4) > 0}, ValueError, "mask must broadcast to [B, H, N, M] = [2, 4, 5, 5]"),
        (
            {"layout": Causal()},
            TypeError,
            "layout must be a BlockLayout, made by pattern.layout(N, M), got Causal",
        ),
        ({"layout": Causal().layout(6)}, ValueError, "layout is for 6 queries"),
        (
            {"layout": Causal().layout(5), "mask": Causal().mask(5)},
            ValueError,
            "mask and layout both say who sees whom: give one of them",
        ),
    ],
)
def test_bad_input_of_multi_head_is_refused_by_name(arguments, error, message) -> None:
    module = MultiHeadAttention(12, 4).double()
    with pytest.raises(error, match=re.escape(message)), torch.no_grad():
        module(**({"query": tokens(2, 5, 12)} | arguments))


def test_backend_that_was_named_is_not_replaced_by_dense_attention() -> None:
    with pytest.raises(ValueError, match='backend="gather" needs a layout'):
        MultiHeadAttention(12, 4, backend="gather")(torch.ones(1, 3, 12))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": tokens(5, 12)}, ValueError, "x must be [batch, tokens, 12], none of them 0, got [5, 12]"),
        ({"x": tokens(2, 4, 12)}, ValueError, "is defined for 3 positions"),
        ({"padding": [3, 2]}, TypeError, "padding must be a Padding(lengths), got list"),
        ({"padding": Padding([3, 2, 1])}, ValueError, "padding is for 3 batch entries, but x has 2"),
        ({"x": tokens(3, 3, 12)}, ValueError, "pattern is for 2 batch entries, but x has 3"),
    ],
)
def test_bad_input_of_sparse_self_attention_is_refused_by_name(backend, arguments, error, message) -> None:
    pattern = Documents([[0, 0, 1], [0, 1, 1]])
    module = SparseSelfAttention(12, 4, pattern, backend=backend).double()
    with pytest.raises(error, match=re.escape(message)), torch.no_grad():
        module(**({"x": tokens(2, 3, 12)} | arguments))
