"""Four kernels as one operation, and which tiles its programs load."""

from itertools import pairwise

import pytest
import torch

from tsparse import SlidingWindow, show
from tsparse.grade.block_sparse import Attention, Kernels, Walk, lists, lists_of, table_of
from tsparse.grade.exercises.kernel import delta, dkdv, dq
from tsparse.kernels import interpret

pytestmark = pytest.mark.skipif(interpret.canary().status != "ok", reason=interpret.canary().detail)


def dense_forward(window: int):
    """A stand-in for the forward kernel: what `kernel.partial` stores, computed in PyTorch."""

    class Launched:
        def __getitem__(self, grid):
            def launch(q, k, v, out, lse, *rest, **constants):
                gap = torch.arange(q.shape[1])[:, None] - torch.arange(k.shape[1])
                scores = q @ k.mT * q.shape[2] ** -0.5
                scores = scores.masked_fill((gap < 0) | (gap >= window), -torch.inf)
                lse.copy_(scores.logsumexp(-1))
                out.copy_(scores.softmax(-1).nan_to_num(0.0) @ v)

            return launch

    return Launched()


def test_operation_passes_gradcheck_with_two_heads_and_a_query_that_sees_nothing():
    n, m, window, block = 8, 4, 3, (4, 2)
    kernels = Kernels(dense_forward(window), *(one.TEXT.define() for one in (delta, dq, dkdv)))
    walk = Walk(kernels, lists_of(SlidingWindow(window).layout(n, m, block=block)), window, block)
    x = [torch.randn(2, rows, 2, dtype=torch.float64, requires_grad=True) for rows in (n, m, m)]
    assert torch.autograd.gradcheck(lambda *x: Attention.apply(*x, walk), x, fast_mode=True)


def test_lists_of_a_layout_are_sorted_and_their_transpose_holds_the_same_blocks():
    layout = SlidingWindow(20).layout(50, 30, block=(16, 8))
    found = lists_of(layout)
    rows, columns = table_of(*found.rows, layout.n_kv_blocks), table_of(*found.columns, layout.n_q_blocks)
    assert rows.equal(columns.T)
    assert rows.equal(
        table_of(*found.full, layout.n_kv_blocks) | table_of(*found.partial, layout.n_kv_blocks)
    )
    for first, end in pairwise(found.columns[0].tolist()):
        row = found.columns[1][first:end].tolist()
        assert row == sorted(set(row))


def test_lists_stand_for_the_table_they_were_made_from():
    table = torch.tensor([[True, False, True], [False, False, False]])
    crow, col = lists(table)
    assert (crow.tolist(), col.tolist()) == ([0, 2, 2], [0, 2])
    assert table_of(crow, col, 3).equal(table)


def test_tiles_that_programs_load_are_those_of_their_lists():
    table = torch.tensor([[True, False, True], [False, True, False]])
    q, do, dq_out = torch.zeros(3, 8, 2)
    k, v = torch.zeros(2, 6, 2)
    lse = torch.zeros(8)
    loaded = show.tiles_loaded(
        dq.TEXT.define(), (2,), q, k, v, do, lse, lse, dq_out, *lists(table), 8, 6, 2, 2, 2, 1.0,
        of="v_ptr", tile=2, WINDOW=9, HEAD_DIM=2, BLOCK_M=4, BLOCK_N=2,
    )  # fmt: skip
    assert loaded.tolist() == table.tolist()
