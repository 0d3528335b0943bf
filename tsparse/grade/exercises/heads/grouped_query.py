"""`heads.grouped_query`: several query heads read one head of keys and values."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tsparse.grade.draw import normal, transposed_view
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.attention.sdpa import attention
from tsparse.grade.watch import NO_ATTENTION

Groups = Callable[[int, int], Tensor]
"""From H and G to the group that each query head reads, int64 [H]."""


def grouped_query(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Reference: query head h of H reads head h // (H/G) of G."""
    return reading(neighbours, neighbours)(q, k, v)


def reading(keys: Groups, values: Groups) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Attention whose query heads read these groups of keys and of values."""

    def answer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads, groups = q.shape[1], k.shape[1]
        return attention(q, k[:, keys(heads, groups)], v[:, values(heads, groups)])

    return answer


def neighbours(heads: int, groups: int) -> Tensor:
    """0, 0, 0, 1, 1, 1: a run of neighbours reads one group."""
    return torch.arange(heads) // (heads // groups)


def dealt_round(heads: int, groups: int) -> Tensor:
    """0, 1, 0, 1, 0, 1."""
    return torch.arange(heads) % groups


def by_number_of_groups(heads: int, groups: int) -> Tensor:
    """h // G, which is right where G is the size of a group."""
    return (torch.arange(heads) // groups).clamp(max=groups - 1)


def reversed_groups(heads: int, groups: int) -> Tensor:
    """1, 1, 1, 0, 0, 0."""
    return groups - 1 - neighbours(heads, groups)


def always_the_first(heads: int, groups: int) -> Tensor:
    """0, 0, 0, 0, 0, 0."""
    return torch.zeros(heads, dtype=torch.long)


def cases(rng: torch.Generator) -> list[Case]:
    """Six heads over three groups, over two (H/G is not G), other sizes; then one group, H groups, edges."""

    def given(b: int, h: int, g: int, n: int, m: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
        return normal(rng, b, h, n, d), normal(rng, b, g, m, d), normal(rng, b, g, m, d)

    loud = given(1, 6, 2, 4, 5, 3)
    loud[0][..., 0], loud[1][..., 0] = 40.0, -40.0
    single = tuple(x.float() for x in given(2, 6, 2, 4, 5, 8))
    return [
        Case("6 query heads, 3 groups", given(1, 6, 3, 4, 5, 7)),
        Case("6 query heads, 2 groups", given(1, 6, 2, 4, 5, 3)),
        Case("batch 2, 8 query heads, 2 groups", given(2, 8, 2, 3, 7, 5)),
        Case("batch 3, 12 query heads, 3 groups", given(3, 12, 3, 5, 4, 6)),
        Case("batch, query heads, tokens and channels are all 4, 2 groups", given(4, 4, 2, 4, 4, 4)),
        Case("one group for all heads (multi-query)", given(2, 6, 1, 4, 5, 3), edge=True),
        Case("a group for each head (multi-head)", given(2, 6, 6, 4, 5, 3), edge=True),
        Case("one query, 9 keys, as in decoding", given(2, 6, 2, 1, 9, 4), edge=True),
        Case("one key", given(2, 6, 2, 4, 1, 3), edge=True),
        Case("all scores near -900", loud, edge=True),
        Case("transposed views", tuple(transposed_view(x) for x in given(2, 6, 2, 4, 5, 3)), edge=True),
        Case("float32", single, edge=True),
    ]


def _sizes(m: Mistake) -> tuple[int, int]:
    return m.case.args[0].shape[1], m.case.args[1].shape[1]


def _listed(groups: Groups, m: Mistake) -> str:
    return ", ".join(map(str, groups(*_sizes(m)).tolist()))


def _dealt_round(m: Mistake) -> str:
    return (
        f"Heads are dealt round ({_listed(dealt_round, m)}); a group is a run of neighbours "
        f"({_listed(neighbours, m)}). `repeat` against `repeat_interleave`."
    )


def _by_number(m: Mistake) -> str:
    heads, groups = _sizes(m)
    return (
        f"You divide h by the number of groups, {groups}; divide by the heads in a group, H/G = "
        f"{heads // groups}: the query heads read the groups {_listed(neighbours, m)}."
    )


def _averaged(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return grouped_query(q, k.mean(1, keepdim=True), v.mean(1, keepdim=True))


def _times(factor: Callable[[int], float]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The answer with scores that are larger by a factor, a function of D."""
    return lambda q, k, v: grouped_query(q * factor(q.shape[-1]), k, v)


GROUPED_QUERY = Exercise(
    id="heads.grouped_query",
    title="Query heads that share keys",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=grouped_query,
    cases=cases,
    hints=(
        "First write down, for 6 query heads and 2 groups, which group each head reads: 0, 0, 0, 1, 1, 1. "
        "Then give every query head keys and values of its own, and attention is what it always was.",
        "How many query heads read one group? `q.shape[1] // k.shape[1]`. Each head of k must be there that "
        "many times, the copies next to each other; v likewise.",
        "`k.repeat_interleave(times, dim=1)` is [B, H, M, D]. Do the same with v, and call `attention`.",
    ),
    wrong=(
        Wrong("h % G", _dealt_round, reading(dealt_round, dealt_round)),
        Wrong("h // G", _by_number, reading(by_number_of_groups, by_number_of_groups)),
        Wrong("only group 0", "All heads read group 0.", reading(always_the_first, always_the_first)),
        Wrong(
            "groups reversed",
            lambda m: (
                f"Your heads read the groups {_listed(reversed_groups, m)}; they should read "
                f"{_listed(neighbours, m)}."
            ),
            reading(reversed_groups, reversed_groups),
        ),
        Wrong(
            "groups averaged",
            "You average the groups; each stays as it is.",
            _averaged,
        ),
        Wrong(
            "query heads averaged",
            lambda m: (
                f"You return {m.got.shape[1]} heads, one for each group; every one of the {m.want.shape[1]} "
                "query heads keeps its own output."
            ),
            lambda q, k, v: attention(q.unflatten(1, (k.shape[1], -1)).mean(2), k, v),
        ),
        Wrong(
            "outputs averaged",
            lambda m: (
                f"You average the outputs of a group and return {m.got.shape[1]} heads; every one of the "
                f"{m.want.shape[1]} query heads keeps its own output."
            ),
            lambda q, k, v: grouped_query(q, k, v).unflatten(1, (k.shape[1], -1)).mean(2),
        ),
        Wrong(
            "k shared, v dealt round",
            "Keys are right, values come from another group.",
            reading(neighbours, dealt_round),
        ),
        Wrong(
            "v shared, k dealt round",
            "Values are right, keys come from another group.",
            reading(dealt_round, neighbours),
        ),
        Wrong(
            "groups joined",
            "Every query head sees the keys of all groups; it should see those of its own.",
            lambda q, k, v: grouped_query(q, k.flatten(1, 2).unsqueeze(1), v.flatten(1, 2).unsqueeze(1)),
        ),
        Wrong(
            "groups left as an axis",
            lambda m: (
                f"Your result {list(m.got.shape)} still has an axis for groups; join groups and heads of a "
                f"group to {m.want.shape[1]} heads."
            ),
            lambda q, k, v: grouped_query(q, k, v).unflatten(1, (k.shape[1], -1)),
        ),
        Wrong(
            "no scale",
            lambda m: f"The scores lack the division by sqrt(D) = {math.sqrt(m.case.args[0].shape[-1]):.2f}.",
            _times(math.sqrt),
        ),
    ),
    forbidden=NO_ATTENTION,
)
