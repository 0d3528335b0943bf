"""A sheet of lesson 02 filled in right, and small helpers to make, grade and look at such sheets."""

import json

RIGHT = {
    "masks.causal": """
def causal(n_q, n_kv, q_offset=0):
    return torch.arange(n_kv) <= torch.arange(n_q)[:, None] + q_offset
""",
    "masks.sliding_window": """
def sliding_window(n_q, n_kv, window, q_offset=0):
    distance = torch.arange(n_q)[:, None] + q_offset - torch.arange(n_kv)
    return (distance >= 0) & (distance < window)
""",
    "masks.padding": """
def padding(lengths, n_kv):
    return torch.arange(n_kv) < lengths[:, None, None, None]
""",
    "masks.documents": """
def documents(ids):
    return ids[:, None] == ids
""",
    "masks.masked_softmax": """
def masked_softmax(scores, mask):
    scores = scores.masked_fill(~mask, -torch.inf)
    highest = scores.amax(-1, keepdim=True)
    weights = (scores - highest.masked_fill(highest == -torch.inf, 0)).exp()
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)
""",
    "masks.first_leak": """
def first_leak(attention, n, dim):
    q, k, v = torch.randn(3, n, dim, dtype=torch.float64)
    before = attention(q, k, v)
    leaks = []
    for key in range(1, n):
        k2, v2 = k.clone(), v.clone()
        k2[key] += 1
        v2[key] -= 3
        moved = (attention(q, k2, v2) - before).abs().amax(-1) > 1e-6
        leaks += [(query, key) for query in range(key) if moved[query]]
    return min(leaks, default=None)
""",
}


FEW = {id: RIGHT[id] for id in ("masks.causal", "masks.sliding_window", "masks.documents")}
"""Enough where only one answer matters: what is missing fails at once."""


def write(path, cells):
    """A notebook with these code cells."""
    made = [
        {"cell_type": "code", "id": name, "metadata": {}, "outputs": [], "source": source}
        for name, source in answers(cells).items()
    ]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}))
    return path


def answers(cells):
    """The same cells under the ids that they have in a sheet."""
    return {f"answer-{id.replace('.', '-')}" if "." in id else id: text for id, text in cells.items()}


def passed(report):
    """The exercises that passed."""
    return [one.verdict.exercise for one in report.exercises if one.verdict.status == "PASS"]


def verdict(report, id):
    """The verdict on one exercise of a report."""
    return next(one.verdict for one in report.exercises if one.verdict.exercise == id)


def statuses(report):
    """Each exercise with its status."""
    return {one.verdict.exercise: one.verdict.status for one in report.exercises}
