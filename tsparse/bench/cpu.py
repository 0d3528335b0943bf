"""`tsparse bench --cpu`: H = 4, D = 64, float32, one batch entry, as many threads as PyTorch uses.

Timed is what a user waits for who has a layout, a compiled function or a mask at hand: attention. Beside
Hugging Face's modules, which hold their projections to q, k and v, ours takes the place of their attention
between the same three projections, with the same weights: both sides do them. Layouts and first calls have
cases of their own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ..layout import BlockLayout
from ..patterns import Local
from . import peers
from .apart import apart, inputs, layout_subject
from .racing import ROUNDS, Apart, Contestant, NotMeasured, Rounds, compare, difference, race
from .record import Case, Entry, Goal, Planned
from .subjects import Subject, global_window, random_window, window

HEADS, DIM, BLOCK = 4, 64, 64
LAYOUT_BLOCK = 128
MEMORY_LIMIT = 8.0  # GiB for a process that builds a layout: what a laptop may have
TIME_LIMIT = 30.0  # seconds for it, several builds and all
BUILDERS = {
    "ours": "ours, pattern.layout",
    "create_block_mask": "create_block_mask",
    "compiled": "create_block_mask, compiled",  # for windows alone, since each length is compiled anew
}

FORWARD = "forward (H = 4, D = 64, float32, block 64)"
MODULES = "modules of Hugging Face (E = 256, the same three projections on both sides)"
FIRST = "first call (empty compile cache, from inputs to output)"
BACKWARD = "forward and backward (H = 4, D = 64, float32, block 64)"
MEMORY = "peak memory (above what was resident before)"
LAYOUTS = "layouts (block 128; difference: blocks that only one of them lists)"

GOALS = {
    "window": Goal(least=1.0),  # compiled FlexAttention's time over ours, forward
    "bigbird": Goal(least=0.8),
    "first call": Goal(least=50.0),
    "masked backward": Goal(least=12.0),
    "causal backward": Goal(least=6.0),
    "memory": Goal(most=2.1),  # from one length to twice the length
    "million": Goal(most=500e6 / 2**20, of="mib"),  # the layout of a window over 2**20 tokens
}


@dataclass(frozen=True)
class Effort:
    """What is measured, at which lengths and how often, and what it should reach."""

    patterns: tuple[str, ...] = ("window", "longformer", "bigbird")
    forward: tuple[int, ...] = (4096, 16384)
    backward: tuple[int, int] = (4096, 8192)  # beside SDPA with the mask, beside SDPA causal
    memory: tuple[int, int] = (16384, 32768)
    layouts: tuple[int, ...] = tuple(1 << power for power in (10, 14, 15, 17, 20))
    times_apart: int = 3
    rounds: Rounds = ROUNDS
    goals: Mapping[str, Goal] = field(default_factory=lambda: GOALS)


FULL = Effort()
QUICK = Effort(("window",), (1024,), (1024, 1024), (1024, 2048), (1024,), 1, Rounds(2, 2), {})


def plan(effort: Effort) -> Iterator[Planned]:
    """All cases."""
    rounds, goals, times = effort.rounds, effort.goals, effort.times_apart
    for n in effort.forward:
        for name in effort.patterns:
            subject = _subject(name, n)
            yield Planned(FORWARD, subject.title, partial(_forward, subject, goals.get(name), n, rounds))
    for n in effort.forward:
        yield Planned(MODULES, f"Local(256), N = {n:,}", partial(_longformer, n, rounds))
        yield Planned(MODULES, _subject("bigbird", n).title, partial(_bigbird, n, rounds))
    n = effort.forward[0]
    yield Planned(FIRST, _subject("window", n).title, partial(_first_call, n, times, goals.get("first call")))
    for n, causal in zip(effort.backward, (False, True), strict=True):
        goal = goals.get("causal backward" if causal else "masked backward")
        yield Planned(BACKWARD, _subject("window", n).title, partial(_backward, causal, goal, n, rounds))
    measure = partial(_memory, effort.memory, goals.get("memory"))
    yield Planned(MEMORY, "SlidingWindow(256), forward and backward", measure)
    stopped: dict[tuple[str, str], str] = {}
    for name in effort.patterns:
        for n in effort.layouts:
            goal = goals.get("million") if (name, n) == ("window", 1 << 20) else None
            measure = partial(_layout, name, n, times, goal, stopped)
            yield Planned(LAYOUTS, layout_subject(name, n, LAYOUT_BLOCK).title, measure)


def _subject(name: str, n: int) -> Subject:
    """The patterns of the attention cases, for n tokens."""
    if name == "window":
        return window(n, 256)
    return global_window(n, 256, 1) if name == "longformer" else random_window(n, BLOCK)


def _forward(subject: Subject, goal: Goal | None, n: int, rounds: Rounds, case: Case) -> None:
    """Ours, FlexAttention with its own mask_mod, SDPA with the mask, SDPA dense."""
    q, k, v = inputs(n, HEADS, DIM)
    mine = peers.ours(subject.pattern.layout(n, block=BLOCK))
    flex = peers.flex(subject.mask_mod, n, BLOCK)
    masked = peers.masked(peers.dense_mask(subject.mask_mod, n))
    dense = peers.dense(subject.causal)
    sees = "a query sees every earlier key" if subject.causal else "a query sees every key"
    contestants = [
        Contestant("ours, gather", lambda: mine(q, k, v)),
        Contestant("FlexAttention, compiled", lambda: flex(q, k, v), goal),
        Contestant("SDPA, boolean mask", lambda: masked(q, k, v)),
        Contestant("SDPA, causal" if subject.causal else "SDPA, dense", lambda: dense(q, k, v), other=sees),
    ]
    with torch.no_grad():
        race(case, contestants, rounds)


def _longformer(n: int, rounds: Rounds, case: Case) -> None:
    """Ours beside LongformerSelfAttention, between the same projections."""
    x = _tokens(n)
    make = partial(peers.longformer_module, HEADS * DIM, HEADS, 256, x)
    _beside_module(case, "LongformerSelfAttention", make, "", Local(256).layout(n, block=BLOCK), x, rounds)


def _bigbird(n: int, rounds: Rounds, case: Case) -> None:
    """Ours beside BigBirdBlockSparseAttention, between the same projections."""
    x = _tokens(n)
    make = partial(peers.bigbird_module, HEADS * DIM, HEADS, BLOCK, 3, x)
    layout = random_window(n, BLOCK).pattern.layout(n, block=BLOCK)
    other = "in eval() block 0 in place of each random block, and whole blocks for a window"
    _beside_module(case, "BigBirdBlockSparseAttention", make, other, layout, x, rounds)


def _beside_module(
    case: Case,
    name: str,
    make: Callable[[], tuple[nn.Module, Callable[[], Tensor]]],
    other: str,
    layout: BlockLayout,
    x: Tensor,
    rounds: Rounds,
) -> None:
    """A module, and ours in the place of its attention; neither, where the module is not installed."""
    try:
        module, call = make()
    except NotMeasured as reason:
        case.entries.append(Entry(name, note=str(reason)))
        return
    mine = peers.between_projections(module, layout, HEADS, x)
    with torch.no_grad():
        race(
            case,
            [Contestant("ours, between its projections", mine), Contestant(name, call, other=other)],
            rounds,
        )


def _first_call(n: int, times: int, goal: Goal | None, case: Case) -> None:
    """From inputs to output in a process that has only imported, with an empty compile cache."""
    entries = {"ours": Entry("ours, gather"), "flex": Entry("FlexAttention, compiled", goal)}
    case.entries += entries.values()
    with tempfile.TemporaryDirectory() as folder:
        for who, entry in [*entries.items()] * times:
            try:
                found = apart("first_call", who, n, HEADS, DIM, BLOCK, str(Path(folder) / who))
            except NotMeasured as reason:
                entry.note = str(reason)
                return
            entry.seconds.append(found["seconds"])
        away = difference(*(torch.load(Path(folder) / who) for who in ("flex", "ours")))
    compare(entries["flex"], away, tolerance=1e-4)


def _backward(causal: bool, goal: Goal | None, n: int, rounds: Rounds, case: Case) -> None:
    """Output and gradients: ours beside SDPA, with the mask or causal and dense."""
    subject = _subject("window", n)
    q, k, v = (x.requires_grad_() for x in inputs(n, HEADS, DIM))
    dout = torch.randn(q.shape, generator=torch.Generator().manual_seed(1))
    mine = peers.ours(subject.pattern.layout(n, block=BLOCK))
    theirs = peers.dense(causal=True) if causal else peers.masked(peers.dense_mask(subject.mask_mod, n))
    contestants = [
        Contestant("ours, gather", lambda: peers.gradients(mine, q, k, v, dout)),
        Contestant(
            "SDPA, causal" if causal else "SDPA, boolean mask",
            lambda: peers.gradients(theirs, q, k, v, dout),
            goal,
            other="a query sees every earlier key" if causal else "",
        ),
    ]
    race(case, contestants, rounds)


def _memory(sizes: tuple[int, int], grows: Goal | None, case: Case) -> None:
    """Ours at two lengths, each in a process of its own; the ratio is by how much it grows."""
    for n, goal in zip(sizes, (None, grows), strict=True):
        entry = Entry(f"ours, gather, N = {n:,}", goal)
        case.entries.append(entry)
        try:
            entry.mib = apart("memory", n, HEADS, DIM, BLOCK)["mib"]
        except NotMeasured as reason:
            entry.note = str(reason)


def _layout(
    name: str, n: int, builds: int, goal: Goal | None, stopped: dict[tuple[str, str], str], case: Case
) -> None:
    """Our layout and FlexAttention's block mask, each in a process of its own, unless it `stopped` before."""
    for who, label in BUILDERS.items():
        if who == "compiled" and name != "window":
            continue
        entry = Entry(label, goal if who == "ours" else None, note=stopped.get((name, who), ""))
        case.entries.append(entry)
        if entry.note:
            continue
        try:
            found = apart("layout", who, name, n, LAYOUT_BLOCK, builds, MEMORY_LIMIT, timeout=TIME_LIMIT)
        except NotMeasured as reason:
            entry.note = str(reason)
            stopped[name, who] = f"{reason}, at N = {n:,}"
            continue
        entry.seconds, entry.mib, entry.note = found["seconds"], found["mib"], found["note"]
        if who != "ours":
            compare(entry, Apart(found["difference"], found["difference"]), tolerance=0)


def _tokens(n: int) -> Tensor:
    """`[1, N, E]`, standard normal."""
    return torch.randn(1, n, HEADS * DIM, generator=torch.Generator().manual_seed(0))
