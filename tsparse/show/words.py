"""Pictures in words: the alt texts, and the numbers that are written into cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

ROWS_TOLD = 8


def to_array(values: Any) -> np.ndarray:
    """A tensor, an array or nested lists as a numpy array (half precisions become float32)."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype in (torch.bfloat16, torch.float16) else values).numpy()
    return np.asarray(values)


def spans(indices: Sequence[int]) -> str:
    """Sorted indices as ranges: `[0, 1, 2, 5]` is "0 to 2, 5"."""
    pieces: list[list[int]] = []
    for index in indices:
        if pieces and index == pieces[-1][-1] + 1:
            pieces[-1].append(index)
        else:
            pieces.append([index])
    return ", ".join(
        str(p[0]) if len(p) == 1 else f"{p[0]} and {p[1]}" if len(p) == 2 else f"{p[0]} to {p[-1]}"
        for p in pieces
    )


def row_in_words(mask: np.ndarray, row: int) -> str:
    """What one query of `mask [N, M]` sees: "query 2 sees keys 0 to 2"."""
    keys = [int(key) for key in np.flatnonzero(mask[row])]
    if not keys:
        return f"query {row} sees nothing"
    return f"query {row} sees key{'s' if len(keys) > 1 else ''} {spans(keys)}"


def mask_in_words(mask: np.ndarray) -> str:
    """A mask `[N, M]` in words: its size, how many pairs are visible, and what some queries see."""
    rows, columns = mask.shape
    told = range(rows) if rows <= ROWS_TOLD else (0, 1, rows // 2, rows - 1)
    seen = "; ".join(row_in_words(mask, row) for row in told)
    return (
        f"{count(rows, 'query', 'queries')}, {count(columns, 'key')}, {int(mask.sum())} of {mask.size} "
        f"pairs visible: {seen}."
    )


def matrix_in_words(values: np.ndarray) -> str:
    """A matrix in words: its size and its numbers while they are few, otherwise their range."""
    rows, columns = values.shape
    size = f"{count(rows, 'row')}, {count(columns, 'column')}"
    if max(rows, columns) <= ROWS_TOLD:
        lines = "; ".join(
            f"row {row}: {', '.join(number(value) for value in values[row])}" for row in range(rows)
        )
        return f"{size}. {lines[:1].upper()}{lines[1:]}."
    finite = values[np.isfinite(values)]
    if not finite.size:
        return f"{size}, no finite value."
    high = np.unravel_index(np.argmax(np.where(np.isfinite(values), values, -np.inf)), values.shape)
    rest = values.size - finite.size
    return (
        f"{size}, values from {number(finite.min())} to {number(finite.max())}, the largest in "
        f"row {high[0]}, column {high[1]}" + (f", {count(rest, 'value')} not finite." if rest else ".")
    )


def number(value: Any) -> str:
    """A number short enough for a cell of a picture."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(value).replace("-", "−")
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e4 or size < 5e-4:
        mantissa, exponent = f"{value:.0e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif size < 5e-3:
        text = f"{value:.3f}"
    else:
        text = f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
    return text.replace("-", "−")


def count(amount: int, name: str, plural: str | None = None) -> str:
    """`1 query`, `4 queries`."""
    return f"{amount} {name if amount == 1 else plural or name + 's'}"
