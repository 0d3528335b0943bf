"""What needs a process of its own: a first call with an empty compile cache, memory and its limits, layouts.

`apart("memory", 16384)` runs `memory(16384)` in a new process and returns the dictionary that it prints as
JSON. Memory is the most that was resident (VmHWM, which Linux counts per process) above what was resident
when inputs were ready and a small call had loaded what is loaded on first use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from . import peers
from .peak import WAYS, Attention, most_allocated, three_lines
from .racing import NotMeasured, wall
from .subjects import Subject, global_window, random_window, window

ENOUGH = 5.0  # seconds after which it builds it no more


def apart(task: str, *arguments: Any, timeout: float | None = None) -> dict[str, Any]:
    """What a task returns, in a new process with an empty compile cache. Raises NotMeasured, saying why."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, json.dumps([task, *arguments])],
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"stopped at the time limit of {timeout:g} s") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise NotMeasured(f"its process failed: {last[0]}")
    found = json.loads(done.stdout.splitlines()[-1])
    if "stopped" in found:
        raise NotMeasured(found["stopped"])
    return found


def first_call(who: str, n: int, heads: int, dim: int, block: int, path: str) -> dict[str, Any]:
    """Seconds of the first forward pass of ours ("ours") or FlexAttention ("flex"), window 256.

    From inputs in memory to the output: layout or block mask, compilation where there is one, attention. The
    output is saved at `path`.
    """
    subject = window(n, 256)
    q, k, v = inputs(n, heads, dim)
    with torch.no_grad():
        begin = time.perf_counter()
        if who == "ours":
            attend = peers.ours(subject.pattern.layout(n, block=block))
        else:
            attend = peers.flex(subject.mask_mod, n, block)
        out = attend(q, k, v)
        seconds = time.perf_counter() - begin
    torch.save(out, path)
    return {"seconds": seconds}


def memory(n: int, heads: int, dim: int, block: int) -> dict[str, Any]:
    """MiB of ours, forward and backward with window 256, layout included."""

    def step(n: int, tensors: list[Tensor]) -> None:
        q, k, v = (x.requires_grad_() for x in tensors)
        layout = window(n, 256).pattern.layout(n, block=block)
        peers.gradients(peers.ours(layout), q, k, v, torch.ones_like(q))

    step(4 * block, inputs(4 * block, heads, dim))
    tensors = inputs(n, heads, dim)
    return {"mib": most_resident(lambda: step(n, tensors))}


def layout(who: str, subject_name: str, n: int, block: int, builds: int, gib: float) -> dict[str, Any]:
    """Seconds of each build and MiB of the first, in at most `gib` GiB; how many blocks differ from ours.

    `who` is "ours", "create_block_mask" or "compiled" (`torch.compile(create_block_mask)`, for which the note
    says how long the call took that compiled). Something is built before the first that counts: this very one
    where that compiles, a small one otherwise.
    """
    import resource

    def build(subject: Subject, n: int) -> Any:
        if who == "ours":
            return subject.pattern.layout(n, block=block)
        return create(subject.mask_mod, None, None, n, n, device="cpu", BLOCK_SIZE=block)

    create = torch.compile(create_block_mask, dynamic=False) if who == "compiled" else create_block_mask
    subject = layout_subject(subject_name, n, block)
    resource.setrlimit(resource.RLIMIT_AS, (int(gib * 2**30),) * 2)  # of addresses
    try:
        small = 8 * block
        warm = (subject, n) if who == "compiled" else (layout_subject(subject_name, small, block), small)
        first = wall(lambda: build(*warm))
        seconds: list[float] = []
        mib = most_resident(lambda: seconds.append(wall(lambda: build(subject, n))))
        while len(seconds) < builds and sum(seconds) < ENOUGH:
            seconds.append(wall(lambda: build(subject, n)))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        return {"stopped": f"stopped at the memory limit of {gib:g} GiB"}
    differing = None if who == "ours" else blocks_apart(build(subject, n), subject, n, block)
    note = f"its first call took {first:.3g} s: it compiles for every length" if who == "compiled" else ""
    return {"seconds": seconds, "mib": mib, "difference": differing, "note": note}


def allocated(lengths: list[int], heads: int, dim: int) -> dict[str, Any]:
    """Bytes that each way to attend (`peak.WAYS`) holds at the most at each length, beside q, k and v.

    In a process of its own because PyTorch's profiler may write to stderr.
    """

    def held(make: Callable[[int], Attention], n: int) -> int:
        attend, tensors = make(n), inputs(n, heads, dim)
        attend(*tensors)  # what is kept from the first call on is not counted
        return most_allocated(lambda: attend(*tensors))

    return {way: [held(make, n) for n in lengths] for way, make in WAYS.items()}


def fits(lengths: list[int], heads: int, dim: int, limit: int) -> dict[str, Any]:
    """At which lengths dense attention in three lines runs in `limit` more bytes than PyTorch alone takes.

    The system sets the limit, on addresses (RLIMIT_AS): a request beyond it fails at once and takes memory
    from nobody. One thread, because every thread reserves addresses of its own.
    """
    torch.set_num_threads(1)
    three_lines(*inputs(64, heads, dim))  # loads what is loaded on first use
    try:
        import resource

        used = int(_status("VmSize") * 2**20)
    except (ImportError, OSError):
        raise NotMeasured("memory can be limited on Linux only") from None
    resource.setrlimit(resource.RLIMIT_AS, (used + limit,) * 2)

    def runs(n: int) -> bool:
        try:
            three_lines(*inputs(n, heads, dim))
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
                raise
            return False
        return True

    return {str(n): runs(n) for n in lengths}


def blocks_apart(block_mask: BlockMask, subject: Subject, n: int, block: int) -> float:
    """How many blocks only one of a BlockMask and our layout lists."""
    layout = subject.pattern.layout(n, block=block)
    listed = torch.zeros(layout.n_q_blocks, layout.n_kv_blocks, dtype=torch.bool)
    for crow, col in (
        (layout.crow_indices, layout.col_indices),
        (layout.full_crow_indices, layout.full_col_indices),
    ):
        row = torch.arange(layout.n_q_blocks).repeat_interleave(crow[0, 0].diff())
        listed[row, col.long()] = True
    return float((listed != block_mask.to_dense()[0, 0].bool()).sum())


def layout_subject(name: str, n: int, block: int) -> Subject:
    """The patterns whose layouts are built, for n tokens."""
    if name == "window":
        return window(n, 4096)
    return global_window(n, 4 * block, 1) if name == "longformer" else random_window(n, block)


def inputs(n: int, heads: int, dim: int) -> list[Tensor]:
    """q, k and v `[1, H, N, D]`, standard normal, the same every time."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, heads, n, dim, generator=generator) for _ in range(3)]


def most_resident(call: Callable[[], object]) -> float:
    """MiB that are resident at the most during a call, above what is before. Raises NotMeasured off Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the most that was resident until now
    except OSError:
        raise NotMeasured("peak memory is counted on Linux only") from None
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> float:
    """MiB, from the system's account of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "first_call": first_call,
    "memory": memory,
    "layout": layout,
    "allocated": allocated,
    "fits": fits,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name, *rest = json.loads(sys.argv[1])
    try:
        print(json.dumps(TASKS[name](*rest)))
    except NotMeasured as reason:
        print(json.dumps({"stopped": str(reason)}))
