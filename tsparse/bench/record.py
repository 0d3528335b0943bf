"""What was measured: cases with an entry for each implementation, as a table and as JSON.

The first entry of a case is ours, or what the others are compared with. The ratio of an entry is how many
times as long as the first one it took, by medians; where no time was measured, how many times as much memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, Literal, NamedTuple

NOT_MEASURED = "NOT MEASURED"
RECORDED = Path(__file__).with_name("gpu.json")
"""The results of `tsparse bench --gpu` that readers without a GPU look at."""


@dataclass(frozen=True)
class Goal:
    """What an entry's ratio, or its MiB, should be: at least `least`, at most `most`."""

    least: float | None = None
    most: float | None = None
    of: Literal["ratio", "mib"] = "ratio"

    def __str__(self) -> str:
        unit = " MiB" if self.of == "mib" else ""
        bounds = (("≥", self.least), ("≤", self.most))
        return ", ".join(f"{sign} {bound:.3g}{unit}" for sign, bound in bounds if bound is not None)

    def met(self, value: float) -> bool:
        """Whether a ratio, or a number of MiB, is within the bounds."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass
class Entry:
    """One implementation in one case: the seconds of its runs, in order, and the most memory it took.

    `difference` is the largest absolute difference of its results from the first entry's. An implementation
    that means to compute something else says in `other` what; one that does not mean to is `wrong`.
    """

    name: str
    goal: Goal | None = None
    other: str = ""
    seconds: list[float] = field(default_factory=list)
    mib: float | None = None
    difference: float | None = None
    wrong: bool = False
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float | None:
        """The median of its runs in seconds, None before the first."""
        return median(self.seconds) if self.seconds else None


@dataclass
class Case:
    """Implementations at the same task, on the same inputs."""

    section: str
    title: str
    entries: list[Entry] = field(default_factory=list)

    def ratio(self, entry: Entry) -> float | None:
        """How many times as much as the first entry, see above; None where one of the two is not measured."""
        first = self.entries[0]
        for ours, theirs in ((first.median, entry.median), (first.mib, entry.mib)):
            if entry is not first and ours is not None and theirs is not None:
                return theirs / ours if ours > 0 else None
        return None

    def verdict(self, entry: Entry) -> str:
        """Whether the goal is met; empty where there is none or nothing was measured."""
        if entry.wrong:
            return "WRONG"
        value = entry.mib if entry.goal and entry.goal.of == "mib" else self.ratio(entry)
        if entry.goal is None or value is None:
            return ""
        return "met" if entry.goal.met(value) else "MISSED"


class Planned(NamedTuple):
    """A case to come: `measure` fills it."""

    section: str
    title: str
    measure: Callable[[Case], None]


@dataclass
class Record:
    """One run of a bench: on which machine, with which versions and measured limits, when, and the cases."""

    command: str
    machine: dict[str, Any]
    versions: dict[str, str]
    ceilings: dict[str, float] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    complete: bool = False
    cases: list[Case] = field(default_factory=list)

    def as_json(self) -> str:
        """Everything, with what is derived from it: median, least, runs, ratio and verdict of each entry."""
        content = asdict(self)
        for case, written in zip(self.cases, content["cases"], strict=True):
            for entry, fields in zip(case.entries, written["entries"], strict=True):
                fields |= {
                    "median": entry.median,
                    "least": min(entry.seconds, default=None),
                    "runs": len(entry.seconds),
                    "ratio": case.ratio(entry),
                    "verdict": case.verdict(entry),
                }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Record:
        """The record that `as_json` wrote; what is derived is derived again."""
        content = json.loads(text)
        cases = [
            Case(case["section"], case["title"], [_entry(fields) for fields in case["entries"]])
            for case in content.pop("cases")
        ]
        return Record(**content, cases=cases)

    def resume(self, before: Record, planned: list[Planned]) -> list[Planned]:
        """Take over the whole cases of an interrupted run; what is still to be measured.

        Raises ValueError if that was another bench, or on another machine or with other versions.
        """
        for name in ("command", "machine", "versions"):
            mine, theirs = getattr(self, name), getattr(before, name)
            if mine != theirs:
                raise ValueError(f"--resume: {name} is {mine} now and was {theirs}; measure everything anew")
        whole = before.cases if before.complete else before.cases[:-1]
        self.cases += whole
        known = {(case.section, case.title) for case in whole}
        return [one for one in planned if (one.section, one.title) not in known]

    def as_text(self) -> str:
        """The table for a terminal."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        facts = " | ".join(
            f"{name} {value}" for name, value in (self.machine | self.versions | self.ceilings).items()
        )
        state = "" if self.complete else " (interrupted: what was measured until then)"
        yield f"tsparse {self.command}, {self.date}{state}"
        yield facts
        yield "ratio: how many times as long as the first line of its case (medians), or as much memory"
        for section, cases in groupby(self.cases, lambda case: case.section):
            yield f"\n{section}"
            yield from _table(list(cases))


def _table(cases: list[Case]) -> Iterator[str]:
    """The lines of one section: its cases, and the geometric mean of each implementation's ratios."""
    yield _ROW.format("", "median", "least", "runs", "memory", "ratio", "goal", "", "difference").rstrip()
    ratios: dict[str, list[float]] = {}
    for case in cases:
        yield f"  {case.title}"
        for entry in case.entries:
            yield _row(case, entry)
            yield from (f"{'':8}{note}" for note in _notes(entry))
            ratio = case.ratio(entry)
            if ratio is not None and not entry.wrong:
                ratios.setdefault(entry.name, []).append(ratio)
    for name, found in ratios.items():
        if len(found) > 1:
            mean = _three_digits(geometric_mean(found))
            yield f"  {name}: ratio {mean} in the geometric mean of {len(found)}"


def _notes(entry: Entry) -> Iterator[str]:
    """What is to be said about an entry that was measured."""
    if entry.other:
        yield f"computes something else: {entry.other}"
    if entry.note and (entry.seconds or entry.mib is not None):
        yield entry.note
    if entry.figures:
        yield ", ".join(f"{name} {value:.3g}" for name, value in entry.figures.items())


_ROW = "    {:36} {:>8} {:>8} {:>4} {:>9} {:>7} {:>9} {:6} {:>10}"


def _row(case: Case, entry: Entry) -> str:
    """One line of the table; NOT MEASURED, and why, where there is nothing."""
    if not entry.seconds and entry.mib is None:
        return f"    {entry.name:36} {NOT_MEASURED}{': ' if entry.note else ''}{entry.note}"
    ratio = case.ratio(entry)
    return _ROW.format(
        entry.name,
        _duration(entry.median),
        _duration(min(entry.seconds, default=None)),
        len(entry.seconds) or "",
        "" if entry.mib is None else f"{entry.mib:,.0f} MiB",
        "" if ratio is None else _three_digits(ratio),
        "" if entry.goal is None else str(entry.goal),
        case.verdict(entry),
        "" if entry.difference is None else f"{entry.difference:.1e}" if entry.difference else "0",
    ).rstrip()


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    factor, unit = next(
        (f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if seconds * f >= 1 or f == 1e6
    )
    return f"{_three_digits(seconds * factor)} {unit}"


def _three_digits(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:#.3g}"


def _entry(fields: dict[str, Any]) -> Entry:
    """An entry from its JSON."""
    goal = None if fields["goal"] is None else Goal(**fields["goal"])
    kept = {name: fields[name] for name in Entry.__dataclass_fields__}
    return Entry(**(kept | {"goal": goal}))
