"""Masks and matrices as grids: rows are queries, columns are keys, dark means visible or large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tsparse.show import style, words
from tsparse.show.rendering import Picture, picture

LARGEST_WITH_NUMBERS = 12
VISIBLE = "may see"
HIDDEN = "hidden"


def mask(
    mask: Any,
    title: str,
    alt: str | None = None,
    query_labels: Sequence[str] | None = None,
    key_labels: Sequence[str] | None = None,
    marks: Iterable[tuple[int, int]] | None = None,
) -> Picture:
    """A boolean mask `[N, M]` as a grid: dark where the query (row) may see the key (column).

    `query_labels` and `key_labels` replace the positions on the axes; `marks` frames cells `(query, key)`.
    Raises if the mask is not boolean or has more than two axes longer than 1.
    """
    table = boolean_table(mask)
    figure, (axes,) = style.new_figure([style.panel_size(table.shape)], title, below=room_for(key_labels))
    with style.look():
        draw_mask(axes, table, query_labels, key_labels)
        for query, key in marks or ():
            style.outline(axes, query, key, 1, 1)
        style.legend(figure, mask_legend())
    return picture(figure, alt or f"{title}. {words.mask_in_words(table)}")


def masks(masks: Mapping[str, Any], alt: str | None = None) -> Picture:
    """Several boolean masks side by side, each `[N, M]` under its own title."""
    tables = {title: boolean_table(values) for title, values in masks.items()}
    if not tables:
        raise ValueError("masks must hold at least one mask, as {title: mask}; it is empty")
    sizes = [style.panel_size(table.shape, len(tables)) for table in tables.values()]
    figure, panels = style.new_figure(sizes, "", panel_titles=True)
    with style.look():
        for axes, (title, table) in zip(panels, tables.items(), strict=True):
            draw_mask(axes, table)
            axes.set_title(title, weight="bold", loc="left")
        style.legend(figure, mask_legend())
    text = " ".join(f"{title}: {words.mask_in_words(table)}" for title, table in tables.items())
    return picture(figure, alt or text)


def matrix(
    values: Any,
    title: str,
    alt: str | None = None,
    annotate: bool | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    names: tuple[str, str] = ("row", "column"),
) -> Picture:
    """Numbers `[rows, columns]` as a grid: dark is large, and negative values are rust-coloured.

    Numbers are written into the cells while there are few (`annotate` decides otherwise); without numbers,
    negative cells are hatched. Infinite values and NaN are crossed out and named. `row_labels` and
    `column_labels` replace the positions on the axes, `names` say what rows and columns are.
    """
    table = number_table(values)
    below = room_for(column_labels)
    figure, (axes,) = style.new_figure([style.panel_size(table.shape)], title, below=below)
    with style.look():
        draw_matrix(axes, table, annotate, labels=(row_labels, column_labels), names=names)
        style.legend(figure, matrix_legend(table))
    return picture(figure, alt or f"{title}. {words.matrix_in_words(table)}")


def matrices(
    matrices: Mapping[str, Any], alt: str | None = None, names: tuple[str, str] = ("row", "column")
) -> Picture:
    """Several tables of numbers side by side, each `[rows, columns]` under its own title, in one scale.

    Colours and numbers are those of `matrix`; `names` say what rows and columns are.
    """
    tables = {title: number_table(values) for title, values in matrices.items()}
    if not tables:
        raise ValueError("matrices must hold at least one table, as {title: values}; it is empty")
    every = np.concatenate([table.ravel() for table in tables.values()])[None]
    sizes = [style.panel_size(table.shape, len(tables)) for table in tables.values()]
    figure, panels = style.new_figure(sizes, "", panel_titles=True)
    with style.look():
        for axes, (title, table) in zip(panels, tables.items(), strict=True):
            draw_matrix(axes, table, limits=value_limits(every), names=names)
            axes.set_title(title, weight="bold", loc="left")
        style.legend(figure, matrix_legend(every))
    text = " ".join(f"{title}: {words.matrix_in_words(table)}" for title, table in tables.items())
    return picture(figure, alt or text)


def draw_mask(
    axes: Axes,
    table: np.ndarray,
    query_labels: Sequence[str] | None = None,
    key_labels: Sequence[str] | None = None,
) -> None:
    """Draw a boolean table into an axes."""
    style.cells(axes, np.where(table[..., None], style.rgb(style.INK), style.rgb(style.PAPER)))
    style.grid_axes(axes, table.shape, ("query", "key"), query_labels, key_labels)


def draw_matrix(
    axes: Axes,
    table: np.ndarray,
    annotate: bool | np.ndarray | None = None,
    limits: tuple[float, float] | None = None,
    labels: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
    names: tuple[str, str] = ("row", "column"),
) -> None:
    """Draw a table of numbers into an axes.

    `annotate` may also say for each cell whether its number is written; `limits` are the values of the
    lightest and the darkest colour; `labels` of rows and columns replace their positions, `names` name them.
    """
    low, high = limits or value_limits(table)
    finite = np.isfinite(table)
    with np.errstate(over="ignore"):  # numbers near the largest there is, as -1.8e308 in place of -inf
        scaled = np.clip((np.where(finite, table, low) - low) / ((high - low) or 1), 0, 1)
    colours = (style.DIVERGING if low < 0 else style.SEQUENTIAL)(scaled)[..., :3]
    colours[~finite] = style.rgb(style.PAPER)
    style.cells(axes, colours)
    style.grid_axes(axes, table.shape, names, *labels)
    if annotate is None:
        annotate = max(table.shape) <= LARGEST_WITH_NUMBERS
    if np.any(annotate):
        write_numbers(axes, table, colours, np.broadcast_to(annotate, table.shape))
    else:
        style.hatch(axes, finite & (table < 0), "///", "white")
        style.hatch(axes, ~finite, "xxx", style.WRONG)


def write_numbers(axes: Axes, table: np.ndarray, colours: np.ndarray, where: np.ndarray) -> None:
    """Write numbers into their cells, in white where the cell is dark."""
    size = 7.5 if table.shape[1] <= 8 else 6
    luminance = colours @ np.array([0.299, 0.587, 0.114])
    for row, column in np.argwhere(where):
        value = table[row, column]
        colour = "white" if luminance[row, column] < 0.55 else style.TEXT
        if not np.isfinite(value):
            colour = style.WRONG
        axes.text(
            column, row, words.number(value), ha="center", va="center", size=size, color=colour, zorder=6
        )


def value_limits(table: np.ndarray) -> tuple[float, float]:
    """Lightest and darkest value: from 0 for non-negative numbers, otherwise symmetric about 0."""
    finite = table[np.isfinite(table)].astype(float)
    if not finite.size:
        return 0.0, 1.0
    size = float(np.abs(finite).max()) or 1.0
    return (-size, size) if finite.min() < 0 else (0.0, size)


def room_for(labels: Sequence[str] | None) -> float:
    """Inches below a grid for its ticks and the name of its axis; long labels stand aslant."""
    return 0.48 if labels is None else 0.4 + 0.06 * max(len(label) for label in labels)


def mask_legend() -> list[Any]:
    """What dark and light mean in a mask."""
    return [style.swatch(style.INK, VISIBLE), style.swatch(style.PAPER, HIDDEN)]


def matrix_legend(table: np.ndarray) -> list[Any]:
    """What the darkest colours mean in a matrix, and how values that are not finite look."""
    low, high = value_limits(table)
    entries = [style.swatch(style.LIGHTEST, "0"), style.swatch(style.INK, words.number(high))]
    if low < 0:
        entries.insert(0, style.swatch(style.RUST, words.number(low)))
    if not np.isfinite(table).all():
        entries.append(style.swatch(style.PAPER, "not finite", "xxx", style.WRONG))
    return entries


def boolean_table(mask: Any) -> np.ndarray:
    """The mask as a boolean array `[N, M]`, leading axes of length 1 dropped."""
    table = words.to_array(mask)
    if table.dtype != bool:
        raise TypeError(
            f"mask must be boolean (True = may attend), got {table.dtype}; draw numbers with matrix"
        )
    return two_axes(table, "mask")


def number_table(values: Any) -> np.ndarray:
    """The values as an array `[rows, columns]`, leading axes of length 1 dropped."""
    table = words.to_array(values)
    if not np.issubdtype(table.dtype, np.number):
        raise TypeError(f"values must be numbers, got {table.dtype}; draw True and False with mask")
    return two_axes(table, "values")


def two_axes(table: np.ndarray, name: str) -> np.ndarray:
    """The table with two axes: leading ones of length 1 dropped, a vector made one row."""
    shape = tuple(table.shape)
    while table.ndim > 2 and table.shape[0] == 1:
        table = table[0]
    table = np.atleast_2d(table)
    if table.ndim != 2 or not table.size:
        raise ValueError(
            f"{name} must have two axes and at least one cell, got shape {shape}; pick one slice"
        )
    return table
