"""What an exercise is: data, not code that runs it.

An `Exercise` holds the reference (`spec`), the inputs it is tried on (`cases`), and the wrong answers that
are known, each with the sentence a learner should read. `checking.py` judges answers by it, `diagnosis.py`
names mistakes with it, and the sheets take title, points and minutes from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tsparse.grade.launches import KernelText, Launch, Launched, parameters


@dataclass(frozen=True)
class Case:
    """One call of the answer.

    `name` says what is special about it, in a learner's words ("4 queries, 9 keys"). Cases stand from simple
    to complex and each adds one feature. An `edge` case counts towards the edge points and not the values. A
    `heavy` one is tried last and once, where everything before was right: what it costs an answer that does
    too much is more than a reader's machine should have to bear. A case with a `poison` judges the cost: that
    tile of keys holds NaN. For a kernel it is planted where the kernel is launched, see `Blocks`; otherwise
    it stands in `args`, and what the `spec` makes of it is what may notice.
    """

    name: str
    args: tuple[Any, ...]
    edge: bool = False
    heavy: bool = False
    poison: int | None = None


@dataclass(frozen=True)
class Mistake:
    """A case on which an answer went wrong: what it was given, what it returned, what was wanted.

    `largest` is the number of elements of the largest tensor that it made. `launched` is what was seen of a
    kernel while it ran, and `blocks` the tiles it should have visited.
    """

    case: Case
    got: Any
    want: Any
    largest: int = 0
    launched: Launched | None = None
    blocks: Blocks | None = None


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which tiles a kernel has to visit: `wanted` `[R, C]`, for `block` rows of an output and of an argument.

    Rows are counted along the axis before the last, and `dots` is how many `tl.dot` are enough. Whether a
    kernel visits more is judged from outside: with NaN in one tile of `argument`, the rows of `output` whose
    list does not hold that tile must stay as they are; the others are not judged, as 0 times NaN is NaN.
    """

    wanted: torch.Tensor
    block: tuple[int, int]
    output: str
    argument: str
    dots: int | None = None
    names: tuple[str, str] = ("query block", "key tile")
    """What a row and a column of `wanted` are called, where a learner is told of one."""

    def lacking(self, tile: int, rows: int) -> torch.Tensor:
        """Which of so many rows do not have the tile in their list."""
        return ~self.wanted[:, tile].repeat_interleave(self.block[0])[:rows]


@dataclass(frozen=True)
class Kernel:
    """What makes an exercise one about a kernel, see `launches.py`.

    `text` is the reference. `launch(*case.args)` says how the grader launches an answer on a case, and
    `blocks(*case.args)`, where cost is graded, which tiles it has to visit.
    """

    text: KernelText
    launch: Callable[..., Launch]
    blocks: Callable[..., Blocks] | None = None


@dataclass(frozen=True)
class Wrong:
    """A known wrong answer and its sentence; a sentence with numbers is a function of the mistake."""

    name: str
    sentence: str | Callable[[Mistake], str]
    answer: Callable[..., Any] | KernelText
    raises: bool = False
    """True where raising an error *is* the mistake: an answer that raises it in the same words matches."""

    def say(self, mistake: Mistake) -> str:
        """The sentence for this mistake."""
        return self.sentence if isinstance(self.sentence, str) else self.sentence(mistake)


@dataclass(frozen=True)
class Exercise:
    """One exercise of a sheet (`EXERCISES` of `tsparse.grade.exercises.<topic>`).

    `cases(rng)` draws fresh inputs each time from the generator it is given; edge cases are always among
    them. `spec` is right on all of them, every answer in `wrong` is wrong on at least one. `forbidden` names
    calls that *are* the answer, as their operator is recorded ("aten._softmax") or as the Python function is
    called (`watch.py` has sets of them). `largest(case)` bounds the number of elements of any tensor that the
    answer may make (None: not judged).
    """

    id: str
    title: str
    minutes: int
    points: int
    difficulty: Literal["easy", "medium", "hard"]
    spec: Callable[..., Any]
    cases: Callable[[torch.Generator], list[Case]]
    hints: tuple[str, str, str]
    wrong: tuple[Wrong, ...]
    forbidden: frozenset[str] = frozenset()
    largest: Callable[[Case], int] | None = None
    calls: Callable[[Case], int] | None = None
    """How often the callable among a case's arguments has been called so far; an answer may call it as often
    as `spec` does (None: not judged)."""
    row_sums: bool = False
    """True where every row of the result must sum to 1 or, if it may see nothing, to 0 (a probe uses it)."""
    kernel: Kernel | None = None
    """Where the answer is a `@triton.jit` function: how it is launched. Then `spec` computes in PyTorch what
    the outputs should hold."""

    @property
    def reference(self) -> Callable[..., Any] | KernelText:
        """The right answer, of the kind that a reader writes."""
        return self.kernel.text if self.kernel else self.spec

    @property
    def name(self) -> str:
        """The name of the function that the reader writes."""
        return self.kernel.text.name if self.kernel else self.spec.__name__

    @property
    def parameters(self) -> str:
        """Its parameters: "(n_q, n_kv, q_offset=0)"."""
        return self.kernel.text.parameters if self.kernel else parameters(inspect.signature(self.spec))

    @property
    def judges_cost(self) -> bool:
        """Whether a part of the points is for the cost."""
        tiles = self.kernel is not None and self.kernel.blocks is not None
        return tiles or self.largest is not None or self.calls is not None


def poisoned_tiles(case: Case, blocks: Blocks) -> list[Case]:
    """A case for each tile of keys that some row does not list: the same inputs with NaN in that tile."""
    tiles = [tile for tile in range(blocks.wanted.shape[1]) if not blocks.wanted[:, tile].all()]
    return [Case(f"{case.name}, NaN in {blocks.names[1]} {tile}", case.args, poison=tile) for tile in tiles]
