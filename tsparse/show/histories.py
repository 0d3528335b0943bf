"""How trainings went, side by side: losses step by step, and scores on what was held out."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt

from tsparse.show.rendering import Picture, picture
from tsparse.training import History


def training(histories: Mapping[str, History], score: str, alt: str) -> Picture:
    """Left the loss of every step, on a logarithmic scale, right the scores, from 0 to 1; a line per history.

    `score` says what the scores are. `alt` must say what the picture shows: which curve lies above is not
    found out here. Raises ValueError without histories.
    """
    if not histories:
        raise ValueError("histories must hold at least one, as {name: history}; it is empty")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 2.9), layout="constrained")
    for name, history in histories.items():
        left.plot(range(1, len(history.losses) + 1), history.losses, label=name, linewidth=1)
        right.plot(*zip(*history.scores, strict=True), label=name, marker="o", markersize=3)
    left.set(title="Loss on the batch", xlabel="step", ylabel="loss", yscale="log")
    right.set(title=score, xlabel="step", ylabel="share", ylim=(-0.03, 1.03))
    right.legend(loc="lower right")
    return picture(figure, alt)
