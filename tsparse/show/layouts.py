"""Block layouts as pictures: which blocks are empty, partial and full.

A layout of thousands of blocks a side is drawn in bins, dark where any block of the bin is listed; the
picture says how many blocks one bin holds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from tsparse.layout import BlockLayout
from tsparse.patterns import Pattern
from tsparse.runs import EMPTY, FULL, PARTIAL
from tsparse.show import grids, style, words
from tsparse.show.rendering import Picture, picture

LARGEST_DRAWN = 200
LARGEST_HATCHED = 48
MOST_PANELS = 4
LEGEND_WIDTH = 4.4


def layout(layout: BlockLayout, title: str | None = None, alt: str | None = None) -> Picture:
    """The blocks of a layout: light is empty, hatched is partial, dark is full.

    Layouts that differ by batch or head are drawn side by side, the first four of them.
    Raises TypeError for anything but a layout.
    """
    if not isinstance(layout, BlockLayout):
        raise TypeError(f"layout must be a BlockLayout, got {layout!r}; pattern.layout(n) makes one")
    tables = [block_table(layout, batch, head) for batch, head in slices(layout)]
    title = title or f"{listed_of_all(layout)} are computed"
    sizes = [style.panel_size(table.shape, len(tables)) for table in tables]
    figure, panels = style.new_figure(sizes, title, len(tables) > 1, least_width=LEGEND_WIDTH)
    with style.look():
        for axes, table, (batch, head) in zip(panels, tables, slices(layout), strict=True):
            draw_blocks(axes, table, layout)
            if len(tables) > 1:
                axes.set_title(f"batch {batch}, head {head}", loc="left")
        style.legend(figure, block_legend())
    return picture(figure, alt or f"{title}. {layout_in_words(layout)}")


def overview(pattern: Pattern, layout: BlockLayout, title: str, corner: int = 1024) -> Picture:
    """A pattern three ways: the mask of its first `corner` tokens, their blocks, and the whole layout.

    `layout` is the layout of `pattern` for the whole sequence; only its blocks are read, so a million tokens
    cost no more than their blocks.
    """
    corner = min(corner, layout.n_q, layout.n_kv)
    mask = grids.boolean_table(pattern.mask(corner))
    near = pattern.layout(corner, block=layout.block)
    tables = [mask, block_table(near, 0, 0), block_table(layout, 0, 0)]
    figure, panels = style.new_figure([(2.5, 2.5)] * 3, title, panel_titles=True)
    with style.look():
        grids.draw_mask(panels[0], mask)
        panels[0].set_title(f"Mask, first {corner:,} tokens", loc="left")
        draw_blocks(panels[1], tables[1], near)
        panels[1].set_title(f"The same in {layout.block[0]} × {layout.block[1]} blocks", loc="left")
        draw_blocks(panels[2], tables[2], layout)
        panels[2].set_title(f"All {layout.n_q:,} tokens", loc="left")
        style.legend(figure, block_legend())
    alt = (
        f"{title}. Left, the mask of the first {corner:,} tokens: {words.mask_in_words(mask)} Middle, their "
        f"blocks. {layout_in_words(near)} Right, the blocks of all tokens. {layout_in_words(layout)}"
    )
    return picture(figure, alt)


def slices(layout: BlockLayout) -> list[tuple[int, int]]:
    """The (batch, head) pairs that are drawn: those that the layout distinguishes, the first four."""
    batches, heads = layout.crow_indices.shape[:2]
    return [(b, h) for b in range(batches) for h in range(heads)][:MOST_PANELS]


def block_table(layout: BlockLayout, batch: int, head: int) -> np.ndarray:
    """EMPTY, PARTIAL or FULL for each block, or for each bin of blocks where there are too many to draw.

    A bin is FULL if all its blocks are full, EMPTY if none is listed, PARTIAL otherwise.
    """
    rows, columns = grid_shape(layout)
    size = bin_size(layout)
    shape = (math.ceil(rows / size), math.ceil(columns / size))
    partial = listed(layout.crow_indices, layout.col_indices, batch, head, size, shape)
    full = listed(layout.full_crow_indices, layout.full_col_indices, batch, head, size, shape)
    heights = np.minimum(size, rows - size * np.arange(shape[0]))
    widths = np.minimum(size, columns - size * np.arange(shape[1]))
    table = np.full(shape, EMPTY)
    table[partial + full > 0] = PARTIAL
    table[full == heights[:, None] * widths] = FULL
    return table


def listed(
    crow: torch.Tensor, columns: torch.Tensor, batch: int, head: int, size: int, shape: tuple[int, int]
) -> np.ndarray:
    """How many blocks a CSR list holds in each bin of `size` x `size` blocks."""
    offsets = crow[batch, head].cpu().long()
    lengths = offsets.diff()
    row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    column = columns[offsets[0] : offsets[-1]].cpu().long()
    flat = (row // size) * shape[1] + column // size
    return torch.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).numpy()


def draw_blocks(axes: Axes, table: np.ndarray, layout: BlockLayout) -> None:
    """Draw a block table into an axes; partial blocks are hatched while they are large enough."""
    palette = np.stack([style.rgb(style.PAPER), style.rgb(style.MIDDLE), style.rgb(style.INK)])
    size = bin_size(layout)
    style.cells(axes, palette[table], scale=size)
    if max(table.shape) <= LARGEST_HATCHED:
        style.hatch(axes, table == PARTIAL, "////")
    key = "key block" if size == 1 else f"key block (a cell is {size} × {size} blocks)"
    style.grid_axes(axes, grid_shape(layout), ("query block", key))


def block_legend() -> list[Any]:
    """What the three kinds of block look like."""
    return [
        style.swatch(style.INK, "full: every pair visible"),
        style.swatch(style.MIDDLE, "partial: some", "////", style.INK),
        style.swatch(style.PAPER, "empty: skipped"),
    ]


def layout_in_words(layout: BlockLayout) -> str:
    """A layout in words: its size, its counts, and what its first, middle and last row of blocks hold."""
    partial, full = layout.col_indices.numel(), layout.full_col_indices.numel()
    rows, _ = grid_shape(layout)
    told = dict.fromkeys((0, rows // 2, rows - 1))
    seen = "; ".join(f"query block {row} has {row_in_words(layout, row)}" for row in told)
    seen = f"in batch entry 0, head 0, {seen}" if layout.batch * layout.heads > 1 else seen
    size = bin_size(layout)
    binned = f" Each cell stands for {size} x {size} blocks." if size > 1 else ""
    return (
        f"{layout.n_q:,} queries and {layout.n_kv:,} keys in {layout.block[0]} x {layout.block[1]} blocks: "
        f"{rows_and_columns(layout)}, {full:,} full, {partial:,} partial, the rest empty. "
        f"{seen[:1].upper()}{seen[1:]}.{binned}"
    )


def row_in_words(layout: BlockLayout, row: int) -> str:
    """The key blocks of one row of blocks, in words."""
    lists = (layout.full_crow_indices, layout.full_col_indices), (layout.crow_indices, layout.col_indices)
    columns = [c[int(r[0, 0, row]) : int(r[0, 0, row + 1])].tolist() for r, c in lists]
    every = sorted(columns[0] + columns[1])
    return f"key block{'s' if len(every) > 1 else ''} {words.spans(every)}" if every else "none"


def grid_shape(layout: BlockLayout) -> tuple[int, int]:
    """Rows and columns of blocks."""
    return math.ceil(layout.n_q / layout.block[0]), math.ceil(layout.n_kv / layout.block[1])


def bin_size(layout: BlockLayout) -> int:
    """Blocks per side of what is drawn as one cell."""
    return math.ceil(max(grid_shape(layout)) / LARGEST_DRAWN)


def listed_of_all(layout: BlockLayout) -> str:
    """`26 blocks of 8 x 8 blocks`; where batch entries or heads differ, of how many such grids."""
    listed = block_count(layout)
    drawn, grids = len(slices(layout)), layout.batch * layout.heads
    times = f"{grids} times " if grids > 1 else ""
    part = f" (the first {drawn} are drawn)" if drawn < grids else ""
    return f"{listed:,} block{'' if listed == 1 else 's'} of {times}{rows_and_columns(layout)}{part}"


def rows_and_columns(layout: BlockLayout) -> str:
    """`8 x 8 blocks`."""
    rows, columns = grid_shape(layout)
    return f"{rows:,} x {columns:,} blocks"


def block_count(layout: BlockLayout) -> int:
    """How many blocks are listed, over all batches and heads."""
    return layout.col_indices.numel() + layout.full_col_indices.numel()
