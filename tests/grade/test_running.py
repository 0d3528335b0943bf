"""What running an answer once takes down of it."""

import math

import pytest
import torch

from tsparse.grade.running import run_here


def test_least_finite_number_in_place_of_an_infinite_one_is_a_change():
    outcome = run_here(lambda lse: lse.nan_to_num_())((torch.tensor([-math.inf, 1.0]),))
    assert outcome.changed == ("lse",)


def test_number_in_place_of_nan_is_a_change_and_nan_that_stays_is_none():
    given = torch.tensor([math.nan, 1.0])
    assert run_here(lambda x: x.nan_to_num_())((given,)).changed == ("x",)
    assert run_here(lambda x: x + 1)((given,)).changed == ()


@pytest.mark.parametrize(
    "change", [lambda weights: weights.pop("bias"), lambda weights: weights.update(more=torch.ones(1))]
)
def test_tensors_that_went_or_came_are_a_change(change):
    assert run_here(change)(({"bias": torch.ones(2), "weight": torch.ones(3)},)).changed == ("weights",)


def test_arguments_that_have_no_names_are_counted():
    outcome = run_here(lambda *args: args[1].zero_())((torch.ones(1), torch.ones(1)))
    assert outcome.changed == ("argument 2",)
