"""The poster of one pattern: mask, blocks, reach by layer, cost, and what it keeps of a model's weight."""

from __future__ import annotations

import textwrap

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsparse.patterns import Pattern
from tsparse.runs import EMPTY, FULL
from tsparse.show import grids, paths, portrait, style, words
from tsparse.show.rendering import Picture, picture

WIDTH, HEIGHT = 8.4, 10.0
LEFT, GAP = 0.75, 0.85
TOKENS, BLOCK = 48, 4


def poster(
    pattern: Pattern, name: str, weights: torch.Tensor | None = None, layers: int = 3, alt: str | None = None
) -> Picture:
    """A page that says what a pattern is: one picture to keep, see `Picture.save`.

    `weights [L, H, N, N]` are a model's attention weights without the pattern; the poster then says what
    share of each head's weight the pattern keeps. Of a pattern that tells heads apart, what any of them sees
    is drawn, and their mean is counted. Raises ValueError for weights of another shape.
    """
    masses = None if weights is None else kept(pattern, weights)
    mask = portrait.seen_by_any(pattern, TOKENS)
    with style.look():
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=style.DPI)
        rule = textwrap.fill(repr(pattern), 88, max_lines=2)
        figure.text(0.045, 0.975, name, size=20, weight="bold", va="top", color=style.INK)
        figure.text(0.045, 0.937, rule, size=9.5, va="top", family="DejaVu Sans Mono")
        row = portrait.row_of_panels(figure, (3.2, 3.2), (LEFT, 5.45, 3.2), GAP)
        title = "Mask, any head" if pattern.heads > 1 else "Mask"
        said = [f"Poster of {name}, {pattern!r}.", draw_mask_and_blocks(row, mask, title)]
        row = portrait.row_of_panels(figure, (7.25,), (LEFT, 3.4, 1.25), GAP)
        said.append(draw_layers(row[0], mask, layers))
        widths = (6.2,) if masses is None else (2.5, 3.6)
        cost, *rest = portrait.row_of_panels(figure, widths, (LEFT, 1.0, 1.6), GAP + 0.25)
        said.append(portrait.draw_cost(cost, pattern))
        headline(cost, f"Cost: {cost.get_title(loc='left')}")
        if masses is not None:
            said.append(draw_kept(rest[0], masses))
        portrait.legends(figure, HEIGHT)
    return picture(figure, alt or " ".join(said))


def headline(axes: Axes, title: str) -> None:
    """The title of a panel of the poster."""
    axes.set_title(title, loc="left", weight="bold")


def draw_mask_and_blocks(panels: list[Axes], mask: np.ndarray, title: str) -> str:
    """Draw the mask and its blocks; both in words."""
    kinds = portrait.block_kinds(mask, BLOCK)
    listed, full = int((kinds != EMPTY).sum()), int((kinds == FULL).sum())
    grids.draw_mask(panels[0], mask)
    headline(panels[0], f"{title}: {mask.mean():.0%} of all pairs")
    portrait.draw_kinds(panels[1], kinds)
    headline(panels[1], f"Blocks: {listed} of {kinds.size} are computed")
    return (
        f"{title}: {words.mask_in_words(mask)} In blocks of {BLOCK}, {listed} of {kinds.size} are computed, "
        f"{full} of them full."
    )


def draw_layers(axes: Axes, mask: np.ndarray, layers: int) -> str:
    """Draw the reach of the last token; in words, layer by layer."""
    last = len(mask) - 1
    paths.draw_reach(axes, [mask] * layers, last)
    depths = range(1, layers + 1)
    counts = [int(paths.sources([mask] * depth, last)[0].sum()) for depth in depths]
    after, held = (", ".join(map(str, numbers)) for numbers in (depths, counts))
    title = f"Reach: after {after} layers the last token holds {held} of {len(mask)}"
    headline(axes, title)
    return f"{title}. {paths.reach_in_words(paths.sources([mask] * layers, last), last)}"


def kept(pattern: Pattern, weights: torch.Tensor) -> np.ndarray:
    """The share of each head's weight that the pattern keeps, mean over the queries: `[L, H]`."""
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
        raise ValueError(f"weights must be [L, H, N, N], got {list(weights.shape)}")
    mask = pattern.mask(weights.shape[-1])
    mass: np.ndarray = (weights.detach().cpu().double() * mask).sum(-1).mean(-1).numpy()
    return mass


def draw_kept(axes: Axes, masses: np.ndarray) -> str:
    """Draw the kept shares `[L, H]` as a table of layers and heads; the same in words."""
    grids.draw_matrix(axes, masses, annotate=True, limits=(0.0, 1.0), names=("layer", "head"))
    headline(axes, f"Kept: {masses.mean():.0%} of a model's weight")
    heads = "; ".join(
        f"layer {layer}: {', '.join(f'{mass:.0%}' for mass in row)}" for layer, row in enumerate(masses)
    )
    return f"Of a model's attention weight it keeps {masses.mean():.0%}, by layer and head {heads}."
