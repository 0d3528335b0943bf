"""Dates in words and as ISO 8601, made by rules: a small translation task that needs no download.

    words, iso = "Sunday the third of May 1998", "1998-05-03"

Names are English and written out here, so that the texts do not depend on the machine's language.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ONES = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
ORDINALS = [
    *(*ONES, "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth"),
    *("seventeenth", "eighteenth", "nineteenth", "twentieth"),
    *(f"twenty-{one}" for one in ONES),
    *("thirtieth", "thirty-first"),
]
FORMS = (
    "the {ordinal} of {month} {year}",
    "{weekday} the {ordinal} of {month} {year}",
    "{month} the {ordinal}, {year}",
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{weekday}, {month} {day}, {year}",
)
"""The ways to write a date."""

FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
"""The dates of `split`: a hundred years."""


def spell(day: date, form: int) -> str:
    """A date in words, in one of the `FORMS`.

    >>> spell(date(1998, 5, 3), 0), spell(date(1998, 5, 3), 5)
    ('the third of May 1998', 'Sunday, May 3, 1998')
    """
    return FORMS[form].format(
        weekday=WEEKDAYS[day.weekday()],
        ordinal=ORDINALS[day.day - 1],
        month=MONTHS[day.month - 1],
        day=day.day,
        year=day.year,
    )


def split(held_out: int, seed: int = 0) -> tuple[list[date], list[date]]:
    """All days from `FIRST` to `LAST` in random order, as two lists: to train with, and `held_out` to test.

    >>> train, test = split(held_out=1000)
    >>> len(train), len(test), set(train) & set(test)
    (35525, 1000, set())
    """
    count = (LAST - FIRST).days + 1
    if not 0 < held_out < count:
        raise ValueError(f"held_out must be 1 to {count - 1}, got {held_out}")
    days = [FIRST + timedelta(number) for number in range(count)]
    random.Random(seed).shuffle(days)
    return days[held_out:], days[:held_out]


def pairs(days: list[date], seed: int = 0) -> list[tuple[str, str]]:
    """Each day once, as (in words, ISO), in a form drawn at random.

    >>> pairs([date(1998, 5, 3)])
    [('3 May 1998', '1998-05-03')]
    """
    rng = random.Random(seed)
    return [(spell(day, rng.randrange(len(FORMS))), day.isoformat()) for day in days]


def batches(days: list[date], size: int, seed: int = 0) -> Iterator[list[tuple[str, str]]]:
    """Endless batches of `size` pairs, days and forms drawn at random."""
    rng = random.Random(seed)
    while True:
        drawn = rng.choices(days, k=size)
        yield [(spell(day, rng.randrange(len(FORMS))), day.isoformat()) for day in drawn]
