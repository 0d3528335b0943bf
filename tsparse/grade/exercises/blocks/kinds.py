"""`blocks.any_block` and `blocks.classify`: which blocks of a mask are needed, and which are full."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Case, Exercise, Mistake, Wrong
from tsparse.grade.exercises.masks.table import integer

Block = tuple[int, int]
Size = tuple[int, int]

EMPTY, PARTIAL, FULL = range(3)


def tiles(mask: Tensor, block: Block, below: bool = False, right: bool = False) -> Tensor:
    """Bool [R, C, block_q, block_k]: a mask cut into blocks, and what stands past its ends."""
    n_q, n_kv = mask.shape
    rows, columns = -(-n_q // block[0]), -(-n_kv // block[1])
    whole = torch.full((rows * block[0], columns * block[1]), below)
    whole[:, n_kv:] = right
    whole[:n_q, :n_kv] = mask
    return whole.view(rows, block[0], columns, block[1]).transpose(1, 2)


def any_block(mask: Tensor, block: Block) -> Tensor:
    """Reference: bool [R, C], True where a block holds at least one visible pair."""
    return tiles(mask, block).any(-1).any(-1)


def classify(mask: Tensor, block: Block) -> Tensor:
    """Reference: int8 [R, C], 0 empty, 1 partial, 2 full (all keys there, every query it has sees them)."""
    return labels(any_block(mask, block), tiles(mask, block, below=True).all(-1).all(-1))


def labels(some: Tensor, every: Tensor) -> Tensor:
    """Int8 [R, C] from which blocks hold a visible pair and which are full."""
    return some.to(torch.int8) + (some & every).to(torch.int8)


def drawn_mask(rng: Generator, size: Size, block: Block) -> Tensor:
    """Bool `size`: blocks of each kind that a wrong answer takes for another, in a drawn order.

    The kinds: empty; one pair, never the first place; the first place alone; the diagonal alone; all but one
    pair, never one of the diagonal; full. The corners of the table of blocks but the first are full.
    """
    rows, columns = -(-size[0] // block[0]), -(-size[1] // block[1])
    area, diagonal = block[0] * block[1], torch.eye(*block, dtype=torch.bool)
    beside = int((~diagonal).flatten().nonzero()[-1]) if area > 1 and not diagonal.all() else 0
    place = torch.arange(area).view(block)
    one = place == integer(rng, min(1, area - 1), area - 1)
    kinds = torch.stack(
        [place < 0, one, place == 0, diagonal, place != beside, place >= 0],
    )
    order = torch.arange(rows * columns) % len(kinds)
    order = order[torch.randperm(len(order), generator=rng)].view(rows, columns)
    order[0, -1] = order[-1, 0] = order[-1, -1] = len(kinds) - 1
    mask = kinds[order].transpose(1, 2).reshape(rows * block[0], columns * block[1])
    return mask[: size[0], : size[1]].contiguous()


def cases(rng: Generator) -> list[Case]:
    """Whole blocks, square and not, then queries and keys that end inside a block; then tiny ones."""

    def drawn(n_q: int, n_kv: int, block: Block) -> tuple[Tensor, Block]:
        return drawn_mask(rng, (n_q, n_kv), block), block

    n_q, n_kv = integer(rng, 17, 19), integer(rng, 22, 24)
    dense = torch.ones(10, 11, dtype=torch.bool)
    wide, block = drawn(16, 24, (4, 3))
    return [
        Case("12 queries, 20 keys, blocks of 3 x 4", drawn(12, 20, (3, 4))),
        Case("16 queries, 16 keys, blocks of 4 x 4", drawn(16, 16, (4, 4))),
        Case("14 queries, 16 keys, blocks of 4 x 4", drawn(14, 16, (4, 4))),
        Case("16 queries, 14 keys, blocks of 4 x 4", drawn(16, 14, (4, 4))),
        Case(f"{n_q} queries, {n_kv} keys, blocks of 3 x 5", drawn(n_q, n_kv, (3, 5))),
        Case("one query and one key more than the blocks hold", drawn(9, 13, (4, 6)), edge=True),
        Case("fewer queries and keys than a block has", (dense[:3, :2], (4, 5)), edge=True),
        Case("blocks of one query and one key", drawn(5, 6, (1, 1)), edge=True),
        Case("blocks of one query", drawn(5, 14, (1, 4)), edge=True),
        Case("nothing is visible", (~dense, (4, 4)), edge=True),
        Case("everything is visible, both ends inside a block", (dense, (4, 4)), edge=True),
        Case("one query, one key", (dense[:1, :1], (1, 1)), edge=True),
        Case("a mask that is not contiguous", (wide.repeat_interleave(2, 1)[:, ::2], block), edge=True),
    ]


def first(places: Tensor) -> tuple[int, int]:
    """The first True, as (row, column) of blocks; raises IndexError where there is none."""
    row, column = places.nonzero()[0].tolist()
    return row, column


def seen(mistake: Mistake, row: int, column: int) -> Tensor:
    """What of one block exists, bool [queries it has, keys it has]."""
    mask, (block_q, block_k) = mistake.case.args
    return mask[row * block_q : (row + 1) * block_q, column * block_k : (column + 1) * block_k]


def says_dropped(mistake: Mistake) -> str:
    """For blocks at the ends that were left out."""
    mask, block = mistake.case.args
    axis = 0 if mistake.got.shape[0] < mistake.want.shape[0] else 1
    what = ("queries", "rows") if axis == 0 else ("keys", "columns")
    return (
        f"{mask.shape[axis]} {what[0]} in blocks of {block[axis]} make {mistake.want.shape[axis]} {what[1]}; "
        f"you have {mistake.got.shape[axis]}."
    )


def says_sides(mistake: Mistake) -> str:
    """For blocks of (keys, queries)."""
    block_q, block_k = mistake.case.args[1]
    if block_q == block_k:
        raise ValueError("the block is square")
    return f"block = (queries, keys): {block_q} queries by {block_k} keys; you took it the other way round."


def says_all(mistake: Mistake) -> str:
    """For blocks that were asked for all their pairs."""
    row, column = first(mistake.want & ~mistake.got)
    count = int(seen(mistake, row, column).sum())
    pairs = "one visible pair" if count == 1 else f"{count} visible pairs"
    return f"Block ({row}, {column}) has {pairs} and is needed: ask for any pair, not for all."


def says_corner(mistake: Mistake) -> str:
    """For blocks judged by their first place."""
    row, column = first(mistake.want & ~mistake.got)
    return f"Block ({row}, {column})'s first place is hidden, another is visible: look at all its places."


def says_majority(mistake: Mistake) -> str:
    """For blocks judged by most of their pairs."""
    row, column = first(mistake.want & ~mistake.got)
    piece = seen(mistake, row, column)
    return (
        f"Block ({row}, {column}) has {int(piece.sum())} visible of {piece.numel()} pairs; a block with one "
        "is needed too."
    )


def says_filled(mistake: Mistake) -> str:
    """For places past the end that count as visible."""
    row, column = first(mistake.got & ~mistake.want)
    return (
        f"Block ({row}, {column}) has no visible pair; places past the end are not visible: fill up with "
        "False."
    )


def dropped(mask: Tensor, block: Block) -> Tensor:
    """The part of a mask that whole blocks cover."""
    n_q, n_kv = mask.shape
    return mask[: n_q - n_q % block[0], : n_kv - n_kv % block[1]]


ANY_BLOCK = Exercise(
    id="blocks.any_block",
    title="Which blocks are needed",
    minutes=10,
    points=10,
    difficulty="easy",
    spec=any_block,
    cases=cases,
    hints=(
        "How many rows of blocks are there? The last one may have fewer queries than a block: R is N / bq "
        "rounded up, -(-N // bq) in whole numbers.",
        "Make a table of False of R·bq x C·bk and copy the mask into its upper left corner. Now every block "
        "is whole, and what was added is hidden.",
        "View the table as [R, bq, C, bk]. The pairs of a block lie along axes 1 and 3, and `.any(3).any(1)` "
        "asks them.",
    ),
    wrong=(
        Wrong("ragged end dropped", says_dropped, lambda m, block: any_block(dropped(m, block), block)),
        Wrong("all", says_all, lambda m, block: tiles(m, block).all(-1).all(-1)),
        Wrong("sides swapped", says_sides, lambda m, block: any_block(m, block[::-1])),
        Wrong("corner only", says_corner, lambda m, block: tiles(m, block)[:, :, 0, 0]),
        Wrong("majority", says_majority, lambda m, block: tiles(m, block).float().mean((-2, -1)) >= 0.5),
        Wrong(
            "filled-up end visible",
            says_filled,
            lambda m, block: tiles(m, block, below=True, right=True).any(-1).any(-1),
        ),
        Wrong(
            "numbers",
            "This counts the visible pairs of each block; the task wants True and False.",
            lambda m, block: tiles(m, block).sum((-2, -1)),
        ),
    ),
)


def says_past_keys(mistake: Mistake) -> str:
    """For blocks that lack keys and are called full."""
    row, column = first((mistake.got == FULL) & (mistake.want == PARTIAL))
    have, block_k = seen(mistake, row, column).shape[1], mistake.case.args[1][1]
    return (
        f"Block ({row}, {column}) has {have} of {block_k} keys; without a mask the kernel would read past "
        "the end. It is partial."
    )


def says_past_queries(mistake: Mistake) -> str:
    """For blocks that lack queries and are called partial."""
    row, column = first((mistake.got == PARTIAL) & (mistake.want == FULL))
    have, block_q = seen(mistake, row, column).shape[0], mistake.case.args[1][0]
    return (
        f"Block ({row}, {column}) has {have} of {block_q} queries, and each sees every key. The missing ones "
        "are never stored: no mask needed, it is full."
    )


def says_nobody(mistake: Mistake) -> str:
    """For blocks that only queries which do not exist would need."""
    row, column = first((mistake.got != EMPTY) & (mistake.want == EMPTY))
    return (
        f"No query of block ({row}, {column}) sees a key of it: queries past the end do not count. It is 0."
    )


def says_diagonal(mistake: Mistake) -> str:
    """For blocks judged by their diagonal."""
    row, column = first((mistake.got == FULL) & (mistake.want == PARTIAL))
    query, key = (~seen(mistake, row, column)).nonzero()[0].tolist()
    return (
        f"Block ({row}, {column})'s diagonal is visible, but its query {query} does not see its key {key}: "
        "full means all pairs."
    )


def on_diagonal(mask: Tensor, block: Block) -> Tensor:
    """Bool [R, C]: the diagonals of the blocks are visible, as far as they exist."""
    diagonals = tiles(mask, block, below=True).diagonal(dim1=-2, dim2=-1)
    return diagonals.all(-1)


CLASSIFY = Exercise(
    id="blocks.classify",
    title="Empty, partial, full",
    minutes=15,
    points=15,
    difficulty="medium",
    spec=classify,
    cases=cases,
    hints=(
        "Two questions for each block: does it hold any visible pair (the exercise before), and does it need "
        "no mask? 1 for the first and 1 more for the second make the label.",
        "Fill up to whole blocks again. Past the last key there must be False, so that such a block is not "
        "full. Past the last query there must be True, so that nothing is missing there.",
        "With the table filled up like this, `.all(3).all(1)` says which blocks are full. One that holds "
        "nothing but added places does not exist, so full blocks always hold a visible pair.",
    ),
    wrong=(
        Wrong(
            "past the last key called full",
            says_past_keys,
            lambda m, block: labels(
                any_block(m, block), tiles(m, block, below=True, right=True).all(-1).all(-1)
            ),
        ),
        Wrong(
            "past the last query called partial",
            says_past_queries,
            lambda m, block: labels(any_block(m, block), tiles(m, block).all(-1).all(-1)),
        ),
        Wrong(
            "past the last query called visible",
            says_nobody,
            lambda m, block: labels(
                tiles(m, block, below=True).any(-1).any(-1), tiles(m, block, below=True).all(-1).all(-1)
            ),
        ),
        Wrong(
            "labels swapped",
            "You call partial blocks full and full ones partial: 1 is partial, 2 is full.",
            lambda m, block: torch.tensor([0, 2, 1], dtype=torch.int8)[classify(m, block).long()],
        ),
        Wrong(
            "never full",
            "Right output, but every block pays for a mask: a block whose queries see all its keys is 2.",
            lambda m, block: any_block(m, block).to(torch.int8),
        ),
        Wrong("sides swapped", says_sides, lambda m, block: classify(m, block[::-1])),
        Wrong(
            "diagonal only",
            says_diagonal,
            lambda m, block: labels(any_block(m, block), on_diagonal(m, block)),
        ),
        Wrong("ragged end dropped", says_dropped, lambda m, block: classify(dropped(m, block), block)),
    ),
)
