"""How much memory a call holds at the most, counted by PyTorch's own allocator.

The operating system's count (resident memory) knows pages, not tensors, and Python's own (`tracemalloc`) does
not see PyTorch's memory at all. The allocator reports every request and every release to the profiler; the
largest running sum is the peak, the same on every machine that runs the same operators.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ..attention import sparse_attention
from ..patterns import SlidingWindow

Attention = Callable[[Tensor, Tensor, Tensor], object]


def most_allocated(call: Callable[[], object]) -> int:
    """Bytes on the CPU that are allocated during a call and held together at the most.

    >>> most_allocated(lambda: torch.ones(1000).add(1).sum()) // 1000
    8
    """
    # acc_events changes nothing in a single cycle; without it torch 2.11 warns that cycles are forgotten
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as record:
        call()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        record.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    held = most = 0
    for event in sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"]):
        held += event["args"]["Bytes"]  # negative where memory is given back
        most = max(most, held)
    return most


def three_lines(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention as lesson 01 writes it: two N x M tables are held at once."""
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # [B, H, N, M]
    weights = torch.softmax(scores, dim=-1)  # [B, H, N, M]
    return weights @ v


def _window(n: int) -> Attention:
    """Block-sparse attention with a window of 128."""
    layout = SlidingWindow(128).layout(n, block=(64, 64))
    return lambda q, k, v: sparse_attention(q, k, v, layout)


WAYS: Mapping[str, Callable[[int], Attention]] = {
    "three lines": lambda n: three_lines,
    "fused": lambda n: F.scaled_dot_product_attention,
    "window": _window,
}
"""Ways to attend, each made for n tokens."""
