"""`tsparse::block_sparse_attention`: the kernels as one operator of PyTorch, with its gradient.

PyTorch sees it as a whole: it passes `torch.library.opcheck`, and `torch.compile` and `torch.export` keep it
as one node. Triton is imported when it first runs, on a CPU after the interpreter has been tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..blocks import BlockLists
from ..layout import BlockLayout
from . import interpret, tiles
from .tiles import Kernel

MAX_HEAD_DIM = 256
MOST = 2**31
DELTA_ROWS = 64


class Lists(NamedTuple):
    """A layout as the tensors that kernels read: block lists, what partial blocks show, the order of rows."""

    full_crow: Tensor
    full_col: Tensor
    crow: Tensor
    col: Tensor
    zones: Tensor
    heaviest: Tensor

    @staticmethod
    def of(lists: BlockLists, zones: Tensor) -> list[Tensor]:
        """One side of a layout."""
        full = lists.full_crow_indices, lists.full_col_indices
        return [*Lists(*full, lists.crow_indices, lists.col_indices, zones, lists.heaviest)]


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: BlockLayout,
    scale: float,
    alibi_slopes: Tensor | None = None,
    softcap: float | None = None,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """What `reference.attention` computes with `layout.dense_mask()`, by the Triton kernels.

    Called by `sparse_attention`, which describes the arguments, has checked them and put them in the order of
    the layout (`layout.arrange`). On a CPU the kernels run in Triton's interpreter: right, and slow.
    The same input gives the same bits, forward and backward. NaN reaches what it reaches in `gather`.

    Raises TypeError for bfloat16 on a CPU, ValueError for a head size above 256, for a layout whose blocks
    are not multiples of 16 and for more programs than a GPU can start, and RuntimeError where Triton or its
    interpreter cannot be used.
    """
    _check(q, v)
    partial = layout.partial_blocks
    if alibi_slopes is not None:
        work = torch.promote_types(q.dtype, torch.float32)
        alibi_slopes = alibi_slopes.to(work).expand(q.shape[0], -1).contiguous()  # [B, H]
    out, lse = block_sparse_attention(
        q,
        k,
        v,
        Lists.of(layout.by_query, partial.by_query),
        Lists.of(layout.by_key, partial.by_key),
        partial.bits,
        layout.permutation,
        alibi_slopes,
        layout.block,
        layout.q_offset,
        scale,
        softcap,
    )
    return (out, lse) if return_lse else out


def _check(q: Tensor, v: Tensor) -> None:
    """TypeError or ValueError for what the kernels cannot do."""
    size = max(q.shape[-1], v.shape[-1])
    if size > MAX_HEAD_DIM:
        raise ValueError(
            f'backend="triton" takes head sizes up to {MAX_HEAD_DIM}, got {size}; use backend="gather"'
        )
    if q.device.type == "cpu" and q.dtype not in interpret.INTERPRETED_DTYPES:
        raise TypeError(
            f'backend="triton" on a CPU takes float16, float32 and float64, got {q.dtype}, which Triton\'s '
            'interpreter multiplies wrongly; use backend="gather", or q.float()'
        )


@torch.library.custom_op("tsparse::block_sparse_attention", mutates_args=())
def block_sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    by_query: Sequence[Tensor],
    by_key: Sequence[Tensor],
    bits: Tensor,
    positions: Tensor | None,
    slopes: Tensor | None,
    block: Sequence[int],
    q_offset: int,
    scale: float,
    softcap: float | None,
) -> tuple[Tensor, Tensor]:
    """Output `[B, H, N, Dv]` and natural lse `[B, H, N]` of attention over the `Lists` of a layout."""
    _prepare(q.device)
    from .forward import forward

    out, lse = _results(q, v)
    q, k, v = (_rows(x) for x in (q, k, v))
    grid, arguments = _launch(
        "forward", q, k, v, by_query, bits, positions, slopes, block, q_offset, scale, softcap
    )
    with torch.cuda.device_of(q):
        forward[grid](q, k, v, out, lse, *(x.stride() for x in (q, k, v, out)), **arguments)
    return out, lse


@block_sparse_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return _results(q, v)


@torch.library.custom_op("tsparse::block_sparse_attention_backward", mutates_args=())
def block_sparse_attention_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    dout: Tensor,
    dlse: Tensor,
    by_query: Sequence[Tensor],
    by_key: Sequence[Tensor],
    bits: Tensor,
    positions: Tensor | None,
    slopes: Tensor | None,
    block: Sequence[int],
    q_offset: int,
    scale: float,
    softcap: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v from those of output and lse."""
    _prepare(q.device)
    from . import backward

    dq, dk, dv = gradients = _like(q), _like(k), _like(v)
    q, k, v, dout = (_rows(x) for x in (q, k, v, dout))
    rule = bits, positions, slopes, block, q_offset, scale, softcap
    heads, n_q, size = q.shape[0] * q.shape[1], q.shape[2], v.shape[-1]
    delta = torch.empty_like(lse)
    with torch.cuda.device_of(q):
        backward.delta[(heads, -(-n_q // DELTA_ROWS))](
            out,
            dout,
            lse,
            dlse.contiguous(),
            delta,
            out.stride(),
            dout.stride(),
            q.shape[1],
            n_q,
            VALUE_DIM=size,
            BLOCK_DV=_padded(size),
            BLOCK_M=DELTA_ROWS,
        )
        tensors = q, k, v, dout, lse, delta
        strides = [x.stride() for x in (q, k, v, dout)]
        grid, arguments = _launch("dkdv", q, k, v, by_key, *rule)
        backward.dkdv[grid](*tensors, dk, dv, *strides, dk.stride(), dv.stride(), **arguments)
        grid, arguments = _launch("dq", q, k, v, by_query, *rule)
        backward.dq[grid](*tensors, dq, *strides, dq.stride(), **arguments)
    return gradients


@block_sparse_attention_backward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _like(q), _like(k), _like(v)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    """Keep what the backward pass needs."""
    q, k, v, by_query, by_key, *tensors = inputs[:8]
    ctx.save_for_backward(q, k, v, *output, *by_query, *by_key, *tensors)
    ctx.rule = inputs[8:]


def _differentiate(ctx: Any, dout: Tensor, dlse: Tensor) -> tuple[Any, ...]:
    """Gradients of the inputs; only q, k and v have any."""
    saved, length = ctx.saved_tensors, len(Lists._fields)
    results, lists, tensors = saved[:5], saved[5 : 5 + 2 * length], saved[5 + 2 * length :]
    gradients = block_sparse_attention_backward(
        *results, dout, dlse, lists[:length], lists[length:], *tensors, *ctx.rule
    )
    nothing = [None] * length
    return *gradients, nothing, nothing, *[None] * 7


block_sparse_attention.register_autograd(_differentiate, setup_context=_remember)


def _refuse(ctx: Any, *gradients: Tensor) -> None:
    """There are no second derivatives."""
    raise RuntimeError(
        'backend="triton" has first derivatives only: use backend="reference" for derivatives of gradients'
    )


block_sparse_attention_backward.register_autograd(_refuse)


def _prepare(device: torch.device) -> None:
    """RuntimeError unless kernels can run there."""
    if device.type == "cpu":
        interpret.require()


def _results(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Space for the output, in the memory order of q where it has the shape of q, and for lse."""
    out = _like(q) if q.shape[-1] == v.shape[-1] else q.new_empty(*q.shape[:3], v.shape[-1])
    return out, q.new_empty(q.shape[:3], dtype=torch.promote_types(q.dtype, torch.float32))


def _like(x: Tensor) -> Tensor:
    """Space for a tensor like `x`, in the same memory order if that keeps each row together."""
    order = torch.preserve_format if x.stride(-1) == 1 else torch.contiguous_format
    return torch.empty_like(x, memory_format=order)


def _rows(x: Tensor) -> Tensor:
    """`x` with the numbers of each row beside one another."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _padded(size: int) -> int:
    """The size that a tile needs for rows of so many numbers."""
    return max(16, 1 << (size - 1).bit_length())


def _launch(
    kernel: Kernel,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lists: Sequence[Tensor],
    bits: Tensor,
    positions: Tensor | None,
    slopes: Tensor | None,
    block: Sequence[int],
    q_offset: int,
    scale: float,
    softcap: float | None,
) -> tuple[tuple[int], dict[str, Any]]:
    """Grid of a kernel, and the arguments that all kernels share.

    `lists` are the `Lists` of the side whose rows the programs share out: queries, or keys for "dkdv".
    """
    given, (block_q, block_k) = Lists(*lists), block
    (batch, heads, n_q, head_dim), (_, kv_heads, n_kv, _) = q.shape, k.shape
    tile = tiles.choose(kernel, _target(q.device), q.dtype, max(head_dim, v.shape[-1]), (block_q, block_k))
    layout_batch, layout_heads, rows = given.heaviest.shape
    if kernel == "dkdv":
        side, programs = "n_kv_blocks", batch * kv_heads * rows * (block_k // tile.BLOCK_N)
    else:
        side, programs = "n_q_blocks", batch * heads * rows * (block_q // tile.BLOCK_M)
    steps = max(len(given.col), len(given.full_col)) * max(
        4, block_q // tile.BLOCK_M, block_k // tile.BLOCK_N
    )
    if max(programs, steps) >= MOST:
        raise ValueError(
            f"{kernel} would need {max(programs, steps)} programs or steps, which must be below {MOST}: "
            f"make the layout with larger blocks than {(block_q, block_k)}, or split the batch"
        )
    allow_tf32 = q.is_cuda and torch.backends.cuda.matmul.allow_tf32
    return (programs,), {
        "full_crow_ptr": given.full_crow,
        "full_col_ptr": given.full_col,
        "crow_ptr": given.crow,
        "col_ptr": given.col,
        "zones_ptr": given.zones,
        "bits_ptr": bits,
        "heaviest_ptr": given.heaviest,
        "stride_slot": (layout_heads * (layout_batch > 1), int(layout_heads > 1)),
        "slopes_ptr": slopes,
        "positions_ptr": positions,
        "heads": heads,
        "group": heads // kv_heads,
        "n_q": n_q,
        "n_kv": n_kv,
        side: rows,
        "q_offset": q_offset,
        "sm_scale": scale,
        "softcap": softcap,
        "ALIBI": slopes is not None,
        "SOFTCAP": softcap is not None,
        "PERMUTED": positions is not None,
        "HAS_BITS": len(bits) > 0,
        "HEAD_DIM": head_dim,
        "VALUE_DIM": v.shape[-1],
        "BLOCK_D": _padded(head_dim),
        "BLOCK_DV": _padded(v.shape[-1]),
        "BLOCK_Q": block_q,
        "BLOCK_K": block_k,
        "PRECISION": "tf32" if allow_tf32 else "ieee",
        **tile._asdict(),
    }


def _target(device: torch.device) -> str:
    """The device as `tiles.choose` names it."""
    if device.type == "cpu":
        return "interpreter"
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return properties.gcnArchName.split(":")[0]
    return f"sm_{properties.major}{properties.minor}"
