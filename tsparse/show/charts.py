"""Bars and curves in panels side by side, for numbers that are no grid."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from tsparse.show import style, words
from tsparse.show.rendering import Picture, picture

ALL_TOLD = 16
LARGEST_TOLD = 4
POINTS_TOLD = 8
MARKERS = "so^Dv"


def bars(
    charts: Mapping[str, Any], title: str, names: tuple[str, str] = ("key", ""), marked: Collection[int] = ()
) -> Picture:
    """One panel of bars for each `charts[name]`, a row of numbers `[n]`; `names` are those of the axes.

    With a name for the vertical axis all panels have one scale, without one each has its own. Bars at the
    places `marked` are dark and the others light; without marks all are dark. The alt text tells every number
    where they are few, otherwise the largest. Raises ValueError if a chart is no row of numbers.
    """
    rows = {name: _row(name, values) for name, values in charts.items()}
    figure, panels = _panels(title, len(rows), one_scale=bool(names[1]))
    for axes, (name, row) in zip(panels, rows.items(), strict=True):
        dark = [place in marked or not marked for place in range(len(row))]
        axes.bar(range(len(row)), row, color=[style.INK if one else "#9cc3de" for one in dark])
        axes.set(title=name, xlabel=names[0])
        if len(row) <= ALL_TOLD:
            axes.set_xticks(range(len(row)))
            axes.tick_params(axis="x", labelsize=7)
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel(names[1])
    which = f" Dark: {', '.join(map(str, sorted(marked)))}." if marked else ""
    return picture(figure, f"{title}.{which} {' '.join(_row_in_words(*chart) for chart in rows.items())}")


def curves(
    charts: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    title: str,
    names: tuple[str, str],
) -> Picture:
    """One panel for each chart, and in it a curve for each name, told apart by line and marker.

    `charts[panel][curve]` is a pair (x, y) of rows of numbers; `names` are those of the axes. Raises
    ValueError if a row is empty or a pair has two lengths.
    """
    figure, panels = _panels(title, len(charts), one_scale=True)
    told = []
    for axes, (panel, lines) in zip(panels, charts.items(), strict=True):
        for marker, (name, pair) in zip(MARKERS, lines.items(), strict=False):
            x, y = (_row(name, row) for row in pair)
            if len(x) != len(y):
                raise ValueError(f"{name} must have as many x as y, got {len(x)} and {len(y)}")
            axes.plot(x, y, marker=marker if len(x) <= 40 else None, markersize=4, label=name)
            some = np.unique(np.linspace(0, len(x) - 1, POINTS_TOLD).astype(int))
            points = ", ".join(f"{words.number(y[i])} at {words.number(x[i])}" for i in some)
            told.append(f"{panel}, {name}: {points}.".removeprefix(", "))
        axes.set(title=panel, xlabel=names[0])
    panels[0].set_ylabel(names[1])
    if max(map(len, charts.values())) > 1:
        panels[-1].legend(loc="best", fontsize=8)
    return picture(figure, f"{title}. {names[1]} against {names[0]}. {' '.join(told)}")


def _panels(title: str, count: int, one_scale: bool) -> tuple[Any, list[Any]]:
    """A figure with a bold title on the left, and `count` panels."""
    if not count:
        raise ValueError("charts must hold at least one chart, as {name: ...}; it is empty")
    width = max(5.5, min(9.0, 3.2 * count))
    figure, panels = plt.subplots(
        1, count, figsize=(width, 2.8), sharey=one_scale, squeeze=False, layout="constrained"
    )
    figure.suptitle(style.wrap(title, width, 10.5), x=0.01, ha="left", weight="bold", size=10.5)
    return figure, list(panels[0])


def _row(name: str, values: Any) -> np.ndarray:
    """The numbers `[n]` of one chart."""
    row = words.to_array(values)
    if row.ndim != 1 or not row.size or not np.issubdtype(row.dtype, np.number):
        raise ValueError(f"{name or 'the chart'} must be a row of numbers [n], got shape {row.shape}")
    return row


def _row_in_words(name: str, row: np.ndarray) -> str:
    """All numbers of a short row, the largest of a long one."""
    if len(row) <= ALL_TOLD:
        return f"{name}: {', '.join(words.number(value) for value in row)}."
    order = np.argsort(-row, kind="stable")[:LARGEST_TOLD]
    largest = ", ".join(f"{words.number(row[place])} at {place}" for place in order)
    return f"{name}: {len(row)} bars, the largest {largest}."
