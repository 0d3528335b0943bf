"""What does not fit is refused: by name, with what came and what is needed. NaN stays where it is seen."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from tests.backends import Backend, Case, at_key, every_backend, grouped, replaced, same_bits, tensors
from tests.closed_forms import ATOMS, EXPRESSIONS, PER_HEAD, Form
from tsparse import BlockLayout, Causal, Documents, Padding, PerHead, reference, sparse_attention

META = {"device": "meta"}
TENSORS = [
    ({"q": [[1.0]]}, TypeError, "q must be a tensor, got list"),
    ({"q": None}, TypeError, "q must be a tensor, got NoneType"),
    ({"k": torch.zeros(2, 2, 7, 8).long()}, TypeError, "k must be float16, bfloat16, float32 or float64"),
    ({"v": torch.zeros(2, 2, 7, 8).int()}, TypeError, "v must be float16, bfloat16, float32 or float64"),
    ({"v": torch.zeros(2, 7, 8)}, ValueError, "v must be [batch, heads, tokens, head size]"),
    ({"q": torch.zeros(2, 4, 0, 8)}, ValueError, "none of them 0, got [2, 4, 0, 8]"),
    ({"k": torch.zeros(2, 2, 0, 8)}, ValueError, "k must be [batch, heads, tokens, head size], none of them"),
    ({"k": torch.zeros(2, 2, 7, 9)}, ValueError, "k must be [2, H_kv, M, 8] to go with q [2, 4, 6, 8]"),
    ({"k": torch.zeros(1, 2, 7, 8)}, ValueError, "k must be [2, H_kv, M, 8]"),
    ({"v": torch.zeros(2, 2, 6, 8)}, ValueError, "v must be [2, 2, 7] + [size] to go with k"),
    ({"q": torch.zeros(2, 3, 6, 8)}, ValueError, "q has 3 heads, which is not a multiple of the 2"),
    ({"k": torch.zeros(2, 2, 7, 8).half()}, TypeError, "q is torch.float32 and k is torch.float16"),
    ({"v": torch.zeros(2, 2, 7, 8).double()}, TypeError, "q, k and v must have one dtype, but q is"),
    ({"k": torch.zeros(2, 2, 7, 8, **META)}, ValueError, "q, k and v must be on one device, but q is"),
    ({"v": torch.zeros(2, 2, 7, 8, **META)}, ValueError, "q is on cpu, v on meta"),
    ({"scale": 0.0}, ValueError, "scale must be above 0 and finite, got 0.0"),
    ({"scale": -1.0}, ValueError, "scale must be above 0 and finite, got -1.0"),
    ({"scale": "1"}, TypeError, "scale must be a number, got '1'"),
    (
        {"scale": np.float32(1)},
        TypeError,
        "scale must be a number, got np.float32(1.0); pass float(...) of it",
    ),
    ({"softcap": -1.0}, ValueError, "softcap must be above 0"),
    ({"softcap": 0}, ValueError, "softcap must be above 0"),
    ({"softcap": math.inf}, ValueError, "softcap must be above 0 and finite"),
    ({"alibi_slopes": torch.zeros(3)}, ValueError, "alibi_slopes must be [4] or [2, 4] to go with q"),
    ({"alibi_slopes": [0.5] * 4}, TypeError, "alibi_slopes must be a floating point tensor, got list"),
    ({"alibi_slopes": torch.zeros(4).long()}, TypeError, "alibi_slopes must be a floating point tensor"),
    ({"alibi_slopes": torch.zeros(4, requires_grad=True)}, ValueError, "pass alibi_slopes.detach()"),
    ({"alibi_slopes": torch.zeros(4, **META)}, ValueError, "alibi_slopes must be on cpu like q, got meta"),
]
MASKS = [
    (
        {"mask": torch.zeros(6, 7)},
        TypeError,
        "mask must be a bool tensor, True = may attend, got torch.float32",
    ),
    ({"mask": "causal"}, TypeError, "mask must be a bool tensor, True = may attend, got str"),
    ({"mask": torch.ones(7, 6).bool()}, ValueError, "to [B, H, N, M] = [2, 4, 6, 7], got [7, 6]"),
    ({"mask": torch.ones(1, 1, 1, 1, 1).bool()}, ValueError, "mask must broadcast"),
    ({"q_offset": -1}, ValueError, "q_offset must be 0 or more, got -1"),
]
LAYOUTS = [
    ({"layout": Causal()}, TypeError, "layout must be a BlockLayout, got the pattern Causal(); call"),
    ({"layout": None}, TypeError, "layout must be a BlockLayout, made by pattern.layout(n), got NoneType"),
    ({"layout": torch.ones(6, 7) > 0}, TypeError, "got Tensor; BlockLayout.from_dense(mask) makes one"),
    (
        {"layout": Causal().layout(8).to_block_mask()},
        TypeError,
        "BlockLayout.from_block_mask(block_mask) makes",
    ),
    ({"layout": Causal().layout(8)}, ValueError, "layout is for 8 queries and 8 keys, but q has 6"),
    ({"layout": Causal().layout(6)}, ValueError, "make one with pattern.layout(6, 7), and q_offset=1 if the"),
    (
        {"layout": Causal().layout(4, 2)},
        ValueError,
        "but q has 6 and k has 7; q, k and v are [batch, heads, tok",
    ),
    ({"layout": Padding([1, 2, 3]).layout(6, 7)}, ValueError, "layout is for 3 batch entries, but q has 2"),
    ({"layout": PerHead([Causal()] * 3).layout(6, 7)}, ValueError, "layout is for 3 heads, but q has 4"),
    ({"layout": Causal().layout(6, 7).to("meta")}, ValueError, "layout is on meta, but q is on cpu; use"),
]


def inputs() -> dict[str, Tensor]:
    return {"q": torch.ones(2, 4, 6, 8), "k": torch.ones(2, 2, 7, 8), "v": torch.ones(2, 2, 7, 8)}


@pytest.mark.parametrize(("changed", "error", "message"), TENSORS + MASKS)
def test_bad_argument_of_the_reference_is_named(changed, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        reference.attention(**{**inputs(), **changed})


@every_backend
@pytest.mark.parametrize(("changed", "error", "message"), TENSORS + LAYOUTS)
def test_bad_argument_is_named_by_every_backend(
    changed, error: type[Exception], message: str, backend: Backend
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        backend.attend(**{**inputs(), "layout": Causal().layout(6, 7), **changed})


@pytest.mark.parametrize("backend", ["cuda", None, 3])
def test_backend_that_does_not_exist_is_named(backend) -> None:
    with pytest.raises(ValueError, match=f"backend must be .* got {backend!r}"):
        sparse_attention(**inputs(), layout=Causal().layout(6, 7), backend=backend)


@every_backend
def test_one_token_alone_gets_its_own_value(backend: Backend) -> None:
    q, k, v = tensors(1, 1)
    out, lse = backend.attend(q, k, v, Causal().layout(1))
    torch.testing.assert_close(out, v.repeat_interleave(2, dim=1))
    torch.testing.assert_close(lse, (q * k.repeat_interleave(2, dim=1)).sum(dim=-1) / math.sqrt(8))


# layouts


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([[0], [1, 1]], ValueError, "blocks[1] lists key block 1 twice"),
        ([[0], [0, 3]], ValueError, "blocks[1] lists key block 3, but there are only 0 to 2"),
        ([[0], [2, 1]], ValueError, "blocks[1] must rise, but key block 2 comes before 1"),
        ([[-1], [0]], ValueError, "blocks[0] must be 0 or more, got -1"),
        ([[0.5], [0]], TypeError, "blocks[0] must be an integer, got 0.5"),
        ([[0]], ValueError, "blocks must have 2 lists, one for each row of 4 of 8 queries, got 1"),
        (torch.ones(2, 2, dtype=torch.bool), ValueError, "blocks must be [2, 3] for 8 queries and 11 keys"),
        (torch.ones(2, 3), TypeError, "blocks as a tensor must be bool [R, C], got torch.float32"),
    ],
)
def test_bad_block_list_is_named(blocks, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        BlockLayout.from_blocks(blocks, (4, 4), 8, 11)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([0, 2], "block_mask lists key block 2, but there are only 0 to 1"),
        ([-1, 0], "block_mask lists key block -1, but there are only 0 to 1"),
        ([1, 1], "block_mask lists key block 1 twice in row 1"),
    ],
)
def test_bad_index_of_a_block_mask_is_named(listed: list[int], message: str, full: bool) -> None:
    made = Causal().layout(8, block=4).to_block_mask()
    counts, indices = (
        (made.full_kv_num_blocks, made.full_kv_indices) if full else (made.kv_num_blocks, made.kv_indices)
    )
    counts[0, 0, 1], indices[0, 0, 1] = 2, torch.tensor(listed)
    with pytest.raises(ValueError, match=re.escape(message)):
        BlockLayout.from_block_mask(made)


def test_block_mask_may_list_its_blocks_in_any_order() -> None:
    order = torch.tensor([[0, 1], [1, 0]], dtype=torch.int32)
    made = BlockMask.from_kv_blocks(torch.tensor([1, 2]), order, BLOCK_SIZE=4)
    assert BlockLayout.from_block_mask(made).full_col_indices.tolist() == [0, 0, 1]


def test_layout_in_place_of_a_block_mask_is_refused() -> None:
    with pytest.raises(TypeError, match="block_mask must be a FlexAttention BlockMask, got BlockLayout"):
        BlockLayout.from_block_mask(Causal().layout(8))


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.ones(4, 4), TypeError, "mask must be a bool tensor, True = may attend, got torch.float32"),
        ([[True]], TypeError, "mask must be a bool tensor, True = may attend, got list"),
        (torch.ones(2, 4, 4, dtype=torch.bool), ValueError, "mask must be [N, M] or [B, H, N, M]"),
        (torch.ones(0, 4, dtype=torch.bool), ValueError, "none of them 0, got [0, 4]"),
    ],
)
def test_bad_mask_is_named(mask, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        BlockLayout.from_dense(mask, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_q": 0}, ValueError, "n_q must be 1 or more, got 0"),
        ({"n_q": -4}, ValueError, "n_q must be 1 or more"),
        ({"n_q": "8"}, TypeError, "n_q must be an integer, got '8'"),
        ({"n_q": np.int64(8)}, TypeError, "n_q must be an integer, got np.int64(8); pass int(...) of it"),
        ({"n_kv": 0}, ValueError, "n_kv must be 1 or more"),
        ({"q_offset": -1}, ValueError, "q_offset must be 0 or more"),
        ({"block": 0}, ValueError, "block must be 1 or more"),
        ({"block": (4, -4)}, ValueError, "block must be 1 or more"),
        ({"block": (4, 4, 4)}, TypeError, "block must be an integer or (queries, keys)"),
        ({"block": 4.0}, TypeError, "block must be an integer or (queries, keys), got 4.0"),
        ({"block": True}, TypeError, "block must be an integer"),
        ({"heads": 0}, ValueError, "heads must be 1 or more"),
        ({"heads": 2.5}, TypeError, "heads must be an integer"),
    ],
)
def test_bad_size_of_a_layout_is_named(arguments, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Causal().layout(**{"n_q": 8, **arguments})


def test_layout_for_more_positions_or_other_heads_than_its_pattern_has_is_refused() -> None:
    with pytest.raises(ValueError, match="is defined for 3 positions, but n_q=4"):
        Documents([0, 0, 1]).layout(4)
    with pytest.raises(ValueError, match=r"heads=2 does not go with PerHead\(.*\), which is for 3 heads"):
        PerHead([Causal()] * 3).layout(8, heads=2)
    with pytest.raises(ValueError, match="covers 5 query and 9 key positions, but n_q=9"):
        (BlockLayout.from_dense(torch.ones(5, 9).bool(), 4).pattern & Causal()).layout(9)


# NaN and infinity

every_form = pytest.mark.parametrize("form", ATOMS + EXPRESSIONS + PER_HEAD, ids=repr)


def one_key_a_head(case: Case) -> Tensor:
    """`[B, H_kv]`"""
    k = case.inputs[1]
    return torch.randint(k.shape[2], k.shape[:2], generator=torch.Generator().manual_seed(5))


@every_backend
@pytest.mark.parametrize("poison", [math.nan, math.inf])
@every_form
def test_nan_or_infinity_in_a_key_reaches_only_the_queries_that_see_it(
    form: Form, poison: float, backend: Backend
) -> None:
    case = grouped(form, backend.sizes[1], backend.batch, backend.heads)
    q, k, v = case.inputs
    key = one_key_a_head(case)
    sees = at_key(case.mask, key, case)
    before = backend.attend(q, k, v, case.layout)
    after = backend.attend(q, replaced(k, key, poison), v, case.layout)
    assert all(same_bits(x[~sees], y[~sees]) for x, y in zip(before, after, strict=True))
    assert not math.isnan(poison) or all(x[sees].isnan().all() for x in after)


@every_backend
@every_form
def test_nan_in_a_query_stays_in_its_row(form: Form, backend: Backend) -> None:
    case = grouped(form, backend.sizes[1], backend.batch, backend.heads)
    q, k, v = case.inputs
    row = torch.randint(q.shape[2], q.shape[:2], generator=torch.Generator().manual_seed(5))  # [B, H]
    own = F.one_hot(row, q.shape[2]).bool()
    seeing = own & case.mask.any(dim=-1)  # a query that sees nothing still gets 0
    before = backend.attend(q, k, v, case.layout)
    after = backend.attend(replaced(q, row, math.nan), k, v, case.layout)
    assert all(same_bits(x[~seeing], y[~seeing]) for x, y in zip(before, after, strict=True))
    assert all(x[seeing].isnan().all() for x in after)


@every_backend
@every_form
def test_nan_in_a_value_reaches_only_the_queries_whose_visited_blocks_hold_it(
    form: Form, backend: Backend
) -> None:
    case = grouped(form, backend.sizes[1], backend.batch, backend.heads)
    q, k, v = case.inputs
    key = one_key_a_head(case)
    reached = visited(case) if backend.skips else torch.ones_like(case.mask)
    visits = at_key(reached, key, case)
    before = backend.attend(q, k, v, case.layout)
    after = backend.attend(q, k, replaced(v, key, math.nan), case.layout)
    assert same_bits(before[0][~visits], after[0][~visits])
    assert after[0][at_key(case.mask, key, case)].isnan().all()
    assert same_bits(before[1], after[1])


def visited(case: Case) -> Tensor:
    """`[B', H', N, M]`, True in every block of which any element is seen."""
    layout, mask = case.layout, case.mask
    mask = layout.arrange(layout.arrange(mask).mT).mT
    mask = in_blocks(in_blocks(mask, layout.block[1]).mT, layout.block[0]).mT
    return layout.restore(layout.restore(mask).mT).mT


def in_blocks(mask: Tensor, width: int) -> Tensor:
    """True wherever one of `width` entries of a row is; the last block may be short."""
    n = mask.shape[-1]
    some = F.pad(mask, (0, -n % width)).unflatten(-1, (-1, width)).any(dim=-1)
    return some.repeat_interleave(width, dim=-1)[..., :n]
