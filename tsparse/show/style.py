"""How every picture of the course looks: colours, fonts, sizes, and the axes that all grids share.

Three rules. Darkness carries the meaning, so that a grey print loses nothing. Where two things would be
equally dark, one of them is hatched. The colours are from the palette of Okabe and Ito (2008), which is
told apart under the common kinds of colour blindness.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

INK = "#12304a"
MIDDLE = "#7fb0d3"
PAPER = "#eef1f4"
EDGE = "#8a8a8a"
LINE = "#ffffff"
TEXT = "#222222"
LIGHTEST = "#f5f6f7"
RUST = "#8a3b00"
WRONG = "#d55e00"
MISSING = "#f0c9a8"

SEQUENTIAL = LinearSegmentedColormap.from_list("paper-ink", [LIGHTEST, "#9cc3de", "#2f74a8", INK])
DIVERGING = LinearSegmentedColormap.from_list("rust-ink", [RUST, "#e6a26b", LIGHTEST, MIDDLE, INK])

DPI = 160
COLOURS = 128
MOST_CELLS = 512
MOST_HATCHES = 4000
CSS_PIXELS_PER_INCH = 104
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": EDGE,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "text.color": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "hatch.linewidth": 0.7,
}


def look() -> AbstractContextManager[None]:
    """The settings of matplotlib under which every picture is drawn."""
    return rc_context(RC)


def panel_size(shape: tuple[int, ...], panels: int = 1) -> tuple[float, float]:
    """Width and height in inches of one of `panels` grids side by side; cells are square."""
    rows, columns = shape
    largest = 3.4 if panels == 1 else 2.4 if panels <= 4 else 1.6
    cell = min(0.36, largest / max(rows, columns))
    return max(0.36, cell * columns), max(0.36, cell * rows)


def new_figure(
    panels: Sequence[tuple[float, float]],
    title: str,
    panel_titles: bool = False,
    least_width: float = 3.4,
    below: float = 0.48,
) -> tuple[Figure, list[Axes]]:
    """A figure with a left-aligned title, one axes per panel `(width, height)`, and a legend's room below.

    `below` is the room for the ticks and the name of the horizontal axis.
    """
    left, gap, right = 0.62, 0.7, 0.2
    width = max(least_width, left + sum(w for w, _ in panels) + gap * (len(panels) - 1) + right)
    lines = wrap(title, width - 0.2, size=10.5)
    above = 0.16 + (0.19 * (lines.count("\n") + 1) if title else 0) + (0.2 if panel_titles else 0)
    height = above + max(h for _, h in panels) + below + 0.3
    with look():
        figure = Figure(figsize=(width, height), dpi=DPI)
        figure.text(0.1 / width, 1 - 0.08 / height, lines, size=10.5, weight="bold", va="top", ha="left")
        axes = []
        for panel_width, panel_height in panels:
            bottom = height - above - panel_height
            box = (left / width, bottom / height, panel_width / width, panel_height / height)
            axes.append(figure.add_axes(box))
            left += panel_width + gap
    return figure, axes


def wrap(text: str, width: float, size: float) -> str:
    """The text broken into lines that fit `width` inches at a bold font of `size` points."""
    return textwrap.fill(text, max(12, int(width * 72 / (size * 0.61))))


def cells(axes: Axes, colours: np.ndarray, scale: int = 1) -> None:
    """Paint `colours [rows, columns, 3]` as a grid whose cells are `scale` units long.

    Lines stand between the cells while they are few; more cells than pixels are averaged.
    """
    rows, columns = colours.shape[:2]
    factor = math.ceil(max(rows, columns) / MOST_CELLS)
    shown = averaged(colours, factor)
    extent = (-0.5, shown.shape[1] * factor * scale - 0.5, shown.shape[0] * factor * scale - 0.5, -0.5)
    axes.imshow(shown, aspect="auto", extent=extent, interpolation="nearest")
    axes.set_xlim(-0.5, columns * scale - 0.5)
    axes.set_ylim(rows * scale - 0.5, -0.5)
    if max(rows, columns) <= 40:
        width = 1.0 if max(rows, columns) <= 20 else 0.4
        axes.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color=LINE, lw=width)
        axes.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color=LINE, lw=width)


def averaged(colours: np.ndarray, factor: int) -> np.ndarray:
    """The mean colour of each `factor` x `factor` square of cells, smaller at the last edges."""
    for axis in (0, 1):
        starts = np.arange(0, colours.shape[axis], factor)
        sizes = np.diff(np.append(starts, colours.shape[axis]))
        sums = np.add.reduceat(colours, starts, axis=axis)
        colours = sums / np.expand_dims(sizes, [d for d in range(3) if d != axis])
    return colours


def grid_axes(
    axes: Axes,
    shape: tuple[int, ...],
    names: tuple[str, str],
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
) -> None:
    """Name both axes and place their ticks: one per cell while they are few, or the labels given."""
    rows, columns = shape
    axes.set_ylabel(names[0])
    axes.set_xlabel(names[1])
    for axis, count, labels in ((axes.xaxis, columns, column_labels), (axes.yaxis, rows, row_labels)):
        if labels is not None:
            axis.set_ticks(range(count), list(labels))
        elif count <= 12:
            axis.set_ticks(range(count))
        else:
            axis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 4, 5, 8, 10]))
    if column_labels is not None and max(len(label) for label in column_labels) > 2:
        axes.tick_params(axis="x", rotation=60)


def hatch(axes: Axes, where: np.ndarray, pattern: str, colour: str = INK) -> None:
    """Hatch the cells of the grid in which `where [rows, columns]` is True.

    One box per run of cells in a row; with more boxes than anyone could see apart, nothing is hatched.
    """
    steps = np.diff(np.pad(where, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    if len(rows) > MOST_HATCHES:
        return
    left, right, top, bottom = starts - 0.5, ends - 0.5, rows - 0.5, rows + 0.5
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=1)
    boxes = list(corners.reshape(-1, 4, 2))
    axes.add_collection(PolyCollection(boxes, facecolor="none", edgecolor=colour, lw=0, hatch=pattern))


def outline(axes: Axes, row: float, column: float, height: float, width: float, points: float = 1.8) -> None:
    """A frame around a piece of the grid that the reader should look at, so many points wide."""
    box = (column - 0.5, row - 0.5)
    frame = Rectangle(box, width, height, fill=False, ec=WRONG, lw=points, zorder=5, clip_on=False)
    frame.set_path_effects([withStroke(linewidth=2 * points, foreground="white")])
    axes.add_patch(frame)


def legend(figure: Figure, entries: Sequence[Patch]) -> None:
    """A row of named colours at the bottom left of the figure."""
    figure.legend(
        handles=list(entries),
        loc="lower left",
        ncol=len(entries),
        frameon=False,
        fontsize=8,
        handlelength=1.1,
        handleheight=1.1,
        columnspacing=1.4,
        borderpad=0.3,
    )


def swatch(colour: str, label: str, pattern: str = "", edge: str = EDGE) -> Patch:
    """One entry of a legend."""
    return Patch(
        facecolor=colour, edgecolor=edge, label=label, hatch=pattern, lw=0.6 if edge == EDGE else 1.0
    )


def rgb(colour: str) -> np.ndarray:
    """A colour as three floats."""
    return np.array(to_rgb(colour))
