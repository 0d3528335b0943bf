"""Where the numbers of a tensor went: after a view, a transpose, a reshape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tsparse.show import grids, style, words
from tsparse.show.rendering import Picture, picture


def places(tables: Mapping[str, Any], channels: int, alt: str | None = None) -> Picture:
    """Tables `[rows, columns]` side by side, each cell with the place that its number came from.

    Give it what became of `torch.arange(N * channels).view(N, channels)`: a cell "2·3" holds what stood at
    token 2, channel 3, and every token has a shade of its own. Raises if a table holds anything but whole
    numbers from 0.

    >>> import torch
    >>> places({"x": torch.arange(6).view(2, 3)}, channels=3)
    x: row 0 is 0·0 0·1 0·2; row 1 is 1·0 1·1 1·2.
    """
    grid = {title: place_table(values) for title, values in tables.items()}
    if not grid:
        raise ValueError("tables must hold at least one table, as {title: table}; it is empty")
    tokens = 1 + max(int(table.max()) for table in grid.values()) // channels
    sizes = [style.panel_size(table.shape) for table in grid.values()]
    figure, panels = style.new_figure(sizes, "", panel_titles=True)
    with style.look():
        for axes, (title, table) in zip(panels, grid.items(), strict=True):
            colours = np.stack([shade(token, tokens) for token in range(tokens)])[table // channels]
            style.cells(axes, colours)
            style.grid_axes(axes, table.shape, ("row", "column"))
            for (row, column), place in np.ndenumerate(table):
                ink = "white" if colours[row, column].mean() < 0.55 else style.TEXT
                axes.text(column, row, name(place, channels), ha="center", va="center", size=8, color=ink)
            axes.set_title(title, weight="bold", loc="left")
        figure.text(0.1 / figure.get_figwidth(), 0.02, "token·channel; a shade for each token", size=8)
    said = " ".join(f"{title}: {in_words(table, channels)}." for title, table in grid.items())
    return picture(figure, alt or said)


def place_table(values: Any) -> np.ndarray:
    """The places as an array `[rows, columns]` of whole numbers from 0."""
    table = words.to_array(values)
    if not np.issubdtype(table.dtype, np.integer) or (table < 0).any():
        raise TypeError(f"a table of places must hold whole numbers from 0, got {table.dtype}")
    return grids.two_axes(table, "a table of places")


def shade(token: int, tokens: int) -> np.ndarray:
    """The colour of a token: later is darker."""
    return np.array(style.SEQUENTIAL(0.08 + 0.9 * token / max(tokens - 1, 1))[:3])


def name(place: int, channels: int) -> str:
    """A place as "token·channel"."""
    return f"{place // channels}·{place % channels}"


def in_words(table: np.ndarray, channels: int) -> str:
    """What each row holds."""
    rows = (" ".join(name(place, channels) for place in row) for row in table)
    return "; ".join(f"row {number} is {row}" for number, row in enumerate(rows))
