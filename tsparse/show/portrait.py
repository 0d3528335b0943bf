"""A pattern in four panels: its mask, its blocks, its cost as counted, and how far it reaches.

`portraits` draws one row for each pattern and is what the widget of lesson 08 redraws; `posters.py` takes the
same panels. All of them look at a short sequence, where every pair can be seen and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from tsparse.patterns import Pattern
from tsparse.runs import EMPTY, FULL, PARTIAL
from tsparse.show import grids, layouts, paths, style, words
from tsparse.show.rendering import Picture, picture

Rule = Pattern | Callable[[int], Pattern]
"""A pattern, or a function that gives the pattern for a length, such as a stride that grows with it."""

LENGTHS = (256, 512, 1024, 2048)
COUNTED_BLOCK = 64
PANELS = (1.65, 1.65, 1.75, 3.0)
ROW, GAP, ABOVE, BELOW = 1.65, 0.66, 0.42, 0.5


def portraits(
    patterns: Mapping[str, Rule], n: int = 32, block: int = 4, layers: int = 2, alt: str | None = None
) -> Picture:
    """One row for each pattern: mask and blocks of `n` tokens, pairs and blocks counted, reach of the last.

    A rule may depend on the length, as a function from it to a pattern. Of patterns that tell batch entries
    or heads apart, what any of them sees is drawn, and what is counted is the mean. Raises ValueError if
    there is no pattern.
    """
    if not patterns:
        raise ValueError("patterns must hold at least one pattern, as {name: pattern}; it is empty")
    left, legend = 0.55, 0.62
    width = left + sum(PANELS) + GAP * (len(PANELS) - 1) + 0.15
    height = len(patterns) * (ABOVE + ROW + BELOW) + legend
    said = []
    with style.look():
        figure = Figure(figsize=(width, height), dpi=style.DPI)
        for row, (name, rule) in enumerate(patterns.items()):
            top = height - row * (ABOVE + ROW + BELOW)
            figure.text(0.1 / width, (top - 0.06) / height, name, size=10.5, weight="bold", va="top")
            panels = row_of_panels(figure, PANELS, (left, top - ABOVE - ROW, ROW), GAP)
            said.append(draw_portrait(panels, name, rule, n, block, layers))
        legends(figure, height)
    return picture(figure, alt or " ".join(said))


def row_of_panels(
    figure: Figure, widths: Sequence[float], place: tuple[float, float, float], gap: float
) -> list[Axes]:
    """Axes side by side; `place` is left, bottom and height of the row, all in inches."""
    left, bottom, row_height = place
    width, height = figure.get_size_inches()
    axes = []
    for panel in widths:
        axes.append(figure.add_axes((left / width, bottom / height, panel / width, row_height / height)))
        left += panel + gap
    return axes


def draw_portrait(panels: list[Axes], name: str, rule: Rule, n: int, block: int, layers: int) -> str:
    """Draw the four panels of one pattern; all that they say, in words."""
    mask = seen_by_any(pattern_at(rule, n), n)
    blocks = block_kinds(mask, block)
    grids.draw_mask(panels[0], mask)
    panels[0].set_title(f"{mask.mean():.0%} of all pairs", loc="left")
    draw_kinds(panels[1], blocks)
    listed = int((blocks != EMPTY).sum())
    panels[1].set_title(f"{listed} of {blocks.size} blocks", loc="left")
    cost = draw_cost(panels[2], rule)
    paths.draw_reach(panels[3], [mask] * layers, n - 1)
    rows = paths.sources([mask] * layers, n - 1)
    panels[3].set_title(f"reach of token {n - 1}: {rows[0].sum()} of {n} tokens", loc="left")
    full = int((blocks == FULL).sum())
    return (
        f"{name}. Mask: {words.mask_in_words(mask)} In blocks of {block} x {block}, {listed} of "
        f"{blocks.size} are listed, {full} of them full. {cost} {paths.reach_in_words(rows, n - 1)}"
    )


def legends(figure: Figure, height: float) -> None:
    """Both rows of the legend at the foot of the figure."""
    common = {"frameon": False, "fontsize": 8, "handlelength": 1.4, "columnspacing": 1.4}
    figure.legend(handles=layouts.block_legend(), loc="lower left", ncol=3, **common)
    place = (0, 0.2 / height)
    handles = [*paths.reach_legend(), *cost_legend()]
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place, ncol=6, **common)


def cost_legend() -> list[Line2D]:
    """What the lines of the cost panel mean."""
    seen = Line2D([], [], color=style.INK, marker="o", markersize=3, label="pairs seen")
    computed = Line2D([], [], color=style.WRONG, ls="--", marker="s", markersize=3, label="pairs computed")
    return [seen, computed]


def pattern_at(rule: Rule, n: int) -> Pattern:
    """The pattern for a length."""
    return rule if isinstance(rule, Pattern) else rule(n)


def seen_by_any(pattern: Pattern, n: int) -> np.ndarray:
    """What any batch entry or head sees: bool `[n, n]`."""
    return pattern.mask(n).view(-1, n, n).any(dim=0).numpy()


def block_kinds(mask: np.ndarray, block: int) -> np.ndarray:
    """EMPTY, PARTIAL or FULL for each block of a mask `[N, M]`; blocks at the end may be short."""
    sizes = [np.arange(0, length, block) for length in mask.shape]
    seen = np.add.reduceat(np.add.reduceat(mask.astype(np.int64), sizes[0], 0), sizes[1], 1)
    heights, widths = (np.diff(np.append(s, n)) for s, n in zip(sizes, mask.shape, strict=True))
    return np.where(seen == heights[:, None] * widths, FULL, np.where(seen > 0, PARTIAL, EMPTY))


def draw_kinds(axes: Axes, kinds: np.ndarray) -> None:
    """Draw a table of block kinds into an axes."""
    palette = np.stack([style.rgb(style.PAPER), style.rgb(style.MIDDLE), style.rgb(style.INK)])
    style.cells(axes, palette[kinds])
    if max(kinds.shape) <= layouts.LARGEST_HATCHED:
        style.hatch(axes, kinds == PARTIAL, "////")
    style.grid_axes(axes, kinds.shape, ("query block", "key block"))


def counted(rule: Rule, n: int, block: int = COUNTED_BLOCK) -> tuple[int, int]:
    """Visible pairs, and pairs in blocks that hold any: what is useful and what is computed, for one head.

    The mean over batch entries and heads of a pattern that tells them apart, rounded.
    """
    masks = pattern_at(rule, n).mask(n).view(-1, n, n).numpy()
    listed = sum(int((block_kinds(mask, block) != EMPTY).sum()) for mask in masks)
    return round(masks.sum() / len(masks)), round(listed * block**2 / len(masks))


def exponent(lengths: Sequence[int], counts: Sequence[int]) -> float:
    """The p for which counts grow as N**p: the slope of a line through their logarithms.

    >>> round(exponent([10, 100, 1000], [20, 2000, 200000]), 6)
    2.0
    """
    return float(np.polyfit(np.log(lengths), np.log(counts), 1)[0])


def draw_cost(axes: Axes, rule: Rule) -> str:
    """Draw pairs and computed pairs against the length; both exponents in words."""
    pairs, computed = zip(*(counted(rule, n) for n in LENGTHS), strict=True)
    powers = exponent(LENGTHS, pairs), exponent(LENGTHS, computed)
    axes.loglog(LENGTHS, [n * n for n in LENGTHS], color=style.EDGE, ls=":", lw=1)
    axes.loglog(LENGTHS, computed, color=style.WRONG, ls="--", marker="s", ms=3, lw=1.2)
    axes.loglog(LENGTHS, pairs, color=style.INK, ls="-", marker="o", ms=3, lw=1.2)
    axes.minorticks_off()
    axes.set_xticks(LENGTHS, [f"{n:,}" for n in LENGTHS], size=6.5)
    axes.set_yticks([10**p for p in (3, 4, 5, 6, 7)])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"$10^{{{round(np.log10(value))}}}$"))
    axes.set(ylim=(2e2, 9e6), xlabel="tokens N", ylabel="pairs")
    axes.grid(color=style.PAPER, lw=0.6)
    axes.annotate("$N^2$", (LENGTHS[0], LENGTHS[0] ** 2), (0, 5), textcoords="offset points", size=7)
    axes.set_title(f"seen $N^{{{powers[0]:.2f}}}$, in blocks $N^{{{powers[1]:.2f}}}$", loc="left")
    return (
        f"Counted from {LENGTHS[0]:,} to {LENGTHS[-1]:,} tokens, visible pairs grow as N to the "
        f"{powers[0]:.2f}, to {pairs[-1]:,}; pairs in blocks of {COUNTED_BLOCK} that hold any as N to the "
        f"{powers[1]:.2f}, to {computed[-1]:,}."
    )
