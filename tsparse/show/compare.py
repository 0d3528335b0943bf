"""Yours, expected and the difference side by side; the first wrong row is framed in all three."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tsparse.show import grids, scales, style, words
from tsparse.show.rendering import Picture, picture
from tsparse.show.scales import Limits

TOLERANCE = 1e-4
LARGEST_DRAWN = 256
"""Rows and columns that are drawn of tables which cannot be compared cell by cell."""
NARROWEST = 1.1
"""Inches of a table, so that its title has room."""
MOST_FILLED = 4000
AROUND, LAST_TITLE = 2.2, 2.4
"""Inches beside the first two tables, and of the longest title of the third."""
EXTRA = "visible, should be hidden"
LACKING = "hidden, should be visible"
EQUAL = "They are equal."


def comparison(yours: Any, expected: Any, title: str, alt: str | None = None, wrong: Any = None) -> Picture:
    """Yours | expected | difference, for masks and for numbers.

    Of tensors with more than two axes the first slice that differs is drawn, and the title names it. Where
    shapes or types differ the beginnings of both are drawn, and words say what differs.
    `wrong`, booleans of the same shape, says where they differ; without it, where by more than rounding.
    Each table of numbers says how far its colours reach.
    """
    left, right = words.to_array(yours), words.to_array(expected)
    problem = mismatch(left, right)
    places = np.zeros(0, dtype=bool)
    if not problem:
        places = wrong_cells(left, right) if wrong is None else words.to_array(wrong)
        left, right, places, where = first_wrong_slice(left, right, places)
        title = f"{title} {where}".strip()
    left, right = drawable(left), drawable(right)
    if problem:
        left, right = left[:LARGEST_DRAWN, :LARGEST_DRAWN], right[:LARGEST_DRAWN, :LARGEST_DRAWN]
    sizes = [style.panel_size(table.shape, 3) for table in (left, right, right)]
    sizes = [(max(width, NARROWEST), height) for width, height in sizes]
    if problem:
        sizes[2] = (1.6, sizes[1][1])
    least = max(7.2, sizes[0][0] + sizes[1][0] + AROUND + LAST_TITLE)
    figure, panels = style.new_figure(sizes, title, panel_titles=True, least_width=least)
    with style.look():
        limits = None if problem or left.dtype == bool else scales.of_two(left, right)
        draw(panels[0], left, "yours", limits and limits[0])
        draw(panels[1], right, "expected", limits and limits[1])
        if problem:
            panels[2].axis("off")
            panels[2].text(
                0, 0.5, style.wrap(problem, 1.6, 9), va="center", size=9, transform=panels[2].transAxes
            )
            said = problem.replace("\n", " ")
        else:
            places = drawable(places) if places.size else np.zeros(left.shape, dtype=bool)
            said = draw_difference(panels, left, right, places)
            style.legend(figure, legend_entries(left, right, limits and limits[0], framed=said != EQUAL))
            said += scales.in_words(left, right, *limits) if limits else ""
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


def first_wrong_slice(
    left: np.ndarray, right: np.ndarray, wrong: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """The first tables over the last two axes that differ, where, and in words which ones they are."""
    if left.ndim <= 2 or not left.size:
        return left, right, wrong, ""
    bad = wrong.reshape(-1, *left.shape[-2:]).any(axis=(1, 2))
    index = np.unravel_index(int(np.argmax(bad)), left.shape[:-2])
    where = ", ".join(str(int(i)) for i in index)
    return left[index], right[index], wrong[index], f"(slice [{where}])"


def drawable(values: np.ndarray) -> np.ndarray:
    """A table to draw of whatever an answer returned: the first slice, a vector as one row."""
    while values.ndim > 2:
        values = values[0] if values.shape[0] else values.reshape(1, -1)
    values = np.atleast_2d(values)
    return values if values.size else np.full((1, 1), np.nan)


def draw(axes: Axes, table: np.ndarray, name: str, limits: Limits | None = None) -> None:
    """A table as a mask or as numbers, by its type; numbers with how far the colours reach."""
    if table.dtype == bool:
        grids.draw_mask(axes, table)
    else:
        limits = limits or scales.of_one(table)
        grids.draw_matrix(axes, table, limits=limits)
        if not numbered(table):
            mark(axes, table, limits)
        name = f"{name}, {scales.told(limits)}"
    axes.set_title(name, weight="bold", loc="left")


def numbered(table: np.ndarray) -> bool:
    """Whether a table is small enough for its numbers to be written into it."""
    return max(table.shape) <= grids.LARGEST_WITH_NUMBERS


def mark(axes: Axes, table: np.ndarray, limits: Limits) -> None:
    """What colours cannot say: fill the cells that hold no finite number, dot those beyond the scale."""
    rows, columns = np.nonzero(~np.isfinite(table))
    for row, column in zip(rows[:MOST_FILLED], columns[:MOST_FILLED], strict=True):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc=style.EDGE, lw=0))
    style.hatch(axes, ~np.isfinite(table), "xxx", "white")
    style.hatch(axes, scales.beyond(table, limits), "....", "white")


def draw_difference(panels: list[Axes], left: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> str:
    """Draw the third panel, frame the first wrong row in all three, and say the same in words."""
    axes = panels[2]
    if left.dtype == bool:
        colours = np.where(right[..., None], style.rgb("#b9c4cd"), style.rgb(style.PAPER))
        colours[wrong & left] = style.rgb(style.WRONG)
        colours[wrong & right] = style.rgb(style.MISSING)
        style.cells(axes, colours)
        style.hatch(axes, wrong & right, "////", style.WRONG)
        style.grid_axes(axes, left.shape, ("query", "key"))
        axes.set_title("difference", weight="bold", loc="left")
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            gap = left.astype(float) - right.astype(float)
        gap[~wrong] = 0.0  # beside a wrong cell, rounding is nothing
        limits = scales.of_one(gap)
        grids.draw_matrix(axes, gap, annotate=wrong if numbered(gap) else None, limits=limits)
        if not numbered(gap):
            mark(axes, gap, limits)
        reach = f", {scales.told(limits)}" if np.isfinite(gap[wrong]).any() else ""
        axes.set_title(f"yours − expected{reach}", weight="bold", loc="left")
    if not wrong.any():
        return EQUAL
    row = int(np.argmax(wrong.any(axis=1)))
    for panel in panels:
        frame(panel, row, left.shape)
    many = int(wrong.sum())
    differ = f"{words.count(many, 'cell')} of {wrong.size} {'differs' if many == 1 else 'differ'}."
    return f"{differ} {row_in_words(left, right, wrong, row)}"


def frame(axes: Axes, row: int, shape: tuple[int, ...]) -> None:
    """Frame a row from outside, so that the line hides nothing of it."""
    height = axes.bbox.height / style.DPI * 72 / shape[0]
    points = 1.8 if max(shape) <= grids.LARGEST_WITH_NUMBERS else 1.0
    beside = points / height
    style.outline(axes, row - beside, 0, 1 + 2 * beside, shape[1], points)


def row_in_words(left: np.ndarray, right: np.ndarray, wrong: np.ndarray, row: int) -> str:
    """The first wrong row of both, in words."""
    if left.dtype == bool:
        seen = words.row_in_words(left, row)
        wanted = words.row_in_words(right, row).removeprefix(f"query {row} ")
        return f"First wrong row {row}: yours, {seen}; expected, it {wanted}."
    column = int(np.argmax(wrong[row]))
    got, want = words.number(left[row, column]), words.number(right[row, column])
    if got == want:  # as far as these few digits go
        got += f", off by {words.number(float(left[row, column]) - float(right[row, column]))}"
    return f"First wrong row {row}: in column {column} yours is {got}, expected {want}."


def legend_entries(left: np.ndarray, right: np.ndarray, limits: Limits | None, framed: bool) -> list[Any]:
    """The legend of a comparison."""
    last = [style.swatch("none", "first wrong row", edge=style.WRONG)] if framed else []
    if limits is None:
        extra = style.swatch(style.WRONG, EXTRA)
        lacking = style.swatch(style.MISSING, LACKING, "////", style.WRONG)
        return [*grids.mask_legend(), extra, lacking, *last]
    entries = [style.swatch(style.LIGHTEST, "0"), style.swatch(style.INK, "above 0")]
    if limits[0] < 0 or (left < right).any():
        entries.insert(0, style.swatch(style.RUST, "below 0"))
    if numbered(left):  # there the numbers say it
        return [*entries, *last]
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        entries.append(style.swatch(style.EDGE, "not finite", "xxx", "white"))
    if scales.beyond(left, limits).any():
        entries.append(style.swatch(style.INK, "beyond the scale", "....", "white"))
    return [*entries, *last]
