"""Reach as a graph: a row of dots for the tokens before the first layer and after each, edges where they see.

A stack of layers is a graph. One edge leads from a key to each query that sees it, and one from every token
to itself, the residual connection. What was at a token can be at another if a path leads there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from tsparse.show import grids, style, words
from tsparse.show.rendering import Picture, picture

MOST_TOKENS = 64
ROW_HEIGHT, LEAST_WIDTH, LARGEST_WIDTH = 0.55, 4.4, 6.6


def reach(masks: Sequence[Any], token: int = -1, title: str | None = None, alt: str | None = None) -> Picture:
    """The paths that end at one token, through layers whose masks are `masks`, the first layer first.

    The masks are boolean `[N, N]`, at most 64 tokens; `token` counts from the end if it is negative. A dark
    dot holds something that can reach the token, solid edges are attention, dashed ones the residual.
    Raises ValueError if there is no layer, or if the masks are too large or not of one size.
    """
    tables = square_masks(masks)
    tokens = len(tables[0])
    token = range(tokens)[token]
    rows = sources(tables, token)
    said = reach_in_words(rows, token)
    title = title or said.partition(";")[0]
    width = min(LARGEST_WIDTH, max(LEAST_WIDTH, 0.2 * tokens))
    figure, (axes,) = style.new_figure([(width, ROW_HEIGHT * len(rows))], title)
    with style.look():
        draw_reach(axes, tables, token)
        figure.legend(
            handles=reach_legend(), loc="lower left", ncol=4, frameon=False, fontsize=8, columnspacing=1.4
        )
    return picture(figure, alt or f"{title}. {said}")


def square_masks(masks: Sequence[Any]) -> list[np.ndarray]:
    """The masks as boolean arrays `[N, N]` of one size."""
    tables = [grids.boolean_table(mask) for mask in masks]
    if not tables:
        raise ValueError("masks must hold one mask for each layer, the first layer first; it is empty")
    shapes = sorted({table.shape for table in tables})
    if len(shapes) > 1 or shapes[0][0] != shapes[0][1]:
        raise ValueError(f"masks must all be [N, N] with one N, got shapes {shapes}")
    if shapes[0][0] > MOST_TOKENS:
        raise ValueError(f"masks must have at most {MOST_TOKENS} tokens to be seen, got {shapes[0][0]}")
    return tables


def sources(tables: Sequence[np.ndarray], token: int) -> list[np.ndarray]:
    """For the input and after each layer, which tokens hold what can reach `token` in the end: bool `[N]`."""
    rows = [np.arange(len(tables[0])) == token]
    for table in reversed(tables):
        rows.insert(0, rows[0] | table[rows[0]].any(axis=0))
    return rows


def draw_reach(axes: Axes, tables: Sequence[np.ndarray], token: int) -> None:
    """Draw the graph into an axes: the input below, the last layer on top."""
    rows = sources(tables, token)
    tokens = len(rows[0])
    for layer, table in enumerate(tables):
        seen = table & rows[layer + 1][:, None]  # [N, N], only the queries that matter
        query, key = np.nonzero(seen & ~np.eye(tokens, dtype=bool))
        edges = np.stack(
            [np.stack([key, np.full_like(key, layer)], -1), np.stack([query, query * 0 + layer + 1], -1)], 1
        )
        strength = float(np.clip(24 / max(len(query), 1), 0.12, 0.8))
        axes.add_collection(LineCollection(list(edges), colors=style.INK, linewidths=0.9, alpha=strength))
        kept = np.flatnonzero(rows[layer + 1])
        axes.vlines(kept, layer, layer + 1, colors=style.WRONG, linestyles=(0, (2, 2)), linewidths=1.0)
    size = float(np.clip(900 / tokens, 10, 40))
    for height, row in enumerate(rows):
        places, heights = np.arange(tokens), np.full(tokens, height)
        axes.scatter(
            places[~row], heights[~row], s=size / 3, c=style.PAPER, edgecolors=style.EDGE, lw=0.4, zorder=3
        )
        axes.scatter(places[row], heights[row], s=size, c=style.INK, edgecolors="white", lw=0.4, zorder=4)
    axes.scatter(
        [token], [len(tables)], s=2.4 * size, facecolors="none", edgecolors=style.WRONG, lw=1.4, zorder=5
    )
    axes.set(xlim=(-0.8, tokens - 0.2), ylim=(-0.35, len(tables) + 0.4), xlabel="token")
    axes.set_yticks(range(len(rows)), ["input", *(f"layer {layer + 1}" for layer in range(len(tables)))])
    for side in axes.spines.values():
        side.set_visible(False)


def reach_legend() -> list[Line2D]:
    """What dots and edges mean."""
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 5}
    return [
        Line2D([], [], markerfacecolor=style.INK, markeredgecolor="white", label="can reach it", **dot),
        Line2D([], [], markerfacecolor=style.PAPER, markeredgecolor=style.EDGE, label="cannot", **dot),
        Line2D([], [], color=style.INK, lw=1, label="attention"),
        Line2D([], [], color=style.WRONG, lw=1, linestyle=(0, (2, 2)), label="residual"),
    ]


def reach_in_words(rows: Sequence[np.ndarray], token: int) -> str:
    """How many and which tokens reach the token, layer by layer from the top."""
    layers = len(rows) - 1
    every = f"After {words.count(layers, 'layer')} token {token} can hold something of {rows[0].sum()} of "
    parts = [
        f"{'from the input' if height == 0 else f'after layer {height}'}: "
        f"{words.spans([int(place) for place in np.flatnonzero(rows[height])])}"
        for height in range(layers - 1, -1, -1)
    ]
    return f"{every}{words.count(len(rows[0]), 'token')}; the paths pass through tokens {'; '.join(parts)}."
