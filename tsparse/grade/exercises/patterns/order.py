"""`patterns.strided_order`: the order of the sequence in which strided attention falls into blocks."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer


def strided_order(n: int, stride: int) -> Tensor:
    """Reference: i [n], place p of the new order holds position order[p]; equal remainders come together."""
    return (torch.arange(n) % stride).argsort(stable=True)


def cases(rng: Generator) -> list[Case]:
    """A stride that divides, several that do not, then strides of 1, of the length and beyond.

    The drawn length is more than 16: shorter ones are sorted in a stable way also by a sort that is not.
    """
    n, stride = integer(rng, 17, 19), integer(rng, 5, 7)
    return [
        Case("12 tokens, stride 4", (12, 4)),
        Case("13 tokens, stride 4", (13, 4)),
        Case("11 tokens, stride 3", (11, 3)),
        Case("a drawn length and stride", (n, stride)),
        Case("stride 1", (5, 1), edge=True),
        Case("a stride as long as the sequence", (6, 6), edge=True),
        Case("a stride longer than the sequence", (4, 7), edge=True),
        Case("9 tokens, stride 3", (9, 3), edge=True),
        Case("one token", (1, 2), edge=True),
    ]


def groups(n: int, stride: int) -> list[Tensor]:
    """The positions of each remainder, rising."""
    return [torch.arange(r, n, stride) for r in range(min(stride, n))]


def reshaped(n: int, stride: int) -> Tensor:
    """A table with one row for every `stride` positions, read down its columns; n must be a multiple."""
    return torch.arange(n).view(-1, stride).T.reshape(-1)


def says_inverse(mistake: Mistake) -> str:
    """For the inverse permutation."""
    return (
        "You return the new place of each old position; `x[order]` needs the old position for each new "
        f"place, so it begins {first_few(mistake.want)}."
    )


def first_few(order: Tensor) -> str:
    """The first three entries."""
    return ", ".join(map(str, order[:3].tolist()))


def says_divisible(mistake: Mistake) -> str:
    """For reshapes that need a multiple of the stride."""
    n, stride = mistake.case.args
    sizes = ", ".join(str(len(group)) for group in groups(n, stride))
    return (
        f"{n} tokens in stride {stride} make groups of {sizes}: the reshape fails. Sort by the remainder "
        "instead."
    )


def says_unchanged(mistake: Mistake) -> str:
    """For the order as it was."""
    return f"Neighbours stay neighbours; tokens {first_few(mistake.want)} should come together."


def says_group(mistake: Mistake) -> str:
    """For groups in another order."""
    stride = mistake.case.args[1]
    return f"Remainder {int(mistake.got[0]) % stride} comes first; it should be remainder 0."


def says_short(mistake: Mistake) -> str:
    """For orders that lack the positions of the last, shorter piece."""
    n = mistake.case.args[0]
    return f"Your order holds {len(mistake.got)} positions; all {n} must be in it, the last ones too."


def says_appended(mistake: Mistake) -> str:
    """For positions of the last, shorter piece that stand behind all groups."""
    n, stride = mistake.case.args
    return f"Position {n // stride * stride} stands behind all groups; its remainder is 0: group 0."


STRIDED_ORDER = Exercise(
    id="patterns.strided_order",
    title="The order in which strided attention is block-sparse",
    minutes=12,
    points=15,
    difficulty="medium",
    spec=strided_order,
    cases=cases,
    hints=(
        "In strided attention, which tokens can see each other? Those with the same remainder by the stride. "
        "They must stand together.",
        "For 7 tokens and stride 3 the groups are 0 3 6, 1 4 and 2 5. `torch.arange(r, n, stride)` is one "
        "group.",
        "Join the groups: `torch.cat([torch.arange(r, n, stride) for r in range(stride)])`, with r below n. "
        "Or sort the positions by their remainder: `(torch.arange(n) % stride).argsort(stable=True)`.",
    ),
    wrong=(
        Wrong("inverse", says_inverse, lambda n, stride: strided_order(n, stride).argsort()),
        Wrong("needs n divisible", says_divisible, reshaped, raises=True),
        Wrong("order unchanged", says_unchanged, lambda n, stride: torch.arange(n)),
        Wrong(
            "descending inside",
            lambda m: f"Group 0 begins with {int(m.got[0])}; it should begin with 0.",
            lambda n, stride: torch.cat([group.flip(0) for group in groups(n, stride)]),
        ),
        Wrong(
            "inside by chance",
            "Equal remainders stand together, and inside a group the positions do not rise: "
            "`argsort(stable=True)` keeps their order.",
            lambda n, stride: (torch.arange(n) % stride).argsort(),
        ),
        Wrong(
            "last piece behind all groups",
            says_appended,
            lambda n, stride: torch.cat(
                [reshaped(n // stride * stride, stride), torch.arange(n // stride * stride, n)]
            ),
        ),
        Wrong("groups reversed", says_group, lambda n, stride: torch.cat(groups(n, stride)[::-1])),
        Wrong(
            "remainder 0 last",
            says_group,
            lambda n, stride: torch.cat([*groups(n, stride)[1:], groups(n, stride)[0]]),
        ),
        Wrong(
            "all reversed",
            "Your order is the right one from the end to the beginning.",
            lambda n, stride: strided_order(n, stride).flip(0),
        ),
        Wrong(
            "remainders, not positions",
            "You return the remainder of each place; `x[order]` needs the positions themselves.",
            lambda n, stride: (torch.arange(n) % stride).sort().values,
        ),
        Wrong(
            "last piece left out",
            says_short,
            lambda n, stride: (
                strided_order(n, stride)[: n // stride * stride]
                if n % stride == 0
                else reshaped(n // stride * stride, stride)
            ),
        ),
        Wrong(
            "groups and stride exchanged",
            lambda m: (
                f"You put together tokens that are {int(m.got[1] - m.got[0])} apart; the stride is "
                f"{m.case.args[1]}."
            ),
            lambda n, stride: strided_order(n, -(-n // stride)),
        ),
    ),
)
