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

LESSONS = {
    "attention": "01_scaled_dot_product",
    "masks": "02_masks",
    "heads": "03_multi_head",
    "positions": "04_positions",
    "transformer": "05_transformer",
    "cost": "06_quadratic_wall",
    "reading": "07_reading_attention",
    "patterns": "08_patterns",
    "blocks": "09_block_layouts",
    "flex": "10_flex_attention",
    "gather": "11_block_sparse_torch",
    "online": "12_online_softmax",
    "triton": "13_triton_first_steps",
    "flash": "14_flash_forward",
    "kernel": "15_block_sparse_forward",
    **dict.fromkeys(
        ("kernel.delta", "kernel.dkdv", "kernel.dq", "kernel.wrong_gradients"), "16_block_sparse_backward"
    ),
    "speed": "17_making_it_fast",
}
"""The lesson that each topic belongs to, in the order of the course; an exercise may stand in another one."""


def lesson_of(id: str) -> str | None:
    """The lesson on whose sheet the exercise `id` stands, None for a topic that no lesson has."""
    return LESSONS.get(id, LESSONS.get(id.partition(".")[0]))


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
