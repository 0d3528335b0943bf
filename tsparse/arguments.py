"""Checks of arguments, shared by every room: an error names the argument, what it got and what it needs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def whole(name: str, value: object, least: int) -> int:
    """`value` if it is an integer of at least `least`; otherwise TypeError or ValueError naming `name`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {_described(value, int)}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, got {value}")
    return value


def positive(name: str, value: object) -> float:
    """`value` if it is a finite number above 0; otherwise TypeError or ValueError naming `name`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {_described(value, float)}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {value}")
    return float(value)


def _described(value: object, kind: type[int] | type[float]) -> str:
    """A value of another kind, and for numbers of numpy and torch the way to ours."""
    protocol = "__index__" if kind is int else "__float__"
    converts = hasattr(value, protocol) and not isinstance(value, bool)
    return f"{value!r}; pass {kind.__name__}(...) of it" if converts else repr(value)


def block_size(block: object) -> tuple[int, int]:
    """`block` as (queries, keys); otherwise TypeError or ValueError."""
    if isinstance(block, int):
        block = (block, block)
    if not isinstance(block, tuple | list) or len(block) != 2:
        raise TypeError(f"block must be an integer or (queries, keys), got {block!r}")
    return whole("block", block[0], least=1), whole("block", block[1], least=1)


def integers(name: str, values: object) -> Tensor:
    """A copy of `values` as an int64 tensor; TypeError naming `name` if they are not integers."""
    try:
        table = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be integers, got {values!r}") from error
    if (table.is_floating_point() and table.numel()) or table.is_complex() or table.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {table.dtype}")
    return table.detach().to(torch.int64, copy=True)


def brief(table: Tensor) -> str:
    """The entries of a small table, the shape of a large one."""
    return str(table.tolist()) if table.numel() <= 16 else f"<{' x '.join(map(str, table.shape))} entries>"


def check_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None,
    alibi_slopes: Tensor | None,
    softcap: float | None,
) -> float:
    """Check the arguments every attention function shares; the scale to use.

    Raises TypeError or ValueError naming the argument, what it got and what it needs.
    """
    for name, x in (("q", q), ("k", k), ("v", v)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(x).__name__}")
        if x.dtype not in DTYPES:
            raise TypeError(f"{name} must be float16, bfloat16, float32 or float64, got {x.dtype}")
        if x.ndim != 4 or 0 in x.shape:
            raise ValueError(
                f"{name} must be [batch, heads, tokens, head size], none of them 0, got {list(x.shape)}"
            )
        if x.dtype != q.dtype:
            raise TypeError(f"q, k and v must have one dtype, but q is {q.dtype} and {name} is {x.dtype}")
        if x.device != q.device:
            raise ValueError(
                f"q, k and v must be on one device, but q is on {q.device}, {name} on {x.device}"
            )
    (batch, heads, _, size), (_, kv_heads, n_kv, _) = q.shape, k.shape
    if k.shape != (batch, kv_heads, n_kv, size):
        raise ValueError(
            f"k must be [{batch}, H_kv, M, {size}] to go with q {list(q.shape)}, got {list(k.shape)}"
        )
    if v.shape[:3] != k.shape[:3]:
        raise ValueError(f"v must be {list(k.shape[:3])} + [size] to go with k, got {list(v.shape)}")
    if heads % kv_heads:
        raise ValueError(f"q has {heads} heads, which is not a multiple of the {kv_heads} heads of k and v")
    if softcap is not None:
        positive("softcap", softcap)
    if alibi_slopes is not None:
        _check_slopes(alibi_slopes, q)
    return size**-0.5 if scale is None else positive("scale", scale)


def _check_slopes(alibi_slopes: object, q: Tensor) -> None:
    """TypeError or ValueError if the slopes do not go with q."""
    batch, heads = q.shape[:2]
    if not isinstance(alibi_slopes, Tensor) or not alibi_slopes.is_floating_point():
        got = alibi_slopes.dtype if isinstance(alibi_slopes, Tensor) else type(alibi_slopes).__name__
        raise TypeError(f"alibi_slopes must be a floating point tensor, got {got}")
    if alibi_slopes.shape not in ((heads,), (batch, heads)):
        raise ValueError(
            f"alibi_slopes must be [{heads}] or [{batch}, {heads}] to go with q {list(q.shape)}, "
            f"got {list(alibi_slopes.shape)}"
        )
    if alibi_slopes.requires_grad:
        raise ValueError(
            "alibi_slopes are constants: pass alibi_slopes.detach(), which does not require grad"
        )
    if alibi_slopes.device != q.device:
        raise ValueError(f"alibi_slopes must be on {q.device} like q, got {alibi_slopes.device}")
