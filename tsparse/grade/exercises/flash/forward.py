"""`flash.forward`: attention without the matrix of scores, a block of queries for each program."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong
from tsparse.grade.launches import Launch, cdiv, kernel_text, output, padded

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "flash_forward")
HEAD_DIM, BLOCK_M, BLOCK_N = 16, 32, 16


def flash_forward(q: Tensor, k: Tensor, v: Tensor, sm_scale: float) -> tuple[Tensor, Tensor]:
    """Attention of q `[Z, n_q, D]` over k, v `[Z, n_kv, D]`: out like q, and lse `[Z, n_q]` in float32."""
    return attended(q, k, v, sm_scale, torch.ones(q.shape[1], k.shape[1], dtype=torch.bool))


def attended(q: Tensor, k: Tensor, v: Tensor, sm_scale: float, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Attention under a mask `[n_q, n_kv]`, computed in float64."""
    scores = (q.double() @ k.double().mT * sm_scale).masked_fill(~mask, -math.inf)
    return (scores.softmax(-1) @ v.double()).to(q.dtype), scores.logsumexp(-1).float()


def launch(q: Tensor, k: Tensor, v: Tensor, sm_scale: float) -> Launch:
    """A program for 32 queries of a head; rows lie apart, k and v alike."""
    (z, n_q, _), n_kv = q.shape, k.shape[1]
    q, k, v, o = padded(q, 3), padded(k, 5), padded(v, 5), output(*q.shape, dtype=q.dtype, extra=7)
    arguments: dict[str, Any] = {
        "q_ptr": q,
        "k_ptr": k,
        "v_ptr": v,
        "o_ptr": o,
        "lse_ptr": output(z, n_q, extra=0),
    }
    arguments |= {"n_q": n_q, "n_kv": n_kv, "stride_qz": q.stride(0), "stride_qn": q.stride(1)}
    arguments |= {"stride_kz": k.stride(0), "stride_kn": k.stride(1)}
    arguments |= {"stride_oz": o.stride(0), "stride_on": o.stride(1), "sm_scale": sm_scale}
    constants = {"HEAD_DIM": HEAD_DIM, "BLOCK_M": BLOCK_M, "BLOCK_N": BLOCK_N}
    return Launch((cdiv(n_q, BLOCK_M), z), arguments, constants, ("o_ptr", "lse_ptr"))


def blocks(q: Tensor, k: Tensor, v: Tensor, sm_scale: float) -> Blocks:
    """Every tile, and two products for each."""
    wanted = torch.ones(cdiv(q.shape[1], BLOCK_M), cdiv(k.shape[1], BLOCK_N), dtype=torch.bool)
    return tiles(wanted, len(q))


def tiles(wanted: Tensor, heads: int) -> Blocks:
    """The tiles `[R, C]` that are wanted of each of so many heads."""
    return Blocks(wanted, (BLOCK_M, BLOCK_N), "o_ptr", "v_ptr", 2 * heads * int(wanted.sum()))


def drawn(
    rng: Generator, z: int, n_q: int, n_kv: int, times: float = 1.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Heads, queries, keys; `times` makes scores large."""
    q, k, v = (normal(rng, z, n, HEAD_DIM, dtype=dtype) for n in (n_q, n_kv, n_kv))
    return times * q, k, v, 0.31


def cases(rng: Generator) -> list[Case]:
    """One tile of keys, three, a ragged end, several heads, large scores, float16."""
    return [
        Case("1 head, 32 queries, 16 keys", drawn(rng, 1, 32, 16)),
        Case("1 head, 32 queries, 48 keys", drawn(rng, 1, 32, 48)),
        Case("1 head, 32 queries, 37 keys", drawn(rng, 1, 32, 37)),
        Case("3 heads, 20 queries, 32 keys", drawn(rng, 3, 20, 32)),
        Case("2 heads, 45 queries, 53 keys", drawn(rng, 2, 45, 53)),
        Case("scores up to 800", drawn(rng, 1, 17, 40, times=150.0), edge=True),
        Case("one query, one key", drawn(rng, 2, 1, 1), edge=True),
        Case("float16", drawn(rng, 1, 33, 31, dtype=torch.float16), edge=True),
    ]


def ragged(mistake: Mistake) -> tuple[int, int]:
    """How many keys there are, and where the last, shorter tile begins."""
    n_kv = mistake.case.args[1].shape[1]
    return n_kv, n_kv // BLOCK_N * BLOCK_N


def absent_keys(mistake: Mistake) -> str:
    """How many keys that do not exist got weight."""
    n_kv, _ = ragged(mistake)
    return f"n_kv = {n_kv}: {-n_kv % BLOCK_N} absent keys have weight. Set their scores to -inf."


def end_left_out(mistake: Mistake) -> str:
    """Which keys were not read."""
    n_kv, start = ragged(mistake)
    which = f"key {start} was" if start == n_kv - 1 else f"keys {start} to {n_kv - 1} were"
    return f"n_kv = {n_kv}: {which} never read. The last tile is shorter; it counts too."


def head_forgotten(mistake: Mistake) -> str:
    """Which heads read the keys of head 0."""
    z = len(mistake.case.args[0])
    which = "Head 1 reads" if z == 2 else f"Heads {' and '.join(map(str, range(1, z)))} read"
    return f"{which} the keys of head 0: add `z * stride_kz`."


EXERCISE = Exercise(
    id="flash.forward",
    title="Attention in one kernel",
    minutes=40,
    points=20,
    difficulty="hard",
    spec=flash_forward,
    cases=cases,
    kernel=Kernel(TEXT, launch, blocks),
    hints=(
        "Write the six steps: which blocks (`range(0, n_kv, BLOCK_N)`), load, score, mask, update, store.",
        "Work in powers of two: multiply the scores by `sm_scale * 1.4426950408889634`, then use `tl.exp2`.",
        "Mask loads with `other=0.0` and the scores of absent keys with -inf; after the loop divide acc "
        "by l, and store lse = (m + log2(l)) * ln 2.",
    ),
    wrong=(
        Wrong(
            "acc not rescaled",
            "Right for one tile of keys, wrong from the second on: acc must be multiplied by alpha.",
            TEXT.but("acc * alpha[:, None] + ", "acc + "),
        ),
        Wrong(
            "maximum never kept",
            "m_i is still -inf after the loop: keep the new maximum, `m_i = m_new`.",
            TEXT.but("        m_i = m_new\n", ""),
        ),
        Wrong(
            "missing keys score 0",
            absent_keys,
            TEXT.but('tl.where(col_mask[None, :], s, -float("inf"))', "tl.where(col_mask[None, :], s, 0.0)"),
        ),
        Wrong(
            "lse in base 2",
            "lse is in base 2: multiply it by ln 2 = 0.6931.",
            TEXT.but("(m_i + tl.log2(l_i)) * 0.6931471805599453", "m_i + tl.log2(l_i)"),
        ),
        Wrong(
            "log2(e) forgotten",
            "exp2 of a natural score: multiply the scale by log2(e) = 1.4427.",
            TEXT.but("(sm_scale * 1.4426950408889634)", "sm_scale"),
        ),
        Wrong(
            "not divided by l",
            "Your output is l times too large: divide acc by l before you store it.",
            TEXT.but("acc / l_i[:, None]", "acc"),
        ),
        Wrong(
            "scale forgotten",
            "`sm_scale` changes nothing in your kernel: the scores are q·k times the scale.",
            TEXT.but("(sm_scale * 1.4426950408889634)", "1.4426950408889634"),
        ),
        Wrong(
            "other= forgotten on v",
            "Absent values are undefined, and 0 · NaN is NaN: load v with `other=0.0`.",
            TEXT.but(
                "v_ptr + places, mask=col_mask[:, None], other=0.0)",
                "v_ptr + places, mask=col_mask[:, None])",
            ),
        ),
        Wrong("head forgotten", head_forgotten, TEXT.but("places = z * stride_kz + ", "places = ")),
        Wrong(
            "ragged end left out",
            end_left_out,
            TEXT.but("range(0, n_kv,", "range(0, n_kv // BLOCK_N * BLOCK_N,"),
        ),
    ),
)
