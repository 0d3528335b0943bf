"""Training: one loop with a progress bar, which returns what happened even if you stop it.

The loop draws no random numbers. Weights and batches come from the caller, so the same seeds there give the
same history here.

    history = fit(model.parameters(), batches, lambda batch: F.cross_entropy(*batch), steps=300)
    plt.plot(history.losses)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .arguments import positive, whole

Batch = TypeVar("Batch")

WARM_UP = 0.1
"""Share of the steps in which the rate rises."""

LARGEST_NORM = 1.0
"""Gradients whose norm, over all parameters, is larger are scaled down to it."""


@dataclass(frozen=True)
class History:
    """What happened: the loss of each step taken, and the scores as pairs (steps taken, score)."""

    losses: tuple[float, ...]
    scores: tuple[tuple[int, float], ...]
    interrupted: bool


def fit(
    parameters: Iterable[Tensor],
    batches: Iterable[Batch],
    loss: Callable[[Batch], Tensor],
    steps: int,
    rate: float = 1e-3,
    score: Callable[[], float] | None = None,
    every: int = 100,
    name: str = "training",
) -> History:
    """Change `parameters` with Adam, so that `loss(batch)` falls; one step for each batch.

    `loss` makes one number of a batch, `steps` batches are taken. `rate` is the highest learning rate: it
    rises over the first tenth of the steps and falls to 0 along half a cosine. `score`, without arguments,
    judges the model on what it was not trained with; it is called without gradients after each `every` steps
    and at the end. `name` stands before the bar.

    Ctrl-C, or the stop button of a notebook, ends the training and loses nothing: the parameters keep what
    they have learned, and the history says how far it came.

    Raises TypeError or ValueError for steps, a rate or an `every` that do not fit, and ValueError if there
    are fewer batches than steps. Sources: Kingma and Ba, 2015 (Adam); Loshchilov and Hutter, 2017 (the
    cosine).

    >>> weight = torch.zeros(1, requires_grad=True)
    >>> def loss(target: float) -> Tensor:
    ...     return (weight - target).square().sum()
    >>> history = fit([weight], [2.0] * 50, loss, steps=50, rate=0.2)
    >>> len(history.losses), history.losses[0], history.losses[-1] < 0.1
    (50, 4.0, True)
    """
    parameters = list(parameters)
    steps, every = whole("steps", steps, least=1), whole("every", every, least=1)
    optimizer = torch.optim.Adam(parameters, lr=positive("rate", rate))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_rate(step, steps))
    losses: list[float] = []
    scores: list[tuple[int, float]] = []
    interrupted, source = False, iter(batches)
    try:
        for step in tqdm(range(1, steps + 1), desc=name):
            batch = _next_batch(source, step, steps)
            optimizer.zero_grad()
            value = loss(batch)
            value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, LARGEST_NORM)
            optimizer.step()
            schedule.step()
            losses.append(value.item())
            if score is not None and (step % every == 0 or step == steps):
                with torch.no_grad():
                    scores.append((step, score()))
    except KeyboardInterrupt:
        interrupted = True
        print(f"{name}: stopped after {len(losses)} of {steps} steps. What was learned is kept.")
    return History(tuple(losses), tuple(scores), interrupted)


def share_of_rate(step: int, steps: int) -> float:
    """The share of the highest rate that step 0, 1, ... of `steps` takes.

    >>> [round(share_of_rate(step, 20), 2) for step in (0, 1, 2, 11, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.01]
    """
    rising = max(1, round(WARM_UP * steps))
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def _next_batch(source: Iterable[Batch], step: int, steps: int) -> Batch:
    """The batch of this step; ValueError if there is none."""
    for batch in source:
        return batch
    raise ValueError(
        f"batches end after {step - 1} of {steps} steps; give as many as steps, or an endless one"
    )
