"""The rules that an exam asks about: a pattern with drawn numbers, and the same in words.

The words alone must fix every visible key: a test evaluates each rule from its numbers, without the pattern.
"Own position" is explained on every sheet; "nothing after its own position" is `Causal()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tsparse.patterns import (
    Causal,
    Columns,
    Dilated,
    Documents,
    Fixed,
    Local,
    Pattern,
    Prefix,
    SlidingWindow,
    Strided,
)

CAUSAL = "In every case a query sees nothing after its own position."


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule: the `family` that it belongs to, its numbers, what it is, and the sentences that say so."""

    family: str
    numbers: dict[str, int]
    pattern: Pattern
    words: str


def window_or_every(rng: Random) -> Rule:
    """A window without the own key, or every so-many-th key."""
    window, stride = rng.randint(4, 7), rng.randint(6, 10)
    return Rule(
        "window_or_every",
        {"window": window, "stride": stride},
        ((SlidingWindow(window) & ~Local(0)) | Columns(stride)) & Causal(),
        f"A query sees a window of {window} keys that ends at its own position, but without the key at its "
        f"own position. It also sees every key whose position is a multiple of {stride}, key 0 among them "
        f"(and its own, if that is one). {CAUSAL}",
    )


def dilated_or_prefix(rng: Random) -> Rule:
    """Steps back, or the first keys."""
    window, dilation, length = rng.randint(3, 5), rng.randint(3, 5), rng.randint(2, 4)
    return Rule(
        "dilated_or_prefix",
        {"window": window, "dilation": dilation, "length": length},
        (Dilated(window, dilation) | Prefix(length)) & Causal(),
        f"A query sees the key at its own position and, going back from there in steps of {dilation}, "
        f"further keys until there are {window}, its own counted (fewer where the sequence begins before "
        f"that). It also sees the first {length} keys. {CAUSAL}",
    )


def near_but_not_every(rng: Random) -> Rule:
    """Keys nearby on both sides, some left out."""
    radius, stride = rng.randint(4, 6), rng.randint(3, 4)
    return Rule(
        "near_but_not_every",
        {"radius": radius, "stride": stride},
        Local(radius) & ~Strided(stride),
        f"A query sees the keys that are at most {radius} positions away from its own position, before and "
        f"after it, but none whose distance from it is a multiple of {stride}. Distance 0 is a multiple, "
        "so it does not see the key at its own position.",
    )


def chunk_and_summaries(rng: Random) -> Rule:
    """The own chunk, and the last keys of all chunks."""
    stride, width = rng.randint(6, 8), rng.randint(1, 2)
    last = "the last key" if width == 1 else f"the last {width} keys"
    return Rule(
        "chunk_and_summaries",
        {"stride": stride, "width": width},
        Fixed(stride, width) & Causal(),
        f"The positions are cut into chunks of {stride}: 0 to {stride - 1}, {stride} to {2 * stride - 1}, "
        f"and so on. A query sees the keys of the chunk that its own position is in, and {last} of every "
        f"chunk. {CAUSAL}",
    )


def documents_in_window(rng: Random) -> Rule:
    """Packed documents, each read through a window."""
    lengths = [rng.randint(8, 12) for _ in range(8)]
    window = rng.randint(6, 9)
    starts = [sum(lengths[:place]) for place in range(len(lengths))]
    return Rule(
        "documents_in_window",
        {"window": window} | {f"length {place}": length for place, length in enumerate(lengths)},
        Documents.from_lengths(lengths) & SlidingWindow(window),
        "Documents are packed one after the other; they begin at positions "
        f"{', '.join(map(str, starts[:-1]))} and {starts[-1]}. A query sees the keys of its own document "
        f"that are also in the window of {window} keys that ends at its own position, the key at its own "
        "position among them.",
    )


def every_or_window(rng: Random) -> Rule:
    """Keys at multiples of a distance, or a window."""
    stride, window = rng.randint(5, 8), rng.randint(3, 4)
    return Rule(
        "every_or_window",
        {"stride": stride, "window": window},
        (Strided(stride) | SlidingWindow(window)) & Causal(),
        f"A query sees every key whose distance from its own position is a multiple of {stride} (its own "
        f"key is at distance 0), and the window of {window} keys that ends at its own position. {CAUSAL}",
    )


def near_or_columns(rng: Random) -> Rule:
    """Keys nearby on both sides, or summary columns."""
    radius, stride, width = rng.randint(2, 3), rng.randint(8, 11), 2
    return Rule(
        "near_or_columns",
        {"radius": radius, "stride": stride, "width": width},
        Local(radius) | Columns(stride, width),
        f"A query sees the keys that are at most {radius} positions away from its own position, before and "
        "after it, the key at its own position among them. It also sees every key whose position leaves "
        f"the remainder 0 or 1 when divided by {stride}, wherever it lies.",
    )


def window_or_dilated(rng: Random) -> Rule:
    """A window without the own key, or steps back."""
    window, steps, dilation = rng.randint(3, 4), rng.randint(4, 5), rng.randint(5, 7)
    return Rule(
        "window_or_dilated",
        {"window": window, "steps": steps, "dilation": dilation},
        (SlidingWindow(window) | Dilated(steps, dilation)) & ~Local(0),
        f"A query sees a window of {window} keys that ends at its own position. It also goes back from its "
        f"own position in steps of {dilation} until it has {steps} keys, its own counted (fewer where the "
        "sequence begins before that), and sees these. Of all of them it does not see the key at its own "
        "position.",
    )


FAMILIES: dict[str, Callable[[Random], Rule]] = {
    family.__name__: family
    for family in (
        window_or_every,
        dilated_or_prefix,
        near_but_not_every,
        chunk_and_summaries,
        documents_in_window,
        every_or_window,
        near_or_columns,
        window_or_dilated,
    )
}
"""The families of rules by name; each draws one rule."""
