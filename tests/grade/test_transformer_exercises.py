"""Other right and other wrong answers to the exercises of lesson 05, and what they are judged with."""

import json
from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn

from tests.grade.answers import Answer, assert_is_rejected_and_named, assert_passes, called
from tests.grade.transformer_answers import ANSWERS, RIGHT, WRONG, asks_twice
from tsparse.grade.checking import judge, run_here
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.transformer import parts
from tsparse.grade.runner import grade_sheet

IDS = ["transformer.encoder_layer", "transformer.decoder_layer", "transformer.greedy_decode"]


@pytest.mark.parametrize("case", RIGHT, ids=called)
def test_right_answer_written_differently_passes(case: Answer) -> None:
    assert_passes(case)


@pytest.mark.parametrize("case", WRONG, ids=called)
def test_wrong_answer_is_rejected_and_named(case: Answer) -> None:
    assert_is_rejected_and_named(case)


@pytest.mark.parametrize("id", IDS)
def test_every_exercise_was_tried_with_other_right_and_other_wrong_answers(id: str) -> None:
    right, wrong = ANSWERS.tried(id)
    assert right >= 2
    assert wrong >= 8


@pytest.mark.parametrize(
    "case", exercise(IDS[0]).cases(torch.Generator().manual_seed(5)), ids=lambda c: c.name
)
def test_encoder_layer_is_pytorchs(case) -> None:
    x, weights, heads, *padding = case.args
    wide, width = weights["linear1.weight"].shape
    layer = nn.TransformerEncoderLayer(
        width, heads, wide, 0.0, "gelu", batch_first=True, norm_first=True, dtype=x.dtype
    )
    layer.load_state_dict(weights)
    want = layer(x, src_key_padding_mask=~padding[0] if padding else None)
    torch.testing.assert_close(exercise(IDS[0]).spec(*case.args), want, rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    "case", exercise(IDS[1]).cases(torch.Generator().manual_seed(5)), ids=lambda c: c.name
)
def test_decoder_layer_is_pytorchs(case) -> None:
    y, memory, weights, heads, *padding = case.args
    wide, width = weights["linear1.weight"].shape
    layer = nn.TransformerDecoderLayer(
        width, heads, wide, 0.0, "gelu", batch_first=True, norm_first=True, dtype=y.dtype
    )
    layer.load_state_dict(weights)
    hidden = torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).triu(1)
    want = layer(y, memory, hidden, memory_key_padding_mask=~padding[0] if padding else None)
    torch.testing.assert_close(exercise(IDS[1]).spec(*case.args), want, rtol=0, atol=5e-6)


def test_what_the_sheet_gives_is_what_the_reference_uses() -> None:
    sheet = nbformat.read(Path(__file__).parents[2] / "exercises" / "05_transformer.ipynb", 4)
    source = {cell.id: cell.source for cell in sheet.cells}
    given: dict[str, object] = {}
    exec(source["setup-imports"] + "\n" + source["setup-tools"], given)
    x, memory, weights, heads, padding = exercise(IDS[1]).cases(torch.Generator().manual_seed(1))[2].args
    mask = padding[:, None, None]
    for name in ("layer_norm", "multi_head"):
        args = (
            (x, weights, "norm2")
            if name == "layer_norm"
            else (x, memory, weights, "multihead_attn", heads, mask)
        )
        torch.testing.assert_close(given[name](*args), getattr(parts, name)(*args))


def test_asking_the_model_too_often_costs_the_points_for_cost_and_no_others() -> None:
    verdict = judge(exercise(IDS[2]), run_here(asks_twice), 0)
    assert {part.name: part.earned for part in verdict.parts} == {"values": 9, "edge cases": 3, "cost": 0}
    assert verdict.message == (
        "Right values, but on “two rows that end with their 4th token, max_len 10” you called `step` 4 times "
        "more than needed."
    )


def test_calls_are_counted_by_the_grader_when_the_answer_runs_in_another_process(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    sheet = json.loads((root / "solutions" / "05_transformer.ipynb").read_text(encoding="utf-8"))
    (cell,) = (cell for cell in sheet["cells"] if cell["id"] == "answer-transformer-greedy_decode")
    source = "".join(cell["source"])
    assert "step(tokens)" in source
    cell["source"] = source.replace("step(tokens)", "(step(tokens) + step(tokens))")
    path = tmp_path / "05_transformer.ipynb"
    path.write_text(json.dumps(sheet), encoding="utf-8")
    master = root / "solutions" / "05_transformer.ipynb"
    encoder, decoder, greedy = (one.verdict for one in grade_sheet(path, seed=0, master=master).exercises)
    assert encoder.status == decoder.status == "PASS"
    assert greedy.mistake == "too many calls"
    assert greedy.earned == 12
