"""Answers to `reading.probe`."""

import torch

from tests.grade.reading_answers import right, wrong


@right("reading.probe")
def a_helper_for_both(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    def score(labels, wanted):
        return (fit(train_x, labels)(test_x) == wanted).float().mean().item()

    return score(train_y, test_y) - score(train_control, test_control)


@right("reading.probe")
def counted_in_python(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    hits = []
    for labels, wanted in ((train_control, test_control), (train_y, test_y)):
        guesses = fit(train_x, labels)(test_x).tolist()
        hits.append(sum(guess == label for guess, label in zip(guesses, wanted.tolist(), strict=True)))
    return (hits[1] - hits[0]) / len(test_x)


@right("reading.probe")
def word_by_word(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y), fit(train_x, train_control)
    better = (real(test_x) == test_y).double() - (control(test_x) == test_control).double()
    return float(better.mean())


@wrong("reading.probe", "on the training data")
def never_tests(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real = (fit(train_x, train_y)(train_x) == train_y).double().mean()
    return float(real - (fit(train_x, train_control)(train_x) == train_control).double().mean())


@wrong("reading.probe", "control not subtracted")
def accuracy_only(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    return (fit(train_x, train_y)(test_x) == test_y).double().mean().item()


@wrong("reading.probe", "on the training data, no control")
def accuracy_only_where_it_was_trained(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    return (fit(train_x, train_y)(train_x) == train_y).double().mean().item()


@wrong("reading.probe", "control scored with the real probe")
def one_probe(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    guesses = fit(train_x, train_y)(test_x)
    return ((guesses == test_y).double() - (guesses == test_control).double()).mean().item()


@wrong("reading.probe", "control scored on the real labels")
def wrong_labels_for_the_control(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y)(test_x), fit(train_x, train_control)(test_x)
    return ((real == test_y).double().mean() - (control == test_y).double().mean()).item()


@wrong("reading.probe", "sign")
def the_other_way_round(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y)(test_x), fit(train_x, train_control)(test_x)
    return ((control == test_control).double().mean() - (real == test_y).double().mean()).item()


@wrong("reading.probe", "fitted on the test data")
def fits_and_tests_on_the_same(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(test_x, test_y)(test_x), fit(test_x, test_control)(test_x)
    return ((real == test_y).double().mean() - (control == test_control).double().mean()).item()


@wrong("reading.probe", "absolute value")
def size_of_the_difference(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y)(test_x), fit(train_x, train_control)(test_x)
    return abs(((real == test_y).double().mean() - (control == test_control).double().mean()).item())


@wrong("reading.probe", "wrong type")
def returns_a_tensor(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y)(test_x), fit(train_x, train_control)(test_x)
    return (real == test_y).double().mean() - (control == test_control).double().mean()


@wrong("reading.probe")
def counts(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y)(test_x), fit(train_x, train_control)(test_x)
    return float((real == test_y).sum() - (control == test_control).sum())


@wrong("reading.probe")
def errors_instead_of_hits(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real, control = fit(train_x, train_y)(test_x), fit(train_x, train_control)(test_x)
    return ((real != test_y).double().mean() - (control == test_control).double().mean()).item()


@wrong("reading.probe")
def shuffled_labels_for_a_control(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    shuffled = train_y[torch.randperm(len(train_y))]
    real, control = fit(train_x, train_y)(test_x), fit(train_x, shuffled)(test_x)
    return ((real == test_y).double().mean() - (control == test_y).double().mean()).item()


@wrong("reading.probe", "chance instead of the control")
def chance_in_place_of_the_control(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    real = (fit(train_x, train_y)(test_x) == test_y).double().mean().item()
    return real - 1 / (int(train_y.max()) + 1)


@wrong("reading.probe", "raised")
def fit_takes_vectors_and_labels(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    return float((fit(train_x, test_y)(test_x) == test_y).double().mean())


@wrong("reading.probe", "returns nothing")
def only_prints(train_x, train_y, train_control, test_x, test_y, test_control, fit):
    print((fit(train_x, train_y)(test_x) == test_y).double().mean())
