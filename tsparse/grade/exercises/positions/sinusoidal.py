"""`positions.sinusoidal`: the table that is added to tokens.

Formula: Vaswani et al. 2017 (arXiv:1706.03762), section 3.5.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

Table = Callable[..., Tensor]


def sinusoidal(n: int, dim: int, base: float = 10000.0) -> Tensor:
    """Reference: float32 `[n, dim]`, channel 2i is sin(p / base^(2i/dim)), channel 2i+1 its cos."""
    return alternating(angles(n, dim, base))


def angles(n: int, dim: int, base: float) -> Tensor:
    """p / base^(2i/dim), float64 `[n, dim / 2]`."""
    return positions(n) / base ** (evens(dim) / dim)


def positions(n: int) -> Tensor:
    """0 to n - 1 as a column, float64 `[n, 1]`."""
    return torch.arange(n, dtype=torch.float64)[:, None]


def evens(dim: int) -> Tensor:
    """2i for each pair of channels, float64 `[dim / 2]`."""
    return torch.arange(0, dim, 2, dtype=torch.float64)


def alternating(angle: Tensor, other: Tensor | None = None) -> Tensor:
    """Sine, cosine, sine, cosine of angles `[n, dim / 2]`; the cosines of `other` if there is one."""
    return torch.stack([angle.sin(), (angle if other is None else other).cos()], -1).flatten(1).float()


def cases(rng: torch.Generator) -> list[Case]:
    """Small tables, as many positions as channels, other bases; then the shortest and the longest."""
    n, pairs, base = (int(torch.randint(*ends, (), generator=rng)) for ends in ((11, 20), (4, 8), (50, 900)))
    return [
        Case("3 positions, 4 channels", (3, 4)),
        Case("7 positions, 10 channels", (7, 10)),
        Case("8 positions, 8 channels", (8, 8)),
        Case("drawn sizes", (n, 2 * pairs)),
        Case("base 100", (5, 6, 100.0)),
        Case("a drawn base", (9, 8, float(base))),
        Case("one position", (1, 6), edge=True),
        Case("two channels", (5, 2), edge=True),
        Case("one position, two channels", (1, 2), edge=True),
        Case("base 1: every pair turns at one speed", (6, 8, 1.0), edge=True),
        Case("601 positions", (601, 12), edge=True),
    ]


def of_angles(angle: Callable[[Tensor, Tensor, int, float], Tensor]) -> Table:
    """The table of other angles: of (position `[n, 1]`, 2i `[dim / 2]`, dim, base)."""
    return lambda n, dim, base=10000.0: alternating(angle(positions(n), evens(dim), dim, base))


def divided_outside(divisor: Callable[[Tensor, int, float], Tensor]) -> Table:
    """The sine and cosine of the position itself, divided afterwards by something of (2i, dim, base)."""

    def table(n: int, dim: int, base: float = 10000.0) -> Tensor:
        p, d = positions(n), divisor(evens(dim), dim, base)
        return torch.stack([p.sin() / d, p.cos() / d], -1).flatten(1).float()

    return table


def base_of(mistake: Mistake) -> float:
    """The base of the case, which may be the default."""
    return float(mistake.case.args[2]) if len(mistake.case.args) > 2 else 10000.0


def speed(mistake: Mistake) -> float:
    """By how much the angle of channel 2 grows per position."""
    return base_of(mistake) ** (-2 / mistake.case.args[1])


def says_divided(mistake: Mistake) -> str:
    """For the published formula."""
    return (
        "You divide the sine; position and frequency belong *inside* it. A published formula says this; at "
        f"i = 0 it divides by 0, and channel 2 of position 1 is {float(mistake.got[1, 2]):,.0f}."
    )


def says_divided_by_power(mistake: Mistake) -> str:
    """For sin(p) / base^(2i/dim)."""
    return (
        "You divide the sine by base^(2i/dim); the division belongs inside, to the angle. Your pairs all "
        f"turn equally fast and only shrink: the largest number in channel 2 is "
        f"{float(mistake.got[:, 2].abs().max()):.2g}."
    )


def says_exponent(power: float) -> Callable[[Mistake], str]:
    """For an exponent that is `power` times the right one."""

    def say(mistake: Mistake) -> str:
        right = speed(mistake)
        why = (
            "the exponent is 2i/dim, where i counts pairs."
            if power < 1
            else "`arange(0, dim, 2)` is 2i already, and you doubled it again."
        )
        return (
            f"Channel 2's angle should grow by {right:.2g} per position, yours by {right**power:.2g}: {why}"
        )

    return say


def says_own_frequency(mistake: Mistake) -> str:
    """For channels that do not share the frequency of their pair."""
    return (
        "A pair shares one frequency; yours differ: channel 1 at position 1 should be cos(1) = 0.54, it is "
        f"{float(mistake.got[1, 1]):.2f}."
    )


SINUSOIDAL = Exercise(
    id="positions.sinusoidal",
    title="A table of sines and cosines",
    minutes=12,
    points=10,
    difficulty="easy",
    spec=sinusoidal,
    cases=cases,
    hints=(
        "First the angles: a column of positions [n, 1] and a row with one frequency for each *pair* of "
        "channels [dim/2] make a table [n, dim/2].",
        "`torch.arange(0, dim, 2)` is 2i for every pair. The frequency of a pair is "
        "`base ** (-two_i / dim)`, and the angle is position times frequency.",
        "Make an empty table [n, dim]. `table[:, 0::2]` are its even channels: the sine of the angles goes "
        "there. `table[:, 1::2]` are the odd ones.",
    ),
    wrong=(
        Wrong(
            "sin(p) / (2i/(10000 d))",
            says_divided,
            divided_outside(lambda two_i, dim, base: two_i / (base * dim)),
        ),
        Wrong(
            "sin(p) / base^(2i/dim)",
            says_divided_by_power,
            divided_outside(lambda two_i, dim, base: base ** (two_i / dim)),
        ),
        Wrong(
            "halves",
            lambda m: (
                f"Sines first, then cosines: they alternate here. Channel 1 at position 0 is a cosine, 1, "
                f"not {float(m.got[0, 1]):.0f}."
            ),
            lambda n, dim, base=10000.0: torch.cat(
                [angles(n, dim, base).sin(), angles(n, dim, base).cos()], -1
            ).float(),
        ),
        Wrong(
            "exponent i/dim",
            says_exponent(0.5),
            of_angles(lambda p, two_i, dim, base: p / base ** (two_i / 2 / dim)),
        ),
        Wrong(
            "exponent 4i/dim",
            says_exponent(2),
            of_angles(lambda p, two_i, dim, base: p / base ** (2 * two_i / dim)),
        ),
        Wrong(
            "swapped",
            "sin and cos are exchanged: position 0 should be 0, 1, 0, 1.",
            lambda n, dim, base=10000.0: sinusoidal(n, dim, base).unflatten(1, (-1, 2)).flip(2).flatten(1),
        ),
        Wrong(
            "from 1",
            "Your row 0 is position 1. Positions are counted from 0, where every sine is 0.",
            of_angles(lambda p, two_i, dim, base: (p + 1) / base ** (two_i / dim)),
        ),
        Wrong(
            "cos has its own frequency",
            says_own_frequency,
            lambda n, dim, base=10000.0: alternating(
                angles(n, dim, base), positions(n) / base ** ((evens(dim) + 1) / dim)
            ),
        ),
        Wrong(
            "every channel its own frequency, doubled",
            says_own_frequency,
            lambda n, dim, base=10000.0: alternating(
                positions(n) / base ** (2 * evens(dim) / dim),
                positions(n) / base ** (2 * (evens(dim) + 1) / dim),
            ),
        ),
        Wrong(
            "multiplied",
            lambda m: (
                f"Channel 2's angle grows by {1 / speed(m):.0f} per position: you multiply by base^(2i/dim) "
                "where you should divide by it."
            ),
            of_angles(lambda p, two_i, dim, base: p * base ** (two_i / dim)),
        ),
        Wrong(
            "times, not to the power",
            "You multiply base by 2i/dim; it is base *to the power* of 2i/dim, `base ** (...)`.",
            of_angles(lambda p, two_i, dim, base: p / (base * two_i / dim)),
        ),
        Wrong(
            "one frequency",
            "All your pairs turn equally fast. Pair i turns at base^(-2i/dim): is i missing, or the exponent "
            "rounded to 0 by `//`?",
            of_angles(lambda p, two_i, dim, base: p * torch.ones_like(two_i)),
        ),
        Wrong(
            "base ignored",
            lambda m: f"You use 10000; `base` said {base_of(m):g}.",
            lambda n, dim, base=10000.0: sinusoidal(n, dim),
        ),
        Wrong(
            "spread over dim/2 - 1",
            lambda m: (
                f"Your last pair turns at exactly 1/{base_of(m):g}: you spread the exponents from 0 to 1. "
                "With 2i/dim the last one stays below 1."
            ),
            of_angles(lambda p, two_i, dim, base: p / base ** (two_i / max(dim - 2, 1))),
        ),
        Wrong(
            "cosines missing",
            "Your odd channels are 0: the cosines are missing.",
            lambda n, dim, base=10000.0: sinusoidal(n, dim, base) * (torch.arange(dim) % 2 == 0),
        ),
        Wrong(
            "sines only",
            "Channel 1 repeats the sine of channel 0; odd channels are cosines.",
            lambda n, dim, base=10000.0: angles(n, dim, base).sin().repeat_interleave(2, 1).float(),
        ),
        Wrong(
            "channels down",
            lambda m: (
                f"Rows should be the {m.want.shape[0]} positions and columns the {m.want.shape[1]} channels; "
                "yours are the other way round."
            ),
            lambda n, dim, base=10000.0: sinusoidal(n, dim, base).T,
        ),
    ),
)
