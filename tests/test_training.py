"""The training loop learns, scores, can be stopped without a loss, and says what does not fit."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tsparse.training import LARGEST_NORM, fit, share_of_rate


def points(seed: int) -> Iterator[Tensor]:
    """Batches of 16 points, endless."""
    rng = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(16, 3, generator=rng)


class Line:
    """A linear model that is to find the weights 1, 2, 3."""

    def __init__(self) -> None:
        self.weights = torch.zeros(3, requires_grad=True)

    def loss(self, x: Tensor) -> Tensor:
        return (x @ (self.weights - torch.tensor([1.0, 2.0, 3.0]))).square().mean()


def test_parameters_move_to_where_the_loss_is_low() -> None:
    line = Line()
    history = fit([line.weights], points(0), line.loss, steps=200, rate=0.1)
    assert len(history.losses) == 200
    assert history.losses[-1] < 1e-3 < 1 < history.losses[0]
    torch.testing.assert_close(line.weights.detach(), torch.tensor([1.0, 2.0, 3.0]), atol=0.02, rtol=0)
    assert not history.interrupted


def test_same_weights_and_batches_give_the_same_history() -> None:
    first, second = Line(), Line()
    torch.manual_seed(1)
    one = fit([first.weights], points(0), first.loss, steps=20)
    torch.manual_seed(2)
    assert fit([second.weights], points(0), second.loss, steps=20) == one


def test_scores_are_taken_after_every_so_many_steps_and_at_the_end_without_gradients() -> None:
    line = Line()
    asked = []

    def score() -> float:
        asked.append(torch.is_grad_enabled())
        return float(len(asked))

    history = fit([line.weights], points(0), line.loss, steps=25, score=score, every=10)
    assert history.scores == ((10, 1.0), (20, 2.0), (25, 3.0))
    assert asked == [False, False, False]


def test_last_score_is_taken_once_where_steps_are_a_multiple() -> None:
    line = Line()
    history = fit([line.weights], points(0), line.loss, steps=20, score=lambda: 0.5, every=10)
    assert history.scores == ((10, 0.5), (20, 0.5))


@pytest.mark.parametrize("where", ["batch", "loss", "score"])
def test_interrupt_keeps_what_was_learned_and_says_so(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line()

    def stops_at(step: int, place: str) -> None:
        if place == where and step == 7:
            raise KeyboardInterrupt

    def batches() -> Iterator[tuple[int, Tensor]]:
        for step, batch in enumerate(points(0)):
            stops_at(step, "batch")
            yield step, batch

    def loss(batch: tuple[int, Tensor]) -> Tensor:
        stops_at(batch[0], "loss")
        return line.loss(batch[1])

    calls = itertools.count(1)

    def score() -> float:
        stops_at(next(calls), "score")
        return 0.0

    history = fit([line.weights], batches(), loss, steps=50, score=score, every=1, name="lines")
    assert history.interrupted
    assert len(history.losses) == 7
    assert len(history.scores) == (6 if where == "score" else 7)
    assert "lines: stopped after 7 of 50 steps. What was learned is kept." in capsys.readouterr().out
    assert line.weights.detach().abs().sum() > 0


def test_loop_goes_on_with_other_errors() -> None:
    def loss(_: Tensor) -> Tensor:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        fit([torch.zeros(1, requires_grad=True)], points(0), loss, steps=3)


def test_gradient_of_one_wild_batch_is_scaled_down() -> None:
    weight = torch.zeros(3, requires_grad=True)
    fit([weight], [1e6], lambda factor: factor * weight.sum(), steps=1)
    assert weight.grad is not None
    assert weight.grad.norm().item() == pytest.approx(LARGEST_NORM, rel=1e-4)


def test_rate_rises_and_falls_and_never_reaches_0_before_the_end() -> None:
    for steps in (1, 2, 9, 300):
        shares = [share_of_rate(step, steps) for step in range(steps)]
        top = shares.index(max(shares))
        assert shares[: top + 1] == sorted(shares[: top + 1])
        assert shares[top:] == sorted(shares[top:], reverse=True)
        assert max(shares) == 1
        assert min(shares) > 0


def test_parameters_may_be_a_generator_that_can_be_read_once() -> None:
    model = torch.nn.Linear(3, 1)
    fit(model.parameters(), points(0), lambda x: 1e6 * model(x).square().mean(), steps=1)
    norms = [weight.grad.norm().item() for weight in model.parameters() if weight.grad is not None]
    assert sum(norm**2 for norm in norms) == pytest.approx(LARGEST_NORM**2, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps must be 1 or more, got 0"),
        ({"steps": 2.5}, TypeError, "steps must be an integer, got 2.5"),
        ({"every": 0}, ValueError, "every must be 1 or more, got 0"),
        ({"rate": 0.0}, ValueError, "rate must be above 0"),
        ({"steps": 6}, ValueError, "batches end after 5 of 6 steps"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, float], error: type[Exception], words: str) -> None:
    line = Line()
    arguments = {"steps": 5, "rate": 0.1} | change
    with pytest.raises(error, match=words):
        fit([line.weights], itertools.islice(points(0), 5), line.loss, **arguments)
