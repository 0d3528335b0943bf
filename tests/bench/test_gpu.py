"""The plan of `tsparse bench --gpu`, run on the CPU: the same code with the gather backend."""

import math
from dataclasses import replace

import pytest
import torch

from tsparse import Causal, PerHead, SlidingWindow
from tsparse.bench import gpu
from tsparse.bench.gpu import Setting, Subject, attention, density, figures, plan, work_of
from tsparse.bench.racing import Rounds, wall
from tsparse.bench.record import Case
from tsparse.cli import main
from tsparse.cost import Ceilings, Work, backward, forward
from tsparse.kernels.interpret import canary

N = 2048
SETTING = Setting(
    Ceilings(1e12, 1e11, 1e11),
    wall,
    device="cpu",
    dtype=torch.float32,
    backend="gather",
    tokens=N,
    features=128,
    lengths=(N,),
    rounds=Rounds(2, 2),
)
BIGBIRD = next(subject for subject in gpu.subjects(N) if subject.name.startswith("bigbird"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_leaves_with_2_and_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "--gpu"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "tsparse bench: --gpu needs a CUDA device, and PyTorch sees none here; --cpu measures without one\n"
    )


def test_plan_has_every_pattern_at_every_length_and_head_size_forward_and_backward() -> None:
    planned = list(plan(replace(SETTING, lengths=gpu.LENGTHS)))
    titles = {(one.section, one.title) for one in planned}
    assert len(titles) == len(planned) == 2 * 4 * 2 * 9 + 4
    assert (gpu.BACKWARD, "random blocks, 1/16, N = 131,072, D = 128") in titles


@pytest.mark.parametrize("n", gpu.LENGTHS)
@pytest.mark.parametrize("part", [4, 8, 16])
def test_random_blocks_have_the_density_of_their_name(n: int, part: int) -> None:
    subject = next(subject for subject in gpu.subjects(n) if subject.name == f"random blocks, 1/{part}")
    assert subject.pattern.layout(n, block=gpu.BLOCK).density == 1 / part


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_every_peer_agrees_or_says_what_else_it_computes_or_why_it_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)  # the same, without the wait
    case = Case("forward", "bigbird")
    attention(SETTING, BIGBIRD, N, 64, False, case)
    ours, flex, flash, cudnn, masked = case.entries
    assert [len(entry.seconds) for entry in case.entries] == [2, 2, 2, 0, 2]
    assert cudnn.note == "no such kernel on this device"
    assert flash.other == "a query sees every key"
    assert max(flex.difference or 1, masked.difference or 1) < 1e-5
    assert not any(entry.wrong for entry in case.entries)
    assert set(ours.figures) == set(masked.figures)
    assert not cudnn.figures


def test_mask_that_is_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "MASK_FITS", 256)
    monkeypatch.setattr(gpu, "_flex", lambda layout: lambda q, k, v: q)  # compiles; and is wrong
    case = Case("forward", "bigbird")
    attention(SETTING, BIGBIRD, N, 64, False, case)
    assert case.entries[4].note == "a mask of 2,048 x 2,048 is too much: up to 256"
    assert case.verdict(case.entries[1]) == "WRONG"


def test_density_compares_ours_with_ours() -> None:
    case = Case("density", "N")
    density(SETTING, N, case)
    assert [entry.name for entry in case.entries] == [f"density 1/{part}" for part in (1, 4, 8, 16)]
    assert [len(entry.seconds) for entry in case.entries] == [2] * 4
    assert [str(entry.goal) for entry in case.entries if entry.goal] == ["≤ 0.167"]


def test_too_little_memory_is_a_reason_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(gpu, "_flex", lambda layout: full)
    case = Case("forward", "causal")
    attention(SETTING, Subject("causal", Causal(), True), N, 64, False, case)
    assert case.entries[1].note == "more memory than the GPU has"
    assert case.entries[2].other == ""  # dense causal is what this pattern means


@pytest.mark.parametrize("pattern", [SlidingWindow(100), PerHead([Causal(), SlidingWindow(40)])])
def test_work_is_counted_over_listed_blocks_and_over_pairs_that_are_seen(pattern) -> None:
    q = torch.zeros(3, 4, 300, 16)
    pattern = pattern if pattern.heads == 1 else PerHead([Causal(), SlidingWindow(40)] * 2)
    layout = pattern.layout(300, block=64)
    mask = layout.dense_mask().expand(1, 4, 300, 300)
    blocks = torch.nn.functional.max_pool2d(mask.float(), 64, ceil_mode=True)
    executed, useful = work_of(layout, q, train=False)
    assert executed.exponentials == 3 * int(blocks.sum()) * 64 * 64
    assert useful.exponentials == 3 * int(mask.sum())
    assert useful.flops == 3 * int(mask.sum()) * 4 * 16
    both, _ = work_of(layout, q, train=True)
    assert both.flops == executed.flops * 7 // 2


def test_bytes_are_those_of_the_tensors() -> None:
    q, k = torch.zeros(2, 3, 10, 8, dtype=torch.bfloat16), torch.zeros(2, 3, 20, 8, dtype=torch.bfloat16)
    lse = 4 * 2 * 3 * 10
    arguments = (600, 2 * 3 * 10, 2 * 3 * 20, 8, 2)
    assert forward(*arguments).bytes == 2 * q.nbytes + 2 * k.nbytes + lse
    assert backward(*arguments).bytes == 4 * q.nbytes + 4 * k.nbytes + lse


@pytest.mark.parametrize(("work", "seconds"), [((8, 0, 0), 4.0), ((2, 9, 0), 3.0), ((2, 0, 70), 7.0)])
def test_limit_is_the_slowest_of_three_ceilings(work: tuple[int, int, int], seconds: float) -> None:
    assert Ceilings(2.0, 3.0, 10.0).least_seconds(Work(*work)) == seconds


def test_figures_are_rates_and_shares() -> None:
    found = figures(Work(8, 0, 0), Work(6, 0, 0), seconds=4.0, ceilings=Ceilings(4.0, 1.0, 1.0))
    assert list(found.values()) == pytest.approx([2e-12, 1.5e-12, 0.5, 2000.0, 0.5])


@pytest.mark.skipif(canary().status != "ok", reason="the kernel runs in Triton's interpreter here")
def test_kernel_of_the_exponentials_computes_them() -> None:
    from tsparse.bench.ceilings import exponentials

    x = torch.rand(2 * 4096, generator=torch.Generator().manual_seed(0))
    want = x.clone()
    for _ in range(3):
        want = torch.exp2(-want)
    exponentials(x, 3)
    torch.testing.assert_close(x, want)
    assert not math.isclose(float(x.std()), 0.0)
