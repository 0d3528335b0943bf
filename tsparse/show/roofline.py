"""The roofline of a machine: what it can do at best, over how much it computes for each byte it moves.

Source: Williams, Waterman, Patterson, "Roofline", 2009.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from tsparse.cost import Ceilings, Work
from tsparse.show import style
from tsparse.show.rendering import Picture, picture

_SPEED, _TIME = EngFormatter("FLOP/s", places=1), EngFormatter("s", places=1)
_MARKERS = "osD^vP"


def roofline(
    ceilings: Ceilings, works: Mapping[str, Work], title: str, measured: Mapping[str, float] | None = None
) -> Picture:
    """Draw the two roofs of a machine and, for each work, the best that they allow.

    Bytes bound on the slope, operations on the flat part; the ridge is where they meet. `measured` holds the
    seconds of works that were timed: they are drawn below their best, filled. Every work moves some bytes.
    """
    measured = measured or {}
    intensity = {name: work.flops / work.bytes for name, work in works.items()}
    ridge = ceilings.flops / ceilings.bytes
    ends = [min(*intensity.values(), ridge) / 4, max(*intensity.values(), ridge) * 4]
    with style.look():
        figure = Figure(figsize=(6.6, 3.6), dpi=style.DPI, layout="constrained")
        axes = figure.subplots()
        along = np.array([ends[0], ridge, ends[1]])
        axes.plot(along, np.minimum(along * ceilings.bytes, ceilings.flops), color=style.INK, lw=2)
        axes.axvline(ridge, ymax=0.85, color=style.EDGE, lw=0.8, ls=":")
        for marker, (name, work) in zip(_MARKERS, works.items(), strict=False):
            place, best = intensity[name], work.flops / ceilings.least_seconds(work)
            axes.plot(place, best, marker, mfc="white", mec=style.RUST, ms=8, mew=1.6, label=name)
            if name in measured:
                reached = work.flops / measured[name]
                axes.plot([place, place], [best, reached], color=style.EDGE, lw=0.8, ls="--")
                axes.plot(place, reached, marker, color=style.RUST, ms=8, label=f"{name}, measured")
        above = 1.25 * ceilings.flops
        axes.text(ridge / 1.1, above, "bound by bytes", ha="right", va="bottom")
        axes.text(ridge * 1.1, above, "bound by operations", ha="left", va="bottom")
        axes.set(xscale="log", yscale="log", xlabel="operations for each byte moved (FLOP/byte)")
        axes.set_ylabel("operations each second (FLOP/s)")
        axes.set_ylim(top=2.5 * ceilings.flops)
        for axis, say in ((axes.xaxis, FuncFormatter(lambda x, _: f"{x:g}")), (axes.yaxis, EngFormatter())):
            axis.set_major_locator(LogLocator(subs=(1, 3)))
            axis.set_major_formatter(say)
            axis.set_minor_formatter(NullFormatter())
        axes.set_title(title, loc="left", weight="bold")
        axes.legend(loc="lower right", frameon=False)
    return picture(figure, f"{title}. {_words(ceilings, works, measured)}")


def _words(ceilings: Ceilings, works: Mapping[str, Work], measured: Mapping[str, float]) -> str:
    """The picture in words: the roofs, and each work with its bound."""
    ridge = ceilings.flops / ceilings.bytes
    said = [
        f"The roof rises to {_SPEED(ceilings.flops)} at {_short(ridge)} FLOP/byte and is flat from there."
    ]
    for name, work in works.items():
        intensity = work.flops / work.bytes
        bound = "bytes" if intensity < ridge else "operations"
        best = f"at best {_TIME(ceilings.least_seconds(work))}"
        seconds = f", measured {_TIME(measured[name])}" if name in measured else ""
        said.append(f"{name}: {_short(intensity)} FLOP/byte, bound by {bound}, {best}{seconds}.")
    return " ".join(said)


def _short(number: float) -> str:
    """Two digits or more."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
