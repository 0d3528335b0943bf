"""Probes for masks, and for attention under a mask: who sees what it may not."""

from __future__ import annotations

import inspect

import torch

from tsparse.grade.driving import Then
from tsparse.grade.scene import Scene, equal, first_place
from tsparse.grade.values import copy


def sees_what_is_hidden(scene: Scene) -> str | None:
    """A value behind the mask is changed; no query that may not see it should notice."""
    mask, v = scene.argument("mask"), scene.argument("v")
    if not scene.comparable or not isinstance(mask, torch.Tensor) or not isinstance(v, torch.Tensor):
        return None
    table = mask[(0,) * (mask.ndim - 2)]
    names = list(inspect.signature(scene.exercise.spec).parameters)
    before = scene.got[(0,) * (scene.got.ndim - 2)]
    for key in range(table.shape[-1]):
        args = list(copy(scene.trial.case.args))
        args[names.index("v")][..., key, :] += 1.0
        after = scene.run(tuple(args)).value
        if not isinstance(after, torch.Tensor) or after.shape != scene.got.shape:
            return None
        noticed = (after[(0,) * (after.ndim - 2)] - before).abs().amax(-1) > 1e-6
        leaks = (noticed & ~table[:, key]).nonzero()
        if len(leaks):
            return f"Key {key} changed and query {int(leaks[0])} noticed; it may not see it."
    return None


def looks_ahead(scene: Scene) -> str | None:
    """A mask that shows the future where the wanted one shows none, and the rule knows a direction."""
    if not is_mask(scene) or scene.want.triu(1).any() or not scene.got.triu(1).any():
        return None
    if all(
        trial.want.shape == trial.want.T.shape and trial.want.equal(trial.want.T) for trial in scene.trials
    ):
        return None
    query, key = first_place(scene.got.triu(1))
    return f"Query {query} sees key {key}, which is its future."


def shifted(scene: Scene) -> str | None:
    """A mask moved by a few keys."""
    if not is_mask(scene) or min(scene.want.shape) < 3:
        return None
    keys = scene.want.shape[1]
    for step in sorted(range(1 - keys // 2, keys // 2), key=abs):
        inside = slice(max(step, 0), keys + min(step, 0))
        moved = scene.want.roll(step, 1)[:, inside]
        if step and moved.any() and not moved.all() and equal(scene.got[:, inside], moved):
            way = "too late" if step > 0 else "too early"
            return f"Your mask is moved: every query's keys begin and end {abs(step)} {way}."
    return None


def wrong_pair(scene: Scene) -> str | None:
    """The first query and key of a mask that are wrong, and how many there are."""
    if not isinstance(scene.want, torch.Tensor) or scene.want.dtype != torch.bool or not scene.comparable:
        return None
    wrong = scene.got != scene.want
    place = first_place(wrong)
    q_idx, kv_idx = _positions(scene, place)
    extra, total = int((wrong & scene.got).sum()), int(wrong.sum())
    verb = "should not see" if scene.got[place] else "should see"
    query = f"Query {q_idx}" if scene.want.ndim == 2 or scene.want.shape[-2] > 1 else "Every query"
    batch = f" of sequence {place[0]}" if scene.want.ndim > 2 and scene.want.shape[0] > 1 else ""
    counts = f"{extra} of {wrong.numel()} places show too much, {total - extra} too little"
    return f"{query}{batch} {verb} key {kv_idx}. {counts}."


def _positions(scene: Scene, place: tuple[int, ...]) -> tuple[int, int]:
    """The query and the key of a place: what a mask_mod was called with, or else where they stand."""
    then = scene.trial.case.args[-1]
    if not isinstance(then, Then):
        return place[-2], place[-1]
    q_idx, kv_idx = torch.broadcast_tensors(*then.args)[2:]
    return int(q_idx[place]), int(kv_idx[place])


def is_mask(scene: Scene) -> bool:
    """Whether a bool table of queries and keys was wanted and given."""
    return scene.comparable and scene.want.dtype == torch.bool and scene.want.ndim == 2
