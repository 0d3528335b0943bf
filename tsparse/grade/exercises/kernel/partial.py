"""`kernel.partial`: full blocks without a mask, then partial blocks with the rule of a window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong, poisoned_tiles
from tsparse.grade.exercises.blocks.lists import csr
from tsparse.grade.exercises.flash.forward import drawn
from tsparse.grade.exercises.kernel.lists import (
    BLOCK_M,
    BLOCK_N,
    attended,
    elements,
    in_window,
    launched,
    listed,
    tiles,
)
from tsparse.grade.launches import Launch, cdiv, kernel_text

TEXT = kernel_text(Path(__file__).with_name("kernels.py"), "kernel_partial")


def kernel_partial(
    q: Tensor, k: Tensor, v: Tensor, full_crow: Tensor, full_col: Tensor, crow: Tensor, col: Tensor,
    sm_scale: float, window: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Every key of full blocks, and of partial ones those with 0 <= i - j < window: out and lse."""
    n_q, n_kv = q.shape[1], k.shape[1]
    full, partial = (elements(table, n_q, n_kv) for table in tables(k, full_crow, full_col, crow, col))
    return attended(q, k, v, sm_scale, full | (partial & in_window(n_q, n_kv, window)))


def launch(
    q: Tensor, k: Tensor, v: Tensor, full_crow: Tensor, full_col: Tensor, crow: Tensor, col: Tensor,
    sm_scale: float, window: int,
) -> Launch:  # fmt: skip
    """A program for 32 queries of a head, as in lesson 14."""
    pointers = {"full_crow_ptr": full_crow, "full_col_ptr": full_col, "crow_ptr": crow, "col_ptr": col}
    return launched(q, k, v, sm_scale, pointers, {"WINDOW": window})


def blocks(q: Tensor, k: Tensor, v: Tensor, *given: Any) -> Blocks:
    """The blocks of both lists, and two products for each."""
    full, partial = tables(k, *given[:4])
    return tiles(full | partial, len(q))


def tables(
    k: Tensor, full_crow: Tensor, full_col: Tensor, crow: Tensor, col: Tensor
) -> tuple[Tensor, Tensor]:
    """Which blocks are full and which are partial, `[R, C]` both."""
    columns = cdiv(k.shape[1], BLOCK_N)
    return listed(full_crow, full_col, columns), listed(crow, col, columns)


def of_window(n_q: int, n_kv: int, window: int) -> tuple[Tensor, Tensor]:
    """The full and the partial blocks of a window; small enough to look at its mask."""
    rows, columns = cdiv(n_q, BLOCK_M), cdiv(n_kv, BLOCK_N)
    seen = in_window(rows * BLOCK_M, columns * BLOCK_N, window)
    seen &= torch.arange(columns * BLOCK_N) < n_kv
    seen = seen.view(rows, BLOCK_M, columns, BLOCK_N).transpose(1, 2).flatten(2)
    return seen.all(-1), seen.any(-1) & ~seen.all(-1)


def places(rows: int, columns: int, *where: tuple[int, int]) -> Tensor:
    """A table of blocks that holds these places."""
    table = torch.zeros(rows, columns, dtype=torch.bool)
    for place in where:
        table[place] = True
    return table


def cases(rng: Generator) -> list[Case]:
    """A full block, a partial one, both; narrow windows, ragged ends, lists that hold more; then the cost."""

    def case(
        name: str, n_q: int, n_kv: int, window: int, full: Tensor | None = None,
        partial: Tensor | None = None, z: int = 1, times: float = 1.0, dtype: torch.dtype = torch.float32,
        edge: bool = False,
    ) -> Case:  # fmt: skip
        found = of_window(n_q, n_kv, window)
        full, partial = found[0] if full is None else full, found[1] if partial is None else partial
        q, k, v, sm_scale = drawn(rng, z, n_q, n_kv, times, dtype)
        return Case(name, (q, k, v, *csr(full), *csr(partial), sm_scale, window), edge)

    narrow = int(torch.randint(5, 15, (), generator=rng))
    wide = int(torch.randint(50, 60, (), generator=rng))
    one, none = places(1, 2, (0, 0)), places(1, 2)
    far = places(3, 6, (2, 0))
    both = case(f"window {wide}, 96 queries and keys", 96, 96, wide)
    return [
        case("one full block", 32, 32, 64, one, none),
        case("one partial block on the diagonal, window 20", 32, 32, 20, none, one),
        case("two partial blocks in one row, window 20", 32, 32, 20),
        case("window 64, 64 queries, 32 keys: two full blocks, two partial", 64, 32, 64),
        both,
        case(f"window {narrow}, 64 queries and keys", 64, 64, narrow),
        case("window 30, 90 queries, 75 keys: the last keys are absent", 90, 75, 30),
        case("window 20, and a full block far outside of it", 96, 96, 20, far),
        case("2 heads, 53 queries, 45 keys", 53, 45, wide, z=2),
        case("128 queries, 48 keys: a row that lists nothing", 128, 48, narrow, edge=True),
        case("window 1: own key only", 45, 45, 1, z=3, edge=True),
        case("one query, one key", 1, 1, 7, edge=True),
        case("scores up to 800", 64, 64, wide, times=150.0, edge=True),
        below(case("scores around -800", 64, 64, narrow, times=250.0, edge=True)),
        case("float16", 75, 70, narrow, dtype=torch.float16, edge=True),
        *poisoned_tiles(both, blocks(*both.args)),
    ]


def below(case: Case) -> Case:
    """The same with scores that are all negative: a maximum that is kept as 0 is far above them."""
    q, k, *rest = case.args
    return replace(case, args=(-q.abs(), k.abs(), *rest))


def hidden_pair(mistake: Mistake) -> tuple[int, int, int, int]:
    """A query and a key of a partial block that the rule hides, the first: block row and column, both."""
    q, k, _, *lists, _, window = mistake.case.args
    _, partial = tables(k, *lists)
    hidden = elements(partial, q.shape[1], k.shape[1]) & ~in_window(q.shape[1], k.shape[1], window)
    query, key = hidden.nonzero()[0].tolist()
    return query // BLOCK_M, key // BLOCK_N, query, key


def not_masked(mistake: Mistake) -> str:
    """A pair that should be hidden."""
    row, column, query, key = hidden_pair(mistake)
    return (
        f"In the partial block ({row}, {column}) query {query} saw key {key}, which the rule hides: give "
        "`-inf` to scores whose gap is not 0 to WINDOW - 1."
    )


def inside_the_block(mistake: Mistake) -> str:
    """A block that does not begin where the sequence begins."""
    _, k, _, *lists, _, _ = mistake.case.args
    _, partial = tables(k, *lists)
    row, column = partial.nonzero()[-1].tolist()
    if row == column == 0:
        raise ValueError("here both positions are one")
    return (
        f"Block ({row}, {column}) begins at query {row * BLOCK_M} and key {column * BLOCK_N}: the rule wants "
        "positions in the sequence, yours counts inside the block."
    )


def nothing_yet(mistake: Mistake) -> str:
    """The first query that sees nothing in the first block that its row lists."""
    q, k, _, *lists, _, window = mistake.case.args
    n_q, n_kv = q.shape[1], k.shape[1]
    full, partial = tables(k, *lists)
    seen = in_window(n_q, n_kv, window)
    for query in range(n_q):
        row = query // BLOCK_M
        columns = partial[row].nonzero().flatten().tolist()
        if columns and not full[row].any():
            keys = slice(columns[0] * BLOCK_N, (columns[0] + 1) * BLOCK_N)
            if not seen[query, keys].any():
                return (
                    f"In its first block, ({row}, {columns[0]}), query {query} sees nothing yet: its maximum "
                    "is still `-inf`, and `-inf - -inf` is NaN. Subtract 0 where the maximum is `-inf`."
                )
    raise ValueError("here every query sees something in its first block")


def end_not_masked(mistake: Mistake) -> str:
    """How many absent keys there are."""
    n_kv = mistake.case.args[1].shape[1]
    many = -n_kv % BLOCK_N
    which = "one absent key has" if many == 1 else f"{many} absent keys have"
    return f"n_kv = {n_kv}: {which} weight. The rule has a third part, key < n_kv."


def one_key_more(mistake: Mistake) -> str:
    """How many keys a query saw."""
    window = mistake.case.args[-1]
    return (
        f"WINDOW = {window}, and queries see {window + 1} keys: the own key counts, so the rule is "
        "`gap < WINDOW`."
    )


def rule_everywhere(mistake: Mistake) -> str:
    """A full block of which the rule would hide something."""
    q, k, _, *lists, _, window = mistake.case.args
    full, _ = tables(k, *lists)
    n_q, n_kv = q.shape[1], k.shape[1]
    query, key = (elements(full, n_q, n_kv) & ~in_window(n_q, n_kv, window)).nonzero()[0].tolist()
    return (
        f"Block ({query // BLOCK_M}, {key // BLOCK_N}) is listed as full, and you hid key {key} from query "
        f"{query}: the list says that all is seen there, so a full block takes no mask."
    )


def empty_row(mistake: Mistake) -> str:
    """A row of blocks without any, or a query that sees nothing of those of its row."""
    q, k, _, *lists, _, window = mistake.case.args
    n_q, n_kv = q.shape[1], k.shape[1]
    full, partial = tables(k, *lists)
    seen = elements(full, n_q, n_kv) | (elements(partial, n_q, n_kv) & in_window(n_q, n_kv, window))
    query = int((~seen.any(1)).nonzero()[0])
    return f"Query {query} sees no key at all: its l is 0, and 0/0 is NaN. Divide by 1 there."


WHICH = "(crow_ptr, col_ptr) if PARTIAL else (full_crow_ptr, full_col_ptr)"
STATE = (
    '        m_i = tl.full([BLOCK_M], float("-inf"), dtype=sums)\n'
    "        l_i = tl.zeros([BLOCK_M], dtype=sums)\n"
    "        acc = tl.zeros([BLOCK_M, HEAD_DIM], dtype=sums)\n"
)
GAP = "gap = rows[:, None] - columns[None, :]"
SEEN = "(gap >= 0) & (gap < WINDOW) & (columns[None, :] < n_kv)"

EXERCISE = Exercise(
    id="kernel.partial",
    title="Full blocks, then partial ones",
    minutes=35,
    points=20,
    difficulty="hard",
    spec=kernel_partial,
    cases=cases,
    kernel=Kernel(TEXT, launch, blocks),
    hints=(
        "Two loops with one body, or one body in `for PARTIAL in tl.static_range(2):`. m_i, l_i and acc are "
        "set before both, and stored after both.",
        "A partial block hides scores: with `gap = rows[:, None] - columns[None, :]` a score stays where "
        "gap >= 0, gap < WINDOW and columns < n_kv, and is -inf elsewhere. Load k and v with a mask there.",
        "A query may see nothing in its first block. Keep m_new as it is, and subtract `tl.where(m_new == "
        'float("-inf"), 0.0, m_new)` in both exponentials.',
    ),
    wrong=(
        Wrong("partial not masked", not_masked, TEXT.but(SEEN, "columns[None, :] < n_kv")),
        Wrong(
            "rule inside the block",
            inside_the_block,
            TEXT.but(GAP, "gap = tl.arange(0, BLOCK_M)[:, None] - tl.arange(0, BLOCK_N)[None, :]"),
        ),
        Wrong(
            "-inf minus -inf",
            nothing_yet,
            TEXT.but('reach = tl.where(m_new == float("-inf"), 0.0, m_new)', "reach = m_new"),
        ),
        Wrong(
            "state started again",
            "m, l and acc were set again before the second loop: what the full blocks gave is lost.",
            TEXT.but(
                f"        list_ptr, columns_ptr = {WHICH}\n",
                f"{STATE}        list_ptr, columns_ptr = {WHICH}\n",
            ),
        ),
        Wrong(
            "partial only",
            "The list of full blocks was never walked.",
            TEXT.but("tl.static_range(2)", "tl.static_range(1, 2)"),
        ),
        Wrong(
            "full list twice",
            "The second loop reads the full list again; the partial blocks stand in crow and col.",
            TEXT.but(WHICH, "full_crow_ptr, full_col_ptr"),
        ),
        Wrong(
            "gap turned round",
            "A gap is query minus key; yours is key minus query, and queries see what comes after them.",
            TEXT.but(GAP, "gap = columns[None, :] - rows[:, None]"),
        ),
        Wrong(
            "stale maximum",
            "Where nothing was seen you keep as maximum the 0 that is only to be subtracted: m_i stays "
            "`-inf` there, or lse is 0 for a query that sees nothing, and scores far below 0 vanish.",
            TEXT.but("            m_i = m_new", "            m_i = reach"),
        ),
        Wrong(
            "finite in place of -inf",
            "A query that sees nothing got the average of hidden values: exp(-1e30 - -1e30) is 1. Hide "
            "scores with `-inf`.",
            TEXT.but('s = tl.where(seen, s, float("-inf"))', "s = tl.where(seen, s, -1e30)"),
        ),
        Wrong("w+1 keys", one_key_more, TEXT.but("gap < WINDOW", "gap <= WINDOW")),
        Wrong("end of keys not masked", end_not_masked, TEXT.but(SEEN, "(gap >= 0) & (gap < WINDOW)")),
        Wrong(
            "not causal inside the block",
            "A query saw keys that come after it: gap may be negative in a block on the diagonal.",
            TEXT.but("(gap >= 0) & ", ""),
        ),
        Wrong("rule on full blocks", rule_everywhere, TEXT.but("if PARTIAL:", "if True:")),
        Wrong("empty rows NaN", empty_row, TEXT.but("    l_i = tl.where(l_i == 0.0, 1.0, l_i)\n", "")),
    ),
)
