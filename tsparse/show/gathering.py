"""One row of a block layout, and the blocks of keys and values that are gathered for it."""

from __future__ import annotations

import numpy as np

from tsparse.layout import BlockLayout
from tsparse.show import style
from tsparse.show.layouts import block_legend, block_table, draw_blocks, row_in_words
from tsparse.show.rendering import Picture, picture


def gathered(layout: BlockLayout, row: int, alt: str | None = None) -> Picture:
    """The layout with a row of blocks framed, k and v cut into blocks, and the few that the row gathers.

    Of layouts that differ by batch or head the first is drawn. Raises ValueError where there is no such row,
    or where it lists nothing.
    """
    table = block_table(layout, 0, 0)
    if not 0 <= row < len(table):
        raise ValueError(f"row must be 0 to {len(table) - 1}, got {row}")
    listed = np.flatnonzero(table[row])
    if not listed.size:
        raise ValueError(f"row {row} lists no block: there is nothing to gather")
    title = f"Row {row} needs {len(listed)} of {table.shape[1]} key blocks: they are copied together"
    whole = style.panel_size(table.shape, panels=2)
    cell = whole[1] / len(table)
    strip = (0.5, cell * table.shape[1])
    figure, panels = style.new_figure([whole, strip, strip], title, panel_titles=True, least_width=5.4)
    ink, paper = style.rgb(style.INK), style.rgb(style.PAPER)
    with style.look():
        draw_blocks(panels[0], table, layout)
        style.outline(panels[0], row, 0, 1, table.shape[1])
        style.cells(panels[1], np.where(table[row][:, None, None] > 0, ink, paper))
        style.grid_axes(panels[1], (table.shape[1], 1), ("key block", ""), None, [""])
        style.cells(panels[2], np.broadcast_to(ink, (len(listed), 1, 3)))
        style.grid_axes(panels[2], (len(listed), 1), ("", ""), [str(c) for c in listed], [""])
        panels[2].set_ylim(table.shape[1] - 0.5, -0.5)
        panels[2].spines[:].set_visible(False)
        for axes, name in zip(panels, ("the layout", "k, v", "gathered"), strict=True):
            axes.set_title(name, weight="bold", loc="left")
        style.legend(figure, block_legend())
    words = (
        f"{title}. Left the layout with row {row} framed; it lists {row_in_words(layout, row)}. In the "
        "middle k and v, cut into blocks, with those blocks dark. On the right only "
        "those, one below the other."
    )
    return picture(figure, alt or words)
