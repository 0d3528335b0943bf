"""Answers to the exercises of lesson 03 that are not in their lists, for `test_heads_exercises.py`."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, Tensor]


def split_by_chunks(x: Tensor, heads: int) -> Tensor:
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def split_by_view(x: Tensor, heads: int) -> Tensor:
    batch, n, width = x.shape
    return x.view(batch, n, heads, width // heads).permute(0, 2, 1, 3).contiguous()


def split_in_a_loop(x: Tensor, heads: int) -> Tensor:
    size = x.shape[2] // heads
    out = x.new_empty(x.shape[0], heads, x.shape[1], size)
    for head in range(heads):
        out[:, head] = x[..., head * size : (head + 1) * size]
    return out


def merge_by_concatenation(x: Tensor) -> Tensor:
    return torch.cat(list(x.unbind(1)), dim=-1)


def merge_by_reshape(x: Tensor) -> Tensor:
    batch, heads, n, size = x.shape
    return x.permute(0, 2, 1, 3).reshape(batch, n, heads * size)


def merge_by_copy_and_view(x: Tensor) -> Tensor:
    batch, heads, n, size = x.shape
    return x.transpose(1, 2).contiguous().view(batch, n, heads * size)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1).nan_to_num(0.0) @ v


def projected(x: Tensor, weights: Weights) -> list[Tensor]:
    return list(F.linear(x, weights["in_proj_weight"], weights["in_proj_bias"]).chunk(3, -1))


def projected_out(x: Tensor, weights: Weights) -> Tensor:
    return x @ weights["out_proj.weight"].T + weights["out_proj.bias"]


def multi_head(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    q, k, v = (split_by_view(part, heads) for part in projected(x, weights))
    return projected_out(merge_by_reshape(F.scaled_dot_product_attention(q, k, v, mask)), weights)


def multi_head_head_by_head(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    q, k, v = projected(x, weights)
    size = q.shape[-1] // heads
    out = weights["out_proj.bias"].expand_as(x).clone()
    for start in range(0, q.shape[-1], size):
        part = slice(start, start + size)
        head = attention(q[..., part], k[..., part], v[..., part], mask)
        out = out + head @ weights["out_proj.weight"][:, part].T
    return out


def multi_head_with_einsum(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    w = weights["in_proj_weight"].unflatten(0, (3, heads, -1))
    b = weights["in_proj_bias"].unflatten(0, (3, heads, -1))
    q, k, v = torch.einsum("bne,thde->tbhnd", x, w) + b[:, None, :, None]
    out = torch.einsum(
        "bhnd,ehd->bne", attention(q, k, v, mask), weights["out_proj.weight"].unflatten(1, (heads, -1))
    )
    return out + weights["out_proj.bias"]


def grouped_query(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    times = q.shape[1] // k.shape[1]
    return attention(q, k.repeat_interleave(times, 1), v.repeat_interleave(times, 1))


def grouped_query_by_axis(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    grouped = q.unflatten(1, (k.shape[1], -1))
    return attention(grouped, k.unsqueeze(2), v.unsqueeze(2)).flatten(1, 2)


def grouped_query_head_by_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    per_group = q.shape[1] // k.shape[1]
    return torch.stack(
        [attention(q[:, h], k[:, h // per_group], v[:, h // per_group]) for h in range(q.shape[1])], dim=1
    )


def grouped_query_expanded(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    batch, groups, m, size = k.shape
    k, v = (
        x[:, :, None].expand(batch, groups, q.shape[1] // groups, m, size).reshape(batch, q.shape[1], m, size)
        for x in (k, v)
    )
    return attention(q, k, v)


RIGHT: dict[str, tuple[Callable[..., Tensor], ...]] = {
    "split": (split_by_chunks, split_by_view, split_in_a_loop),
    "merge": (merge_by_concatenation, merge_by_reshape, merge_by_copy_and_view),
    "multi_head": (multi_head, multi_head_head_by_head, multi_head_with_einsum),
    "grouped_query": (
        grouped_query,
        grouped_query_by_axis,
        grouped_query_head_by_head,
        grouped_query_expanded,
    ),
}
"""Right answers, each written in another way."""


def written_into(x: Tensor, heads: int) -> Tensor:
    x *= 1
    return split_by_view(x.add_(0), heads).neg_()


def by_module(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    module = nn.MultiheadAttention(x.shape[-1], heads, batch_first=True, dtype=x.dtype)
    module.load_state_dict(weights)
    return module(x, x, x, attn_mask=None if mask is None else ~mask, need_weights=False)[0]


def changed(**new: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Multi-head attention with some weights changed; a dot in a name is written as two underscores."""

    def answer(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
        names = {name.replace("__", "."): change for name, change in new.items()}
        return multi_head(x, weights | {n: change(weights[n]) for n, change in names.items()}, heads, mask)

    return answer


def without_the_projections(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    q = split_by_view(x, heads)
    return projected_out(merge_by_reshape(attention(q, q, q, mask)), weights)


def one_projection_for_all(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    q = split_by_view(projected(x, weights)[0], heads)
    return projected_out(merge_by_reshape(attention(q, q, q, mask)), weights)


def averaged_heads(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    q, k, v = (split_by_view(part, heads) for part in projected(x, weights))
    out = attention(q, k, v, mask).mean(1, keepdim=True).expand_as(q)
    return projected_out(merge_by_reshape(out), weights)


def scaled_twice(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    q, k, v = (split_by_view(part, heads) for part in projected(x, weights))
    out = F.scaled_dot_product_attention(q / math.sqrt(q.shape[-1]), k, v, mask)
    return projected_out(merge_by_reshape(out), weights)


def bias_of_the_queries_only(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    bias = weights["in_proj_bias"].clone()
    bias[len(bias) // 3 :] = 0
    return multi_head(x, weights | {"in_proj_bias": bias}, heads, mask)


def causal_always(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    return multi_head(x, weights, heads, torch.ones(x.shape[1], x.shape[1]).tril().bool())


def mask_turned(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    return multi_head(x, weights, heads, None if mask is None else mask.T)


def mask_in_the_first_head(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    if mask is not None:
        mask = mask.expand(heads, -1, -1).clone()
        mask[1:] = True
    return multi_head(x, weights, heads, mask)


def with_residual(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    return x + multi_head(x, weights, heads, mask)


def weights_changed(x: Tensor, weights: Weights, heads: int, mask: Tensor | None = None) -> Tensor:
    out = multi_head(x, weights, heads, mask)
    weights["in_proj_weight"][: x.shape[-1]] /= 2
    return out


WRONG: dict[str, dict[str, tuple[Callable[..., Any], str | None]]] = {
    "split": {
        "view without transpose, sizes written out": (
            lambda x, heads: x.contiguous().view(len(x), heads, x.shape[1], -1),
            "view without transpose",
        ),
        "last two axes exchanged once more": (
            lambda x, heads: split_by_view(x, heads).transpose(2, 3),
            "D and N swapped",
        ),
        "two heads always": (lambda x, heads: split_by_view(x, 2 if x.shape[2] % 2 == 0 else 1), None),
        "heads in reverse": (lambda x, heads: split_by_view(x, heads).flip(1), None),
        "tokens in reverse": (lambda x, heads: split_by_view(x, heads).flip(2), None),
        "channels in reverse": (lambda x, heads: split_by_view(x, heads).flip(3), None),
        "first head only": (lambda x, heads: split_by_view(x, heads)[:, :1], None),
        "first head for all": (
            lambda x, heads: split_by_view(x, heads)[:, :1].expand(-1, heads, -1, -1),
            None,
        ),
        "first text for all": (lambda x, heads: split_by_view(x[:1].expand_as(x), heads), None),
        "tuple of heads": (lambda x, heads: x.chunk(heads, -1), "wrong type"),
        "nothing returned": (lambda x, heads: print(split_by_view(x, heads).shape), "returns nothing"),
        "through float32": (lambda x, heads: split_by_view(x.float(), heads), None),
        "the input itself": (lambda x, heads: x, "wrong shape"),
        "tokens cut instead of channels": (
            lambda x, heads: x.repeat(1, heads, 1).view(len(x), heads, x.shape[1], -1),
            "wrong shape",
        ),
    },
    "merge": {
        "view without swap": (
            lambda x: x.contiguous().view(len(x), x.shape[2], -1),
            "reshape without transpose",
        ),
        "swapped with channels": (lambda x: x.permute(0, 3, 2, 1).flatten(2), "wrong shape"),
        "heads in reverse": (lambda x: merge_by_reshape(x.flip(1)), None),
        "first head repeated": (lambda x: merge_by_reshape(x[:, :1].expand_as(x)), None),
        "largest over heads": (lambda x: x.amax(1), None),
        "batch flattened too": (lambda x: merge_by_reshape(x).flatten(0, 1), "wrong shape"),
        "batch in place of heads": (lambda x: x.transpose(0, 2).flatten(2), None),
        "everything in one row": (lambda x: x.flatten(1), "wrong shape"),
        "numpy": (lambda x: merge_by_reshape(x).numpy(), "wrong type"),
        "tuple of heads": (lambda x: x.unbind(1), "wrong type"),
        "input itself": (lambda x: x, "wrong shape"),
        "tokens in reverse": (lambda x: merge_by_reshape(x).flip(1), None),
        "mean, repeated": (lambda x: merge_by_reshape(x.mean(1, keepdim=True).expand_as(x)), None),
    },
    "multi_head": {
        "the module": (by_module, "forbidden call"),
        "no projections in": (without_the_projections, None),
        "one projection for q, k and v": (one_projection_for_all, None),
        "averaged heads": (averaged_heads, None),
        "scaled twice": (scaled_twice, None),
        "bias of the queries only": (bias_of_the_queries_only, None),
        "causal without being asked": (causal_always, None),
        "mask turned": (mask_turned, None),
        "mask in the first head": (mask_in_the_first_head, None),
        "residual added": (with_residual, None),
        "weights changed": (weights_changed, "input changed"),
        "output bias twice": (changed(out_proj__bias=lambda bias: 2 * bias), None),
        "output weight negative": (changed(out_proj__weight=lambda weight: -weight), None),
        "input bias added to k only": (
            changed(in_proj_bias=lambda b: torch.cat([0 * b.chunk(3)[0], b.chunk(3)[1], 0 * b.chunk(3)[2]])),
            None,
        ),
        "one third twice": (
            changed(in_proj_weight=lambda w: torch.cat([w.chunk(3)[0], w.chunk(3)[0], w.chunk(3)[2]])),
            None,
        ),
        "merged by view": (
            lambda x, weights, heads, mask=None: projected_out(
                F.scaled_dot_product_attention(
                    *(split_by_view(part, heads) for part in projected(x, weights)), mask
                ).reshape(x.shape),
                weights,
            ),
            "merge without transpose",
        ),
        "float returned": (
            lambda x, weights, heads, mask=None: multi_head(x, weights, heads, mask).float(),
            None,
        ),
        "heads left apart": (
            lambda x, weights, heads, mask=None: split_by_view(multi_head(x, weights, heads, mask), heads),
            "wrong shape",
        ),
    },
    "grouped_query": {
        "tiled": (
            lambda q, k, v: attention(
                q,
                k.repeat(1, q.shape[1] // k.shape[1], 1, 1),
                v.repeat(1, q.shape[1] // k.shape[1], 1, 1),
            ),
            "h % G",
        ),
        "cut the other way": (
            lambda q, k, v: attention(q.unflatten(1, (-1, k.shape[1])), k[:, None], v[:, None]).flatten(1, 2),
            "h % G",
        ),
        "the library's": (
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
            "forbidden call",
        ),
        "not repeated": (attention, "raised"),
        "last group for all": (lambda q, k, v: attention(q, k[:, -1:], v[:, -1:]), None),
        "values averaged": (
            lambda q, k, v: grouped_query(q, k, v.mean(1, keepdim=True).expand_as(v)),
            None,
        ),
        "keys averaged": (lambda q, k, v: grouped_query(q, k.mean(1, keepdim=True).expand_as(k), v), None),
        "tokens repeated": (
            lambda q, k, v: attention(
                q[:, : k.shape[1]], k.repeat_interleave(2, 2), v.repeat_interleave(2, 2)
            ),
            "wrong shape",
        ),
        "query heads cut off": (
            lambda q, k, v: attention(q[:, : k.shape[1]], k, v),
            "wrong shape",
        ),
        "values of the keys": (lambda q, k, v: grouped_query(q, k, k), None),
        "causal": (
            lambda q, k, v: (
                grouped_query(q, k, v)
                if q.shape[2] != k.shape[2]
                else attention(
                    q,
                    *(x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v)),
                    torch.ones(q.shape[2], q.shape[2]).tril().bool(),
                )
            ),
            None,
        ),
        "exp without maximum": (
            lambda q, k, v: (lambda e, v: (e / e.sum(-1, keepdim=True)) @ v)(
                (q @ k.repeat_interleave(q.shape[1] // k.shape[1], 1).mT / math.sqrt(q.shape[-1])).exp(),
                v.repeat_interleave(q.shape[1] // k.shape[1], 1),
            ),
            None,
        ),
        "scaled by the number of heads": (
            lambda q, k, v: grouped_query(q * math.sqrt(q.shape[-1] / q.shape[1]), k, v),
            None,
        ),
        "numpy": (lambda q, k, v: grouped_query(q, k, v).numpy(), "wrong type"),
    },
}
"""Wrong answers, with the name that their mistake should get; None where any is good enough."""
