"""A mask and the blocks it is cut into, one row of blocks from near, and what the size of a block decides.

What a pattern shows and what a kernel computes for it are two things; these pictures count both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from tsparse.layout import BlockLayout
from tsparse.runs import EMPTY, FULL, PARTIAL
from tsparse.show import grids, style
from tsparse.show import layouts as drawn
from tsparse.show.rendering import Picture, picture

MOST_PAIRS = 1 << 20
KIND = {EMPTY: "empty", PARTIAL: "partial", FULL: "full"}
MARKS = "osD^"
LINES = ("-", "--", "-.", ":")


def cut(layout: BlockLayout, title: str | None = None) -> Picture:
    """The mask of a layout with the borders of its blocks, and the blocks beside it, with both counted.

    Both are in the order of the lists. Raises ValueError for a layout that tells batch entries or heads
    apart, or whose mask is too large to be drawn.
    """
    if layout.batch * layout.heads > 1 or layout.n_q * layout.n_kv > MOST_PAIRS:
        raise ValueError(f"cut draws one mask of at most {MOST_PAIRS:,} pairs, got {layout!r}")
    mask = layout.dense_mask()
    if layout.permutation is not None:
        mask = mask[layout.permutation][:, layout.permutation]
    table, counts = grids.boolean_table(mask), counts_in_words(layout, int(mask.sum()))
    sizes = [style.panel_size(table.shape, 2)] * 2
    figure, panels = style.new_figure(
        sizes, title or counts, panel_titles=True, least_width=drawn.LEGEND_WIDTH
    )
    with style.look():
        grids.draw_mask(panels[0], table)
        borders(panels[0], layout)
        panels[0].set_title("Pairs: dark is visible", loc="left")
        drawn.draw_blocks(panels[1], drawn.block_table(layout, 0, 0), layout)
        panels[1].set_title("Blocks: light is skipped", loc="left")
        style.legend(figure, drawn.block_legend())
    said = f"{title}. {counts}." if title else f"{counts}."
    return picture(figure, f"{said} {drawn.layout_in_words(layout)}")


def counts_in_words(layout: BlockLayout, visible: int) -> str:
    """Density in pairs and in blocks, and the share of the computed pairs that is visible."""
    if not visible:
        return "Nothing is visible and no block is listed"
    pairs, blocks = layout.n_q * layout.n_kv, layout.n_q_blocks * layout.n_kv_blocks
    return (
        f"{visible / pairs:.0%} of {pairs:,} pairs are visible, {layout.density:.0%} of {blocks:,} blocks "
        f"are listed ({len(layout.full_col_indices)} full, {len(layout.col_indices)} partial), and "
        f"{layout.fill:.0%} of what is computed is useful"
    )


def borders(axes: Axes, layout: BlockLayout) -> None:
    """Lines between the blocks of a mask, while the blocks are large enough to be seen."""
    if max(layout.n_q_blocks, layout.n_kv_blocks) > drawn.LARGEST_HATCHED:
        return
    (block_q, block_k), n_q, n_kv = layout.block, layout.n_q, layout.n_kv
    axes.hlines(np.arange(block_q, n_q, block_q) - 0.5, -0.5, n_kv - 0.5, color=style.WRONG, lw=0.9)
    axes.vlines(np.arange(block_k, n_kv, block_k) - 0.5, -0.5, n_q - 0.5, color=style.WRONG, lw=0.9)


def spans(spans: Sequence[tuple[int, int]], first_query: int, block: int, title: str) -> Picture:
    """One row of blocks: which keys each query sees, `start <= k < stop`, and what that makes of the blocks.

    A block is partial if some span reaches into it, full if every span covers it. Raises ValueError for an
    empty span.
    """
    if not spans or any(start >= stop for start, stop in spans):
        raise ValueError(f"spans must hold (start, stop) with start < stop for each query, got {spans}")
    rows, columns = len(spans), math.ceil(max(stop for _, stop in spans) / block) + 1
    kinds = [kind(spans, column * block, (column + 1) * block) for column in range(columns)]
    colours = np.stack([style.rgb(style.PAPER), style.rgb(style.MIDDLE), style.rgb(style.INK)])
    figure, (axes,) = style.new_figure([(6.4, 0.3 * rows + 0.5)], title)
    with style.look():
        axes.imshow(colours[kinds][None], aspect="auto", extent=(-0.5, columns * block - 0.5, rows, rows + 1))
        for turn, (start, stop) in enumerate(spans):
            axes.hlines(turn + 0.5, start - 0.4, stop - 0.6, color=style.INK, lw=4)
        axes.vlines(np.arange(1, columns) * block - 0.5, 0, rows + 1, color=style.WRONG, lw=0.9)
        for column, one in enumerate(kinds):
            colour = "white" if one == FULL else style.TEXT
            place = (column + 0.5) * block - 0.5, rows + 0.5
            axes.text(*place, f"{column}: {KIND[one]}", ha="center", va="center", size=8, color=colour)
        axes.set_xlim(-0.5, columns * block - 0.5)
        axes.set_ylim(rows + 1, 0)
        axes.set_yticks(
            [turn + 0.5 for turn in range(rows)], [str(first_query + turn) for turn in range(rows)]
        )
        axes.set(xlabel="key", ylabel="query")
    seen = [
        f"query {first_query + turn} sees keys {start} to {stop - 1}"
        for turn, (start, stop) in enumerate(spans)
    ]
    told = ", ".join(f"{column} {KIND[one]}" for column, one in enumerate(kinds))
    return picture(figure, f"{title}. In this row {'; '.join(seen)}. Key blocks of {block}: {told}.")


def kind(spans: Sequence[tuple[int, int]], start: int, stop: int) -> int:
    """EMPTY, PARTIAL or FULL: what the spans make of the keys `start <= k < stop`."""
    if all(first <= start and stop <= last for first, last in spans):
        return FULL
    return PARTIAL if any(first < stop and start < last for first, last in spans) else EMPTY


def block_sizes(layouts: Mapping[str, Sequence[BlockLayout]], title: str) -> Picture:
    """What the size of a block decides: how much of what is computed is useful, and how long the lists are.

    `layouts` holds, for up to four patterns, the layouts over one sequence in the same sizes of blocks.
    Raises ValueError where the sizes differ.
    """
    sizes = {tuple(one.block[0] for one in row) for row in layouts.values()}
    if len(sizes) != 1:
        raise ValueError(f"block_sizes compares layouts of the same block sizes, got {sorted(sizes)}")
    shared = sizes.pop()
    figure, panels = style.new_figure([(3.4, 2.4)] * 2, title, panel_titles=True, below=0.7)
    told = []
    with style.look():
        for (name, row), mark, line in zip(layouts.items(), MARKS, LINES, strict=False):
            fill, listed = [one.fill for one in row], [drawn.block_count(one) for one in row]
            panels[0].plot(shared, fill, marker=mark, ls=line, color=style.INK, ms=5, lw=1.2, label=name)
            panels[1].plot(shared, listed, marker=mark, ls=line, color=style.INK, ms=5, lw=1.2)
            first, last = (f"{fill[end]:.0%} useful in {listed[end]:,} blocks" for end in (0, -1))
            told.append(f"{name}: {first}, then {last}")
        panels[0].set_title("Useful share of what is computed", loc="left")
        panels[0].set_ylim(0, 1)
        panels[1].set_title("Listed blocks", loc="left")
        panels[1].set_yscale("log")
        for axes in panels:
            axes.set(xscale="log", xlabel="block size")
            axes.minorticks_off()
            axes.set_xticks(shared, [str(size) for size in shared])
        handles, _ = panels[0].get_legend_handles_labels()
        figure.legend(handles=handles, loc="lower left", ncol=2, frameon=False, fontsize=8, handlelength=3.4)
    return picture(figure, f"{title}. From blocks of {shared[0]} to {shared[-1]}: {'; '.join(told)}.")
