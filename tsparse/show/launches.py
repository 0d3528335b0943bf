"""A launch of a kernel as pictures: what each program loads, multiplies and stores; which tiles it visits.

Both are drawn from what was seen while the kernel ran in Triton's interpreter, on watched memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from tsparse.kernels import apart, interpret, watched
from tsparse.kernels.memory import Buffer, Memory, Places, places, shown
from tsparse.show import grids, style, words
from tsparse.show.explorer import Explorer, explore
from tsparse.show.rendering import Picture, picture

UNTOUCHED, LOADED, STORED, BOTH, PADDING, OUTSIDE, UNKNOWN = range(7)
COLOURS = np.stack(
    [
        style.rgb(colour)
        for colour in (style.PAPER, style.MIDDLE, style.INK, style.INK, "#ffffff", style.MISSING, style.INK)
    ]
)
MOST_PADDING = 8
"""Columns that are drawn behind the end of a row."""


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> Explorer:
    """Run `kernel[grid](*arguments, **constants)` on copies, and let a reader step through its programs.

    The picture of a program shows its tensors: light is untouched, blue loaded, dark stored; places outside
    of a tensor are crossed, stored NaN are dotted. It begins with the first program that did something wrong.
    A tensor that holds nothing but NaN is one that nobody has written yet. The kernel is interpreted, where
    this process compiles kernels in a second one. Raises a RuntimeError where the interpreter cannot be used,
    and what the kernel raises.
    """
    names = watched.bare(kernel).arg_names
    given = dict(zip(names, arguments, strict=False))
    rest = {name: constants[name] for name in names if name in constants}
    unwritten = (name for name, value in given.items() if is_unwritten(value))
    asked = watched.Launch(grid, given, rest, tuple(unwritten))
    if interpret.canary().status == "off":
        memory, programs = apart.run(kernel, asked)
    else:
        interpret.require()
        memory, programs = watched.run(kernel, asked)

    def draw(program: int) -> Picture:
        return program_picture(memory, programs[program])

    wrong = [number for number, seen in enumerate(programs) if faults_of(memory, seen)]
    return explore(draw, program=(0, len(programs) - 1, min(wrong, default=0)))


def program_picture(memory: Memory, seen: watched.Seen) -> Picture:
    """The tensors of a launch, with the places that one program loaded and stored."""
    title = f"Program {shown(seen.program)} {deeds(seen)}"
    faults = faults_of(memory, seen)
    heading = f"{title}. {faults[0].replace('`', '')}" if faults else title
    tables = [places_table(memory, buffer, seen) for buffer in memory.buffers]
    sizes = [style.panel_size(table.shape, len(tables)) for table in tables]
    figure, panels = style.new_figure(sizes, heading, panel_titles=True, least_width=6.4)
    with style.look():
        for axes, table, buffer in zip(panels, tables, memory.buffers, strict=True):
            draw_places(axes, table, buffer)
        style.legend(figure, places_legend(tables))
    said = [f"{title}."]
    for buffer, table in zip(memory.buffers, tables, strict=True):
        unknown = int((table == UNKNOWN).sum())
        said += [buffer_in_words(buffer, seen), f"It stored NaN into {places(unknown)}." if unknown else ""]
    return picture(figure, " ".join(filter(None, said + faults)))


def is_unwritten(value: Any) -> bool:
    """Whether an argument is a tensor of nothing but NaN."""
    return isinstance(value, torch.Tensor) and value.numel() > 0 and bool(value.isnan().all())


def faults_of(memory: Memory, seen: watched.Seen) -> list[str]:
    """What a program did that no program may do, in words."""
    return [fault.sentence() for fault in memory.faults.values() if fault.program == seen.program]


def deeds(seen: watched.Seen) -> str:
    """What a program did, in numbers: "loads 8 of x_ptr, stores 8 of y_ptr"."""
    parts = [f"loads {amounts(seen.loads)}"] if seen.loads else []
    parts += [
        f"multiplies {m} × {k} by {k} × {n}" + (f" ({times} times)" if times > 1 else "")
        for (m, k, n), times in Counter(seen.dots).items()
    ]
    parts += [f"stores {amounts(seen.stores)}"] if seen.stores else []
    return ", ".join(parts) or "does nothing"


def amounts(touched: dict[str, list[Places]]) -> str:
    """How many places of each argument were touched, each counted once: "8 of x_ptr and 1 of s_ptr"."""
    sizes = {name: np.unique(np.concatenate(places)).size for name, places in touched.items()}
    return " and ".join(f"{size} of {name}" for name, size in sizes.items())


def places_table(memory: Memory, buffer: Buffer, seen: watched.Seen) -> np.ndarray:
    """A tensor as rows and columns of `UNTOUCHED` to `UNKNOWN`, with the beginning of its padding."""
    argument = buffer.argument
    rows, columns = math.prod(argument.shape[:-1]), (argument.shape or (1,))[-1]
    apart = argument.strides[-2] if len(argument.shape) > 1 else columns
    table = np.full((max(1, rows), columns + min(MOST_PADDING, max(0, apart - columns))), PADDING)
    table[:, :columns] = UNTOUCHED
    for kind, touched in ((LOADED, seen.loads), (STORED, seen.stores)):
        row, column = rows_and_columns(buffer, touched.get(argument.name, []))
        drawn = (row >= 0) & (row < table.shape[0]) & (column >= 0) & (column < table.shape[1])
        row, column = row[drawn], column[drawn]
        before = table[row, column]
        inside = column < columns
        table[row, column] = np.where(inside, np.where(before == UNTOUCHED, kind, BOTH), OUTSIDE)
        if kind == LOADED:
            table[row[inside], column[inside]] = LOADED
    values = memory.tensors[argument.name].reshape(rows, columns)
    table[:, :columns][values.isnan().numpy() & (table[:, :columns] >= STORED)] = UNKNOWN
    return table


def rows_and_columns(buffer: Buffer, touched: Sequence[Places]) -> tuple[np.ndarray, np.ndarray]:
    """Where places lie, all axes but the last counted through as rows."""
    if not touched:
        return np.zeros(0, int), np.zeros(0, int)
    *leading, column = buffer.argument.indices(np.unique(np.concatenate(touched))) or (np.zeros(1, int),)
    row = np.zeros_like(column)
    for index, size in zip(leading, buffer.argument.shape, strict=False):
        row = row * size + index
    return row, column


def draw_places(axes: Axes, table: np.ndarray, buffer: Buffer) -> None:
    """Draw one tensor."""
    style.cells(axes, COLOURS[table])
    style.hatch(axes, table == BOTH, "///", "white")
    style.hatch(axes, table == OUTSIDE, "xxx", style.WRONG)
    style.hatch(axes, table == UNKNOWN, "...", "white")
    style.grid_axes(axes, table.shape, ("row" if len(buffer.argument.shape) > 1 else "", "column"))
    inches = axes.bbox.height / style.DPI
    axes.yaxis.set_ticks(range(0, len(table), math.ceil(0.15 * len(table) / inches)))
    wide = axes.bbox.width / style.DPI
    if len(axes.get_xticks()) * 0.25 > wide:  # their numbers would run into one another
        columns = table.shape[1]
        axes.xaxis.set_ticks(range(0, columns, math.ceil(0.25 * columns / wide)))
    axes.set_title(buffer.argument.name, weight="bold", loc="left")


def places_legend(tables: Sequence[np.ndarray]) -> list[Any]:
    """What the looks mean; of the rare ones only those that occur."""
    entries = [
        style.swatch(style.PAPER, "untouched"),
        style.swatch(style.MIDDLE, "loaded"),
        style.swatch(style.INK, "stored"),
    ]
    rare = {
        BOTH: style.swatch(style.INK, "both", "///", "white"),
        PADDING: style.swatch("#ffffff", "no element"),
        OUTSIDE: style.swatch(style.MISSING, "touched, no element", "xxx", style.WRONG),
        UNKNOWN: style.swatch(style.INK, "stored NaN", "...", "white"),
    }
    return entries + [entry for kind, entry in rare.items() if any((table == kind).any() for table in tables)]


def buffer_in_words(buffer: Buffer, seen: watched.Seen) -> str:
    """What a program did to one tensor: "x_ptr: loads row 2, columns 8 to 15."."""
    said = []
    for verb, touched in (("loads", seen.loads), ("stores", seen.stores)):
        row, column = rows_and_columns(buffer, touched.get(buffer.argument.name, []))
        if row.size:
            said.append(f"{verb} {indices('row', row)}, {indices('column', column)}")
    return f"{buffer.argument.name}: {', '.join(said)}." if said else ""


def indices(name: str, found: np.ndarray) -> str:
    """`row 2`, or `columns 8 to 15`."""
    different = np.unique(found).tolist()
    return f"{name}{'s' if len(different) > 1 else ''} {words.spans(different)}"


def tiles_loaded(
    kernel: Any, grid: tuple[int], *arguments: Any, of: str, tile: int, **constants: Any
) -> np.ndarray:
    """Which tiles of `tile` rows of the argument `of` each program loads, bool `[programs, tiles]`.

    Runs the kernel on copies, and raises as `launch` does.
    """
    interpret.require()
    given = dict(zip(watched.bare(kernel).arg_names, arguments, strict=False))
    memory, programs = watched.run(kernel, watched.Launch(grid, given, constants, ()))
    rows = given[of].shape[0]
    table = np.zeros((len(programs), -(-rows // tile)), bool)
    for seen in programs:
        for touched in seen.loads.get(of, []):
            table[seen.program[0], memory.rows(of, touched) // tile] = True
    return table


def tiles(
    visited: Any,
    wanted: Any,
    title: str,
    alt: str | None = None,
    names: tuple[str, str] = ("query block", "key tile"),
) -> Picture:
    """Tiles that a kernel visited against those of the layout, bool `[query blocks, key blocks]` both.

    `names` are those of a row and of a column. Dark is visited as it should be, crossed is visited for
    nothing, dotted is missing.
    """
    seen, asked = grids.boolean_table(visited), grids.boolean_table(wanted)
    if seen.shape != asked.shape:
        raise ValueError(f"visited and wanted must have one shape, got {seen.shape} and {asked.shape}")
    figure, (axes,) = style.new_figure([style.panel_size(asked.shape)], title, least_width=5.6)
    palette = np.stack([style.rgb(c) for c in (style.PAPER, style.INK, style.MISSING, "#ffffff")])
    with style.look():
        style.cells(axes, palette[np.where(seen, np.where(asked, 1, 2), np.where(asked, 3, 0))])
        style.hatch(axes, seen & ~asked, "xxx", style.WRONG)
        style.hatch(axes, asked & ~seen, "...", style.INK)
        style.grid_axes(axes, asked.shape, names)
        style.legend(
            figure,
            [
                style.swatch(style.INK, f"visited: {int((seen & asked).sum())}"),
                style.swatch(style.MISSING, f"for nothing: {int((seen & ~asked).sum())}", "xxx", style.WRONG),
                style.swatch("#ffffff", f"missing: {int((asked & ~seen).sum())}", "...", style.INK),
                style.swatch(style.PAPER, "skipped"),
            ],
        )
    return picture(figure, alt or f"{title}. {tiles_in_words(seen, asked, names)}")


def tiles_in_words(seen: np.ndarray, asked: np.ndarray, names: tuple[str, str]) -> str:
    """The tiles in words, those that are not as they should be by row."""
    counts = (
        f"{words.count(int(seen.sum()), 'tile')} visited, {int(asked.sum())} wanted, of {seen.shape[0]} x "
        f"{seen.shape[1]}"
    )
    rows = [
        f"{names[0]} {row} {what} {names[1]} {words.spans(np.flatnonzero(found[row]).tolist())}"
        for what, found in (
            ("visits for nothing", seen & ~asked),
            ("misses", asked & ~seen),
        )
        for row in np.flatnonzero(found.any(axis=1))
    ]
    more = f"; and {len(rows) - words.ROWS_TOLD} more" if len(rows) > words.ROWS_TOLD else ""
    return f"{counts}" + (f": {'; '.join(rows[: words.ROWS_TOLD])}{more}." if rows else ", and no other.")
