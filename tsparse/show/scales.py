"""How far the colours of two tables reach, so that neither hides what is wrong in the other.

Numbers that are compared share a scale while they are of one size. A few numbers far outside do not stretch
it: they lie beyond, and are marked. An answer that is too large as a whole gets a scale of its own.
"""

from __future__ import annotations

import numpy as np

from tsparse.show import words

Limits = tuple[float, float]
"""The values of the lightest and the darkest colour; symmetric about 0 where there are negative ones."""

SHARED = 4.0
"""How many times the largest expected number may be, for both to share a scale."""
FAR = 10.0
"""How many times what nine of ten numbers stay below a number may be without lying beyond the scale."""
LARGEST = 1e300


def of_two(yours: np.ndarray, expected: np.ndarray) -> tuple[Limits, Limits]:
    """The limits of both tables."""
    wanted = largest(expected)
    negative = bool((yours < 0).any() or (expected < 0).any())
    if not wanted or largest(yours) <= SHARED * wanted:
        both = limits(max(largest(yours), wanted), negative)
    elif below(yours, 0.5) <= SHARED * wanted:
        both = limits(wanted, negative)
    else:
        return of_one(yours), of_one(expected)
    return both, both


def of_one(table: np.ndarray) -> Limits:
    """The limits of a table by itself."""
    size, usual = largest(table), below(table, 0.9)
    return limits(size if size <= FAR * usual else usual, bool((table < 0).any()))


def limits(size: float, negative: bool) -> Limits:
    """From 0, or from the negative of it, to a size; a table of zeros reaches to 1."""
    size = min(size, LARGEST) or 1.0
    return (-size if negative else 0.0), size


def sizes(table: np.ndarray) -> np.ndarray:
    """The absolute values of the finite numbers that are not 0."""
    values = np.abs(table[np.isfinite(table)].astype(float))
    return values[values > 0]


def largest(table: np.ndarray) -> float:
    """The largest absolute value, 0 where there is none."""
    return float(sizes(table).max(initial=0.0))


def below(table: np.ndarray, share: float) -> float:
    """The absolute value that a share of all that are not 0 stay below."""
    values = sizes(table)
    return float(np.quantile(values, share, method="lower")) if values.size else 0.0


def beyond(table: np.ndarray, limits: Limits) -> np.ndarray:
    """Where a finite number is larger than the scale."""
    return np.isfinite(table) & (np.abs(table.astype(float)) > limits[1] * (1 + 1e-6))


def told(limits: Limits) -> str:
    """The limits as they stand above a table."""
    return f"up to {'±' if limits[0] < 0 else ''}{words.number(limits[1])}"


def in_words(yours: np.ndarray, expected: np.ndarray, first: Limits, second: Limits) -> str:
    """What a reader has to know of the colours of both tables: nothing while they are the same."""
    said = ""
    if first != second:
        said += f" Colours reach {told(first)} in yours, {told(second)} in expected."
    for name, table, reach in (("yours", yours, first), ("expected", expected, second)):
        if far := int(beyond(table, reach).sum()):
            said += f" {words.count(far, 'number')} of {name} beyond the scale, {told(reach)}."
        if lost := int((~np.isfinite(table)).sum()):
            said += f" {words.count(lost, 'number')} of {name} not finite."
    return said
