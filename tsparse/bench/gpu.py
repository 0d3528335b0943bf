"""`tsparse bench --gpu`: bfloat16, 65,536 tokens in all (or one sequence) and 2048 features.

For each entry: TFLOP/s over the score elements of the blocks that ours executes and over those that are seen
(both of the pattern, whoever computes it), the share of the machine's matrix peak that the first is, and the
least time that the machine's ceilings allow for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from .. import cost
from ..attention import Backend, sparse_attention
from ..cost import Ceilings, Work
from ..layout import BlockLayout
from ..patterns import Causal, Fixed, Full, Pattern, RandomBlocks, SlidingWindow, Strided, bigbird, longformer
from .peers import Attend, gradients
from .racing import Clock, Contestant, NotMeasured, Results, Rounds, race
from .record import Case, Goal, Planned

LENGTHS = (4096, 16384, 65536, 131072)
HEAD_DIMS = (64, 128)
FEATURES, TOKENS = 2048, 65536
BLOCK = 128
MASK_FITS = 16384  # up to this length SDPA gets its mask: N x N
TOLERANCE = 0.05  # bfloat16 has 8 bits; outputs are around 1

FORWARD = "forward (bfloat16, 65,536 tokens, E = 2048, block 128)"
BACKWARD = "forward and backward (the same)"
DENSITY = "ours, density (forward, D = 128)"

ROUNDS = Rounds(least=10, most=50, seconds=2.0)


@dataclass(frozen=True)
class Setting:
    """On what is measured, and how."""

    ceilings: Ceilings
    clock: Clock
    device: str = "cuda"
    dtype: torch.dtype = torch.bfloat16
    backend: Backend = "triton"
    tokens: int = TOKENS
    features: int = FEATURES
    lengths: tuple[int, ...] = LENGTHS
    rounds: Rounds = ROUNDS


class Subject(NamedTuple):
    """A pattern under its name."""

    name: str
    pattern: Pattern
    causal: bool


def subjects(n: int) -> list[Subject]:
    """The patterns for n tokens."""
    blocks = n // BLOCK
    random = [
        Subject(f"random blocks, 1/{part}", RandomBlocks(blocks // part, BLOCK, length=n), causal=False)
        for part in (16, 8, 4)
    ]
    return [
        Subject("causal", Causal(), causal=True),
        Subject("window 1024", SlidingWindow(1024), causal=True),
        Subject("strided 128", Strided(128) & Causal(), causal=True),
        Subject("fixed 1024, 128", Fixed(1024, 128) & Causal(), causal=True),
        Subject("longformer 512, 128", longformer(512, 128), causal=False),
        Subject("bigbird 128", bigbird(BLOCK, BLOCK, BLOCK, random=3, length=n), causal=False),
        *random,
    ]


def plan(setting: Setting) -> Iterator[Planned]:
    """All cases."""
    for section, train in ((FORWARD, False), (BACKWARD, True)):
        for n in setting.lengths:
            for dim in HEAD_DIMS:
                for subject in subjects(n):
                    measure = partial(attention, setting, subject, n, dim, train)
                    yield Planned(section, f"{subject.name}, N = {n:,}, D = {dim}", measure)
    for n in setting.lengths:
        yield Planned(DENSITY, f"N = {n:,}", partial(density, setting, n))


def attention(setting: Setting, subject: Subject, n: int, dim: int, train: bool, case: Case) -> None:
    """Ours, compiled FlexAttention with the same blocks, SDPA dense by two kernels, SDPA with the mask."""
    q, k, v = _inputs(setting, n, dim, train)
    dout = torch.randn_like(q)
    layout = subject.pattern.layout(n, block=BLOCK, device=setting.device)
    other = ""
    if subject.name != "causal":
        other = "a query sees every earlier key" if subject.causal else "a query sees every key"

    def contestant(name: str, attend: Attend, goal: Goal | None = None, other: str = "") -> Contestant:
        call = partial(gradients, attend, q, k, v, dout) if train else partial(attend, q, k, v)
        return Contestant(name, partial(_within_memory, call), goal, other)

    contestants = [
        contestant(f"ours, {setting.backend}", _ours(setting, layout)),
        contestant("FlexAttention, compiled", _flex(layout), Goal(least=1.0)),
        contestant("SDPA, flash", _dense(SDPBackend.FLASH_ATTENTION, subject.causal), other=other),
        contestant("SDPA, cuDNN", _dense(SDPBackend.CUDNN_ATTENTION, subject.causal), other=other),
        contestant("SDPA, boolean mask", _masked(layout)),
    ]
    with torch.set_grad_enabled(train):
        race(case, contestants, setting.rounds, TOLERANCE, setting.clock)
    work, useful = work_of(layout, q, train)
    for entry in case.entries:
        if entry.median is not None:
            entry.figures = figures(work, useful, entry.median, setting.ceilings)


def density(setting: Setting, n: int, case: Case) -> None:
    """Ours with every block, a quarter, an eighth and a sixteenth of them: cost falls with density."""
    q, k, v = _inputs(setting, n, 128, train=False)
    contestants = []
    for part, goal in ((1, None), (4, None), (8, Goal(most=1 / 6)), (16, None)):
        pattern = Full() if part == 1 else RandomBlocks(n // BLOCK // part, BLOCK, length=n)
        attend = _ours(setting, pattern.layout(n, block=BLOCK, device=setting.device))
        other = "" if part == 1 else f"one block of {part}"
        call = partial(_within_memory, partial(attend, q, k, v))
        contestants.append(Contestant(f"density 1/{part}", call, goal, other))
    with torch.no_grad():
        race(case, contestants, setting.rounds, TOLERANCE, setting.clock)


def cuda_clock(call: Callable[[], object]) -> float:
    """Seconds between CUDA events around a call, with a cold L2 cache.

    Clearing the cache takes the GPU longer than the CPU takes to launch the call, so that no launch is timed.
    """
    torch.empty(1 << 29, dtype=torch.uint8, device="cuda").zero_()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000


def work_of(layout: BlockLayout, q: Tensor, train: bool) -> tuple[Work, Work]:
    """The work of the blocks of a layout, and of the pairs that are seen, for `q [B, H, N, D]`."""
    batch, heads, n, dim = q.shape
    executed = layout.density * layout.n_q_blocks * layout.n_kv_blocks * layout.block[0] * layout.block[1]
    works = []
    for elements in (executed, executed * layout.fill):
        shape = (
            round(elements * batch * heads),
            batch * heads * n,
            batch * heads * layout.n_kv,
            dim,
            q.itemsize,
        )
        works.append(cost.forward(*shape) + cost.backward(*shape) if train else cost.forward(*shape))
    return works[0], works[1]


def figures(executed: Work, useful: Work, seconds: float, ceilings: Ceilings) -> dict[str, float]:
    """TFLOP/s over executed blocks and over pairs that are seen, the share of the matrix peak, the limit."""
    limit = ceilings.least_seconds(executed)
    return {
        "TFLOP/s executed": executed.flops / seconds / 1e12,
        "useful": useful.flops / seconds / 1e12,
        "share of the matrix peak": executed.flops / seconds / ceilings.flops,
        "least possible ms": limit * 1e3,
        "share of the possible": limit / seconds,
    }


def _ours(setting: Setting, layout: BlockLayout) -> Attend:
    """Ours, by the setting's backend."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = sparse_attention(q, k, v, layout, backend=setting.backend)
        assert isinstance(out, Tensor)  # no lse was asked for
        return out

    return attend


def _flex(layout: BlockLayout) -> Attend:
    """FlexAttention, compiled for this layout alone, on its first call."""
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, fullgraph=True, dynamic=False)
    block_mask = layout.to_block_mask()
    return lambda q, k, v: compiled(q, k, v, block_mask=block_mask)


def _dense(kernel: SDPBackend, causal: bool) -> Attend:
    """SDPA without a mask by one kernel; NotMeasured where there is no such kernel."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        try:
            with sdpa_kernel(kernel):
                return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        except RuntimeError as error:
            if not str(error).startswith(("No available kernel", "No viable backend")):
                raise
            raise NotMeasured("no such kernel on this device") from None

    return attend


def _masked(layout: BlockLayout) -> Attend:
    """SDPA with the mask, made on its first call; NotMeasured where N x N is too much."""
    kept: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if layout.n_q > MASK_FITS:
            raise NotMeasured(f"a mask of {layout.n_q:,} x {layout.n_kv:,} is too much: up to {MASK_FITS:,}")
        if not kept:
            kept.append(layout.dense_mask())
        return F.scaled_dot_product_attention(q, k, v, kept[0])

    return attend


def _within_memory(call: Callable[[], Results]) -> Results:
    """The call; NotMeasured where the GPU has not the memory."""
    try:
        return call()
    except torch.OutOfMemoryError:
        raise NotMeasured("more memory than the GPU has") from None


def _inputs(setting: Setting, n: int, dim: int, train: bool) -> list[Tensor]:
    """q, k and v `[B, H, N, D]`, standard normal, of as many tokens and features as the setting says."""
    torch.manual_seed(0)
    shape = max(1, setting.tokens // n), setting.features // dim, n, dim
    return [
        torch.randn(shape, device=setting.device, dtype=setting.dtype, requires_grad=train) for _ in range(3)
    ]
