"""Answers to the exercises of lesson 11 that are not in their lists."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from tsparse.grade.exercises.gather.backward import backward
from tsparse.grade.exercises.gather.backward_row import backward_row
from tsparse.grade.exercises.gather.forward import forward
from tsparse.grade.exercises.gather.row import attend_row

INF = math.inf


def row_by_slices(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    pieces = [slice(c * block, c * block + block) for c in columns.tolist()]
    if not pieces:
        return torch.zeros(len(q), v.shape[1], dtype=q.dtype)
    some_k, some_v = torch.cat([k[at] for at in pieces]), torch.cat([v[at] for at in pieces])
    s = scale * (q @ some_k.T)
    e = (s - s.max(1, keepdim=True).values).exp()
    return e / e.sum(1, keepdim=True) @ some_v


def row_by_mask(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    keep = torch.isin(torch.arange(len(k)) // block, columns)
    return torch.softmax(scale * q @ k[keep].mT, dim=-1) @ v[keep]


def forward_by_merging(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Any, scale: float
) -> tuple[Tensor, Tensor]:
    """One block at a time, with a running maximum."""
    outs, lses = [], []
    for i, (a, b) in enumerate(pairwise(crow.tolist())):
        q_i = q[:, i * block : (i + 1) * block]
        at_q = torch.arange(q_i.shape[1])[:, None] + i * block
        out, lse = q_i.new_zeros(*q_i.shape[:2], v.shape[2]), q_i.new_full(q_i.shape[:2], -INF)
        for c in col[a:b].tolist():
            k_c, v_c = (x[:, c * block : c * block + block] for x in (k, v))
            s = torch.einsum("hqd,hkd->hqk", q_i, k_c) * scale
            shown = visible(at_q, torch.arange(k_c.shape[1])[None] + c * block)
            here = s.where(shown, -INF).logsumexp(2)
            both = torch.logaddexp(lse, here)
            old = (lse - both).exp().nan_to_num(0.0)[..., None]
            p = (s - both[..., None]).exp().where(shown, 0.0)
            out, lse = old * out + p @ v_c, both
        outs.append(out)
        lses.append(lse)
    return torch.cat(outs, 1), torch.cat(lses, 1)


def forward_all_blocks_at_once(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Any, scale: float
) -> tuple[Tensor, Tensor]:
    """Every listed block in one product, joined by scatter."""
    h, n, m, e, rows = *q.shape[:2], k.shape[1], v.shape[2], len(crow) - 1
    row, col = torch.arange(rows).repeat_interleave(crow.diff().long()), col.long()
    inside = torch.arange(block)
    at_q, at_k = row[:, None] * block + inside, col[:, None] * block + inside  # [nnz, b]
    q_b, k_b, v_b = q[:, at_q.clamp(max=n - 1)], k[:, at_k.clamp(max=m - 1)], v[:, at_k.clamp(max=m - 1)]
    shown = visible(at_q[:, :, None], at_k[:, None]) & (at_k < m)[:, None]
    s = (q_b @ k_b.mT * scale).masked_fill(~shown, -INF)  # [h, nnz, b, b]
    lse_b = s.logsumexp(-1)
    o_b = (s - lse_b.nan_to_num(neginf=0.0)[..., None]).exp() @ v_b
    top = q.new_full((h, rows, block), -INF).index_reduce_(1, row, lse_b, "amax").nan_to_num(neginf=0.0)
    weight = (lse_b - top[:, row]).exp()
    total = q.new_zeros(h, rows, block).index_add_(1, row, weight)
    out = q.new_zeros(h, rows, block, e).index_add_(1, row, weight[..., None] * o_b)
    out = out / total.where(total > 0, 1.0)[..., None]
    return out.flatten(1, 2)[:, :n], (top + total.log()).flatten(1)[:, :n]


def backward_row_by_softmax_backward(
    q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    root = q.shape[0] ** 0.5
    for j in range(k.shape[0]):
        p = torch.exp(torch.dot(q, k[j]) / root - lse)
        ds = p * torch.dot(dout, v[j]) - p * delta
        dq += ds * k[j] / root
        dk[j] = ds * q / root
        dv[j] = p * dout
    return dq, dk, dv


def backward_row_by_einsum(
    q: Tensor, k: Tensor, v: Tensor, dout: Tensor, lse: Tensor, delta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    scale = q.numel() ** -0.5
    p = (torch.einsum("d,md->m", q * scale, k) - lse).exp()
    ds = p * (torch.einsum("e,me->m", dout, v) - delta)
    return scale * torch.einsum("m,md->d", ds, k), scale * ds.outer(q), p.outer(dout)


def backward_by_columns(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, dout: Tensor, *more: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Block by block, keys outside, as kernels walk."""
    crow, col, block, visible, scale = more
    dq, dk, dv = q.new_zeros(q.shape), k.new_zeros(k.shape), v.new_zeros(v.shape)
    delta = torch.einsum("hne,hne->hn", out, dout)
    row = torch.arange(len(crow) - 1).repeat_interleave(crow.diff().long()).tolist()
    for c, i in sorted(zip(col.tolist(), row, strict=True)):
        at_q, at_k = (
            torch.arange(x * block, min(x * block + block, y.shape[1])) for x, y in ((i, q), (c, k))
        )
        shown = visible(at_q[:, None], at_k[None])
        s = scale * torch.einsum("hqd,hkd->hqk", q[:, at_q], k[:, at_k])
        p = torch.zeros_like(s)
        p[:, shown] = (s - lse[:, at_q, None])[:, shown].exp()
        dv[:, at_k] += p.mT @ dout[:, at_q]
        ds = p * (torch.einsum("hqe,hke->hqk", dout[:, at_q], v[:, at_k]) - delta[:, at_q, None])
        dk[:, at_k] += scale * ds.mT @ q[:, at_q]
        dq[:, at_q] += scale * ds @ k[:, at_k]
    return dq, dk, dv


def backward_row_by_row(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, dout: Tensor, *more: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """delta of each row when it is needed, index_add_, and a softmax that is masked before exp."""
    crow, col, block, visible, scale = more
    dq, dk, dv = (torch.zeros(x.shape, dtype=x.dtype) for x in (q, k, v))
    for i in range(len(crow) - 1):
        keys = torch.cat(
            [torch.arange(c * block, c * block + block) for c in col[crow[i] : crow[i + 1]]]
            or [q.new_zeros(0).long()]
        )
        keys = keys[keys < k.shape[1]]
        at = slice(i * block, (i + 1) * block)
        rows = torch.arange(q.shape[1])[at]
        shown = visible(rows.unsqueeze(1), keys.unsqueeze(0))
        s = (q[:, at] @ k[:, keys].transpose(1, 2)).mul(scale).masked_fill(~shown, -INF)
        p = (s - lse[:, at].nan_to_num(neginf=0.0).unsqueeze(2)).exp()
        delta = (dout[:, at] * out[:, at]).sum(2, keepdim=True)
        ds = p * (dout[:, at] @ v[:, keys].transpose(1, 2) - delta)
        dq[:, at] = ds @ (scale * k[:, keys])
        dk.index_add_(1, keys, ds.transpose(1, 2) @ (scale * q[:, at]))
        dv.index_add_(1, keys, p.transpose(1, 2) @ dout[:, at])
    return dq, dk, dv


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "row": [row_by_slices, row_by_mask],
    "forward": [forward_by_merging, forward_all_blocks_at_once],
    "backward_row": [backward_row_by_softmax_backward, backward_row_by_einsum],
    "backward": [backward_by_columns, backward_row_by_row],
}


def loop_over_all(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Any, scale: float
) -> tuple[Tensor, Tensor]:
    """No large tensor, but every row reads every key and masks what it does not list."""
    outs, lses, m = [], [], k.shape[1]
    for i, (a, b) in enumerate(pairwise(crow.tolist())):
        q_i = q[:, i * block : (i + 1) * block]
        listed = torch.isin(torch.arange(m) // block, col[a:b])
        shown = visible(torch.arange(q_i.shape[1])[:, None] + i * block, torch.arange(m)) & listed
        s = (q_i @ k.mT * scale).masked_fill(~shown, -INF)
        lses.append(s.logsumexp(-1))
        outs.append((s - lses[-1].nan_to_num(neginf=0.0)[..., None]).exp() @ v)
    return torch.cat(outs, 1), torch.cat(lses, 1)


def one_block_too_many(
    q: Tensor, k: Tensor, v: Tensor, crow: Tensor, col: Tensor, block: int, visible: Any, scale: float
) -> tuple[Tensor, Tensor]:
    """Each row with a list also reads block 0, hidden."""
    rows = [[*{0, *col[a:b].tolist()}] if b > a else [] for a, b in pairwise(crow.tolist())]
    table = [set(col[a:b].tolist()) for a, b in pairwise(crow.tolist())]
    more = torch.tensor([0, *map(len, rows)]).cumsum(0)

    def both(q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        listed = torch.tensor(
            [int(x) // block in table[int(q_idx.flatten()[0]) // block] for x in kv_idx.flatten()]
        )
        return visible(q_idx, kv_idx) & listed

    flat = torch.tensor([c for row in rows for c in sorted(row)], dtype=torch.int64)
    return forward(q, k, v, more, flat, block, both, scale)  # type: ignore[arg-type]


def by_autograd(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, dout: Tensor, *more: Any
) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        found = forward_by_merging(*leaves, *more)[0]
        return torch.autograd.grad(found, leaves, dout)


def changed(change: Callable[..., Any]) -> Callable[..., Any]:
    """The reference of the forward pass, its result changed."""
    return lambda *args: change(*forward(*args))


def args_changed(answer: Callable[..., Any], **change: Callable[[Any], Any]) -> Callable[..., Any]:
    """The reference on changed arguments; they are named by their place: a0, a1, ..."""
    return lambda *args: answer(*(change.get(f"a{i}", lambda x: x)(x) for i, x in enumerate(args)))


def some(out: Any, *scales: float) -> tuple[Any, ...]:
    """Each part of a result times a number."""
    return tuple(x * s for x, s in zip(out, scales, strict=True))


WRONG: dict[str, dict[str, Callable[..., Any]]] = {
    "row": {
        "softmax over queries": lambda q, k, v, c, b, s: (
            torch.softmax(q @ row_keys(k, c, b).T * s, 0) @ row_keys(v, c, b)
        ),
        "last block only": lambda q, k, v, c, b, s: attend_row(q, k, v, c[-1:], b, s),
        "one block later": lambda q, k, v, c, b, s: attend_row(q, k, v, c + 1, b, s),
        "first key of each block": lambda q, k, v, c, b, s: torch.softmax(q @ k[c * b].T * s, 1) @ v[c * b],
        "divided by the scale": lambda q, k, v, c, b, s: attend_row(q, k, v, c, b, 1 / s),
        "root of D for the scale": lambda q, k, v, c, b, s: attend_row(q, k, v, c, b, q.shape[1] ** -0.5),
        "values of other keys": lambda q, k, v, c, b, s: attend_row(q, k, v.roll(1, 0), c, b, s),
        "uniform": lambda q, k, v, c, b, s: attend_row(q * 0, k, v, c, b, s),
        "PyTorch's own": lambda q, k, v, c, b, s: torch.nn.functional.scaled_dot_product_attention(
            q[None], row_keys(k, c, b)[None], row_keys(v, c, b)[None], scale=s
        )[0],
        "absent keys score 0": lambda q, k, v, c, b, s: padded_zero(q, k, v, c, b, s),
    },
    "forward": {
        "every row reads every key": loop_over_all,
        "block 0 read by all": one_block_too_many,
        "lse without the scale": lambda *a: (forward(*a)[0], forward(*a[:7], 1.0)[1]),
        "maximum for lse": changed(lambda out, lse: (out, lse.nan_to_num(neginf=-1e30).clamp(max=0))),
        "negative lse": changed(lambda out, lse: (out, -lse)),
        "heads in one sum": changed(lambda out, lse: (out.mean(0, keepdim=True).expand_as(out), lse)),
        "output only": changed(lambda out, lse: out),
        "pair turned round": changed(lambda out, lse: (lse, out)),
        "-1e9 on empty rows": changed(lambda out, lse: (out, lse.clamp(min=-1e9))),
        "last row forgotten": lambda *a: (
            (o := forward(*a)),
            (o[0] * (torch.arange(a[0].shape[1]) < (len(a[3]) - 2) * a[5])[:, None], o[1]),
        )[1],
        "one block less": lambda q, k, v, crow, col, *more: forward(q, k, v, *without_last(crow, col), *more),
        "unnormalised": changed(lambda out, lse: (out * lse.exp()[..., None], lse)),
        "rule of the first query": lambda q, k, v, crow, col, b, vis, s: forward(
            q, k, v, crow, col, b, lambda i, j: vis(i[:1], j).expand(len(i), j.numel()), s
        ),
    },
    "backward_row": {
        "dk from k": lambda *a: (lambda g: (g[0], g[1] * 0 + a[1], g[2]))(backward_row(*a)),
        "dq from q": lambda *a: (lambda g: (g[1].sum(0), g[1], g[2]))(backward_row(*a)),
        "sign": lambda *a: some(backward_row(*a), -1, -1, 1),
        "dv twice": lambda *a: some(backward_row(*a), 1, 1, 2),
        "order": lambda *a: backward_row(*a)[::-1],
        "lse added": lambda q, k, v, dout, lse, delta: backward_row(q, k, v, dout, -lse, delta),
        "lse left out": lambda q, k, v, dout, lse, delta: backward_row(q, k, v, dout, lse * 0, delta),
        "delta squared": lambda q, k, v, dout, lse, delta: backward_row(q, k, v, dout, lse, delta**2),
        "scale 1/D": lambda q, k, v, dout, lse, delta: some(
            backward_row(q, k, v, dout, lse, delta), len(q) ** -0.5, len(q) ** -0.5, 1
        ),
        "dq averaged": lambda *a: some(backward_row(*a), 1 / max(2, len(a[1])), 1, 1),
        "autograd": lambda q, k, v, dout, lse, delta: row_autograd(q, k, v, dout),
    },
    "backward": {
        "autograd": by_autograd,
        "order": lambda *a: backward(*a)[::-1],
        "sign": lambda *a: some(backward(*a), -1, -1, 1),
        "dv of the weights squared": lambda *a: some(backward(*a), 1, 1, 2),
        "delta over queries": lambda *a: backward(*a[:3], a[3].mean(1, keepdim=True).expand_as(a[3]), *a[4:]),
        "delta of another head": lambda *a: backward(*a[:3], a[3].roll(1, 2), *a[4:]),
        "lse in base 2": args_changed(backward, a4=lambda lse: lse * math.log2(math.e)),
        "last block of the list left out": lambda *a: backward(*a[:6], *without_last(*a[6:8]), *a[8:]),
        "scale squared": lambda *a: some(backward(*a), a[-1], a[-1], 1),
        "dk averaged over rows": lambda *a: some(backward(*a), 1, 1 / max(1, len(a[6]) - 1), 1),
        "hidden rows NaN": lambda *a: (lambda g: (g[0] + (a[4] - a[4])[..., None], g[1], g[2]))(backward(*a)),
        "dk and dv only": lambda *a: backward(*a)[1:],
    },
}


def row_keys(x: Tensor, columns: Tensor, block: int) -> Tensor:
    """The rows of the listed blocks."""
    return x[torch.isin(torch.arange(len(x)) // block, columns)]


def padded_zero(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, block: int, scale: float) -> Tensor:
    """Places past the end count as keys with score 0 and value 0."""
    more = -len(k) % block
    k, v = (torch.nn.functional.pad(x, (0, 0, 0, more)) for x in (k, v))
    return attend_row(q, k, v, columns, block, scale)


def without_last(crow: Tensor, col: Tensor) -> tuple[Tensor, Tensor]:
    """Lists without their last entry, where they have two or more."""
    rows = [col[a:b].tolist() for a, b in pairwise(crow.tolist())]
    rows = [row[:-1] if len(row) > 1 else row for row in rows]
    flat = [c for row in rows for c in row]
    return torch.tensor([0, *map(len, rows)]).cumsum(0), torch.tensor(flat, dtype=torch.int64)


def row_autograd(q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> tuple[Tensor, ...]:
    """Autograd does the work."""
    with torch.enable_grad():
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        out = torch.softmax(leaves[1] @ leaves[0] / len(q) ** 0.5, 0) @ leaves[2]
        return torch.autograd.grad(out, leaves, dout)
