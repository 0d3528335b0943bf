"""Work that takes its turn on several processors: who does what when, and who waits at the end."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from tsparse.show import style
from tsparse.show.rendering import Picture, picture


def schedule(lengths: Sequence[float], processors: int) -> list[tuple[int, float, float]]:
    """For each piece of work, in the order given: its processor, when it begins and when it ends.

    A piece goes to the processor that is free first, as programs of a launch do.

    >>> schedule([1, 2, 3], processors=2)
    [(0, 0, 1), (1, 0, 2), (0, 1, 4)]
    """
    free: list[tuple[float, int]] = [(0, processor) for processor in range(processors)]
    pieces: list[tuple[int, float, float]] = []
    for length in lengths:
        begin, processor = heapq.heappop(free)
        pieces.append((processor, begin, begin + length))
        heapq.heappush(free, (begin + length, processor))
    return pieces


def schedules(orders: Mapping[str, Sequence[float]], processors: int, title: str, unit: str) -> Picture:
    """Draw the schedule of each order of the work: a line for each processor, a bar for each piece."""
    said = []
    with style.look():
        figure = Figure(figsize=(8.0, 2.9), dpi=style.DPI, layout="constrained")
        panels = figure.subplots(1, len(orders), sharex=True, sharey=True, squeeze=False)[0]
        longest = max(map(max, orders.values()))
        for axes, (name, lengths) in zip(panels, orders.items(), strict=True):
            pieces = schedule(lengths, processors)
            end, total = max(piece[2] for piece in pieces), sum(lengths)
            for (processor, begin, stop), length in zip(pieces, lengths, strict=True):
                shade = str(0.9 - 0.6 * length / longest)
                axes.barh(processor, stop - begin, left=begin, color=shade, edgecolor="white", height=0.8)
            axes.axvline(end, color=style.RUST, lw=1.5)
            axes.axvline(total / processors, color=style.INK, lw=1, ls=":")
            axes.set(xlabel=unit, title=f"{name}: ends at {end:g}")
            axes.set_yticks(range(processors))
            said.append(f"{name}: the last one ends at {end:g}.")
        panels[0].set_ylabel("processor")
        panels[0].invert_yaxis()
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
    even = sum(lengths) / processors
    words = f"Bars on {processors} processors, the darker the longer. {' '.join(said)}"
    return picture(figure, f"{title}. {words} Dotted: {even:.4g}, if all could be shared evenly.")
