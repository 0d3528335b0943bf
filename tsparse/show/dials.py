"""Rotary positions as dials: how far each pair of channels is turned, and the score that comes of it."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from tsparse.show import style, words
from tsparse.show.rendering import Picture, picture


def dials(angles: Any, scores: Any, offset: int, title: str, alt: str | None = None) -> Picture:
    """A dial for each pair, its hand turned by `angles [pairs]` (radians); below, `scores` by offset.

    `scores [M]` are the scores of offsets 0 to M - 1; the one of |offset| is marked. An angle of 0 points to
    the right and grows anticlockwise. Raises ValueError if there is no angle or no score for the offset.
    """
    turned, curve = words.to_array(angles).ravel(), words.to_array(scores).ravel()
    if not turned.size:
        raise ValueError("angles must hold one number for each pair; it is empty")
    if abs(offset) >= curve.size:
        raise ValueError(f"scores must reach to offset {abs(offset)}; there are {curve.size}")
    with style.look():
        figure = plt.figure(figsize=(6.4, 3.4), dpi=style.DPI, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", weight="bold", size=10.5)
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.5))[:, 0]
        for pair, axes in enumerate(np.atleast_1d(above.subplots(1, turned.size))):
            draw_dial(axes, float(turned[pair]), f"pair {pair}")
        draw_curve(below.subplots(), curve, abs(offset))
    shown = ", ".join(f"{math.degrees(angle):.0f}°" for angle in turned)
    text = (
        f"{title}. The pairs are turned by {shown}. Below, the score by offset from 0 to {curve.size - 1}: "
        f"at offset {offset} it is {words.number(curve[abs(offset)])}."
    )
    return picture(figure, alt or text)


def draw_dial(axes: Axes, angle: float, label: str) -> None:
    """A circle with its start on the right and one hand."""
    axes.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal")
    axes.axis("off")
    axes.set_title(label, size=8)
    axes.add_patch(Circle((0, 0), 1, facecolor=style.PAPER, edgecolor=style.EDGE, lw=0.8))
    axes.plot([0.8, 1], [0, 0], color=style.EDGE, lw=1.5, ls="-")
    axes.plot(
        [0, math.cos(angle)], [0, math.sin(angle)], color=style.INK, lw=2.2, ls="-", solid_capstyle="round"
    )


def draw_curve(axes: Axes, scores: np.ndarray, offset: int) -> None:
    """The scores by offset, one of them marked with a ring."""
    axes.plot(scores, color=style.INK, lw=1.2, ls="-")
    axes.axhline(0, color=style.EDGE, lw=0.6)
    axes.plot([offset], [scores[offset]], marker="o", ms=9, mfc="none", mec=style.WRONG, mew=2.2)
    axes.set(xlabel="offset: position of the query minus position of the key", ylabel="score")
