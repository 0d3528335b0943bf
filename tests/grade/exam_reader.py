"""An exam's page answered from its print alone: numbers are read from the words, masks made in NumPy."""

import re
from collections.abc import Callable
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np

Mask = np.ndarray


class Words(HTMLParser):
    """The paragraphs of each section of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.sections.append([])
        self.inside = tag in ("p", "strong") and bool(self.sections)
        if tag == "p" and self.sections:
            self.sections[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.sections[-1][-1] += data


def back(q: Mask, k: Mask, step: int, keys: int) -> Mask:
    return np.logical_or.reduce([k == q - step * turn for turn in range(keys)])


def document(at: Mask, starts: list[int]) -> Mask:
    return np.searchsorted(starts, at, side="right")


READINGS: dict[str, tuple[str, Callable[..., Mask]]] = {
    "window_or_every": (
        r"window of (\d+) keys that ends at its own position, but without .* multiple of (\d+), key 0",
        lambda q, k, window, step: (k <= q) & ((k > q - window) & (k != q) | (k % step == 0)),
    ),
    "dilated_or_prefix": (
        r"in steps of (\d+), further keys until there are (\d+), its own counted .* first (\d+) keys",
        lambda q, k, step, keys, first: (k <= q) & (back(q, k, step, keys) | (k < first)),
    ),
    "near_but_not_every": (
        r"at most (\d+) positions away .* none whose distance from it is a multiple of (\d+)\.",
        lambda q, k, far, step: (np.abs(q - k) <= far) & (np.abs(q - k) % step != 0),
    ),
    "chunk_and_summaries": (
        r"chunks of (\d+): .* and the last (?:(\d+) keys|key) of every chunk",
        lambda q, k, size, last=1: (k <= q) & ((q // size == k // size) | (k % size >= size - last)),
    ),
    "documents_in_window": (
        r"begin at positions ([\d, ]+) and (\d+)\. .* window of (\d+) keys",
        lambda q, k, *n: (document(q, [*n[:-1]]) == document(k, [*n[:-1]])) & (k <= q) & (k > q - n[-1]),
    ),
    "every_or_window": (
        r"distance from its own position is a multiple of (\d+) .* window of (\d+) keys",
        lambda q, k, step, window: (k <= q) & (((q - k) % step == 0) | (q - k < window)),
    ),
    "near_or_columns": (
        r"at most (\d+) positions away .* remainder 0 or 1 when divided by (\d+)",
        lambda q, k, far, step: (np.abs(q - k) <= far) | (k % step <= 1),
    ),
    "window_or_dilated": (
        r"window of (\d+) keys that ends at its own position\. .* in steps of (\d+) until it has (\d+) keys",
        lambda q, k, window, step, keys: (k != q) & ((k <= q) & (k > q - window) | back(q, k, step, keys)),
    ),
}
"""For each family how its words are read, and what the numbers, in the order of the words, then mean."""


def read_rule(words: str) -> Callable[[Mask, Mask], Mask]:
    """The rule that a paragraph states; every paragraph is read in one way only."""
    [(numbers, rule)] = [
        (found.groups(), rule) for pattern, rule in READINGS.values() if (found := re.search(pattern, words))
    ]
    values = [int(one) for text in numbers if text for one in re.findall(r"\d+", text)]
    return lambda q, k: rule(q, k, *values)


def answers(page: str) -> list[set[int] | int | Fraction]:
    """What somebody who reads a student's page with care would write, question by question."""
    reader = Words()
    reader.feed(page)
    return [answer(*paragraphs[:3]) for paragraphs in reader.sections]


def answer(sizes: str, words: str, asked: str) -> set[int] | int | Fraction:
    n_q, n_kv, start = map(int, re.search(r"(\d+) queries and (\d+) keys; .* position (\d+)", sizes).groups())
    q, k = np.ogrid[start : start + n_q, :n_kv]
    seen = read_rule(words)(q, k)
    if block := re.search(r"blocks of (\d+)", sizes):
        size = int(block[1])
        rows = np.add.reduceat(seen, range(0, n_q, size), axis=0)
        touched = np.add.reduceat(rows, range(0, n_kv, size), axis=1) > 0
        if row := re.search(r"does query block (\d+) touch", asked):
            return set(np.flatnonzero(touched[int(row[1])]).tolist())
        assert f"of the {touched.shape[0]} x {touched.shape[1]} blocks" in asked
        return int(touched.sum())
    if "what share" in asked:
        return Fraction(int(seen.sum()), seen.size)
    row = int(re.search(r"query (\d+) see", asked)[1])
    keys = np.flatnonzero(seen[row]).tolist()
    if asked.startswith("Which keys"):
        return set(keys)
    return len(keys) if asked.startswith("How many") else keys[0]
