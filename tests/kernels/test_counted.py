"""What the kernels do, counted: two products a listed block forward, seven backward, and no other block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tsparse import (
    BlockLayout,
    Causal,
    Documents,
    Global,
    Padding,
    PerHead,
    SlidingWindow,
    Strided,
    bigbird,
    sparse_attention,
)
from tsparse.kernels import interpret, tiles
from tsparse.kernels.tiles import Tile
from tsparse.kernels.work import Access, Program, Work

pytestmark = pytest.mark.skipif(
    interpret.canary().status == "off",
    reason="kernels are compiled here, and work is counted in the interpreter",
)

BLOCK = (32, 64)
READ_BY_KEYS = ("q_ptr", "dout_ptr", "lse_ptr", "delta_ptr")
LAYOUTS = {
    "window": SlidingWindow(20).layout(120, block=BLOCK),
    "global tokens": (Global([3, 70]) & Causal()).layout(120, block=BLOCK),
    "bigbird": bigbird(16, radius=9, tokens=4, random=1).layout(120, block=BLOCK),
    "documents of each batch entry": Documents([[0] * 50 + [1] * 70, [0] * 96 + [1] * 24]).layout(
        120, block=BLOCK
    ),
    "strided, permuted": (Strided(4) & Causal()).layout(120, block=BLOCK),
    "heads that differ within their group": PerHead(
        [Causal(), SlidingWindow(5), Global([100]), ~Causal()]
    ).layout(120, block=BLOCK),
    "queries at the end of keys": (SlidingWindow(30) | Global([2])).layout(30, 120, block=BLOCK, q_offset=90),
    "rows that see nothing": (Causal() & Padding([0, 37])).layout(50, 120, block=BLOCK, q_offset=3),
}
GROUP = 2  # query heads for each key head


@dataclass(frozen=True)
class Run:
    """The programs of a forward and a backward pass, and which blocks hold anything, `[B, H, R, C]`."""

    programs: list[Program]
    touched: np.ndarray
    n_q: int
    n_kv: int
    size: int
    value_size: int

    @property
    def heads(self) -> int:
        """Query heads of all batch entries."""
        return self.touched.shape[0] * self.touched.shape[1]

    def work(self, *kernels: str) -> Work:
        """What these kernels did, added up."""
        total = Work()
        for program in self.of(*kernels):
            total.programs += 1
            for step in program.steps:
                total.add(step)
        return total

    def of(self, *kernels: str) -> list[Program]:
        """The programs of these kernels."""
        return [program for program in self.programs if program.kernel in kernels]

    @property
    def listed(self) -> int:
        """Blocks that hold anything, over all batch entries and heads."""
        return int(self.touched.sum())


def touched(layout: BlockLayout) -> np.ndarray:
    """Which blocks hold anything, by looking at the whole mask."""
    mask = layout.dense_mask().expand(layout.batch, max(GROUP, layout.heads), layout.n_q, layout.n_kv)
    if layout.permutation is not None:
        mask = mask[:, :, layout.permutation][..., layout.permutation]
    past = -layout.n_kv % BLOCK[1], -layout.n_q % BLOCK[0]
    mask = torch.nn.functional.pad(mask, (0, past[0], 0, past[1]))
    return mask.unflatten(3, (-1, BLOCK[1])).unflatten(2, (-1, BLOCK[0])).any(dim=5).any(dim=3).numpy()


def run(layout: BlockLayout, size: int, value_size: int) -> Run:
    """Both passes, traced, with heads of these sizes."""
    blocks = touched(layout)
    batch, heads = blocks.shape[:2]
    q = torch.randn(batch, heads, layout.n_q, size, requires_grad=True)
    k = torch.randn(batch, heads // GROUP, layout.n_kv, size, requires_grad=True)
    v = torch.randn(batch, heads // GROUP, layout.n_kv, value_size, requires_grad=True)
    with interpret.tracing() as programs:
        out = sparse_attention(q, k, v, layout, backend="triton")
        out.backward(torch.randn(out.shape))
    return Run(programs, blocks, layout.n_q, layout.n_kv, size, value_size)


@pytest.fixture(scope="module", params=LAYOUTS)
def ran(request: pytest.FixtureRequest) -> Run:
    """A layout with tiles as large as its blocks, and heads that fill them."""
    return run(LAYOUTS[request.param], 16, 32)


@pytest.fixture(scope="module", params=["window", "heads that differ within their group"])
def ran_in_parts(request: pytest.FixtureRequest) -> Run:
    """A layout with four tiles to a block, and heads that fill a part of their tiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "choose", lambda *_: Tile(16, 32, num_warps=1, num_stages=1))
        return run(LAYOUTS[request.param], 20, 40)


def rows(accesses: list[Access], name: str) -> Counter[tuple[int, ...]]:
    """How often each row of an argument was accessed; (batch entry, head, token), whole rows only."""
    found: Counter[tuple[int, ...]] = Counter()
    width = 1
    for access in accesses:
        if access.argument and access.argument.name == name:
            shape = access.argument.shape
            width = shape[3] if len(shape) == 4 else 1
            found.update(zip(*(index.tolist() for index in access.indices[:3]), strict=True))
    assert not any(count % width for count in found.values())
    return Counter({row: count // width for row, count in found.items()})


def accesses(program: Program, kind: str) -> list[Access]:
    return [step for step in program.steps if isinstance(step, Access) and step.kind == kind]


def tokens(blocks: np.ndarray, block: int, n: int) -> list[int]:
    """The tokens of these blocks that exist."""
    return [token for token in range(n) if blocks[token // block]]


def products(m: int, n: int, size: int, value_size: int) -> dict[str, list[tuple[int, int, int]]]:
    """The matrix products of one tile of m queries and n keys, in each kernel."""
    return {
        "forward": [(m, size, n), (m, n, value_size)],
        "dkdv": [(n, size, m), (n, m, value_size), (n, value_size, m), (n, m, size)],
        "dq": [(m, size, n), (m, value_size, n), (m, n, size)],
    }


def assert_multiplies(ran: Run, tile: tuple[int, int], sizes: tuple[int, int]) -> None:
    """Two products for each tile of the listed blocks forward, four and three backward, and no others.

    `sizes` are those of a head in a tile.
    """
    in_a_block = BLOCK[0] // tile[0] * (BLOCK[1] // tile[1])
    for kernel, shapes in products(*tile, *sizes).items():
        assert ran.work(kernel).dots == Counter(shapes * (in_a_block * ran.listed))


def assert_reads_only_what_is_listed(ran: Run) -> None:
    """A program reads each key, or each query, of the listed blocks once, and no other."""
    for program in ran.of("forward", "dq"):
        loads, stores = accesses(program, "load"), accesses(program, "store")
        mine = rows(stores, "out_ptr" if program.kernel == "forward" else "dq_ptr")
        ((b, h, row),) = {(b, h, token // BLOCK[0]) for b, h, token in mine}
        keys = tokens(ran.touched[b, h, row], BLOCK[1], ran.n_kv)
        for name in ("k_ptr", "v_ptr"):
            assert rows(loads, name) == Counter((b, h // GROUP, key) for key in keys)
        assert rows(loads, "q_ptr") == mine
    for program in ran.of("dkdv"):
        loads, stores = accesses(program, "load"), accesses(program, "store")
        mine = rows(stores, "dk_ptr")
        ((b, kv_head, column),) = {(b, head, token // BLOCK[1]) for b, head, token in mine}
        group = range(kv_head * GROUP, (kv_head + 1) * GROUP)
        queries = [
            (b, h, query) for h in group for query in tokens(ran.touched[b, h, :, column], BLOCK[0], ran.n_q)
        ]
        for name in READ_BY_KEYS:
            assert rows(loads, name) == Counter(queries)
        assert rows(loads, "k_ptr") == rows(loads, "v_ptr") == rows(stores, "dv_ptr") == mine


def assert_stores_once(ran: Run) -> None:
    """Each element of each result is stored by one program, once; nothing else is, and nothing adds up."""
    queries, keys = ran.heads * ran.n_q, ran.heads // GROUP * ran.n_kv
    sizes = {
        "forward": {"out_ptr": queries * ran.value_size, "lse_ptr": queries},
        "delta": {"delta_ptr": queries},
        "dkdv": {"dk_ptr": keys * ran.size, "dv_ptr": keys * ran.value_size},
        "dq": {"dq_ptr": queries * ran.size},
    }
    for kernel, stored in sizes.items():
        assert ran.work(kernel).stores.tensors == stored
        assert ran.work(kernel).atomics.calls == 0
        for name in stored:
            places = Counter(
                (name, int(offset))
                for program in ran.of(kernel)
                for access in accesses(program, "store")
                if access.argument and access.argument.name == name
                for offset in access.offsets
            )
            assert set(places.values()) == {1}


def assert_stays_inside(ran: Run) -> None:
    """Every element that is loaded or stored is one of a tensor that the kernel was given."""
    for program in ran.programs:
        for step in program.steps:
            assert not isinstance(step, Access) or step.offsets.size == 0 or step.argument


def test_products_are_those_of_the_listed_blocks(ran: Run) -> None:
    assert_multiplies(ran, BLOCK, (16, 32))


def test_products_are_those_of_the_listed_blocks_in_smaller_tiles(ran_in_parts: Run) -> None:
    assert_multiplies(ran_in_parts, (16, 32), (32, 64))


def test_no_other_key_or_query_is_read(ran: Run) -> None:
    assert_reads_only_what_is_listed(ran)


def test_no_other_key_or_query_is_read_in_smaller_tiles(ran_in_parts: Run) -> None:
    assert_reads_only_what_is_listed(ran_in_parts)


def test_each_result_is_stored_by_one_program_once(ran: Run) -> None:
    assert_stores_once(ran)


def test_each_result_is_stored_by_one_program_once_in_smaller_tiles(ran_in_parts: Run) -> None:
    assert_stores_once(ran_in_parts)


def test_no_access_lies_outside_of_the_tensors(ran: Run) -> None:
    assert_stays_inside(ran)


def test_no_access_lies_outside_of_the_tensors_in_smaller_tiles(ran_in_parts: Run) -> None:
    assert_stays_inside(ran_in_parts)


def test_rows_with_most_blocks_come_first(ran: Run) -> None:
    """Of each head, or for keys of each group, whose first head says the order."""
    for kernel, name in (("forward", "out_ptr"), ("dq", "dq_ptr"), ("dkdv", "dk_ptr")):
        counts: dict[tuple[int, int], list[int]] = {}
        for program in ran.of(kernel):
            b, h, token = next(iter(rows(accesses(program, "store"), name)))
            if kernel == "dkdv":
                count = ran.touched[b, h * GROUP, :, token // BLOCK[1]].sum()
            else:
                count = ran.touched[b, h, token // BLOCK[0]].sum()
            counts.setdefault((b, h), []).append(int(count))
        assert all(of_a_head == sorted(of_a_head, reverse=True) for of_a_head in counts.values())


def test_executed_score_elements_are_those_of_the_listed_blocks() -> None:
    layout = (SlidingWindow(20) | Global([70])).layout(120, block=32)
    q, k, v = (torch.randn(1, 2, 120, 16, requires_grad=True) for _ in range(3))
    listed = 2 * (len(layout.col_indices) + len(layout.full_col_indices)) * 32 * 32
    assert listed < 2 * 120 * 120
    with interpret.counting() as forward:
        out = sparse_attention(q, k, v, layout, backend="triton")
    with interpret.counting() as backward:
        out.sum().backward()
    assert forward.score_elements(head_dim=16, matmuls=2) == listed
    assert backward.score_elements(head_dim=16, matmuls=7) == listed


def test_work_grows_with_the_window_and_not_with_the_square_of_the_length() -> None:
    def elements(n: int) -> int:
        q = torch.randn(1, 1, n, 16)
        with interpret.counting() as work:
            sparse_attention(q, q, q, SlidingWindow(17).layout(n, block=16), backend="triton")
        return work.score_elements(head_dim=16, matmuls=2)

    assert elements(320) == 2 * elements(160) + 16 * 16  # the first row has one block, the others two
