"""What attention heads look at: lines from queries to keys, or a heat map, with a widget to choose the head.

Above stand the tokens as keys, below as queries; a line is as dark and as thick as its weight. One query is
picked out, and its weights are written beside its keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from tsparse.show import style, words
from tsparse.show.explorer import Explorer, explore
from tsparse.show.grids import draw_matrix, matrix_legend, number_table, room_for
from tsparse.show.rendering import Picture, picture

FAINTEST = 0.02
"""Weights below this are not drawn as lines."""

WRITTEN = 0.1
"""Weights of the picked query from this on are written beside their keys."""

TOKEN_WIDTH = 0.31
LINES_HEIGHT = 1.7

View = Literal["lines", "heat map"]


def attention(
    weights: Any, tokens: Sequence[str], title: str, query: int | None = None, view: View = "lines"
) -> Picture:
    """The weights `[N, N]` of one head over its tokens, as lines or as a heat map.

    `query` picks out one query (default: the last one). Raises TypeError or ValueError if the weights are not
    a square of numbers with one token a row, if there is no such query or no such view.
    """
    table = number_table(weights)
    if table.shape != (len(tokens), len(tokens)):
        raise ValueError(
            f"weights must be [{len(tokens)}, {len(tokens)}], one row a token, got {table.shape}"
        )
    query = len(tokens) - 1 if query is None else query
    if not 0 <= query < len(tokens):
        raise ValueError(f"query must be 0 to {len(tokens) - 1}, got {query}")
    if view not in ("lines", "heat map"):
        raise ValueError(f'view must be "lines" or "heat map", got {view!r}')
    full_title = f"{title}. {row_in_words(table, tokens, query)}"
    draw = draw_lines if view == "lines" else draw_heat_map
    return picture(draw(table, list(tokens), full_title, query), f"{full_title} {rows_in_words(table)}")


def heads(
    weights: Any,
    tokens: Sequence[str],
    names: Sequence[Sequence[str]] | None = None,
    query: int | None = None,
) -> Explorer:
    """A viewer for the weights `[L, H, N, N]` of all heads: choose layer, head, view and query.

    `names[layer][head]` says in a few words what is known of a head. Layers and heads are counted from 1,
    tokens from 0. Raises ValueError if weights or names do not have that shape.
    """
    tables = words.to_array(weights)
    if tables.ndim != 4 or 0 in tables.shape:
        raise ValueError(f"weights must be [L, H, N, N], of one text, got {tables.shape}")
    layers, count = tables.shape[:2]
    if names is not None and [len(row) for row in names] != [count] * layers:
        raise ValueError(f"names must be {layers} rows of {count}, one name for each head")

    def draw(layer: int, head: int, view: View, query: int) -> Picture:
        known = f", {names[layer - 1][head - 1]}" if names else ""
        title = f"Layer {layer}, head {head}{known}"
        return attention(tables[layer - 1, head - 1], tokens, title, query, view)

    last = len(tokens) - 1
    return explore(
        draw,
        layer=list(range(1, layers + 1)),
        head=list(range(1, count + 1)),
        view=["lines", "heat map"],
        query=(0, last, last if query is None else query),
    )


def draw_lines(table: np.ndarray, tokens: list[str], title: str, query: int) -> Any:
    """A figure with a row of keys, a row of queries, and a line for each weight."""
    count = len(tokens)
    slanted = max(map(len, tokens)) > 3
    room = 0.12 + 0.06 * max(map(len, tokens)) if slanted else 0.2
    size = (max(2.4, TOKEN_WIDTH * count), LINES_HEIGHT + 2 * room)
    figure, (axes,) = style.new_figure([size], title, below=0.05)
    with style.look():
        axes.axis("off")
        axes.set(xlim=(-0.5, count - 0.5), ylim=(-room - 0.05, LINES_HEIGHT + room + 0.05))
        add_lines(axes, table, np.arange(count) != query, style.MIDDLE, 3.0)
        add_lines(axes, table, np.arange(count) == query, style.INK, 4.5)
        turn: dict[str, Any] = {"rotation": 60 if slanted else 0, "ha": "center", "size": 8, "zorder": 6}
        for place, token in enumerate(tokens):
            seen, asks = table[query, place] >= WRITTEN, place == query
            axes.text(place, LINES_HEIGHT + 0.05, token, va="bottom", weight=weight(seen), **turn)
            axes.text(place, -0.05, token, va="top", weight=weight(asks), **turn)
            if seen:
                label = f"{table[query, place]:.0%}"
                box = {"facecolor": "white", "edgecolor": style.INK, "lw": 0.6, "pad": 1.2}
                axes.text(
                    place, LINES_HEIGHT - 0.16, label, ha="center", va="center", size=7, bbox=box, zorder=7
                )
        for height, name in ((LINES_HEIGHT + 0.05, "keys"), (-0.05, "queries")):
            side = "bottom" if height > 0 else "top"
            axes.text(-0.75, height, name, ha="right", va=side, size=8, style="italic")
        entries = [style.swatch(style.INK, f"query {query}"), style.swatch(style.MIDDLE, "the other queries")]
        style.legend(figure, entries)
    return figure


def add_lines(axes: Axes, table: np.ndarray, rows: np.ndarray, colour: str, thickest: float) -> None:
    """Lines from some queries, below, to their keys, above; small weights are thin and pale."""
    chosen = np.argwhere((table >= FAINTEST) & rows[:, None])
    sizes = table[chosen[:, 0], chosen[:, 1]]
    ends = [[(q, 0.0), (k, LINES_HEIGHT)] for q, k in chosen]
    colours = [(*to_rgb(colour), float(min(1.0, 0.12 + 0.88 * size))) for size in sizes]
    widths = 0.4 + thickest * np.clip(sizes, 0, 1)
    axes.add_collection(LineCollection(ends, colors=colours, linewidths=widths, capstyle="round"))


def draw_heat_map(table: np.ndarray, tokens: list[str], title: str, query: int) -> Any:
    """A figure with the weights as a grid, the row of the picked query framed."""
    side = min(4.6, max(1.6, 0.19 * len(tokens)))
    figure, (axes,) = style.new_figure([(side, side)], title, below=room_for(tokens) - 0.1)
    with style.look():
        draw_matrix(axes, table, False, (0.0, 1.0), (tokens, tokens), ("query", "key"))
        axes.tick_params(labelsize=8 if len(tokens) <= 16 else 6.5)
        style.outline(axes, query, 0, 1, len(tokens))
        style.legend(figure, matrix_legend(np.array([[0.0, 1.0]])))
    return figure


def weight(strong: bool) -> str:
    """The weight of a font."""
    return "bold" if strong else "normal"


def row_in_words(table: np.ndarray, tokens: Sequence[str], query: int) -> str:
    """Where one query looks: "Query 15 (ko) looks at key 7 (mi) 85%, key 0 (^) 7%"."""
    order = [int(key) for key in np.argsort(-table[query], kind="stable")[:3]]
    keys = [key for key in order if table[query, key] >= WRITTEN] or order[:1]
    told = ", ".join(f"key {key} ({tokens[key]}) {table[query, key]:.0%}" for key in keys)
    return f"Query {query} ({tokens[query]}) looks at {told}."


def rows_in_words(table: np.ndarray) -> str:
    """The key with the largest weight for each query."""
    largest = ", ".join(str(int(key)) for key in table.argmax(axis=1))
    return f"The key with the largest weight, for queries 0 to {len(table) - 1}: {largest}."
