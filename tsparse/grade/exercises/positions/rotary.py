"""`positions.rotary`: queries and keys turned by their positions.

Formula: Su et al. 2021 (arXiv:2104.09864), section 3.2; the pairs are those of Llama in transformers.

Most cases are float32, where it does not matter in which precision the angles are computed: what float32
angles lose at a million tokens, or in a float64 input, is asked at the edges.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.positions.turns import (
    angles,
    by_angles,
    by_pairs,
    exponents,
    for_heads,
    halves,
    in_float32,
    interleaved,
    neighbours,
    of_length,
    quarter,
    rotary,
    table,
    turn,
    with_both,
)

FAR = 1_000_003


def cases(rng: torch.Generator) -> list[Case]:
    """Positions in order, then in any order, other bases; then one token, far tokens, other dtypes."""

    def x(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return normal(rng, *shape, dtype=dtype)

    drawn = torch.randperm(40, generator=rng)[:7]
    base = float(torch.randint(30, 900, (), generator=rng))
    gap = torch.tensor([7, 3, 100, 4])
    return [
        Case("1 head, 3 tokens in order, D = 4", (x(1, 1, 3, 4), torch.arange(3))),
        Case("batch 2, 3 heads, 5 tokens, D = 8", (x(2, 3, 5, 8), torch.arange(5))),
        Case("every axis is 4", (x(4, 4, 4, 4), torch.arange(4))),
        Case("as many heads as tokens", (x(2, 5, 5, 6), torch.arange(5))),
        Case("positions 7, 3, 100, 4", (x(1, 2, 4, 6), gap)),
        Case("drawn positions, D = 10", (x(2, 3, 7, 10), drawn)),
        Case("base 100", (x(1, 2, 4, 6), torch.arange(4), 100.0)),
        Case("a drawn base, drawn positions", (x(2, 3, 7, 8), drawn, base)),
        Case("one token at position 37, as in decoding", (x(2, 3, 1, 8), torch.tensor([37])), edge=True),
        Case("D = 2", (x(2, 3, 5, 2), torch.arange(5)), edge=True),
        Case("all tokens at position 0", (x(1, 2, 4, 6), torch.zeros(4, dtype=torch.int64)), edge=True),
        Case(
            "numbers near +800 and -800",
            (x(1, 2, 4, 6) + 800 * torch.tensor([[1], [-1]] * 2), gap),
            edge=True,
        ),
        Case("a transposed view", (transposed_view(x(2, 3, 7, 6)), drawn), edge=True),
        Case("positions past a million", (x(1, 2, 3, 8), torch.tensor([FAR, 5, FAR - 1])), edge=True),
        Case("float64", (x(1, 2, 7, 6, dtype=torch.float64), drawn), edge=True),
    ]


def base_of(mistake: Mistake) -> float:
    """The base of the case, which may be the default."""
    return float(mistake.case.args[2]) if len(mistake.case.args) > 2 else 10000.0


def says_lengths(mistake: Mistake) -> str:
    """For results whose pairs have other lengths than before."""
    before, after = (
        torch.stack(halves(x), -1).norm(dim=-1).flatten() for x in (mistake.case.args[0], mistake.got)
    )
    worst = int((after - before).abs().argmax())
    return (
        f"Lengths change ({before[worst]:.1f} became {after[worst]:.1f}); a rotation keeps them. The first "
        "half gets a·cos - b·sin, the second b·cos + a·sin."
    )


def says_speed(power: float) -> Callable[[Mistake], str]:
    """For an exponent that is `power` times the right one."""

    def say(mistake: Mistake) -> str:
        right = base_of(mistake) ** (-2 / mistake.case.args[0].shape[-1])
        why = (
            "base^(-i/D) in place of base^(-2i/D)."
            if power < 1
            else "`arange(0, D, 2)` is 2i already, and you doubled it again."
        )
        return f"Pair 1 should turn by {right:.3g} per position; yours turns by {right**power:.3g}: {why}"

    return say


def says_positions(mistake: Mistake) -> str:
    """For positions that were not read."""
    said = ", ".join(map(str, mistake.case.args[1].tolist()))
    return f"You use 0..N-1; `positions` said {said} (a cache needs that)."


def says_digits(mistake: Mistake) -> str:
    """For angles in float32."""
    far = int(mistake.case.args[1].max())
    off = float((mistake.got - mistake.want).abs().max())
    return (
        f"Your angles are float32: near position {far:,} that leaves an error of {off:.1g}. Compute them in "
        "float64 (`torch.arange(..., dtype=torch.float64)`) and bring cos and sin to x's dtype."
    )


NEIGHBOURS = (
    "You pair 0-1, 2-3 (RoFormer, GPT-J). Both are rotary; loaded weights work with one only. Here i goes "
    "with i + D/2."
)
ORDER = (
    "You take the halves apart and lay them back alternating, 0, D/2, 1, D/2 + 1. Each half goes back to "
    "its place: `torch.cat`, not `stack`."
)

ROTARY = Exercise(
    id="positions.rotary",
    title="Queries and keys, turned by their positions",
    minutes=20,
    points=15,
    difficulty="medium",
    spec=rotary,
    cases=cases,
    hints=(
        "Four steps: a frequency for each pair [D/2]; the angles, position times frequency, [N, D/2]; cut x "
        "into its two halves; turn.",
        "`torch.arange(0, D, 2, dtype=torch.float64)` is 2i. With `positions[:, None]` the angles are "
        "[N, D/2], and they broadcast over batch and heads as they are.",
        "With the halves a and b of x: the new first half is `a * cos - b * sin`, the new second half "
        "`b * cos + a * sin`. Bring cos and sin to `x.dtype` first, and join with `torch.cat(..., dim=-1)`.",
    ),
    wrong=(
        Wrong(
            "neighbours paired",
            NEIGHBOURS,
            lambda x, positions, base=10000.0: interleaved(rotary(neighbours(x), positions, base)),
        ),
        Wrong(
            "other way",
            "Rotated clockwise: x1·sin has the wrong sign. The first half gets a·cos - b·sin.",
            by_angles(lambda x, p, base: -p * base ** -exponents(x)),
        ),
        Wrong(
            "positions ignored",
            says_positions,
            lambda x, positions, base=10000.0: rotary(x, torch.arange(x.shape[2]), base),
        ),
        Wrong("base^(-i/D)", says_speed(0.5), by_angles(lambda x, p, base: p * base ** (-exponents(x) / 2))),
        Wrong("base^(-4i/D)", says_speed(2), by_angles(lambda x, p, base: p * base ** (-exponents(x) * 2))),
        Wrong(
            "heads taken for positions",
            "Angle changes with the head: your angles are [N, 1, D/2], so N meets the heads. Leave them "
            "[N, D/2]; they broadcast over axis 2.",
            for_heads,
            raises=True,
        ),
        Wrong(
            "scaled, not rotated",
            says_lengths,
            by_pairs(lambda a, b, cos, sin: (a * cos, b * cos)),
        ),
        Wrong(
            "sine added twice",
            says_lengths,
            by_pairs(lambda a, b, cos, sin: (a * cos + b * sin, b * cos + a * sin)),
        ),
        Wrong(
            "not exchanged",
            says_lengths,
            by_pairs(lambda a, b, cos, sin: (a * cos - a * sin, b * cos + b * sin)),
        ),
        Wrong(
            "sign of the second half",
            says_lengths,
            by_pairs(lambda a, b, cos, sin: (a * cos - b * sin, b * cos - a * sin)),
        ),
        Wrong(
            "mirrored",
            "At position 0 nothing turns, and your second half has its sign turned round. The first half "
            "gets a·cos - b·sin, the second b·cos + a·sin.",
            by_pairs(lambda a, b, cos, sin: (a * cos + b * sin, a * sin - b * cos)),
        ),
        Wrong(
            "first half overwritten",
            "Your second half is made from a first half that is turned already. Keep the old one until both "
            "are made.",
            by_pairs(lambda a, b, cos, sin: (a * cos - b * sin, b * cos + (a * cos - b * sin) * sin)),
        ),
        Wrong(
            "second half mixed up",
            "Your second half is a·cos + b·sin; it is b·cos + a·sin: each number keeps its own cosine.",
            by_pairs(lambda a, b, cos, sin: (a * cos - b * sin, a * cos + b * sin)),
        ),
        Wrong(
            "cosines for neighbours, turn for halves",
            "Your cosines stand as for neighbours, each twice in a row, and you turn halves. For halves the "
            "angles stand twice as a whole: `torch.cat([angle, angle], dim=-1)`.",
            lambda x, positions, base=10000.0: with_both(
                x, quarter(x), angles(x, positions, base).repeat_interleave(2, -1)
            ),
        ),
        Wrong(
            "cosines for halves, turn for neighbours",
            "Your cosines stand as for halves, and you turn neighbours. Take halves for both: with a and b, "
            "`torch.cat([-b, a], dim=-1)`.",
            lambda x, positions, base=10000.0: with_both(
                x, interleaved(quarter(neighbours(x))), angles(x, positions, base).repeat(1, 2)
            ),
        ),
        Wrong(
            "tokens taken for channels",
            lambda m: (
                f"You divide by {m.case.args[0].shape[2]}, the number of tokens; D is the last axis of x, "
                f"{m.case.args[0].shape[3]}."
            ),
            of_length,
            raises=True,
        ),
        Wrong(
            "halves exchanged",
            "At position 0 nothing turns, and your halves have changed places: the turned first half comes "
            "first.",
            by_pairs(lambda a, b, cos, sin: turn(a, b, cos, sin)[::-1]),
        ),
        Wrong(
            "cos and sin exchanged",
            "At position 0 nothing turns: cos(0) = 1 keeps a number. In yours cos and sin are exchanged.",
            by_pairs(lambda a, b, cos, sin: turn(a, b, sin, cos)),
        ),
        Wrong("laid back alternating", ORDER, lambda *args: interleaved(rotary(*args))),
        Wrong(
            "taken alternating, laid back as halves",
            "You take neighbours as pairs and lay them back as halves. Here the halves are taken from "
            "halves: `x[..., : D // 2]` and `x[..., D // 2 :]`.",
            lambda x, positions, base=10000.0: rotary(neighbours(x), positions, base),
        ),
        Wrong(
            "base ignored",
            lambda m: f"You use 10000; `base` said {base_of(m):g}.",
            lambda x, positions, base=10000.0: rotary(x, positions),
        ),
        Wrong(
            "one frequency",
            "All your pairs turn equally fast. Pair i turns at base^(-2i/D): is i missing, or the exponent "
            "rounded to 0 by `//`?",
            by_angles(lambda x, p, base: p * torch.ones_like(exponents(x))),
        ),
        Wrong(
            "faster and faster",
            lambda m: (
                f"Your last pair turns by {base_of(m) ** (1 - 2 / m.case.args[0].shape[-1]):.3g} per "
                "position: the exponent is negative, later pairs turn more slowly."
            ),
            by_angles(lambda x, p, base: p * base ** exponents(x)),
        ),
        Wrong(
            "from 1",
            "A token at position 0 is not turned at all; yours is turned as if it stood at 1.",
            by_angles(lambda x, p, base: (p + 1) * base ** -exponents(x)),
        ),
        Wrong(
            "table added",
            "You add sines and cosines to x. That is the sinusoidal way; rotary turns x and adds nothing.",
            lambda x, positions, base=10000.0: x + table(x, positions, base),
        ),
        Wrong("angles in float32", says_digits, in_float32),
    ),
)
