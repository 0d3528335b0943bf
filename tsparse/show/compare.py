"""Yours, expected and the difference side by side; the first wrong row is framed in all three."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tsparse.show import grids, style, words
from tsparse.show.rendering import Picture, picture

TOLERANCE = 1e-4
LARGEST_DRAWN = 256
"""Rows and columns that are drawn of tables which cannot be compared cell by cell."""
EXTRA = "visible, should be hidden"
LACKING = "hidden, should be visible"
EQUAL = "They are equal."


def comparison(yours: Any, expected: Any, title: str, alt: str | None = None) -> Picture:
    """Yours | expected | difference, for masks and for numbers.

    Of tensors with more than two axes the first slice that differs is drawn, and the title names it. Where
    shapes or types differ the beginnings of both are drawn, and words say what differs.
    """
    left, right = words.to_array(yours), words.to_array(expected)
    problem = mismatch(left, right)
    if not problem:
        left, right, where = first_wrong_slice(left, right)
        title = f"{title} {where}".strip()
    tables = [drawable(left), drawable(right)]
    if problem:
        tables = [table[:LARGEST_DRAWN, :LARGEST_DRAWN] for table in tables]
    sizes = [style.panel_size(table.shape, 3) for table in (*tables, tables[1])]
    if problem:
        sizes[2] = (1.6, sizes[1][1])
    figure, panels = style.new_figure(sizes, title, panel_titles=True, least_width=7.2)
    with style.look():
        limits = grids.value_limits(tables[1]) if tables[1].dtype != bool else None
        for axes, table, name in zip(panels, tables, ("yours", "expected"), strict=False):
            draw(axes, table, limits)
            axes.set_title(name, weight="bold", loc="left")
        if problem:
            panels[2].axis("off")
            panels[2].text(
                0, 0.5, style.wrap(problem, 1.6, 9), va="center", size=9, transform=panels[2].transAxes
            )
            said = problem.replace("\n", " ")
        else:
            said = draw_difference(panels, tables[0], tables[1])
            style.legend(figure, legend_entries(tables[1], framed=said != EQUAL))
    text = f"{title}. Left yours, then expected, then the difference. {said}"
    return picture(figure, alt or text)


def mismatch(left: np.ndarray, right: np.ndarray) -> str:
    """In words why the two cannot be subtracted, or nothing."""
    if left.shape != right.shape:
        return f"Shapes differ:\nyours {list(left.shape)},\nexpected {list(right.shape)}."
    if (left.dtype == bool) != (right.dtype == bool):
        return f"Types differ:\nyours {left.dtype},\nexpected {right.dtype}."
    return ""


def wrong_cells(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape differ by more than rounding; NaN equals NaN."""
    if left.dtype == bool:
        return left != right
    return ~np.isclose(left, right, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def first_wrong_slice(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """The first pair of tables over the last two axes that differ, and in words which one it is."""
    if left.ndim <= 2:
        return left, right, ""
    bad = wrong_cells(left, right).reshape(-1, *left.shape[-2:]).any(axis=(1, 2))
    index = np.unravel_index(int(np.argmax(bad)), left.shape[:-2])
    where = ", ".join(str(int(i)) for i in index)
    return left[index], right[index], f"(slice [{where}])"


def drawable(values: np.ndarray) -> np.ndarray:
    """A table to draw of whatever an answer returned: the first slice, a vector as one row."""
    while values.ndim > 2:
        values = values[0] if values.shape[0] else values.reshape(1, -1)
    values = np.atleast_2d(values)
    return values if values.size else np.full((1, 1), np.nan)


def draw(axes: Axes, table: np.ndarray, limits: tuple[float, float] | None) -> None:
    """A table as a mask or as numbers, by its type."""
    if table.dtype == bool:
        grids.draw_mask(axes, table)
    else:
        grids.draw_matrix(axes, table, limits=limits)


def draw_difference(panels: list[Axes], left: np.ndarray, right: np.ndarray) -> str:
    """Draw the third panel, frame the first wrong row in all three, and say the same in words."""
    axes = panels[2]
    wrong = wrong_cells(left, right)
    if left.dtype == bool:
        colours = np.where(right[..., None], style.rgb("#b9c4cd"), style.rgb(style.PAPER))
        colours[wrong & left] = style.rgb(style.WRONG)
        colours[wrong & right] = style.rgb(style.MISSING)
        style.cells(axes, colours)
        style.hatch(axes, wrong & right, "////", style.WRONG)
        style.grid_axes(axes, left.shape, ("query", "key"))
    else:
        with np.errstate(invalid="ignore"):
            gap = left.astype(float) - right.astype(float)
        if wrong.any():  # beside a wrong cell, rounding is nothing
            gap[~wrong] = 0.0
        small = max(gap.shape) <= grids.LARGEST_WITH_NUMBERS
        grids.draw_matrix(axes, gap, annotate=wrong if small else None)
    axes.set_title("difference" if left.dtype == bool else "yours − expected", weight="bold", loc="left")
    if not wrong.any():
        return EQUAL
    row = int(np.argmax(wrong.any(axis=1)))
    for panel in panels:
        style.outline(panel, row, 0, 1, left.shape[1])
    return f"{words.count(int(wrong.sum()), 'cell')} of {wrong.size} differ. {row_in_words(left, right, row)}"


def row_in_words(left: np.ndarray, right: np.ndarray, row: int) -> str:
    """The first wrong row of both, in words."""
    if left.dtype == bool:
        seen = words.row_in_words(left, row)
        wanted = words.row_in_words(right, row).removeprefix(f"query {row} ")
        return f"First wrong row {row}: yours, {seen}; expected, it {wanted}."
    column = int(np.argmax(wrong_cells(left[row], right[row])))
    got, want = words.number(left[row, column]), words.number(right[row, column])
    return f"First wrong row {row}: in column {column} yours is {got}, expected {want}."


def legend_entries(table: np.ndarray, framed: bool) -> list[Any]:
    """The legend of a comparison."""
    frame = [style.swatch("none", "first wrong row", edge=style.WRONG)] if framed else []
    if table.dtype != bool:
        return [*grids.matrix_legend(table), *frame]
    extra = style.swatch(style.WRONG, EXTRA)
    lacking = style.swatch(style.MISSING, LACKING, "////", style.WRONG)
    return [*grids.mask_legend(), extra, lacking, *frame]
