"""The exercises of lesson 17 against answers that are not in their lists: right pass, wrong fail."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.grade.toys import judged
from tsparse.cost import Ceilings, forward
from tsparse.grade.exercises import exercise
from tsparse.grade.exercises.speed.limit import limit
from tsparse.grade.exercises.speed.order import row_order
from tsparse.grade.exercises.speed.tile import Report, pick_tile, report


def limit_by_sorting(
    pairs: float, dim: int, bytes: float, peak_flops: float, peak_exp: float, bandwidth: float
) -> float:
    scores = values = 2 * dim * pairs
    return sorted([(scores + values) / peak_flops, pairs / peak_exp, bytes / bandwidth])[-1]


def limit_by_rates(
    pairs: float, dim: int, bytes: float, peak_flops: float, peak_exp: float, bandwidth: float
) -> float:
    of_pairs = pairs / min(peak_flops / (4 * dim), peak_exp)
    return of_pairs if of_pairs > bytes / bandwidth else bytes / bandwidth


def pick_by_sorting(reports: list[Report], shared_limit: int) -> str | None:
    def key(one: Report) -> tuple[Any, ...]:
        return (
            one["mma"] == 0,
            -one["block_m"] * one["block_n"],
            -one["block_m"],
            one["registers"],
        )

    possible = [one for one in reports if not one["spills"] and not one["shared"] > shared_limit]
    return sorted(possible, key=key)[0]["name"] if possible else None


def pick_with_a_loop(reports: list[Report], shared_limit: int) -> str | None:
    best: Report | None = None
    for one in reports:
        if one["spills"] > 0 or one["shared"] > shared_limit:
            continue
        if best is None or (one["mma"] > 0) > (best["mma"] > 0):
            best = one
        elif (one["mma"] > 0) == (best["mma"] > 0):
            larger = one["block_m"] * one["block_n"] - best["block_m"] * best["block_n"]
            taller = one["block_m"] - best["block_m"]
            if larger > 0 or (
                larger == 0 and (taller > 0 or (taller == 0 and one["registers"] < best["registers"]))
            ):
                best = one
    return best and best["name"]


def order_with_sorted(crow: Tensor) -> Tensor:
    starts = crow.tolist()
    rows = sorted(range(len(starts) - 1), key=lambda row: (starts[row] - starts[row + 1], row))
    return torch.tensor(rows, dtype=torch.int32)


def order_by_one_key(crow: Tensor) -> Tensor:
    lengths = (crow[1:] - crow[:-1]).long()
    return (lengths * len(crow) - torch.arange(len(lengths))).argsort(descending=True).to(torch.int32)


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "limit": [limit_by_sorting, limit_by_rates],
    "pick_tile": [pick_by_sorting, pick_with_a_loop],
    "row_order": [order_with_sorted, order_by_one_key],
}


def scaled(products: float = 1, exponentials: float = 1, moved: float = 1) -> Callable[..., float]:
    """The limit with each of its three times multiplied."""
    return lambda pairs, dim, bytes, f, e, w: limit(
        pairs, dim, bytes * moved, f / products, e / exponentials, w
    )


def picked(change: Callable[[Report], Report]) -> Callable[..., str | None]:
    """The rule on reports that were changed."""
    return lambda reports, limit: pick_tile([one | change(one) for one in reports], limit)


WRONG: dict[str, dict[str, Callable[..., Any]]] = {
    "limit": {
        "three products": scaled(products=1.5),
        "five products": scaled(products=2.5),
        "two exponentials": scaled(exponentials=2),
        "bytes twice": scaled(moved=2),
        "bits": scaled(moved=8),
        "mean of the three": lambda p, d, b, f, e, w: (4 * d * p / f + p / e + b / w) / 3,
        "the middle one": lambda p, d, b, f, e, w: sorted([4 * d * p / f, p / e, b / w])[1],
        "bytes wait": lambda p, d, b, f, e, w: max(4 * d * p / f, p / e) + b / w,
        "speed times work": lambda p, d, b, f, e, w: max(4 * d * p * f, p * e, b * w),
        "milliseconds": lambda *a: 1000 * limit(*a),
        "dim squared": lambda p, d, *rest: limit(p, d * d, *rest),
        "rounded": lambda *a: round(limit(*a), 3),
        "nothing for no pairs": lambda p, *rest: limit(p, *rest) if p else 0.0,
    },
    "pick_tile": {
        "first that fits": lambda r, limit: next(
            (o["name"] for o in r if o["spills"] == 0 and o["shared"] <= limit), None
        ),
        "more keys": picked(lambda o: {"block_m": o["block_n"], "block_n": o["block_m"]}),
        "most matrix instructions": lambda r, limit: max(
            (o for o in r if o["spills"] == 0 and o["shared"] <= limit),
            key=lambda o: o["mma"],
            default={"name": None},
        )["name"],
        "fewest spills": lambda r, limit: pick_tile(
            [o | {"spills": 0} for o in r if o["spills"] == min(x["spills"] for x in r)], limit
        ),
        "kibibytes": lambda r, limit: pick_tile(r, limit // 1024),
        "queries only": picked(lambda o: {"block_n": 1}),
        "registers ignored": picked(lambda o: {"registers": 0}),
        "a few spills allowed": picked(lambda o: {"spills": o["spills"] // 32}),
        "the report": lambda r, limit: next((o for o in r if o["name"] == pick_tile(r, limit)), None),
        "the word None": lambda r, limit: str(pick_tile(r, limit)),
        "empty string": lambda r, limit: pick_tile(r, limit) or "",
        "255 registers refused": lambda r, limit: pick_tile([o for o in r if o["registers"] < 150], limit),
        "largest of all or None": lambda r, limit: (
            None if not r else pick_tile([max(r, key=lambda o: o["block_m"] * o["block_n"])], limit)
        ),
    },
    "row_order": {
        "rows reversed": lambda crow: torch.arange(len(crow) - 2, -1, -1).int(),
        "sorted by start": lambda crow: torch.argsort(crow[:-1], descending=True, stable=True).int(),
        "only the heaviest moved": lambda crow: torch.tensor(
            sorted(range(len(crow) - 1), key=lambda i: i != int(row_order(crow)[0])), dtype=torch.int32
        ),
        "counted from one": lambda crow: row_order(crow) + 1,
        "float": lambda crow: row_order(crow).double(),
        "a list": lambda crow: row_order(crow).tolist(),
        "empty rows dropped": lambda crow: row_order(crow)[crow.diff()[row_order(crow).long()] > 0],
        "first offset taken for zero": lambda crow: torch.argsort(
            torch.cat([crow[1:2], crow[1:].diff()]), descending=True, stable=True
        ).int(),
        "crow itself": lambda crow: crow[1:].clone(),
        "heavy and light in turn": lambda crow: torch.stack(
            [row_order(crow), row_order(crow).flip(0)], 1
        ).flatten()[: len(crow) - 1],
    },
}


@pytest.mark.parametrize(
    ("id", "answer"), [(id, answer) for id, answers in RIGHT.items() for answer in answers]
)
def test_right_answer_written_differently_passes(id: str, answer: Callable[..., Any]) -> None:
    for seed in range(5):
        verdict = judged(exercise(f"speed.{id}"), answer, seed=seed)
        assert verdict.status == "PASS", verdict.message


@pytest.mark.parametrize(("id", "what"), [(id, what) for id, wrongs in WRONG.items() for what in wrongs])
def test_wrong_answer_that_is_not_listed_fails(id: str, what: str) -> None:
    for seed in range(5):
        assert judged(exercise(f"speed.{id}"), WRONG[id][what], seed=seed).status == "FAIL"


def test_limit_is_the_least_time_that_the_package_computes() -> None:
    machine = Ceilings(flops=7e14, exponentials=3e12, bytes=2e12)
    for pairs, dim in ((10**9, 128), (10**9, 16), (10**5, 64)):
        work = forward(pairs, 4096, 4096, dim, itemsize=2)
        bound = limit(pairs, dim, work.bytes, machine.flops, machine.exponentials, machine.bytes)
        assert bound == machine.least_seconds(work)


def test_worked_cases_of_the_sheet_are_what_the_references_give() -> None:
    for pairs, dim, moved, seconds in ((100, 50, 10, 20), (100, 5, 10, 10), (1, 5, 10, 5)):
        assert limit(pairs, dim, moved, 1000, 10, 2) == seconds
    tiles = [
        report("a", 128, 64, 255, spills=40, shared=100_000, mma=128),
        report("b", 64, 32, 90, shared=50_000, mma=32),
        report("c", 32, 64, 80, shared=50_000, mma=32),
        report("d", 64, 64, 140, shared=60_000, mma=0),
    ]
    assert (pick_tile(tiles, 232_448), pick_tile(tiles, 40_000)) == ("b", None)
    for crow, order in (([0, 1, 4, 6], [1, 2, 0]), ([0, 2, 7, 9], [1, 0, 2]), ([7, 7, 9], [1, 0])):
        assert row_order(torch.tensor(crow, dtype=torch.int32)).tolist() == order
