"""The recurrent baseline: its state is all that the writer knows, and fillers do not reach it."""

import pytest
import torch

from tsparse.nn import Recurrent

LENGTHS = torch.tensor([5, 3])


def model() -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(9, 7, dim=6, state=5)


def test_shapes_are_those_of_state_and_scores() -> None:
    state = model().read(torch.randint(9, (2, 5)), LENGTHS)
    assert [part.shape for part in state] == [(1, 2, 5), (1, 2, 5)]
    assert model().write(torch.randint(7, (2, 4)), state).shape == (2, 4, 7)


def test_fillers_do_not_reach_the_state_and_every_real_token_does() -> None:
    source = torch.randint(8, (2, 5))
    before = model().read(source, LENGTHS)[0][0]
    for row, place in ((0, 0), (0, 4), (1, 0), (1, 2), (1, 3), (1, 4)):
        other = source.clone()
        other[row, place] += 1
        moved = not torch.equal(model().read(other, LENGTHS)[0][0][row], before[row])
        assert moved == (place < LENGTHS[row]), (row, place)


def test_score_depends_on_the_tokens_so_far_and_on_the_state() -> None:
    state = model().read(torch.randint(9, (2, 5)), LENGTHS)
    given = torch.randint(6, (2, 4))
    later, before = given.clone(), model().write(given, state)
    later[:, 2] += 1
    moved = (model().write(later, state) - before).abs().amax((0, 2)) > 0
    assert moved.tolist() == [False, False, True, True]
    assert not torch.equal(model().write(given, (state[0] + 1, state[1])), before)


@pytest.mark.parametrize("name", ["source_vocabulary", "target_vocabulary", "state"])
def test_size_that_is_no_positive_integer_is_named(name: str) -> None:
    sizes = {"source_vocabulary": 9, "target_vocabulary": 7, "dim": 6, "state": 5}
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, got 0"):
        Recurrent(**sizes | {name: 0})
