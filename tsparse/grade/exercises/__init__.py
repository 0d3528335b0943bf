"""All exercises of the course, collected from the modules of this package.

A module `<topic>.py` (or a folder `<topic>/`) holds `EXERCISES: tuple[Exercise, ...]` with ids
`<topic>.<name>`; modules without it are helpers. They are imported when an exercise is first asked for, so
that `import tsparse.grade` stays quick.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache

from tsparse.grade.exercise import Exercise

LESSONS = {"attention": "01_scaled_dot_product", "masks": "02_masks"}
"""The lesson that each topic belongs to, in the order of the course."""


def exercise(id: str) -> Exercise:
    """Return the exercise `id`, such as "masks.causal".

    Raises:
        ValueError: There is no such exercise; the message gives the nearest ids.
    """
    known = {one.id: one for one in all_exercises()}
    if id in known:
        return known[id]
    near = get_close_matches(str(id), known, n=3, cutoff=0.5)
    advice = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(known)}."
    raise ValueError(f"There is no exercise {id!r}. {advice}")


@cache
def all_exercises() -> tuple[Exercise, ...]:
    """Return every exercise, in the order of the course.

    Raises:
        ValueError: Two exercises have one id, or an id does not begin with its module's name.
    """
    topics = [module.name for module in pkgutil.iter_modules(__path__)]
    order = list(LESSONS)
    topics.sort(key=lambda topic: (order.index(topic) if topic in order else len(order), topic))
    found: dict[str, Exercise] = {}
    for topic in topics:
        for one in getattr(importlib.import_module(f"{__name__}.{topic}"), "EXERCISES", ()):
            if not one.id.startswith(f"{topic}."):
                raise ValueError(
                    f"Exercise {one.id!r} stands in {topic}.py; its id must begin with '{topic}.'."
                )
            if one.id in found:
                raise ValueError(f"Two exercises have the id {one.id!r}.")
            found[one.id] = one
    return tuple(found.values())
