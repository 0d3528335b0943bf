"""All exercises of the course, collected from the modules of this package.

A module `<topic>.py` (or a folder `<topic>/`) holds `EXERCISES: tuple[Exercise, ...]` with ids
`<topic>.<name>`; modules without it are helpers. They are imported when an exercise is first asked for, so
that `import tsparse.grade` stays quick.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tsparse.grade.exercise import Exercise
from tsparse.grade.lookup import look_up

LESSONS = {"attention": "01_scaled_dot_product", "masks": "02_masks"}
"""The lesson that each topic belongs to, in the order of the course."""


def exercise(id: str) -> Exercise:
    """Return the exercise `id`, such as "masks.causal".

    Raises:
        ValueError: There is no such exercise; the message gives the nearest ids.
    """
    return look_up(id, all_exercises(), "exercise")


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
