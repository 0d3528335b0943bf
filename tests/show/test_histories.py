"""The picture of trainings: a line for each, and words that somebody has to give."""

import matplotlib.pyplot as plt
import pytest

from tsparse import show
from tsparse.show import histories
from tsparse.training import History

ONE = History((2.0, 1.0, 0.5), ((2, 0.25), (3, 0.5)), interrupted=False)
OTHER = History((3.0, 2.0), ((2, 0.1),), interrupted=True)


def test_every_history_is_a_line_in_both_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(histories, "picture", lambda figure, alt: drawn.append(figure))
    show.training({"one": ONE, "other": OTHER}, "share right", "words")
    left, right = drawn[0].axes
    lines = [[line.get_xydata().tolist() for line in axes.lines] for axes in (left, right)]
    assert lines[0] == [[[1, 2.0], [2, 1.0], [3, 0.5]], [[1, 3.0], [2, 2.0]]]
    assert lines[1] == [[[2, 0.25], [3, 0.5]], [[2, 0.1]]]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["one", "other"]
    assert right.get_title() == "share right"
    plt.close("all")


def test_words_are_the_ones_given() -> None:
    assert show.training({"one": ONE}, "share", "It learns.").alt == "It learns."


def test_no_history_is_refused() -> None:
    with pytest.raises(ValueError, match="histories must hold at least one"):
        show.training({}, "share", "nothing")
