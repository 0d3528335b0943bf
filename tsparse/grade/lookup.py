"""Finding an exercise or a question by its id, with the nearest ids where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Protocol, TypeVar


class Named(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str:
        """Such as "masks.causal"."""


Item = TypeVar("Item", bound=Named)


def look_up(id: str, items: Iterable[Item], kind: str) -> Item:
    """Return the one of `items` that has this id; `kind` is what they are called.

    Raises:
        ValueError: There is none; the message gives the nearest ids.
    """
    known = {item.id: item for item in items}
    if id in known:
        return known[id]
    near = get_close_matches(str(id), known, n=3, cutoff=0.5)
    advice = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(known)}."
    raise ValueError(f"There is no {kind} {id!r}. {advice}")
