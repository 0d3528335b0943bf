"""`flash.forward`: attention without the matrix of scores, a block of queries for each program."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal, scored_far_below
from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong
from tsparse.grade.launches import Launch, cdiv, kernel_text, output, padded

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "flash_forward")
HEAD_DIM = 16

Tile = tuple[int, int]
"""BLOCK_M and BLOCK_N."""
TALL: Tile = (32, 16)
WIDE: Tile = (16, 32)


def flash_forward(
    q: Tensor, k: Tensor, v: Tensor, sm_scale: float, tile: Tile = TALL
) -> tuple[Tensor, Tensor]:
    """Attention of q `[Z, n_q, D]` over k, v `[Z, n_kv, D]`: out like q, and lse `[Z, n_q]` in float32."""
    return attended(q, k, v, sm_scale, torch.ones(q.shape[1], k.shape[1], dtype=torch.bool))


def attended(q: Tensor, k: Tensor, v: Tensor, sm_scale: float, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Attention under a mask `[n_q, n_kv]`, computed in float64."""
    scores = (q.double() @ k.double().mT * sm_scale).masked_fill(~mask, -math.inf)
    return (scores.softmax(-1) @ v.double()).to(q.dtype), scores.logsumexp(-1).float()


def launch(q: Tensor, k: Tensor, v: Tensor, sm_scale: float, tile: Tile = TALL) -> Launch:
    """A program for BLOCK_M queries of a head."""
    (z, n_q, _), n_kv = q.shape, k.shape[1]
    q, k, v, o = by_token(q, 3), by_token(k, 5), by_token(v, 5), by_token(torch.full_like(q, math.nan), 7)
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
    constants = {"HEAD_DIM": HEAD_DIM, "BLOCK_M": tile[0], "BLOCK_N": tile[1]}
    return Launch((cdiv(n_q, tile[0]), z), arguments, constants, ("o_ptr", "lse_ptr"))


def by_token(x: Tensor, extra: int) -> Tensor:
    """The same `[Z, n, D]` as a projection leaves it, the heads of a token side by side, rows padded."""
    return padded(x.transpose(0, 1), extra).transpose(0, 1)


def blocks(q: Tensor, k: Tensor, v: Tensor, sm_scale: float, tile: Tile = TALL) -> Blocks:
    """Every tile, and two products for each."""
    wanted = torch.ones(cdiv(q.shape[1], tile[0]), cdiv(k.shape[1], tile[1]), dtype=torch.bool)
    return Blocks(wanted, tile, "o_ptr", "v_ptr", 2 * len(q) * int(wanted.sum()))


def drawn(
    rng: Generator, z: int, n_q: int, n_kv: int, times: float = 1.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Heads, queries, keys; `times` makes scores large.

    There is no float64: a kernel is given its scale in float32, and where that is multiplied by log2(e)
    first, all is right to seven digits.
    """
    q, k, v = (normal(rng, z, n, HEAD_DIM, dtype=dtype) for n in (n_q, n_kv, n_kv))
    return times * q, k, v, 0.31


def cases(rng: Generator) -> list[Case]:
    """One tile of keys, three, a ragged end, several heads, wide tiles, large scores, float16."""
    return [
        Case("1 head, 32 queries, 16 keys", drawn(rng, 1, 32, 16)),
        Case("1 head, 32 queries, 48 keys", drawn(rng, 1, 32, 48)),
        Case("1 head, 32 queries, 37 keys", drawn(rng, 1, 32, 37)),
        Case("3 heads, 20 queries, 32 keys", drawn(rng, 3, 20, 32)),
        Case("2 heads, 45 queries, 53 keys", drawn(rng, 2, 45, 53)),
        Case("2 heads, 33 queries, 47 keys, tiles of 16 x 32", (*drawn(rng, 2, 33, 47), WIDE)),
        Case("scores up to 800", drawn(rng, 1, 17, 40, times=150.0), edge=True),
        far_below(drawn(rng, 2, 17, 1)),
        Case("one query, one key", drawn(rng, 2, 1, 1), edge=True),
        Case("float16", drawn(rng, 1, 33, 31, dtype=torch.float16), edge=True),
        cancelling(rng),
    ]


def far_below(args: tuple[Tensor, Tensor, Tensor, float]) -> Case:
    """The same lengths where every score is around -1e12."""
    q, k, v, scale = args
    return Case("one key, scores around -1e12", (*scored_far_below(q, k, scale), v, scale), edge=True)


def cancelling(rng: Generator) -> Case:
    """float16, all scores 0, with large values in the first of four tiles, their opposites in the last."""
    q, k, v, scale = drawn(rng, 1, 16, 64, dtype=torch.float16)
    v[:, :16], v[:, 48:] = 2000, -2000
    return Case("float16, where 32000 comes and goes", (0 * q, k, v, scale), edge=True)


def ragged(mistake: Mistake) -> tuple[int, int, int]:
    """How many keys there are, how many a tile has, and where the last, shorter tile begins."""
    n_kv, block_n = mistake.case.args[1].shape[1], launch(*mistake.case.args).constants["BLOCK_N"]
    return n_kv, block_n, n_kv // block_n * block_n


def absent_keys(mistake: Mistake) -> str:
    """How many keys that do not exist got weight."""
    n_kv, block_n, _ = ragged(mistake)
    many = -n_kv % block_n
    keys = "1 absent key has" if many == 1 else f"{many} absent keys have"
    return f"n_kv = {n_kv}: {keys} weight. Set their scores to `-inf`."


STARTS_FINITE = (
    "The scores are around -1e12, below the number that m_i starts with: all weights become 0, and 0/0 is "
    "NaN. Start with `-inf`."
)


def end_left_out(mistake: Mistake) -> str:
    """Which keys were not read."""
    n_kv, _, start = ragged(mistake)
    which = f"key {start} was" if start == n_kv - 1 else f"keys {start} to {n_kv - 1} were"
    return f"n_kv = {n_kv}: {which} never read. The last tile is shorter; it counts too."


def head_forgotten(mistake: Mistake) -> str:
    """Which heads read the keys of head 0."""
    z = len(mistake.case.args[0])
    which = "Head 1 reads" if z == 2 else f"Heads {' and '.join(map(str, range(1, z)))} read"
    return f"{which} the keys of head 0: add `z * stride_kz`."


LOG2E = 1.4426950408889634
IN_POWERS_OF_2 = TEXT.but(
    *("* sm_scale", f"* (sm_scale * {LOG2E})"),
    *("p = tl.exp(", "p = tl.exp2("),
    *("alpha = tl.exp(", "alpha = tl.exp2("),
    *("m_i + tl.log(l_i)", "(m_i + tl.log2(l_i)) * 0.6931471805599453"),
)
"""The kernel that lesson 17 ends with, right too: mistakes with powers of 2 start from it."""

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
        "Start from `one_head` of the lesson's section 1: its steps keep their lines. New are the head, `z = "
        "tl.program_id(1)`, with a stride of its own in each address; your update in place of the call; and "
        "a second store, for lse.",
        "A tile of q lies at `q_ptr + z * stride_qz + rows[:, None] * stride_qn + d`, where `d = "
        "tl.arange(0, HEAD_DIM)[None, :]`; mask it with `rows[:, None] < n_q` and fill with `other=0.0`. "
        "Keys and values likewise, with `columns` and their own strides.",
        "Set the scores of absent keys to -inf. Per tile: the new maximum, p, alpha, l, acc, and keep the "
        "new maximum. After the loop store `acc / l_i[:, None]` and `m_i + tl.log(l_i)`, both masked.",
    ),
    wrong=(
        Wrong(
            "acc not rescaled",
            "Right for one tile of keys, wrong from the second on: acc must be multiplied by alpha.",
            TEXT.but("        acc = acc * alpha[:, None]\n", ""),
        ),
        Wrong(
            "maximum never kept",
            "m_i is still `-inf` after the loop: keep the new maximum, `m_i = m_new`.",
            TEXT.but("        m_i = m_new\n", ""),
        ),
        Wrong(
            "missing keys score 0",
            absent_keys,
            TEXT.but('columns[None, :] < n_kv, s, float("-inf")', "columns[None, :] < n_kv, s, 0.0"),
        ),
        Wrong(
            "missing keys score -1e9",
            "The scores are around -1e12, and absent keys have a larger, finite one: they take all "
            "the weight. Set theirs to `-inf`.",
            TEXT.but('columns[None, :] < n_kv, s, float("-inf")', "columns[None, :] < n_kv, s, -1e9"),
        ),
        Wrong(
            "maximum starts at -1e9", STARTS_FINITE, TEXT.but('float("-inf"), dtype=sums', "-1e9, dtype=sums")
        ),
        Wrong(
            "lse in base 2",
            "lse is in base 2: multiply it by ln 2 = 0.6931.",
            IN_POWERS_OF_2.but("(m_i + tl.log2(l_i)) * 0.6931471805599453", "m_i + tl.log2(l_i)"),
        ),
        Wrong(
            "log2(e) forgotten",
            "exp2 of a natural score: use `tl.exp`, or multiply the scale by log2(e) = 1.4427.",
            IN_POWERS_OF_2.but(f"(sm_scale * {LOG2E})", "sm_scale"),
        ),
        Wrong(
            "not divided by l",
            "Your output is l times too large: divide acc by l before you store it.",
            TEXT.but("(acc / l_i[:, None])", "acc"),
        ),
        Wrong(
            "scale forgotten",
            "`sm_scale` changes nothing in your kernel: the scores are q·k times the scale.",
            TEXT.but(" * sm_scale", ""),
        ),
        Wrong(
            "other= forgotten on v",
            "Absent values are undefined, and 0 · NaN is NaN: load v with `other=0.0`.",
            TEXT.but(
                "v_ptr + at, mask=columns[:, None] < n_kv, other=0.0)",
                "v_ptr + at, mask=columns[:, None] < n_kv)",
            ),
        ),
        Wrong("head forgotten", head_forgotten, TEXT.but("at = z * stride_kz + columns", "at = columns")),
        Wrong(
            "sums in float16",
            "32000 comes and goes, and what float16 adds to it in between is lost: keep acc in float32.",
            TEXT.but("    # store", "        acc = acc.to(tl.float16).to(tl.float32)\n    # store"),
        ),
        Wrong("ragged end left out", end_left_out, TEXT.but("tl.cdiv(n_kv, BLOCK_N)", "n_kv // BLOCK_N")),
    ),
)
