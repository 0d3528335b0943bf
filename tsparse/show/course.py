"""The map of the course: its parts and lessons, and which of them are there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tsparse.show import style
from tsparse.show.rendering import Picture, picture


@dataclass(frozen=True)
class Part:
    """A part of the course: its title, what a reader has in hand at its end, and its lessons in order."""

    title: str
    reward: str
    lessons: tuple[str, ...]


PARTS = (
    Part("Start", "attention over a million tokens", ("00 start here",)),
    Part(
        "I · Attention",
        "a translator built from your own functions",
        (
            "01 scaled dot product",
            "02 masks",
            "03 multi head",
            "04 positions",
            "05 transformer",
            "06 quadratic wall",
        ),
    ),
    Part("II · Patterns", "a poster of your own pattern", ("07 reading attention", "08 patterns")),
    Part(
        "III · Blocks",
        "16,384 tokens trained on a laptop",
        ("09 block layouts", "10 flex attention", "11 block sparse torch", "12 online softmax"),
    ),
    Part(
        "IV · Kernels",
        "your own GPU kernel in a model",
        (
            "13 triton first steps",
            "14 flash forward",
            "15 block sparse forward",
            "16 block sparse backward",
            "17 making it fast",
        ),
    ),
    Part(
        "V · Models",
        "text and pictures your model continues",
        ("18 train dense vs sparse", "19 text benchmarks", "20 images and audio", "21 decoding"),
    ),
    Part(
        "VI · Choosing blocks",
        "your own sparse attention, on a board",
        (
            "22 choosing blocks",
            "23 indexers",
            "24 learned sparsity",
            "25 linear and low rank",
            "26 smaller models",
            "27 many devices",
            "28 quantum walk",
            "29 capstone",
        ),
    ),
)
AVAILABLE = frozenset({"00 start here", "01 scaled dot product", "02 masks", "07 reading attention"})

PER_ROW = 4
BOX_WIDTH, BOX_HEIGHT, GAP, PART_WIDTH = 1.6, 0.27, 0.08, 2.25


def course_map() -> Picture:
    """The parts and lessons of the course: dark boxes are there, dashed light ones are planned."""
    heights = [max(0.48, math.ceil(len(part.lessons) / PER_ROW) * (BOX_HEIGHT + GAP)) for part in PARTS]
    width = PART_WIDTH + PER_ROW * (BOX_WIDTH + GAP) + 0.1
    height = 0.45 + sum(heights) + 0.1 * len(PARTS) + 0.35
    count = sum(len(part.lessons) for part in PARTS)
    title = f"{count} lessons in six parts; {len(AVAILABLE)} are here, the others are planned"
    with style.look():
        figure = Figure(figsize=(width, height), dpi=style.DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(0.1, 0.2, title, size=10.5, weight="bold", va="center")
        top = 0.45
        for part, part_height in zip(PARTS, heights, strict=True):
            axes.text(0.1, top + 0.14, part.title, size=9, weight="bold", va="center")
            axes.text(0.1, top + 0.33, part.reward, size=7, va="center")
            for place, lesson in enumerate(part.lessons):
                row, column = divmod(place, PER_ROW)
                left = PART_WIDTH + column * (BOX_WIDTH + GAP)
                draw_lesson(axes, lesson, left, top + row * (BOX_HEIGHT + GAP))
            top += part_height + 0.1
        style.legend(figure, [style.swatch(style.INK, "here"), style.swatch("white", "planned (dashed)")])
    said = " ".join(f"{part.title}: {', '.join(map(state_in_words, part.lessons))}." for part in PARTS)
    return picture(figure, f"{title}. {said}")


def draw_lesson(axes: Axes, lesson: str, left: float, top: float) -> None:
    """One box with the number and name of a lesson."""
    here = lesson in AVAILABLE
    box = FancyBboxPatch(
        (left, top),
        BOX_WIDTH,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=style.INK if here else "white",
        edgecolor=style.INK if here else style.EDGE,
        linestyle="-" if here else "--",
        lw=0.8,
    )
    axes.add_patch(box)
    colour = "white" if here else style.TEXT
    axes.text(left + 0.07, top + BOX_HEIGHT / 2, lesson, size=8, color=colour, va="center")


def state_in_words(lesson: str) -> str:
    """A lesson and, where it is there, that it is."""
    return f"{lesson} (here)" if lesson in AVAILABLE else lesson
