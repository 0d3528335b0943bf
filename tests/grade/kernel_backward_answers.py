"""Other right and other wrong answers to the exercises of lesson 16 than the ones in their own lists."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tsparse.grade.exercises.kernel import delta, dkdv, dq
from tsparse.grade.launches import KernelText

Attention = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Answer:
    """An answer and what is other about it."""

    exercise: str
    name: str
    answer: KernelText | Callable[..., Any]


DELTA_BY_CHANNEL = KernelText(
    "kernel_delta",
    """import triton
import triton.language as tl


@triton.jit
def kernel_delta(o_ptr, do_ptr, delta_ptr, n_q, stride_o, stride_do, HEAD_DIM: tl.constexpr,
                 BLOCK_M: tl.constexpr):
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    there = rows < n_q
    total = tl.zeros([BLOCK_M], dtype=delta_ptr.dtype.element_ty)
    for d in range(0, HEAD_DIM):
        o = tl.load(o_ptr + rows * stride_o + d, mask=there, other=0.0).to(total.dtype)
        total += o * tl.load(do_ptr + rows * stride_do + d, mask=there, other=0.0).to(total.dtype)
    tl.store(delta_ptr + rows, total, mask=there)
""",
)

ONE_PASS_DQ = dq.TEXT.but(
    "p = tl.where(seen, tl.exp(s - lse_i[:, None]), 0.0)",
    'lse_i = tl.where(lse_i == float("-inf"), float("inf"), lse_i)\n'
    '        p = tl.exp(tl.where(seen, s, float("-inf")) - lse_i[:, None])',
)
SCALED_EARLY_DQ = dq.TEXT.but(
    "ds = p * (dp - delta_i[:, None])",
    "ds = p * (dp - delta_i[:, None]) * sm_scale",
    "(acc * sm_scale)",
    "acc",
)
BY_WHILE_DQ = dq.TEXT.but(
    "for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):\n"
    "        j = tl.load(col_ptr + place)",
    "place = tl.load(crow_ptr + i)\n    end = tl.load(crow_ptr + i + 1)\n    while place < end:\n"
    "        j = tl.load(col_ptr + place)\n        place += 1",
)
TRANSPOSED_SCORES = dkdv.TEXT.but(
    's = tl.dot(q_i, tl.trans(k_j), input_precision="ieee") * sm_scale',
    's = tl.dot(k_j, tl.trans(q_i), input_precision="ieee") * sm_scale',
    "gap = rows[:, None] - columns[None, :]",
    "gap = rows[None, :] - columns[:, None]",
    "(columns[None, :] < n_kv)",
    "(columns[:, None] < n_kv)",
    "lse_i[:, None]",
    "lse_i[None, :]",
    "tl.trans(p).to(",
    "p.to(",
    "tl.dot(do_i, tl.trans(v_j)",
    "tl.dot(v_j, tl.trans(do_i)",
    "delta_i[:, None]",
    "delta_i[None, :]",
    "tl.trans(ds).to(",
    "ds.to(",
)
BACKWARDS_DKDV = dkdv.TEXT.but(
    "i = tl.load(row_ptr + place)",
    "i = tl.load(row_ptr + tl.load(ccol_ptr + j + 1) - 1 - (place - tl.load(ccol_ptr + j)))",
)


def by_vjp(attention: Attention, mask: Tensor) -> set[str]:
    """The gradients by `torch.autograd.functional.vjp` of an attention without a softmax."""
    rng = torch.Generator().manual_seed(3)
    n, m = mask.shape
    x = tuple(torch.randn(r, 4, dtype=torch.float64, generator=rng) for r in (n, m, m))
    dout = torch.randn(n, 4, dtype=torch.float64, generator=rng)

    def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        e = torch.exp(q @ k.T / 2) * mask
        return e @ v / e.sum(-1, keepdim=True).clamp(min=1e-300)

    out, gradients = torch.autograd.functional.vjp(dense, x, dout)
    pairs = zip(("out", "dq", "dk", "dv"), attention(*x, dout), (out, *gradients), strict=True)
    return {name for name, a, b in pairs if not torch.allclose(a, b, rtol=0, atol=1e-7)}


def by_formulas(attention: Attention, mask: Tensor) -> set[str]:
    """The gradients by hand, one comparison after another."""
    q, k = torch.randn(len(mask), 3).double(), torch.randn(mask.shape[1], 3).double()
    v, do = torch.randn(mask.shape[1], 2).double(), torch.randn(len(mask), 2).double()
    e = torch.exp(q @ k.T * 3**-0.5) * mask
    p = e / torch.where(mask.any(1, keepdim=True), e.sum(1, keepdim=True), 1.0)
    out = p @ v
    ds = p * (do @ v.T - (out * do).sum(1, keepdim=True)) * 3**-0.5
    o, dq_, dk_, dv_ = attention(q, k, v, do)
    wrong = set()
    for name, a, b in (("out", o, out), ("dq", dq_, ds @ k), ("dk", dk_, ds.T @ q), ("dv", dv_, p.T @ do)):
        if a.isnan().any() or ((a - b) ** 2).sum() > 1e-16:
            wrong.add(name)
    return wrong


def kernels(exercise: str, text: KernelText, **changes: tuple[str, ...]) -> list[Answer]:
    """The text with each of the changes."""
    return [Answer(exercise, name, text.but(*change)) for name, change in changes.items()]


RIGHT = [
    Answer("kernel.delta", "channel by channel", DELTA_BY_CHANNEL),
    Answer(
        "kernel.delta",
        "product first",
        delta.TEXT.but(
            "delta_i = tl.sum(o_i.to(sums) * do_i.to(sums), 1)",
            "o_i = o_i.to(sums)\n    o_i *= do_i\n    delta_i = tl.sum(o_i, axis=1)",
        ),
    ),
    Answer("kernel.dq", "hidden before the exponential, lse guarded", ONE_PASS_DQ),
    Answer("kernel.dq", "scaled early", SCALED_EARLY_DQ),
    Answer("kernel.dq", "a while loop", BY_WHILE_DQ),
    Answer("kernel.dkdv", "scores transposed", TRANSPOSED_SCORES),
    Answer("kernel.dkdv", "the list from its end", BACKWARDS_DKDV),
    Answer("kernel.wrong_gradients", "vjp", by_vjp),
    Answer("kernel.wrong_gradients", "by formulas", by_formulas),
]

DP = 'dp = tl.dot(do_i, tl.trans(v_j), input_precision="ieee")'
DS = "ds = p * (dp - delta_i[:, None])"
SEEN = "seen = (gap >= 0) & (gap < WINDOW) & (columns[None, :] < n_kv)"
ABSENT = "mask=columns[:, None] < n_kv"

WRONG = [
    *kernels(
        "kernel.delta",
        delta.TEXT,
        squared=("delta_i = tl.sum(o_i.to(sums) * do_i.to(sums), 1)", "delta_i = tl.sum(o_i.to(sums), 1)"),
        product_of_sums=(
            "tl.sum(o_i.to(sums) * do_i.to(sums), 1)",
            "tl.sum(o_i.to(sums), 1) * tl.sum(do_i.to(sums), 1)",
        ),
        largest=("tl.sum(", "tl.max("),
        twice=("delta_i, mask", "2 * delta_i, mask"),
        absolute=(
            "tl.sum(o_i.to(sums) * do_i.to(sums), 1)",
            "tl.sum(tl.abs(o_i.to(sums) * do_i.to(sums)), 1)",
        ),
        store_not_masked=("delta_i, mask=rows < n_q)", "delta_i)"),
        other_forgotten=("stride_o + d, mask=rows[:, None] < n_q, other=0.0)", "stride_o + d)"),
        one_row_too_many=("delta_i, mask=rows < n_q)", "delta_i, mask=rows <= n_q)"),
        channels_for_stride=("rows[:, None] * stride_o + d", "rows[:, None] * HEAD_DIM + d"),
        last_block_shifted=("rows = i * BLOCK_M", "rows = (i + 1) * BLOCK_M"),
        rounded_to_float16=("do_i.to(sums), 1)", "do_i.to(sums), 1).to(tl.float16).to(sums)"),
    ),
    *kernels(
        "kernel.dq",
        dq.TEXT,
        lse_forgotten=("tl.exp(s - lse_i[:, None])", "tl.exp(s)"),
        one_key_too_many=("gap < WINDOW", "gap <= WINDOW"),
        future_seen=("(gap >= 0) & ", ""),
        no_window=(" & (gap < WINDOW)", ""),
        first_block_left_out=("range(tl.load(crow_ptr + i), ", "range(tl.load(crow_ptr + i) + 1, "),
        next_rows_first_block=("tl.load(crow_ptr + i + 1))", "tl.load(crow_ptr + i + 1) + 1)"),
        offset_of_the_row_before=(
            "range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1))",
            "range(tl.load(crow_ptr), tl.load(crow_ptr + i + 1))",
        ),
        block_not_multiplied=("columns = j * BLOCK_N", "columns = j"),
        stride_of_q=("at = columns[:, None] * stride_k + d", "at = columns[:, None] * stride_q + d"),
        store_not_masked=(", mask=rows[:, None] < n_q)", ")"),
        all_blocks=(
            "for place in range(tl.load(crow_ptr + i), tl.load(crow_ptr + i + 1)):\n"
            "        j = tl.load(col_ptr + place)",
            "for j in range(0, tl.cdiv(n_kv, BLOCK_N)):",
        ),
        one_product_too_many=(DP, f"{DP}\n        dp = tl.dot(do_i, tl.trans(v_j))"),
    ),
    *kernels(
        "kernel.dkdv",
        dkdv.TEXT,
        dv_replaced=("dv += ", "dv = "),
        dk_replaced=("dk += ", "dk = "),
        future_seen=("(gap >= 0) & ", ""),
        first_block_left_out=("range(tl.load(ccol_ptr + j), ", "range(tl.load(ccol_ptr + j) + 1, "),
        next_columns_first=("tl.load(ccol_ptr + j + 1))", "tl.load(ccol_ptr + j + 1) + 1)"),
        counter_for_block=("i = tl.load(row_ptr + place)", "i = place - tl.load(ccol_ptr + j)"),
        symmetric_window=(
            "i = tl.load(row_ptr + place)",
            "i = tl.maximum(2 * j - tl.load(row_ptr + place), 0)",
        ),
        height_for_width=("columns = j * BLOCK_N", "columns = j * BLOCK_M"),
        store_not_masked=(
            "dv_ptr.dtype.element_ty), mask=columns[:, None] < n_kv)",
            "dv_ptr.dtype.element_ty))",
        ),
        delta_not_masked=("delta_ptr + rows, mask=rows < n_q, other=0.0)", "delta_ptr + rows)"),
        v_for_do=("tl.trans(p).to(do_i.dtype), do_i", "tl.trans(p).to(q_i.dtype), q_i"),
        all_blocks=(dkdv.WALK, "for i in range(0, tl.cdiv(n_q, BLOCK_M)):"),
        written_by_all=(
            "columns[:, None] * stride_dk + d",
            "(columns * 0 + tl.arange(0, BLOCK_N))[:, None] * stride_dk + d",
        ),
    ),
]


def against(keep: Callable[[str], bool] = lambda name: True, **how: Any) -> Callable[..., set[str]]:
    """A test of gradients with something missing."""

    def answer(attention: Attention, mask: Tensor) -> set[str]:
        rng = torch.Generator().manual_seed(1)
        n, m = mask.shape
        q, k, v, do = (torch.randn(r, 4, dtype=torch.float64, generator=rng) for r in (n, m, m, n))
        do = how.get("dout", lambda x: x)(do)
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        scores = leaves[0] @ leaves[1].T * how.get("scale", 0.5)
        scores = scores.masked_fill(~mask, how.get("hidden", -torch.inf))
        p = scores.softmax(-1)
        out = (p if how.get("nan") else p.nan_to_num(0.0)) @ leaves[2]
        wanted = (out.detach(), *torch.autograd.grad(out, leaves, do))
        if not how.get("nan"):
            wanted = tuple(x.nan_to_num(0.0) for x in wanted)
        same = how.get("same", lambda a, b: torch.allclose(a, b, rtol=0, atol=1e-8))
        got = attention(q, k, v, do)
        return {
            name
            for name, a, b in zip(("out", "dq", "dk", "dv"), got, wanted, strict=True)
            if keep(name) and not same(a, b)
        }

    return answer


def only_first(attention: Attention, mask: Tensor) -> set[str]:
    """Names the output wherever a gradient is wrong."""
    return {"out"} if against()(attention, mask) else set()


TESTS: dict[str, Callable[..., Any]] = {
    "nothing is ever wrong": lambda attention, mask: set(),
    "everything is always wrong": lambda attention, mask: {"out", "dq", "dk", "dv"},
    "only out, whatever is wrong": only_first,
    "a dout of zeros": against(dout=torch.zeros_like),
    "the scale forgotten": against(scale=1.0),
    "dq never looked at": against(lambda name: name != "dq"),
    "norms compared": against(same=lambda a, b: bool((a.norm() - b.norm()).abs() < 1e-8)),
    "first rows compared": against(same=lambda a, b: torch.allclose(a[0], b[0])),
    "first channel compared": against(same=lambda a, b: torch.allclose(a[:, 0], b[:, 0])),
    "NaN counted as equal": against(same=lambda a, b: torch.allclose(a.where(~a.isnan(), b), b)),
    "tolerance of a twentieth": against(same=lambda a, b: torch.allclose(a, b, rtol=0.05, atol=0.05)),
    "tolerance of 1e-17": against(same=lambda a, b: bool(((a - b).abs() <= 1e-17).all())),
    "the empty row is NaN": against(nan=True),
    "the mask the other way": lambda attention, mask: against()(attention, ~mask),
    "a list": lambda attention, mask: sorted(against()(attention, mask)),
}
WRONG += [Answer("kernel.wrong_gradients", name, test) for name, test in TESTS.items()]
