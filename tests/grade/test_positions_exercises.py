"""The exercises of lesson 04 against answers that are not in their lists: right pass, wrong fail."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.grade.position_answers import RIGHT, WRONG
from tsparse import nn
from tsparse.grade.checking import Verdict, judge, run_here
from tsparse.grade.exercises import exercise

SEEDS = range(5)
UNLISTED = [(id, what, *wrong) for id, wrongs in WRONG.items() for what, wrong in wrongs.items()]


def verdict(id: str, answer: Callable[..., object], seed: int = 0) -> Verdict:
    return judge(exercise(f"positions.{id}"), run_here(answer), seed=seed)


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Tensor]) -> None:
    for seed in SEEDS:
        found = verdict(id, answer, seed)
        assert found.status == "PASS", found.message


@pytest.mark.parametrize(
    ("id", "what", "answer", "name"), UNLISTED, ids=[f"{id}-{what}" for id, what, *_ in UNLISTED]
)
def test_wrong_answer_that_is_not_listed_fails(
    id: str, what: str, answer: Callable[..., object], name: str | None
) -> None:
    found = [verdict(id, answer, seed) for seed in SEEDS]
    assert {one.status for one in found} == {"FAIL"}
    assert name is None or {one.mistake for one in found} == {name}, found[0].message


def test_angles_in_float32_keep_the_points_for_values() -> None:
    def answer(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
        half = x.shape[-1] // 2
        angle = positions[:, None] * base ** (-torch.arange(half) / half)
        a, b = x.split(half, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    found = verdict("rotary", answer)
    assert (found.status, found.earned) == ("FAIL", 10.5)
    assert re.search(r"Your angles are float32: near position 1,000,003 .* error of 0\.0\d", found.message)


def test_sentence_about_positions_says_which_were_given() -> None:
    rotary = exercise("positions.rotary").spec
    found = verdict("rotary", lambda x, p, base=10000.0: rotary(x, torch.arange(x.shape[2]), base))
    assert found.message == "You use 0..N-1; `positions` said 7, 3, 100, 4 (a cache needs that)."


@pytest.mark.parametrize("seed", SEEDS)
def test_references_are_what_the_package_computes(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    for case in exercise("positions.sinusoidal").cases(rng):
        torch.testing.assert_close(
            exercise("positions.sinusoidal").spec(*case.args), nn.sinusoidal(*case.args)
        )
    for case in exercise("positions.rotary").cases(rng):
        torch.testing.assert_close(exercise("positions.rotary").spec(*case.args), nn.rotary(*case.args))


def test_reference_of_rotary_is_what_transformers_computes_for_llama() -> None:
    llama = pytest.importorskip(
        "transformers.models.llama.modeling_llama", reason="transformers belongs to the extra `bench`"
    )
    config = llama.LlamaConfig(hidden_size=32, num_attention_heads=4)
    x, positions = torch.randn(2, 4, 7, 8), torch.tensor([[7, 3, 100, 4, 0, 11, 2000]])
    cos, sin = llama.LlamaRotaryEmbedding(config)(x, positions)
    theirs, _ = llama.apply_rotary_pos_emb(x, x, cos, sin)
    torch.testing.assert_close(exercise("positions.rotary").spec(x, positions[0]), theirs, atol=1e-3, rtol=0)


def test_neighbours_are_what_transformers_computes_for_gpt_j() -> None:
    gptj = pytest.importorskip(
        "transformers.models.gptj.modeling_gptj", reason="transformers belongs to the extra `bench`"
    )
    x, positions = torch.randn(1, 3, 7, 8), torch.arange(7)
    table = gptj.create_sinusoidal_positions(7, 8)[None]  # [1, N, D]: sines, then cosines
    theirs = gptj.apply_rotary_pos_emb(x.transpose(1, 2), *table.chunk(2, -1)).transpose(1, 2)
    wrong = next(one for one in exercise("positions.rotary").wrong if one.name == "neighbours paired")
    torch.testing.assert_close(wrong.answer(x, positions), theirs)


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    table = exercise("positions.sinusoidal").spec(3, 4)
    wanted = [[0, 1, 0, 1], [0.84, 0.54, 0.01, 1.0], [0.91, -0.42, 0.02, 1.0]]
    torch.testing.assert_close(table, torch.tensor(wanted), atol=0.005, rtol=0)
    x = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(1, 1, 2, 4)
    turned = exercise("positions.rotary").spec(x, torch.tensor([1, 100]))[0, 0]
    wanted = [[0.54, 1.0, 0.84, 0.01], [0.86, 0.54, -0.51, 0.84]]
    torch.testing.assert_close(turned, torch.tensor(wanted), atol=0.005, rtol=0)
    bias = exercise("positions.alibi").spec(torch.tensor([0.5]), 2, 5, 2)
    assert bias.tolist() == [[[-1, -0.5, 0, -0.5, -1], [-1.5, -1, -0.5, 0, -0.5]]]


@pytest.mark.parametrize("id", WRONG)
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id: str) -> None:
    assert len(RIGHT[id]) >= 3
    assert len(WRONG[id]) >= 12
