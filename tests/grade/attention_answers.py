"""Answers to the exercises of lesson 01 that are not in their lists, for `test_attention_exercises.py`."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

INF = math.inf


def softmax(x: Tensor) -> Tensor:
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def softmax_row_by_row(x: Tensor) -> Tensor:
    rows = [(row - max(row)).exp() for row in x.reshape(-1, x.shape[-1])]
    return torch.stack([row / sum(row) for row in rows]).reshape(x.shape)


def softmax_through_the_logarithm(x: Tensor) -> Tensor:
    x = x - x.max(dim=-1, keepdim=True).values
    return torch.exp(x - torch.log(torch.exp(x).sum(dim=-1, keepdim=True)))


def softmax_pairwise(x: Tensor) -> Tensor:
    difference = x.unsqueeze(-2) - x.unsqueeze(-1)
    return (1 / difference.nan_to_num(-INF, posinf=INF).exp().sum(-1)).where(x > -INF, 0.0)


def scores(q: Tensor, k: Tensor) -> Tensor:
    return torch.einsum("bhnd,bhmd->bhnm", q, k) * q.size(-1) ** -0.5


def scores_in_loops(q: Tensor, k: Tensor) -> Tensor:
    out = q.new_zeros(*q.shape[:3], k.shape[2])
    for i in range(q.shape[2]):
        for j in range(k.shape[2]):
            out[:, :, i, j] = (q[:, :, i] * k[:, :, j]).sum(-1) / math.sqrt(q.shape[-1])
    return out


def scores_with_q_scaled(q: Tensor, k: Tensor) -> Tensor:
    return torch.matmul(q / math.sqrt(q.shape[-1]), k.permute(0, 1, 3, 2))


def attention_by_queries(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    b, h, n, m = *q.shape[:3], k.shape[2]
    mask = torch.ones(n, m, dtype=torch.bool) if mask is None else mask
    out = v.new_zeros(b, h, n, v.shape[-1])
    for place in torch.cartesian_prod(torch.arange(b), torch.arange(h), torch.arange(n)).tolist():
        seen = mask.expand(b, h, n, m)[tuple(place)]
        if seen.any():
            head = tuple(place[:2])
            weights = F.softmax(k[head][seen] @ q[tuple(place)] / q.shape[-1] ** 0.5, dim=0)
            out[tuple(place)] = weights @ v[head][seen]
    return out


def attention_with_sums(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    s = scores(q, k)
    if mask is not None:
        s = torch.where(mask, s, -INF)
    e = (s - s.amax(-1, keepdim=True).clamp(min=torch.finfo(s.dtype).min)).exp()
    total = e.sum(-1, keepdim=True)
    return torch.einsum("bhnm,bhme->bhne", e / total.masked_fill(total == 0, 1), v)


def attention_with_an_added_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    bias = 0 if mask is None else torch.zeros(mask.shape, dtype=q.dtype).masked_fill(mask.logical_not(), -INF)
    out = torch.softmax(scores(q, k) + bias, dim=3) @ v
    return out if mask is None else out.masked_fill(~mask.any(dim=-1, keepdim=True), 0)


def softmax_backward(p: Tensor, dp: Tensor) -> Tensor:
    return p * dp - p * torch.einsum("...j,...j->...", p, dp).unsqueeze(-1)


def softmax_backward_with_the_jacobian(p: Tensor, dp: Tensor) -> Tensor:
    jacobian = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
    return (jacobian @ dp.unsqueeze(-1)).squeeze(-1)


def softmax_backward_row_by_row(p: Tensor, dp: Tensor) -> Tensor:
    rows = zip(p.reshape(-1, p.shape[-1]), dp.reshape(-1, p.shape[-1]), strict=True)
    return torch.stack([row * (grad - row.dot(grad)) for row, grad in rows]).reshape(p.shape)


RIGHT = {
    "softmax": (softmax, softmax_row_by_row, softmax_through_the_logarithm, softmax_pairwise),
    "scores": (scores, scores_in_loops, scores_with_q_scaled),
    "sdpa": (attention_by_queries, attention_with_sums, attention_with_an_added_mask),
    "softmax_backward": (
        softmax_backward,
        softmax_backward_with_the_jacobian,
        softmax_backward_row_by_row,
    ),
}
"""Right answers, each written in another way."""


def hidden(q: Tensor, k: Tensor, mask: Tensor | None, number: float = -INF) -> Tensor:
    return scores(q, k) if mask is None else scores(q, k).masked_fill(~mask, number)


def average(s: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(s, -1).nan_to_num(0.0) @ v


def written_into(x: Tensor) -> Tensor:
    x -= x.amax(-1, keepdim=True)
    return softmax(x)


def fill_thrown_away(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    s = scores(q, k)
    if mask is not None:
        s.masked_fill(mask == 0, -INF)
    return average(s, v)


def only_the_first_head(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    first = None if mask is None or mask.ndim == 2 else mask[:, :1]
    return average(hidden(q[:, :1], k[:, :1], mask if first is None else first), v[:, :1]).expand(
        *q.shape[:3], v.shape[-1]
    )


def clears_all_if_any_row_is_empty(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    out = average(hidden(q, k, mask), v)
    return out if mask is None or mask.any(-1).all() else out * 0


WRONG: dict[str, dict[str, tuple[Callable[..., object], str | None]]] = {
    "softmax": {
        "clamped": (
            lambda x: x.clamp(-50, 50).exp() / x.clamp(-50, 50).exp().sum(-1, keepdim=True),
            "cut off",
        ),
        "keepdim forgotten": (lambda x: (x - x.amax(-1)).exp() / (x - x.amax(-1)).exp().sum(-1), "raised"),
        "writes into its input": (written_into, "input changed"),
        "through float32": (lambda x: softmax(x.float()).to(x), "nearly right"),
        "float32 returned": (lambda x: softmax(x.float()), "wrong dtype"),
        "numpy returned": (lambda x: softmax(x).numpy(), "wrong type"),
        "nothing returned": (lambda x: print(softmax(x)), "returns nothing"),
        "last axis but one": (
            lambda x: softmax(x.movedim(-2, -1)).movedim(-1, -2) if x.ndim > 1 else softmax(x),
            "wrong axis",
        ),
        "one matrix at a time": (
            lambda x: torch.stack([(r - r.max()).exp() / (r - r.max()).exp().sum() for r in x]),
            "row sums",
        ),
        "not divided": (lambda x: (x - x.amax(-1, keepdim=True)).exp(), "row sums"),
        "mean below": (lambda x: softmax(x) * x.shape[-1], "constant factor"),
        "a temperature": (lambda x: softmax(x / math.sqrt(x.shape[-1])), None),
        "powers of two": (lambda x: softmax(x * math.log(2)), None),
        "NaN hidden": (
            lambda x: torch.nan_to_num(x.exp() / x.exp().sum(-1, keepdim=True)),
            "NaN turned into 0",
        ),
        "a constant subtracted": (
            lambda x: (x - 100).exp() / (x - 100).exp().sum(-1, keepdim=True),
            "exp without maximum",
        ),
        "rounded": (lambda x: softmax(x).round(decimals=4), None),
        "only the winner": (lambda x: F.one_hot(x.argmax(-1), x.shape[-1]).to(x), None),
        "the library's": (lambda x: F.softmax(x, dim=-1), "forbidden call"),
    },
    "scores": {
        "scaled twice": (lambda q, k: scores(q, k) / math.sqrt(q.shape[-1]), "divided by D"),
        "scale of another axis": (
            lambda q, k: q @ k.mT / math.sqrt(q.shape[1]),
            "root of the number of heads",
        ),
        "root cut to an int": (lambda q, k: q @ k.mT / int(math.sqrt(q.shape[-1])), None),
        "view of the keys": (
            lambda q, k: (
                q @ k.contiguous().view(*k.shape[:2], k.shape[3], k.shape[2]) / math.sqrt(q.shape[-1])
            ),
            "reshape instead of transpose",
        ),
        "no transpose": (lambda q, k: q @ k / math.sqrt(q.shape[-1]), "raised"),
        "heads and tokens exchanged": (lambda q, k: scores(q, k).transpose(1, 2), "wrong shape"),
        "heads summed": (lambda q, k: scores(q, k).sum(1), "wrong shape"),
        "keys of the first batch": (lambda q, k: scores(q, k[:1].expand_as(k)), None),
        "pairs of equal place only": (lambda q, k: q[:, :, :1] * k, "wrong shape"),
        "queries with queries": (lambda q, k: scores(q, q), "wrong shape"),
        "writes into q": (lambda q, k: q.div_(math.sqrt(q.shape[-1])) @ k.mT, "input changed"),
        "clamped": (lambda q, k: scores(q, k).clamp(-100, 100), None),
        "through float32": (lambda q, k: scores(q.float(), k.float()).to(q), "nearly right"),
        "numpy returned": (lambda q, k: np.matmul(q.numpy(), k.mT.numpy()), "wrong type"),
        "sign": (lambda q, k: -scores(q, k), "inverted"),
    },
    "sdpa": {
        "fill thrown away": (fill_thrown_away, "mask ignored"),
        "masks of two axes only": (
            lambda q, k, v, mask=None: average(
                hidden(q, k, mask if mask is None or mask.ndim == 2 else None), v
            ),
            "mask ignored",
        ),
        "inverted where 4 axes": (
            lambda q, k, v, mask=None: average(
                hidden(q, k, ~mask if mask is not None and mask.ndim == 4 else mask), v
            ),
            "inverted",
        ),
        "axes added to every mask": (
            lambda q, k, v, mask=None: average(hidden(q, k, None if mask is None else mask[None, None]), v),
            "wrong shape",
        ),
        "mask of the first batch": (
            lambda q, k, v, mask=None: average(
                hidden(q, k, mask if mask is None or mask.ndim == 2 else mask[:1]), v
            ),
            None,
        ),
        "mask of the first head": (
            lambda q, k, v, mask=None: average(
                hidden(q, k, mask if mask is None or mask.ndim == 2 else mask[:, :1]), v
            ),
            None,
        ),
        "mask turned where square": (
            lambda q, k, v, mask=None: average(
                hidden(q, k, mask if mask is None or mask.shape[-1] != mask.shape[-2] else mask.mT), v
            ),
            "sees what is hidden",
        ),
        "first row of the mask for all": (
            lambda q, k, v, mask=None: average(hidden(q, k, None if mask is None else mask[..., :1, :]), v),
            "sees what is hidden",
        ),
        "-1e4": (lambda q, k, v, mask=None: torch.softmax(hidden(q, k, mask, -1e4), -1) @ v, "-1e9"),
        "smallest number": (
            lambda q, k, v, mask=None: torch.softmax(hidden(q, k, mask, torch.finfo(q.dtype).min), -1) @ v,
            "-1e9",
        ),
        "score 1e-9": (
            lambda q, k, v, mask=None: torch.softmax(hidden(q, k, mask, 1e-9), -1) @ v,
            "score 0 instead of -inf",
        ),
        "empty row sees everything": (
            lambda q, k, v, mask=None: average(
                hidden(q, k, None if mask is None else mask | ~mask.any(-1, keepdim=True)), v
            ),
            "sees what is hidden",
        ),
        "all cleared if a row is empty": (
            clears_all_if_any_row_is_empty,
            "-inf times the mask, NaN turned into 0",
        ),
        "exp alone, NaN hidden": (
            lambda q, k, v, mask=None: (
                torch.nan_to_num(
                    hidden(q, k, mask).exp() / hidden(q, k, mask).exp().sum(-1, keepdim=True), posinf=0
                )
                @ v
            ),
            "exp without maximum, NaN turned into 0",
        ),
        "masked after, divided again": (
            lambda q, k, v, mask=None: (
                average(scores(q, k), v)
                if mask is None
                else (w := torch.softmax(scores(q, k), -1) * mask)
                @ v
                / w.sum(-1, keepdim=True).clamp(min=1e-300)
            ),
            "divided again after the softmax",
        ),
        "softmax over the batch": (
            lambda q, k, v, mask=None: torch.softmax(hidden(q, k, mask), 0).nan_to_num(0) @ v,
            "softmax over heads",
        ),
        "output scaled": (
            lambda q, k, v, mask=None: average(hidden(q, k, mask), v) / math.sqrt(q.shape[-1]),
            "constant factor",
        ),
        "only the first head": (only_the_first_head, None),
        "cut to D": (
            lambda q, k, v, mask=None: average(hidden(q, k, mask), v)[..., : q.shape[-1]],
            "wrong shape",
        ),
        "tokens before heads": (
            lambda q, k, v, mask=None: average(hidden(q, k, mask), v).transpose(1, 2),
            "wrong shape",
        ),
        "weights returned too": (
            lambda q, k, v, mask=None: (average(hidden(q, k, mask), v), hidden(q, k, mask)),
            "wrong type",
        ),
        "mask not optional": (lambda q, k, v, mask: average(hidden(q, k, mask), v), "arguments"),
        "average of everything": (
            lambda q, k, v, mask=None: v.mean(-2, keepdim=True).expand(*q.shape[:3], v.shape[-1]),
            None,
        ),
        "through float32": (
            lambda q, k, v, mask=None: average(hidden(q.float(), k.float(), mask), v.float()).to(q),
            "nearly right",
        ),
        "the library's": (
            lambda q, k, v, mask=None: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
            "forbidden call",
        ),
    },
    "softmax_backward": {
        "keepdim forgotten": (lambda p, dp: p * (dp - (p * dp).sum(-1)), "raised"),
        "axis 1": (lambda p, dp: p * (dp - (p * dp).sum(int(p.ndim > 1), keepdim=True)), "sum over axis 1"),
        "dp returned": (lambda p, dp: dp, None),
        "p twice": (lambda p, dp: p * softmax_backward(p, dp), None),
        "p in the sum twice": (lambda p, dp: p * (dp - (p * p * dp).sum(-1, keepdim=True)), None),
        "only the outer product": (lambda p, dp: -p * (p * dp).sum(-1, keepdim=True), None),
        "maximum instead of sum": (lambda p, dp: p * (dp - (p * dp).amax(-1, keepdim=True)), None),
        "scaled": (lambda p, dp: softmax_backward(p, dp) / math.sqrt(p.shape[-1]), "constant factor"),
        "arguments exchanged": (lambda p, dp: softmax_backward(dp, p), "p and dp exchanged"),
        "writes into dp": (lambda p, dp: p * dp.sub_((p * dp).sum(-1, keepdim=True)), "input changed"),
        "clamped": (lambda p, dp: softmax_backward(p, dp.clamp(-100, 100)), None),
        "NaN where nothing is seen": (
            lambda p, dp: softmax_backward(p / p.sum(-1, keepdim=True), dp),
            "not finite",
        ),
        "through float32": (lambda p, dp: softmax_backward(p.float(), dp.float()).to(p), "nearly right"),
        "autograd": (
            lambda p, dp: torch.autograd.grad(softmax(s := p.log().requires_grad_()), s, dp)[0].nan_to_num(0),
            "forbidden call",
        ),
    },
}
"""Wrong answers, with the name that their mistake should get; None where any is good enough."""
