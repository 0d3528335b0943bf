"""Positions: sinusoidal, rotary, ALiBi."""

import math
import re

import pytest
import torch

from tests.nn.weights import tokens
from tsparse.nn import ALiBi, Rotary, Sinusoidal, alibi_slopes, rotary, sinusoidal


def test_sinusoidal_channel_pairs_are_sine_and_cosine_of_one_angle() -> None:
    want = torch.tensor(
        [[f(p / 100 ** (2 * i / 6)) for i in range(3) for f in (math.sin, math.cos)] for p in range(5)]
    )
    torch.testing.assert_close(sinusoidal(5, 6, base=100.0), want)


def test_sinusoidal_offset_continues_the_table() -> None:
    assert torch.equal(sinusoidal(4, 8, offset=3), sinusoidal(7, 8)[3:])


def test_sinusoidal_module_adds_the_table() -> None:
    x = tokens(2, 5, 8).float()
    assert torch.equal(Sinusoidal(8)(x, offset=2), x + sinusoidal(5, 8, offset=2))


def test_rotary_turns_channel_i_with_channel_i_plus_half() -> None:
    x = torch.zeros(1, 1, 1, 6, dtype=torch.float64)
    x[..., 1], x[..., 4] = 3.0, 4.0
    angle = 7 * 10000 ** (-2 / 6)
    got = rotary(x, torch.tensor([7]))[0, 0, 0]
    want = torch.zeros(6, dtype=torch.float64)
    want[1] = 3 * math.cos(angle) - 4 * math.sin(angle)
    want[4] = 4 * math.cos(angle) + 3 * math.sin(angle)
    torch.testing.assert_close(got, want)


def test_rotary_products_depend_on_distance_only() -> None:
    q, k = tokens(1, 2, 1, 8), tokens(1, 2, 1, 8) + 1
    near, far = (
        (rotary(q, torch.tensor([i + 5])) * rotary(k, torch.tensor([i]))).sum() for i in (2, 1_000_000)
    )
    torch.testing.assert_close(near, far)


def test_rotary_asks_positions_not_places() -> None:
    x = tokens(2, 3, 4, 8)
    places = torch.tensor([7, 3, 100, 4])
    one_by_one = torch.cat([rotary(x[:, :, i : i + 1], places[i : i + 1]) for i in range(4)], dim=2)
    assert torch.equal(Rotary(8)(x, places), one_by_one)


def test_rotary_angles_keep_their_digits_at_a_million_tokens() -> None:
    x = torch.zeros(1, 1, 1, 16)
    x[..., :8] = 1.0
    angles = [1_000_003 * 10000 ** (-i / 8) for i in range(8)]
    want = torch.tensor([math.cos(a) for a in angles] + [math.sin(a) for a in angles])
    torch.testing.assert_close(rotary(x, torch.tensor([1_000_003]))[0, 0, 0], want, atol=1e-6, rtol=0)


def test_alibi_slopes_are_the_published_ones() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-h for h in range(1, 9)]
    want = [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]
    assert ALiBi(6)().tolist() == want


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sinusoidal(0, 4), ValueError, "n must be 1 or more, got 0"),
        (lambda: sinusoidal(4, 3), ValueError, "dim must be even, since channels go in pairs, got 3"),
        (lambda: sinusoidal(4, 4, offset=-1), ValueError, "offset must be 0 or more, got -1"),
        (lambda: sinusoidal(4, 4, base=0), ValueError, "base must be above 0 and finite, got 0"),
        (lambda: Sinusoidal(2.0), TypeError, "dim must be an integer, got 2.0"),
        (lambda: Sinusoidal(4)(tokens(2, 3, 6)), ValueError, "x must be [B, N, 4], got [2, 3, 6]"),
        (lambda: Rotary(5), ValueError, "size must be even, since channels go in pairs, got 5"),
        (lambda: Rotary(4, base=-1), ValueError, "base must be above 0 and finite, got -1"),
        (lambda: Rotary(4)(tokens(1, 2, 3, 8)), ValueError, "x must have heads of size 4, got [1, 2, 3, 8]"),
        (
            lambda: rotary(tokens(1, 2, 3), torch.arange(3)),
            ValueError,
            "x must be [B, H, N, D] with an even D, got [1, 2, 3]",
        ),
        (
            lambda: rotary(torch.ones(1, 1, 1, 2, dtype=torch.int64), torch.arange(1)),
            TypeError,
            "x must be a floating point tensor, got torch.int64",
        ),
        (
            lambda: rotary(tokens(1, 2, 3, 4), torch.arange(2)),
            ValueError,
            "positions must be [3] to go with x, got [2]",
        ),
        (
            lambda: rotary(tokens(1, 2, 3, 4), torch.ones(3)),
            TypeError,
            "positions must be an integer tensor, got torch.float32",
        ),
        (lambda: alibi_slopes(0), ValueError, "heads must be 1 or more, got 0"),
        (lambda: ALiBi(True), TypeError, "heads must be an integer, got True"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
