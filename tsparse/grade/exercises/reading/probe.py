"""`reading.probe`: the accuracy of a probe minus that of one trained on labels that mean nothing.

The probe that an answer is given is a small least-squares classifier: the same in every process, no training
loop, and able to learn part of the control labels.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Generator, Tensor

from tsparse.grade.draw import normal
from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong

Predictor = Callable[[Tensor], Tensor]
Fit = Callable[[Tensor, Tensor], Predictor]
Selectivity = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Fit], float]


LARGEST_DIM, MOST_NUMBERS = 1000, 1 << 22
"""What `fit` takes: it computes in the process of the grader, whatever it is asked for."""


class LeastSquares:
    """`fit(x, y)`: a linear classifier of `x [n, d]` into the whole numbers `y [n]`."""

    def __init__(self, classes: int) -> None:
        """Labels are 0 to `classes - 1`."""
        self.classes = classes

    def __call__(self, x: Tensor, y: Tensor) -> Predictor:
        """A function from vectors `[m, d]` to labels `[m]`.

        Raises ValueError where sizes do not fit, or are more than a linear classifier here needs.
        """
        if x.ndim != 2 or y.shape != x.shape[:1] or y.is_floating_point():
            raise ValueError(
                f"fit takes x [n, d] and n whole numbers y, got {list(x.shape)} and {list(y.shape)}"
            )
        if x.shape[1] > LARGEST_DIM:
            raise ValueError(f"fit takes vectors of at most {LARGEST_DIM} numbers, got {x.shape[1]:,}")
        inputs = with_ones(x)
        targets = torch.nn.functional.one_hot(y.long(), self.classes).double()
        ridge = 1e-3 * torch.eye(inputs.shape[1], dtype=torch.float64)
        columns = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
        return lambda new: (with_ones(new) @ columns).argmax(-1)

    def __repr__(self) -> str:
        """What a learner reads in a failing call."""
        return "fit"


def with_ones(x: Tensor) -> Tensor:
    """The vectors with a 1 behind them, `[n, d + 1]`, in float64. Raises ValueError for too many."""
    if x.numel() > MOST_NUMBERS:
        raise ValueError(f"at most {MOST_NUMBERS:,} numbers at once, got {x.numel():,}")
    return torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.float64)], 1)


def accuracy(predictor: Predictor, x: Tensor, y: Tensor) -> float:
    """The share of labels that the predictor gets right."""
    return float((predictor(x) == y).double().mean())


def selectivity(
    train_x: Tensor,
    train_y: Tensor,
    train_control: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    test_control: Tensor,
    fit: Fit,
) -> float:
    """Reference: test accuracy minus that of a second probe, trained and tested on the control labels."""
    real = accuracy(fit(train_x, train_y), test_x, test_y)
    return real - accuracy(fit(train_x, train_control), test_x, test_control)


Scores = Callable[[float, float], float]


def combined(scores: Scores) -> Selectivity:
    """An answer that measures both accuracies as it should and puts them together in another way."""

    def answer(x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit) -> float:
        return scores(accuracy(fit(x, y), test_x, u), accuracy(fit(x, c), test_x, d))

    return answer


def on_training_data(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """Both probes measured where they were trained."""
    return selectivity(x, y, c, x, y, c, fit)


def control_on_training_data(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """Only the control probe measured where it was trained."""
    return accuracy(fit(x, y), test_x, u) - accuracy(fit(x, c), x, c)


def real_on_training_data(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """Only the real probe measured where it was trained."""
    return accuracy(fit(x, y), x, y) - accuracy(fit(x, c), test_x, d)


def one_probe_for_both(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """The probe of the real labels, scored on the control labels too."""
    return accuracy(fit(x, y), test_x, u) - accuracy(fit(x, y), test_x, d)


def control_scored_on_real_labels(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """The control probe, scored on labels that it never saw."""
    return accuracy(fit(x, y), test_x, u) - accuracy(fit(x, c), test_x, u)


def fitted_on_test_data(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """Both probes trained on what they are tested on."""
    return selectivity(test_x, u, d, test_x, u, d, fit)


def fitted_on_everything(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """Both probes trained on the training and the test data."""
    return selectivity(torch.cat([x, test_x]), torch.cat([y, u]), torch.cat([c, d]), test_x, u, d, fit)


def counts(x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit) -> float:
    """How many words more are right, not which share."""
    return float((fit(x, y)(test_x) == u).sum() - (fit(x, c)(test_x) == d).sum())


NEGATIVE = (
    "Selectivity may be negative: here the probe does better on labels that mean nothing. Return the plain "
    "difference."
)
SEEN = "The probe has seen the test words."


def says_training(mistake: Mistake) -> str:
    """For a probe that was measured where it was trained."""
    x, y, _, test_x, test_y, _, fit = mistake.case.args
    there, new = (accuracy(fit(x, y), *data) for data in ((x, y), (test_x, test_y)))
    return f"You measured where you trained: {there:.2f} there, {new:.2f} on new words."


def training_accuracy(
    x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit
) -> float:
    """The real probe measured where it was trained, and no control."""
    return accuracy(fit(x, y), x, y)


def above_chance(x: Tensor, y: Tensor, c: Tensor, test_x: Tensor, u: Tensor, d: Tensor, fit: Fit) -> float:
    """Chance in place of the control."""
    return accuracy(fit(x, y), test_x, u) - 1 / (int(y.max()) + 1)


WRONG = (
    Wrong("on the training data", says_training, on_training_data),
    Wrong("on the training data, no control", says_training, training_accuracy),
    Wrong(
        "chance instead of the control",
        "You subtracted chance. A probe gets more than chance on labels that mean nothing, since it can "
        "learn them by heart: measure it with a second probe.",
        above_chance,
    ),
    Wrong(
        "control not subtracted",
        lambda m: (
            "A probe can also learn labels that mean nothing: subtract what it gets on those, here "
            f"{m.got - m.want:.2f}."
        ),
        combined(lambda real, control: real),
    ),
    Wrong(
        "only the control",
        "You return the accuracy on the control labels; subtract it from that on the real ones.",
        combined(lambda real, control: control),
    ),
    Wrong(
        "control scored with the real probe",
        "The control needs its own probe, trained on control labels.",
        one_probe_for_both,
    ),
    Wrong(
        "control scored on the real labels",
        "The control probe was trained on control labels: score it on `test_control`.",
        control_scored_on_real_labels,
    ),
    Wrong(
        "sign",
        "You subtracted the real accuracy from the control.",
        combined(lambda real, control: control - real),
    ),
    Wrong("fitted on the test data", SEEN, fitted_on_test_data),
    Wrong("fitted on everything", SEEN, fitted_on_everything),
    Wrong(
        "ratio",
        "The task asks for the difference, not the ratio.",
        combined(lambda real, control: real / control if control else 0.0),
    ),
    Wrong(
        "share of what was left",
        "The task asks for the plain difference, not for its share of what the control left.",
        combined(lambda real, control: (real - control) / (1 - control) if control < 1 else 0.0),
    ),
    Wrong(
        "control on the training data",
        "You measured the control probe where it was trained; it must face new words too.",
        control_on_training_data,
    ),
    Wrong(
        "real on the training data",
        "You measured the real probe where it was trained; it must face new words too.",
        real_on_training_data,
    ),
    Wrong(
        "per cent",
        "You return per cent; the task wants shares, such as 0.25.",
        combined(lambda real, control: 100 * (real - control)),
    ),
    Wrong("counts", "You count right words; accuracy is their share.", counts),
    Wrong("absolute value", NEGATIVE, combined(lambda real, control: abs(real - control))),
    Wrong("cut off at 0", NEGATIVE, combined(lambda real, control: max(0.0, real - control))),
    Wrong(
        "sum",
        "You added the two accuracies; subtract.",
        combined(lambda real, control: real + control),
    ),
)


def apart(case: Case) -> bool:
    """Whether every accuracy that an answer may take for another differs from it on this case."""
    x, y, c, test_x, u, d, fit = case.args
    real, control, seen = fit(x, y), fit(x, c), fit(test_x, u)
    values = [
        accuracy(real, test_x, u),
        accuracy(control, test_x, d),
        accuracy(real, x, y),
        accuracy(control, x, c),
        accuracy(real, test_x, d),
        accuracy(control, test_x, u),
        accuracy(seen, test_x, u),
    ]
    functions = [one.answer for one in WRONG if one.name not in ("absolute value", "sign")]
    given = [abs(answer(*case.args)) for answer in functions if callable(answer)]
    answers = [value for value in given if value > 0]
    return all(abs(a - b) > 1e-6 for a, b in combinations(values, 2)) and all(
        abs(a - b) > 1e-6 for a, b in combinations(answers, 2)
    )


def words(rng: Generator, n: int, tests: int, dim: int, classes: int, meaning: float) -> Case:
    """Words of 24 types with their vectors; the real label depends by `meaning` on the vector itself.

    The control label is drawn once for each type. `tests` is a power of two: then shares are exact in
    float32 too.
    """
    types = torch.randint(24, (n + tests,), generator=rng)
    x = normal(rng, 24, dim)[types] + 0.5 * normal(rng, n + tests, dim)
    scores = meaning * x @ normal(rng, dim, classes) + normal(rng, n + tests, classes)
    y = scores.argmax(-1)
    control = torch.randint(classes, (24,), generator=rng)[types]
    (train_x, test_x), (train_y, test_y), (train_c, test_c) = (
        part.split([n, tests]) for part in (x, y, control)
    )
    args = (train_x, train_y, train_c, test_x, test_y, test_c, LeastSquares(classes))
    return Case(f"{n} words to learn from, {tests} new ones, {classes} labels", args)


def drawn(rng: Generator, n: int, tests: int, dim: int, classes: int, meaning: float) -> Case:
    """Words on which no two measurements agree by chance, and with the sign that `meaning` promises."""
    while True:
        case = words(rng, n, tests, dim, classes, meaning)
        difference = selectivity(*case.args)
        if (difference > 0.05 if meaning else difference < -0.05) and apart(case):
            return case


def cases(rng: Generator) -> list[Case]:
    """Labels that the vectors hold, labels that they do not hold, few words, and one."""
    easy = drawn(rng, 61, 256, 5, 2, 2.0)
    more = drawn(rng, 97, 128, 7, 3, 2.0)
    noise = drawn(rng, 83, 256, 7, 2, 0.0)
    single = words(rng, 31, 1, 4, 2, 2.0)
    coarse = drawn(rng, 71, 128, 6, 3, 2.0)
    as_float = tuple(value.float() if i in (0, 3) else value for i, value in enumerate(coarse.args))
    return [
        easy,
        more,
        Case("labels that the vectors do not hold", noise.args),
        Case("one new word", single.args, edge=True),
        Case("float32 vectors", as_float, edge=True),
    ]


PROBE = Exercise(
    id="reading.probe",
    title="What a probe proves",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=selectivity,
    cases=cases,
    hints=(
        "You need two probes: `fit(train_x, train_y)` and a second one for the control labels. Each is "
        "trained once and measured on words that it has not seen.",
        "The accuracy of a probe is the share of test words for which `probe(test_x)` equals the labels. "
        "`(a == b).double().mean()` is a share; `float(...)` makes a Python number of it.",
        "The first probe is scored against `test_y`, the second, fitted on `train_control`, against "
        "`test_control`. Return the first share minus the second, whatever its sign.",
    ),
    wrong=WRONG,
)
