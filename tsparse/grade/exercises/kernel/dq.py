"""`kernel.dq`: the gradient of the queries, over the row lists that the forward pass walked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Generator, Tensor

from tsparse.grade.exercise import Blocks, Case, Exercise, Kernel, Mistake, Wrong, poisoned_tiles
from tsparse.grade.exercises.kernel import backward
from tsparse.grade.exercises.kernel.backward import ASYMMETRIC, TALL, Inputs, inputs
from tsparse.grade.exercises.kernel.lists import listed
from tsparse.grade.launches import Launch, cdiv, kernel_text, output

TEXT = kernel_text(Path(__file__).with_name("backward_kernels.py"), "kernel_dq")


def table_of(x: Inputs) -> Tensor:
    """The blocks that are listed, `[R, C]`."""
    return listed(x.first, x.second, cdiv(len(x.k), x.block[1]))


def kernel_dq(
    q: Tensor, k: Tensor, v: Tensor, do: Tensor, lse: Tensor, delta: Tensor,
    crow: Tensor, col: Tensor, sm_scale: float, window: int, block: tuple[int, int] = TALL,
) -> Tensor:  # fmt: skip
    """The gradient of q over the blocks of the row lists, where 0 <= i - j < window."""
    x = Inputs(q, k, v, do, lse, delta, crow, col, sm_scale, window, block)
    return backward.gradients(x, table_of(x)).dq


def launch(*args: Any) -> Launch:
    """A program for each block of queries."""
    x = Inputs(*args)
    pointers = backward.pointers(x) | {"dq_ptr": output(*x.q.shape, dtype=x.q.dtype, extra=7)}
    arguments = pointers | {"crow_ptr": x.first, "col_ptr": x.second} | backward.numbers(x, pointers, "dq")
    return Launch((cdiv(len(x.q), x.block[0]),), arguments, backward.constants(x), ("dq_ptr",))


def blocks(*args: Any) -> Blocks:
    """The listed blocks, and three products for each."""
    x = Inputs(*args)
    table = table_of(x)
    return Blocks(table, x.block, "dq_ptr", "v_ptr", 3 * int(table.sum()))


def cases(rng: Generator) -> list[Case]:
    """The cases of `backward`, and the cost on lists that are not symmetric."""
    found = backward.cases(rng, transposed=False)
    lists = next(case for case in found if case.name == ASYMMETRIC)
    return [*found, *poisoned_tiles(lists, blocks(*lists.args))]


def rule_forgotten(mistake: Mistake) -> str:
    """A pair that is hidden in the forward pass."""
    return backward.hidden_counts(inputs(mistake), table_of(inputs(mistake)))


def past_the_end(mistake: Mistake) -> str:
    """The first key that does not exist, and a query that sees no other."""
    x = inputs(mistake)
    return (
        f"Key {len(x.k)} does not exist and is seen. A query that sees no other has lse `-inf`, so that "
        "exp(s - lse) is infinite: put `columns < n_kv` into the rule."
    )


def longest(mistake: Mistake) -> tuple[int, list[int]]:
    """The first row with the longest list, and the list.

    Raises ValueError where no row lists two blocks.
    """
    table = table_of(inputs(mistake))
    row = int(table.sum(1).argmax())
    listed = table[row].nonzero()[:, 0].tolist()
    if len(listed) < 2:
        raise ValueError("here no row lists two blocks")
    return row, listed


def replaced(mistake: Mistake) -> str:
    """What was left of a row."""
    row, listed = longest(mistake)
    return f"Query block {row} lists {len(listed)} key blocks; only the last, {listed[-1]}, is left: `+=`."


def last_left_out(mistake: Mistake) -> str:
    """The first row whose list was cut short."""
    x = inputs(mistake)
    row = int(table_of(x).any(1).int().argmax())
    end = int(x.first[row + 1])
    return (
        f"Query block {row} misses key block {int(x.second[end - 1])}, the last of its list, which ends "
        f"before crow[{row + 1}] = {end}; you stop one earlier."
    )


def counter(mistake: Mistake) -> str:
    """A place of the list and what stands there."""
    second = inputs(mistake).second
    place = int((second != second.new_tensor(range(len(second)))).int().argmax())
    return f"Entry {place} of the lists is block col[{place}] = {int(second[place])}, not block {place}."


def scale_missing(mistake: Mistake) -> str:
    """By how much dq is off."""
    scale = inputs(mistake).sm_scale
    return f"dq is {1 / scale:.2f} = 1/sm_scale times too large: the score is q·k · sm_scale."


def scale_twice(mistake: Mistake) -> str:
    """By how much dq is off."""
    scale = inputs(mistake).sm_scale
    return f"dq is {scale} = sm_scale times what it should be: the chain rule has the scale once."


DS = "ds = p * (dp - delta_i[:, None])"
SEEN = "tl.where(seen, tl.exp(s - lse_i[:, None]), 0.0)"

DQ = Exercise(
    id="kernel.dq",
    title="The gradient of the queries",
    minutes=30,
    points=15,
    difficulty="medium",
    spec=kernel_dq,
    cases=cases,
    kernel=Kernel(TEXT, launch, blocks),
    hints=(
        "Start from `kernel_partial`. A program still owns a block of queries and walks its row list; it "
        "loads do, lse and delta with the queries, and carries one sum instead of three things.",
        "p = exp(s - lse) where the rule shows the key, else 0. dp = do · vᵀ. ds = p · (dp - delta).",
        "dq is the sum of ds · k over the list, times `sm_scale` once, at the store. Load lse and delta with "
        "`mask=rows < n_q, other=0.0`.",
    ),
    wrong=(
        Wrong("scale missing", scale_missing, TEXT.but("(acc * sm_scale)", "acc")),
        Wrong("scale twice", scale_twice, TEXT.but(DS, f"{DS} * sm_scale")),
        Wrong(
            "delta forgotten",
            "You use ds = p · dp. Raising one score lowers the other weights: ds = p · (dp - delta).",
            TEXT.but(DS, "ds = p * dp"),
        ),
        Wrong(
            "delta added",
            "You add delta, its sign is minus: ds = p · (dp - delta).",
            TEXT.but("dp - delta_i", "dp + delta_i"),
        ),
        Wrong("rule not applied again", rule_forgotten, TEXT.but(SEEN, "tl.exp(s - lse_i[:, None])")),
        Wrong(
            "rule turned round",
            "You ask 0 <= key - query: gap is the query's position minus the key's.",
            TEXT.but("rows[:, None] - columns[None, :]", "columns[None, :] - rows[:, None]"),
        ),
        Wrong(
            "-inf minus -inf",
            backward.minus_infinity,
            TEXT.but(SEEN, 'tl.exp(tl.where(seen, s, float("-inf")) - lse_i[:, None])'),
        ),
        Wrong("keys past the end seen", past_the_end, TEXT.but(" & (columns[None, :] < n_kv)", "")),
        Wrong(
            "scores not scaled",
            "lse belongs to scaled scores: without `sm_scale` your p of a row do not sum to 1.",
            TEXT.but('"ieee") * sm_scale', '"ieee")'),
        ),
        Wrong("replaced", replaced, TEXT.but("acc += tl.dot", "acc = tl.dot")),
        Wrong(
            "v for k",
            "dq = ds · k: the score is q·k, so its derivative by q is k. You multiply by v.",
            TEXT.but("tl.dot(ds.to(k_j.dtype), k_j", "tl.dot(ds.to(v_j.dtype), v_j"),
        ),
        Wrong(
            "k for v",
            "dp = do · vᵀ: the output is the sum of p · v. You multiply do by k.",
            TEXT.but("tl.dot(do_i, tl.trans(v_j)", "tl.dot(do_i, tl.trans(k_j)"),
        ),
        Wrong(
            "last block left out",
            last_left_out,
            TEXT.but("tl.load(crow_ptr + i + 1))", "tl.load(crow_ptr + i + 1) - 1)"),
        ),
        Wrong("counter for the block", counter, TEXT.but("j = tl.load(col_ptr + place)", "j = place")),
    ),
)
