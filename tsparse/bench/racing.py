"""Implementations take turns at one task: A B C A B C ..., so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .record import Case, Entry, Goal

Results = Tensor | tuple[Tensor, ...]


class NotMeasured(Exception):
    """Raised by what cannot be measured here; its text says why."""


@dataclass(frozen=True)
class Contestant:
    """An implementation: `call()` does the task once and returns its results.

    `other` says what it computes instead, if it does not mean to compute what the first one does.
    """

    name: str
    call: Callable[[], Results]
    goal: Goal | None = None
    other: str = ""


class Rounds(NamedTuple):
    """How often each runs: `least` times, then until its own runs took `seconds`, `most` times at most."""

    least: int = 3
    most: int = 25
    seconds: float = 5.0


ROUNDS = Rounds()
SHORT = 0.1
"""Seconds: what takes longer finds nothing in the caches that its own last call left there."""
Clock = Callable[[Callable[[], object]], float]


def wall(call: Callable[[], object]) -> float:
    """The seconds that a call takes on the CPU in steady state: right after itself, if it is short.

    Else it would pay for what the contestant before it, always the same one, left in the caches.
    """
    for _ in range(2):
        begin = time.perf_counter()
        call()
        if (seconds := time.perf_counter() - begin) > SHORT:
            break
    return seconds


def race(
    case: Case,
    contestants: Sequence[Contestant],
    rounds: Rounds = ROUNDS,
    tolerance: float = 1e-4,
    clock: Clock = wall,
) -> None:
    """Let contestants take turns, and add an entry for each to `case`, filled as they run.

    Everybody runs once first, untimed: its results are compared with those of the first one, and whatever it
    compiles is compiled. Who is more than `tolerance` away (`Apart.scaled`) and does not mean to be is
    `wrong`, and is timed all the same. Who raises `NotMeasured` gets an entry that says why.
    """
    expected: Results | None = None
    running = []
    for contestant in contestants:
        entry = Entry(contestant.name, contestant.goal, contestant.other)
        case.entries.append(entry)
        try:
            results = contestant.call()
        except NotMeasured as reason:
            entry.note = str(reason)
            continue
        if contestant is contestants[0]:
            expected = results
        elif expected is not None:
            compare(entry, difference(results, expected), tolerance)
        running.append((contestant, entry))
    del expected, results

    for turn in range(rounds.most):
        for contestant, entry in running:
            if turn < rounds.least or sum(entry.seconds) < rounds.seconds:
                entry.seconds.append(clock(contestant.call))


class Apart(NamedTuple):
    """How far results are from what is expected: the largest absolute difference of any element.

    `scaled` counts it in units of the largest element expected, where that is above 1: the error of a sum
    over many queries, as gradients are, grows with the sum.
    """

    absolute: float
    scaled: float


def compare(entry: Entry, apart: Apart, tolerance: float) -> None:
    """Note how far results are from the first entry's, and whether that is too far. NaN is."""
    entry.difference = apart.absolute if apart.absolute < float("inf") else None
    entry.wrong = not entry.other and not apart.scaled <= tolerance
    if entry.wrong:
        entry.note = f"WRONG OUTPUT: {apart.scaled:.3g} away, at most {tolerance:g} is allowed"


def difference(results: Results, expected: Results) -> Apart:
    """How far apart one tensor or several are, in float32; infinitely if shapes differ."""
    pairs = [(x,) if isinstance(x, Tensor) else x for x in (results, expected)]
    if [x.shape for x in pairs[0]] != [x.shape for x in pairs[1]]:
        return Apart(float("inf"), float("inf"))
    absolute = torch.stack([(x.float() - y.float()).abs().max() for x, y in zip(*pairs, strict=True)])
    largest = torch.stack([y.float().abs().max() for y in pairs[1]]).clamp(min=1.0)
    return Apart(float(absolute.max()), float((absolute / largest).max()))
