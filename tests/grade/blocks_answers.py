"""Right and wrong answers to the exercises of lesson 09, others than the exercises' own."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tsparse.grade.exercises.blocks.kinds import any_block, classify
from tsparse.grade.exercises.blocks.lists import csr, starts, transpose
from tsparse.grade.exercises.blocks.window import window_layout

Block = tuple[int, int]
Answers = dict[str, dict[str, Callable[..., Any]]]


def any_by_pooling(mask: Tensor, block: Block) -> Tensor:
    return F.max_pool2d(mask[None].float(), block, ceil_mode=True)[0].bool()


def any_by_loops(mask: Tensor, block: Block) -> Tensor:
    return torch.tensor(
        [[bool(tile.any()) for tile in row.split(block[1], 1)] for row in mask.split(block[0])]
    )


def any_by_indices(mask: Tensor, block: Block) -> Tensor:
    blocks = torch.zeros([-(-n // b) for n, b in zip(mask.shape, block, strict=True)], dtype=torch.bool)
    query, key = mask.nonzero(as_tuple=True)
    blocks[query // block[0], key // block[1]] = True
    return blocks


def classify_by_loops(mask: Tensor, block: Block) -> Tensor:
    def label(tile: Tensor) -> int:
        whole = tile.shape[1] == block[1] and bool(tile.all())
        return 2 if whole else int(tile.any())

    rows = [[label(tile) for tile in row.split(block[1], 1)] for row in mask.split(block[0])]
    return torch.tensor(rows, dtype=torch.int8)


def classify_by_counting(mask: Tensor, block: Block) -> Tensor:
    def counted(table: Tensor) -> Tensor:
        more = [-n % b for n, b in zip(mask.shape, block, strict=True)]
        padded = F.pad(table.float(), (0, more[1], 0, more[0]))
        return F.avg_pool2d(padded[None], block)[0].mul(block[0] * block[1]).round()

    seen, queries = counted(mask), counted(torch.ones(len(mask), 1).expand(mask.shape))
    there = queries.amax(1, keepdim=True).div(block[1]).round() if mask.shape[1] >= block[1] else None
    if there is None:  # no block has all its keys
        return (seen > 0).to(torch.int8)
    return ((seen > 0).int() + (seen == there * block[1]).int()).to(torch.int8)


def csr_by_loops(blocks: Tensor) -> tuple[Tensor, Tensor]:
    crow, col = [0], []
    for row in blocks.tolist():
        col += [j for j, needed in enumerate(row) if needed]
        crow.append(len(col))
    return torch.tensor(crow, dtype=torch.int32), torch.tensor(col, dtype=torch.int32)


def csr_by_searching(blocks: Tensor) -> tuple[Tensor, Tensor]:
    row, col = torch.where(blocks)
    return torch.searchsorted(row, torch.arange(len(blocks) + 1)).int(), col.to(torch.int32)


def transpose_by_lists(crow: Tensor, col: Tensor, n_cols: int) -> tuple[Tensor, Tensor]:
    readers: list[list[int]] = [[] for _ in range(n_cols)]
    begin, listed = crow.tolist(), col.tolist()
    for row in range(len(begin) - 1):
        for column in listed[begin[row] : begin[row + 1]]:
            readers[column].append(row)
    ends = [0]
    for one in readers:
        ends.append(ends[-1] + len(one))
    rows = [row for one in readers for row in one]
    return torch.tensor(ends, dtype=torch.int32), torch.tensor(rows, dtype=torch.int32)


def transpose_by_numbers(crow: Tensor, col: Tensor, n_cols: int) -> tuple[Tensor, Tensor]:
    rows = max(len(crow) - 1, 1)
    number = torch.repeat_interleave(torch.arange(len(crow) - 1), crow.diff()) + col.long() * rows
    number = number.sort().values
    return torch.searchsorted(number, torch.arange(n_cols + 1) * rows).int(), (number % rows).int()


def window_by_spans(n: int, window: int, block: int) -> tuple[Tensor, ...]:
    row = torch.arange(-(-n // block))
    first, last = row * block, ((row + 1) * block).clamp(max=n) - 1
    begin = (first - window + 1).clamp(min=0) // block
    full_end = (first + 1) // block
    full_begin = torch.minimum((last - window + block).clamp(min=0) // block, full_end).clamp(min=begin)
    left, count = full_begin - begin, full_begin - begin + row + 1 - full_end

    def listed(count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        crow, which = starts(count), row.repeat_interleave(count)
        return crow, which, torch.arange(len(which)) - crow[which]

    crow, which, turn = listed(count)
    skip = torch.where(turn < left[which], begin[which], full_end[which] - left[which])
    full_crow, full_which, full_turn = listed(full_end - full_begin)
    return crow, (skip + turn).int(), full_crow, (full_begin[full_which] + full_turn).int()


def window_by_looking(n: int, window: int, block: int) -> tuple[Tensor, ...]:
    lists: tuple[list[int], ...] = ([0], [], [0], [])
    for i in range(-(-n // block)):
        query = torch.arange(i * block, min((i + 1) * block, n))[:, None]
        begin = max(0, i * block - window + 1) // block
        key = torch.arange(begin * block, (i + 1) * block)
        seen = (key <= query) & (query - key < window) & (key < n)
        per_block = seen.view(len(query), -1, block)
        for j, every in enumerate(per_block.all(2).all(0).tolist(), begin):
            lists[3 if every else 1].append(j)
        lists[0].append(len(lists[1]))
        lists[2].append(len(lists[3]))
    return tuple(torch.tensor(one, dtype=torch.int32) for one in lists)


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "any_block": [any_by_pooling, any_by_loops, any_by_indices],
    "classify": [classify_by_loops, classify_by_counting],
    "csr": [csr_by_loops, csr_by_searching],
    "transpose": [transpose_by_lists, transpose_by_numbers],
    "window_layout": [window_by_spans, window_by_looking],
}


def kinds(change: Callable[[Tensor, Tensor, Block], Tensor]) -> Callable[..., Tensor]:
    """A change of the right labels, given the mask and the block."""
    return lambda mask, block: change(classify(mask, block), mask, block).to(torch.int8)


def by_lists(change: Callable[[Tensor, Tensor], Any]) -> Callable[..., Any]:
    """A change of the right lists of rows."""
    return lambda blocks: change(*csr(blocks))


def by_column(change: Callable[[Tensor, Tensor], Any]) -> Callable[..., Any]:
    """A change of the right lists of columns."""
    return lambda crow, col, n_cols: change(*transpose(crow, col, n_cols))


def by_window(change: Callable[..., Any]) -> Callable[..., Any]:
    """A change of the right lists of a window."""
    return lambda n, window, block: change(*window_layout(n, window, block))


WRONG: Answers = {
    "any_block": {
        "transposed": lambda m, block: any_block(m, block).T,
        "inverted": lambda m, block: ~any_block(m, block),
        "floats": lambda m, block: any_block(m, block).float(),
        "last place only": lambda m, block: any_block(m.flip(0, 1), (1, 1)).flip(0, 1)[
            :: block[0], :: block[1]
        ],
        "diagonal of the block": lambda m, block: any_block(m & torch.eye(*m.shape, dtype=torch.bool), block),
        "one block too many": lambda m, block: F.pad(any_block(m, block), (0, 1, 0, 1)),
        "rows of the table only": lambda m, block: any_block(m, (block[0], m.shape[1])).expand(
            -1, -(-m.shape[1] // block[1])
        ),
        "keys in blocks only": lambda m, block: any_block(m, (1, block[1])),
        "two pairs needed": lambda m, block: (
            F.avg_pool2d(
                F.pad(m[None].float(), (0, -m.shape[1] % block[1], 0, -m.shape[0] % block[0])), block
            )[0]
            > 1.5 / (block[0] * block[1])
        ),
        "everything": lambda m, block: torch.ones_like(any_block(m, block)),
        "list of lists": lambda m, block: any_block(m, block).tolist(),
        "first column of each block": lambda m, block: any_block(m, (block[0], 1))[:, :: block[1]],
    },
    "classify": {
        "int64": lambda m, block: classify(m, block).long(),
        "two for every needed block": kinds(lambda k, m, block: 2 * k.sign()),
        "kinds from one": kinds(lambda k, m, block: k + 1),
        "full is -1": kinds(lambda k, m, block: torch.where(k == 2, -1, k)),
        "empty and full swapped": kinds(lambda k, m, block: 2 - k),
        "transposed": lambda m, block: classify(m, block).T,
        "last column never needed": kinds(lambda k, m, block: F.pad(k[:, :-1], (0, 1))),
        "full if a row is": lambda m, block: (
            any_block(m, block).int()
            + any_block(m, block).int() * (classify(m, (1, block[1])) == 2).any().int()
        ).to(torch.int8),
        "any pair is full": kinds(lambda k, m, block: k.clamp(max=1) * 2),
        "bool": lambda m, block: classify(m, block) == 2,
        "ragged blocks always partial": kinds(
            lambda k, m, block: torch.cat([k[:-1], k[-1:].clamp(max=1)]) if m.shape[0] % block[0] else k
        ),
        "pair of tables": lambda m, block: (classify(m, block) == 1, classify(m, block) == 2),
    },
    "csr": {
        "starts of the columns": lambda b: (csr(b.T)[0], csr(b)[1]),
        "one too many at the end": by_lists(lambda crow, col: (F.pad(crow, (0, 1), value=len(col)), col)),
        "without the end": by_lists(lambda crow, col: (crow[:-1], col)),
        "counted from one": by_lists(lambda crow, col: (crow, col + 1)),
        "padded": lambda b: (csr(b)[0], b.int()),
        "numbers of blocks": lambda b: (csr(b)[0], b.flatten().nonzero()[:, 0].int()),
        "empty blocks listed": lambda b: csr(~b),
        "int16": by_lists(lambda crow, col: (crow.short(), col.short())),
        "list": by_lists(lambda crow, col: [crow, col]),
        "crow only": by_lists(lambda crow, col: crow),
        "last row forgotten": lambda b: csr(torch.cat([b[:-1], torch.zeros_like(b[-1:])])),
        "PyTorch's own": lambda b: (
            s := b.float().to_sparse_csr(),
            (s.crow_indices().int(), s.col_indices().int()),
        )[1],
    },
    "transpose": {
        "only the starts turned": lambda crow, col, n_cols: (transpose(crow, col, n_cols)[0], col.clone()),
        "columns sorted": lambda crow, col, n_cols: (transpose(crow, col, n_cols)[0], col.sort().values),
        "counted from one": by_column(lambda ccol, rows: (ccol, rows + 1)),
        "without the end": by_column(lambda ccol, rows: (ccol[:-1], rows)),
        "lists reversed": lambda crow, col, n_cols: (crow.flip(0), col.flip(0)),
        "pair exchanged": by_column(lambda ccol, rows: (rows, ccol)),
        "square assumed": lambda crow, col, n_cols: transpose(crow, col, len(crow) - 1),
        "twice": lambda crow, col, n_cols: transpose(*transpose(crow, col, n_cols), len(crow) - 1),
        "rows distinct": by_column(lambda ccol, rows: (ccol, rows.unique().int())),
        "floats": by_column(lambda ccol, rows: (ccol.float(), rows.float())),
        "crow in place": lambda crow, col, n_cols: (crow.add_(0), transpose(crow, col, n_cols)[1]),
        "PyTorch's own": lambda crow, col, n_cols: (
            s := torch.sparse_csr_tensor(
                crow, col, torch.ones(len(col)), (len(crow) - 1, n_cols)
            ).to_sparse_csc(),
            (s.ccol_indices().int(), s.row_indices().int()),
        )[1],
    },
    "window_layout": {
        "two lists only": by_window(lambda crow, col, full_crow, full_col: (crow, col)),
        "full listed as partial too": lambda n, window, block: (
            *window_layout(n, window, block)[:2],
            *csr(torch.ones(-(-n // block), -(-n // block), dtype=torch.bool).tril()),
        ),
        "window in blocks": lambda n, window, block: window_layout(n, window * block, block),
        "w - 1 keys": lambda n, window, block: window_layout(n, max(1, window - 1), block),
        "n rounded down": lambda n, window, block: window_layout(max(block, n - n % block), window, block),
        "n rounded up": lambda n, window, block: window_layout(n + -n % block, window, block),
        "columns counted from the row": by_window(
            lambda crow, col, full_crow, full_col: (
                crow,
                torch.arange(len(crow) - 1, dtype=torch.int32).repeat_interleave(crow.diff()) - col,
                full_crow,
                full_col,
            )
        ),
        "causal without a window": lambda n, window, block: window_layout(n, n, block),
        "counts": by_window(
            lambda crow, col, full_crow, full_col: (crow.diff(), col, full_crow.diff(), full_col)
        ),
        "two blocks always": lambda n, window, block: window_layout(n, min(window, block), block),
        "descending": by_window(
            lambda crow, col, full_crow, full_col: (crow, col.flip(0), full_crow, full_col.flip(0))
        ),
        "transposed": lambda n, window, block: (
            *transpose(*window_layout(n, window, block)[:2], -(-n // block)),
            *transpose(*window_layout(n, window, block)[2:], -(-n // block)),
        ),
    },
}
