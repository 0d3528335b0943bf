"""`flash.update`: one step of the online softmax, called by a kernel of the grader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Exercise, Kernel, Wrong
from tsparse.grade.launches import Launch, kernel_text, output, padded

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "update")
M, C, D = 16, 32, 16

DRIVER = """\
@triton.jit
def drive(s_ptr, v_ptr, m_ptr, l_ptr, acc_ptr, n, stride_s, stride_v, stride_acc, M: tl.constexpr,
          C: tl.constexpr, D: tl.constexpr):
    rows = tl.arange(0, M)
    dims = tl.arange(0, D)
    m_i = tl.full((M,), -float("inf"), tl.float32)
    l_i = tl.zeros((M,), tl.float32)
    acc = tl.zeros((M, D), tl.float32)
    for start in range(0, n, C):
        cols = start + tl.arange(0, C)
        s = tl.load(s_ptr + rows[:, None] * stride_s + cols[None, :])
        v = tl.load(v_ptr + cols[:, None] * stride_v + dims[None, :])
        m_i, l_i, acc = update(m_i, l_i, acc, s, v)
    tl.store(m_ptr + rows, m_i)
    tl.store(l_ptr + rows, l_i)
    tl.store(acc_ptr + rows[:, None] * stride_acc + dims[None, :], acc)
"""


RETURNS = {"m_i": (M,), "l_i": (M,), "acc": (M, D)}


def update(s: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """State after all tiles of scores s `[M, n]` and values v `[n, D]`: m `[M]`, l `[M]`, acc `[M, D]`."""
    m = s.amax(-1)
    p = (s - m[:, None]).exp()
    return m, p.sum(-1), p @ v


def launch(s: Tensor, v: Tensor) -> Launch:
    """One program goes through the tiles of 16 x 32 from left to right."""
    s, v, acc = padded(s, 3), padded(v, 5), output(M, D)
    arguments: dict[str, Any] = {
        "s_ptr": s,
        "v_ptr": v,
        "m_ptr": output(M, extra=0),
        "l_ptr": output(M, extra=0),
        "acc_ptr": acc,
    }
    arguments |= {
        "n": s.shape[1],
        "stride_s": s.stride(0),
        "stride_v": v.stride(0),
        "stride_acc": acc.stride(0),
    }
    outputs = ("m_ptr", "l_ptr", "acc_ptr")
    return Launch((1,), arguments, {"M": M, "C": C, "D": D}, outputs, DRIVER, "update", 5, RETURNS)


def cases(rng: Generator) -> list[Case]:
    """One tile, two, four, scores that rise and fall from tile to tile, large scores."""

    def case(name: str, tiles: int, shift: float = 0.0, spread: float = 1.0, edge: bool = False) -> Case:
        s = spread * normal(rng, M, tiles * C, dtype=torch.float32)
        s += shift * torch.arange(tiles).repeat_interleave(C)
        return Case(name, (s, normal(rng, tiles * C, D, dtype=torch.float32)), edge)

    return [
        case("one tile", 1),
        case("two tiles, the second one larger", 2, shift=4.0),
        case("two tiles, the second one smaller", 2, shift=-4.0),
        case("four tiles", 4),
        case("scores up to 800", 3, spread=250.0, edge=True),
        case("scores that fall by 900", 3, shift=-450.0, edge=True),
    ]


EXERCISE = Exercise(
    id="flash.update",
    title="One step of the online softmax",
    minutes=15,
    points=10,
    difficulty="medium",
    spec=update,
    cases=cases,
    kernel=Kernel(TEXT, launch),
    hints=(
        "m_i, l_i and acc hold what earlier tiles gave: the maximum, the sum of exponentials, the weighted "
        "values. Before the first tile they are -inf, 0 and 0.",
        "The new maximum is `tl.maximum(m_i, tl.max(s, 1))`, one number per query; what was summed under "
        "the old one has to be multiplied by alpha = exp(old - new).",
        "p = exp(s - new maximum). Then l is l * alpha plus the row sums of p, and acc is `acc * alpha[:, "
        "None]` plus `tl.dot(p, v)`. Return all three, with the new maximum.",
    ),
    wrong=(
        Wrong(
            "acc not rescaled",
            "l was multiplied by alpha, acc was not: values of earlier tiles count too much.",
            TEXT.but("    acc = acc * alpha[:, None]\n", ""),
        ),
        Wrong(
            "l not rescaled",
            "acc was multiplied by alpha, l was not: both were summed under the old maximum.",
            TEXT.but("l_i * alpha + ", "l_i + "),
        ),
        Wrong(
            "tile's own maximum",
            "The new maximum is the larger of the old one and the tile's; you took the tile's alone.",
            TEXT.but("tl.maximum(m_i, tl.max(s, 1))", "tl.max(s, 1)"),
        ),
        Wrong(
            "old maximum returned",
            "You computed the new maximum and returned the old one.",
            TEXT.but("return m_new", "return m_i"),
        ),
        Wrong(
            "alpha upside down",
            "alpha = exp(old - new) is at most 1; yours is exp(new - old), infinite on the first tile.",
            TEXT.but("m_i - m_new)", "m_new - m_i)"),
        ),
        Wrong(
            "maximum over the wrong axis",
            "One maximum and one sum for each query: reduce over keys, axis 1.",
            TEXT.but("tl.max(s, 1)", "tl.max(s, 0)"),
            raises=True,
        ),
        Wrong(
            "one maximum for the tile",
            "One maximum for each query: `tl.max(s, 1)`. Yours is the largest score of the whole tile.",
            TEXT.but("tl.max(s, 1)", "tl.max(s)"),
        ),
        Wrong(
            "alpha of each channel",
            "alpha has a number for each query: `alpha[:, None]` multiplies rows of acc, yours its columns.",
            TEXT.but("alpha[:, None]", "alpha[None, :]"),
        ),
        Wrong(
            "l replaced",
            "l holds the sum over all earlier tiles: add to it.",
            TEXT.but("l_i * alpha + tl.sum", "tl.sum"),
        ),
        Wrong(
            "nothing rescaled",
            "l and acc of the earlier tiles were not multiplied by alpha, or alpha was 1: take it before "
            "m_i is the new maximum.",
            TEXT.but("m_i - m_new)", "m_new - m_new)"),
        ),
        Wrong(
            "tile measured from its own maximum",
            "l and acc are measured from the new maximum, your p from the tile's own: use the new one.",
            TEXT.but("s - m_new[:, None]", "s - tl.max(s, 1)[:, None]"),
        ),
        Wrong(
            "m and l exchanged",
            "You return l first: the three come back as they were given, m_i, l_i, acc.",
            TEXT.but("return m_new, l_i", "return l_i, m_new"),
        ),
        Wrong(
            "divided by l",
            "acc is divided once, after the last tile, by the kernel that calls you: return it undivided.",
            TEXT.but("return m_new, l_i, acc", "return m_new, l_i, acc / l_i[:, None]"),
        ),
    ),
)
