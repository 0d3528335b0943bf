"""What whole blocks cost: the tiles that a pattern executes, against the pairs that it wants.

Counted from masks, so what is drawn is what a kernel would do that skips empty blocks and nothing else.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tsparse.show import style
from tsparse.show.rendering import Picture, picture

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def touched(mask: Tensor, block: int) -> float:
    """Share of the `block` x `block` tiles of a mask `[N, M]` that hold a pair; both lengths fit.

    >>> touched(torch.eye(8, dtype=torch.bool), 4)
    0.5
    """
    rows, columns = (n // block for n in mask.shape)
    return float(mask.view(rows, block, columns, block).any(3).any(1).float().mean())


def spread(n: int, block: int) -> dict[str, list[tuple[float, float]]]:
    """For four ways to spread pairs: (share of pairs seen, share of tiles executed), rising."""
    rng = torch.Generator().manual_seed(0)
    blocks = n // block
    gap = torch.arange(n)[:, None] - torch.arange(n)
    found: dict[str, list[tuple[float, float]]] = {}
    for share in SHARES:
        chosen = torch.randperm(blocks * blocks, generator=rng) < max(1, round(share * blocks * blocks))
        masks = {
            "whole blocks": chosen.view(blocks, blocks)
            .repeat_interleave(block, 0)
            .repeat_interleave(block, 1),
            "a window": gap.abs() <= share * n / 2,
            "every s-th key": gap % max(1, round(1 / share)) == 0,
            "single pairs, random": torch.rand(n, n, generator=rng) < share,
        }
        for name, mask in masks.items():
            found.setdefault(name, []).append((float(mask.float().mean()), touched(mask, block)))
    return found


def shifted(n: int, block: int, shift: int) -> float:
    """Pairs executed for each useful one, in groups as long as a block that begin `shift` tokens off it."""
    group = torch.div(torch.arange(n) + shift, block, rounding_mode="floor")
    mask = group[:, None] == group
    return touched(mask, block) * n * n / int(mask.sum())


def waste(n: int = 2048, block: int = 64) -> Picture:
    """Tiles executed over pairs seen, by how pairs are spread; executed over useful pairs, by shift."""
    curves = spread(n, block)
    shifts = range(0, block + 1, max(1, block // 16))
    wastes = [shifted(n, block, shift) for shift in shifts]
    with style.look():
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, points), look in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
            left.plot(*zip(*points, strict=True), look, marker="o", markersize=4, label=name)
        left.set(xscale="log", xlabel="share of pairs seen", ylabel="share of tiles executed")
        left.set_title("What decides is how pairs are spread", loc="left", weight="bold")
        left.legend()
        right.plot(shifts, wastes, marker="o", markersize=4, color=style.INK)
        right.set(xlabel="shift in tokens", ylabel="executed / useful", ylim=(0, 3.3))
        right.set_title(f"Groups of {block}, shifted against blocks of {block}", loc="left", weight="bold")
    told = "; ".join(
        f"{name}: "
        + ", ".join(f"{tiles:.0%} of tiles at {pairs:.2%} of pairs" for pairs, tiles in points[::2])
        for name, points in curves.items()
    )
    return picture(
        figure,
        f"Left, tiles executed of {n} tokens in blocks of {block}: {told}. Right: groups of {block} tokens "
        f"that see one another. Executed over useful is {wastes[0]:.1f} where groups and blocks begin "
        f"together, and {min(wastes[1:-1]):.1f} to {max(wastes):.1f} for every other shift.",
    )
