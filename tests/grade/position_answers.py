"""Answers to the exercises of lesson 04 that are not in their lists, for `test_positions_exercises.py`."""

import math

import torch
from torch import Tensor


def sinusoidal(n: int, dim: int, base: float = 10000.0) -> Tensor:
    table = torch.empty(n, dim)
    frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(base) / dim))
    angle = torch.arange(n).unsqueeze(1) * frequency
    table[:, 0::2], table[:, 1::2] = angle.sin(), angle.cos()
    return table


def sinusoidal_in_loops(n: int, dim: int, base: float = 10000.0) -> Tensor:
    rows = []
    for p in range(n):
        turned = [p / base ** (2 * i / dim) for i in range(dim // 2)]
        rows.append([wave(angle) for angle in turned for wave in (math.sin, math.cos)])
    return torch.tensor(rows)


def sinusoidal_as_shifted_sine(n: int, dim: int, base: float = 10000.0) -> Tensor:
    channel = torch.arange(dim)
    angle = torch.arange(n)[:, None] / base ** (2 * (channel // 2) / dim)
    return torch.sin(angle + channel % 2 * math.pi / 2)


def rotary(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    half = x.shape[-1] // 2
    frequency = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = positions[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def rotary_as_transformers_writes_it(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    dim = x.shape[-1]
    inverse = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.outer(positions.double(), inverse)
    both = torch.cat([angle, angle], dim=-1)
    half_turned = torch.cat([-x[..., dim // 2 :], x[..., : dim // 2]], dim=-1)
    return (x * both.cos() + half_turned * both.sin()).to(x.dtype)


def rotary_in_complex_numbers(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    a, b = x.double().chunk(2, dim=-1)
    power = torch.arange(a.shape[-1], dtype=torch.float64) / a.shape[-1]
    angle = positions[:, None] * base**-power
    out = torch.complex(a, b) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([out.real, out.imag], dim=-1).to(x.dtype)


def rotary_by_matrices(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    dim = x.shape[-1]
    out = torch.empty_like(x)
    for place, p in enumerate(positions.tolist()):
        matrix = torch.zeros(dim, dim, dtype=torch.float64)
        for i in range(dim // 2):
            angle, j = p * base ** (-2 * i / dim), i + dim // 2
            matrix[i, i] = matrix[j, j] = math.cos(angle)
            matrix[j, i], matrix[i, j] = math.sin(angle), -math.sin(angle)
        out[:, :, place] = x[:, :, place] @ matrix.T.to(x.dtype)
    return out


def alibi(slopes: Tensor, n_q: int, n_kv: int, q_offset: int = 0) -> Tensor:
    distance = (torch.arange(n_kv) - torch.arange(q_offset, q_offset + n_q)[:, None]).abs()
    return torch.einsum("h,qk->hqk", -slopes, distance.to(slopes.dtype))


def alibi_head_by_head(slopes: Tensor, n_q: int, n_kv: int, q_offset: int = 0) -> Tensor:
    out = slopes.new_zeros(len(slopes), n_q, n_kv)
    for head, slope in enumerate(slopes):
        for i in range(n_q):
            for j in range(n_kv):
                out[head, i, j] = -slope * abs(i + q_offset - j)
    return out


def alibi_as_a_minimum(slopes: Tensor, n_q: int, n_kv: int, q_offset: int = 0) -> Tensor:
    behind = (torch.arange(n_q) + q_offset).view(1, -1, 1) - torch.arange(n_kv).view(1, 1, -1)
    return torch.minimum(behind, -behind) * slopes.view(-1, 1, 1)


RIGHT = {
    "sinusoidal": (sinusoidal, sinusoidal_in_loops, sinusoidal_as_shifted_sine),
    "rotary": (
        rotary,
        rotary_as_transformers_writes_it,
        rotary_in_complex_numbers,
        rotary_by_matrices,
    ),
    "alibi": (alibi, alibi_head_by_head, alibi_as_a_minimum),
}
"""Right answers, each written in another way."""


def sinusoidal_of(frequency) -> object:
    """The table of other frequencies, of (channel, dim, base)."""

    def answer(n: int, dim: int, base: float = 10000.0) -> Tensor:
        channel = torch.arange(dim)
        angle = torch.arange(n)[:, None] * frequency(channel, dim, base)
        return torch.where(channel % 2 == 0, angle.sin(), angle.cos())

    return answer


def rotary_with(x: Tensor, positions: Tensor, base: float, rule) -> Tensor:
    half = x.shape[-1] // 2
    angle = positions[:, None] * base ** (-torch.arange(half, dtype=torch.float64) / half)
    parts = rule(x[..., :half], x[..., half:], angle.cos().to(x.dtype), angle.sin().to(x.dtype))
    return torch.cat(parts, dim=-1)


def written_into(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    x.copy_(rotary(x, positions, base))
    return x


def second_half_from_the_new_first(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    half = x.shape[-1] // 2
    angle = positions[:, None] * base ** (-torch.arange(half, dtype=torch.float64) / half)
    out = x.clone()
    out[..., :half] = out[..., :half] * angle.cos() - out[..., half:] * angle.sin()
    out[..., half:] = out[..., half:] * angle.cos() + out[..., :half] * angle.sin()
    return out


def only_one_pair(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    out, half = rotary(x, positions, base), x.shape[-1] // 2
    keep = torch.arange(x.shape[-1]) % half > 0
    return torch.where(keep, x, out)


WRONG = {
    "sinusoidal": {
        "exponent divided again": (sinusoidal_of(lambda c, d, b: b ** -(c // 2 / d)), "exponent i/dim"),
        "two times an even step": (
            sinusoidal_of(lambda c, d, b: b ** -(2 * (c - c % 2) / d)),
            "exponent 4i/dim",
        ),
        "the channel in place of its pair": (
            sinusoidal_of(lambda c, d, b: b ** -(c / d)),
            "cos has its own frequency",
        ),
        "twice the channel": (
            sinusoidal_of(lambda c, d, b: b ** -(2 * c / d)),
            "every channel its own frequency, doubled",
        ),
        "brackets of the logarithm": (
            sinusoidal_of(lambda c, d, b: torch.exp((c - c % 2) * (-math.log(b) / d // 2))),
            None,
        ),
        "floor of the exponent": (sinusoidal_of(lambda c, d, b: b ** -(2.0 * (c // d))), "one frequency"),
        "numpy": (lambda n, dim, base=10000.0: sinusoidal(n, dim, base).numpy(), "wrong type"),
        "float64": (lambda n, dim, base=10000.0: sinusoidal(n, dim, base).double(), "wrong dtype"),
        "cosine first": (
            lambda n, dim, base=10000.0: sinusoidal(n, dim, base).view(n, -1, 2).flip(-1).reshape(n, dim),
            "swapped",
        ),
        "one more position": (lambda n, dim, base=10000.0: sinusoidal(n + 1, dim, base)[1:], "from 1"),
        "a batch in front": (lambda n, dim, base=10000.0: sinusoidal(n, dim, base)[None], "wrong shape"),
        "two pi": (
            sinusoidal_of(lambda c, d, b: 2 * math.pi * b ** -(2 * (c // 2) / d)),
            None,
        ),
        "fixed base": (lambda n, dim, base=10000.0: sinusoidal(n, dim, 10000), "base ignored"),
    },
    "rotary": {
        "clockwise": (lambda x, p, base=10000.0: rotary(x, -p, base), "other way"),
        "own positions": (
            lambda x, p, base=10000.0: rotary(x, torch.arange(len(p)), base),
            "positions ignored",
        ),
        "neighbours as complex numbers": (
            lambda x, p, base=10000.0: (
                torch.view_as_real(
                    torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
                    * torch.polar(
                        torch.ones(()).double(),
                        p[:, None] * base ** (-torch.arange(0, x.shape[-1], 2).double() / x.shape[-1]),
                    )
                )
                .flatten(-2)
                .to(x)
            ),
            "neighbours paired",
        ),
        "no minus in the half turn": (
            lambda x, p, base=10000.0: rotary_with(
                x, p, base, lambda a, b, cos, sin: (a * cos + b * sin, b * cos + a * sin)
            ),
            "sine added twice",
        ),
        "second half from the new first": (second_half_from_the_new_first, None),
        "half of the positions": (lambda x, p, base=10000.0: rotary(x, p // 2, base), None),
        "positions in degrees": (
            lambda x, p, base=10000.0: rotary_with(
                x, p.double().deg2rad(), base, lambda a, b, cos, sin: (a * cos - b * sin, b * cos + a * sin)
            ),
            None,
        ),
        "written into x": (written_into, "input changed"),
        "float64 comes back": (
            lambda x, p, base=10000.0: rotary(x.double(), p, base),
            "wrong dtype",
        ),
        "base fixed": (lambda x, p, base=10000.0: rotary(x, p, 10000.0), "base ignored"),
        "first pair only": (only_one_pair, None),
        "not turned at all": (lambda x, p, base=10000.0: x, None),
        "positions from 1": (lambda x, p, base=10000.0: rotary(x, p + 1, base), "from 1"),
        "tokens and heads exchanged": (
            lambda x, p, base=10000.0: (
                rotary(x.transpose(1, 2), p, base).transpose(1, 2)
                if x.shape[1] in (1, x.shape[2])
                else rotary(x, p, base)
            ),
            None,
        ),
    },
    "alibi": {
        "added": (lambda s, n_q, n_kv, q_offset=0: -alibi(s, n_q, n_kv, q_offset), "sign"),
        "signed distance": (
            lambda s, n_q, n_kv, q_offset=0: (
                -s[:, None, None] * (torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv))
            ),
            "no absolute value",
        ),
        "keys minus queries": (
            lambda s, n_q, n_kv, q_offset=0: (
                -s[:, None, None] * (torch.arange(n_kv) - torch.arange(n_q)[:, None] - q_offset)
            ),
            "no absolute value, keys first",
        ),
        "offset on the keys": (
            lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv, -q_offset),
            "q_offset subtracted",
        ),
        "no offset": (lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv), "q_offset ignored"),
        "end": (lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv, n_kv - n_q), "aligned at the end"),
        "first slope": (
            lambda s, n_q, n_kv, q_offset=0: alibi(s[:1].repeat(len(s)), n_q, n_kv, q_offset),
            "one slope",
        ),
        "sorted slopes": (
            lambda s, n_q, n_kv, q_offset=0: alibi(s.sort().values, n_q, n_kv, q_offset),
            "reversed",
        ),
        "causal": (
            lambda s, n_q, n_kv, q_offset=0: (
                alibi(s, n_q, n_kv, q_offset)
                + torch.full((n_q, n_kv), -torch.inf).triu(1 + q_offset).to(s.dtype)
            ),
            "future hidden",
        ),
        "only the past": (
            lambda s, n_q, n_kv, q_offset=0: (
                -s[:, None, None] * (torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)).clamp(min=0)
            ),
            "future not punished",
        ),
        "no heads": (lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv, q_offset)[0], "wrong shape"),
        "a batch in front": (
            lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv, q_offset)[None],
            "wrong shape",
        ),
        "float32": (lambda s, n_q, n_kv, q_offset=0: alibi(s.float(), n_q, n_kv, q_offset), None),
        "exponential": (
            lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv, q_offset).exp(),
            None,
        ),
        "divided by the length": (
            lambda s, n_q, n_kv, q_offset=0: alibi(s, n_q, n_kv, q_offset) / n_kv,
            "constant factor",
        ),
    },
}
"""Wrong answers: what they do, and the mistake that a learner is told (None: that may vary)."""
