"""Where a token stands: added to it (sinusoidal), rotated into q and k (rotary), taken off scores (ALiBi).

Each is a function, and a module without weights that remembers its sizes. Slopes and angles are computed
where they are used, so that a model cast to half precision keeps its positions; angles in float64, since
float32 has too few digits for them at a million tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..arguments import positive, whole


def sinusoidal(
    n: int,
    dim: int,
    base: float = 10000.0,
    offset: int = 0,
    device: torch.device | str | None = None,
) -> Tensor:
    """The table float32 `[n, dim]`: channel 2i of position p is sin(p / base^(2i/dim)), channel 2i+1 its cos.

    The first row stands at position `offset`. Raises TypeError or ValueError for sizes that are not positive
    integers and an odd `dim`.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.5.
    """
    _even("dim", dim)
    _length("n", n)
    whole("offset", offset, least=0)
    positions = torch.arange(offset, offset + n, device=device)
    angles = _angles(positions, dim, positive("base", base))  # [n, dim / 2]
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


def rotary(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """`x [B, H, N, D]` with each pair of channels (i, i + D/2) turned by positions * base^(-2i/D).

    `positions` is an integer tensor `[N]`. Turned like this, the product of a query and a key depends on the
    distance of their positions only. Raises TypeError or ValueError naming the argument that does not fit.
    Source: Su et al., "RoFormer", 2021, section 3.2; the pairs are those of Llama.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"x must be a floating point tensor, got {_kind(x)}")
    if x.ndim != 4 or x.shape[3] % 2:
        raise ValueError(f"x must be [B, H, N, D] with an even D, got {list(x.shape)}")
    if not isinstance(positions, Tensor) or positions.is_floating_point() or positions.dtype == torch.bool:
        raise TypeError(f"positions must be an integer tensor, got {_kind(positions)}")
    if positions.shape != x.shape[2:3]:
        raise ValueError(f"positions must be [{x.shape[2]}] to go with x, got {list(positions.shape)}")
    work = torch.promote_types(x.dtype, torch.float32)
    angles = _angles(positions.to(x.device), x.shape[3], positive("base", base))  # [N, D / 2]
    cos, sin = angles.cos().to(work), angles.sin().to(work)
    first, second = x.to(work).chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)


def alibi_slopes(heads: int, device: torch.device | str | None = None) -> Tensor:
    """How much each head takes off a score per token of distance, float32 `[heads]`.

    For a power of two the geometric series 2^(-8/heads), 2^(-16/heads), ..., 2^-8; otherwise that of the
    power below, then every other slope of the power above. Raises TypeError or ValueError unless `heads` is
    a positive integer.
    Source: Press et al., "Train short, test long", 2021, section 3 and its published code.
    """
    whole("heads", heads, least=1)
    below = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * h / below) for h in range(1, below + 1)]
    between = [2.0 ** (-4 * h / below) for h in range(1, 2 * below, 2)]
    return torch.tensor((slopes + between)[:heads], device=device)


class Sinusoidal(nn.Module):
    """Adds the sinusoidal table to tokens `[B, N, dim]`."""

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        super().__init__()
        self.dim, self.base = _even("dim", dim), positive("base", base)

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """`x [B, N, dim]` with the table of positions `offset, offset + 1, ...` added."""
        if x.ndim != 3 or x.shape[2] != self.dim:
            raise ValueError(f"x must be [B, N, {self.dim}], got {list(x.shape)}")
        return x + sinusoidal(x.shape[1], self.dim, self.base, offset, x.device).to(x.dtype)

    def extra_repr(self) -> str:
        """The sizes, for `print(model)`."""
        return f"{self.dim}, base={self.base:g}"


class Rotary(nn.Module):
    """Turns queries and keys `[B, H, N, size]` by their positions; `size` is the head size."""

    def __init__(self, size: int, base: float = 10000.0) -> None:
        super().__init__()
        self.size, self.base = _even("size", size), positive("base", base)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """`rotary(x, positions)`; positions `[N]` default to 0, 1, 2, ..."""
        if x.shape[-1] != self.size:
            raise ValueError(f"x must have heads of size {self.size}, got {list(x.shape)}")
        if positions is None:
            positions = torch.arange(x.shape[2], device=x.device)
        return rotary(x, positions, self.base)

    def extra_repr(self) -> str:
        """The sizes, for `print(model)`."""
        return f"{self.size}, base={self.base:g}"


class ALiBi(nn.Module):
    """The slopes of `heads` heads, which attention takes off scores with distance."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = whole("heads", heads, least=1)

    def forward(self, device: torch.device | str | None = None) -> Tensor:
        """`alibi_slopes(heads)` on a device."""
        return alibi_slopes(self.heads, device)

    def extra_repr(self) -> str:
        """The number of heads, for `print(model)`."""
        return str(self.heads)


def _angles(positions: Tensor, dim: int, base: float) -> Tensor:
    """`positions * base^(-2i/dim)` for i < dim/2: float64 `[N, dim / 2]`."""
    exponents = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float64) / dim
    return positions.double()[:, None] * torch.exp(-math.log(base) * exponents)


def _even(name: str, value: int) -> int:
    """`value` if it is an even positive integer."""
    if whole(name, value, least=2) % 2:
        raise ValueError(f"{name} must be even, since channels go in pairs, got {value}")
    return value


def _length(name: str, value: int) -> None:
    """As `whole`, but lets the symbolic sizes of torch.export pass."""
    if not isinstance(value, torch.SymInt):
        whole(name, value, least=1)


def _kind(x: object) -> str:
    """The dtype of a tensor, the type of anything else."""
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
