"""What all patterns share: the dense mask, the way to a layout, and the algebra `&`, `|`, `~`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor

from ..arguments import whole
from ..runs import UNDECIDED, Grid, Runs

if TYPE_CHECKING:
    from ..layout import BlockLayout


class Pattern:
    """What all patterns can do. A subclass must give the rule, `__call__`; the rest makes layouts fast."""

    @property
    def batch(self) -> int:
        """Number of batch entries it tells apart; 1 if it is the same for all."""
        return 1

    @property
    def heads(self) -> int:
        """Number of heads it tells apart; 1 if it is the same for all."""
        return 1

    @property
    def positions(self) -> int | None:
        """Number of positions it is defined for; None if for all."""
        return None

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """True where, in batch entry `b` and head `h`, the query at `q_idx` may see the key at `kv_idx`.

        The four are integer tensors that broadcast, or scalars under `torch.vmap`; what is returned is bool.
        They may be int32: take `.long()` of what is multiplied to more than that holds.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define its elementwise rule, __call__")

    def ask(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """What the rule says; TypeError if that is no bool tensor."""
        seen = self(b, h, q_idx, kv_idx)
        if not isinstance(seen, Tensor) or seen.dtype != torch.bool:
            got = seen.dtype if isinstance(seen, Tensor) else repr(seen)
            raise TypeError(f"the rule of {self!r} must return a bool tensor, True = may attend, got {got}")
        return seen

    def runs(self, grid: Grid) -> Runs:
        """The kinds of all blocks of the grid, in runs."""
        return Runs.uniform(UNDECIDED, grid)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """Numbers `[n, s]` of n blocks: where they are equal, the rule says the same all over the block.

        The blocks begin at `q_idx`, `kv_idx`, in batch entries `b` and heads `h`, each `[n]`. A layout asks
        the rule once for all blocks of one fingerprint; without a better one every block has its own.
        """
        return torch.stack([b, h, q_idx, kv_idx], dim=1)

    def mask(self, n_q: int, n_kv: int | None = None, q_offset: int = 0) -> Tensor:
        """The dense boolean mask, True = may attend: `[n_q, n_kv]`, or `[B, H, n_q, n_kv]` if those differ.

        For pictures and tests: it is as large as it says. `n_kv` defaults to `q_offset + n_q`.
        Raises TypeError or ValueError for sizes that are no positive integers or exceed the pattern's own.
        """
        n_kv = self.check_sizes(n_q, n_kv, q_offset)
        mask = self.ask(
            torch.arange(self.batch)[:, None, None, None],
            torch.arange(self.heads)[:, None, None],
            torch.arange(q_offset, q_offset + n_q)[:, None],
            torch.arange(n_kv),
        )
        mask = mask.expand(self.batch, self.heads, n_q, n_kv)
        return (mask[0, 0] if self.batch * self.heads == 1 else mask).contiguous()

    def layout(
        self,
        n_q: int,
        n_kv: int | None = None,
        block: int | tuple[int, int] = (128, 128),
        heads: int | None = None,
        q_offset: int = 0,
        device: torch.device | str | None = None,
    ) -> BlockLayout:
        """The block lists of this pattern for `n_q` queries and `n_kv` keys; see `BlockLayout.build`."""
        from ..layout import BlockLayout

        return BlockLayout.build(self, n_q, n_kv, block=block, heads=heads, q_offset=q_offset, device=device)

    def check_sizes(self, n_q: int, n_kv: int | None, q_offset: int) -> int:
        """Check sizes against each other and against the pattern's own length; the number of keys."""
        whole("n_q", n_q, least=1)
        whole("q_offset", q_offset, least=0)
        n_kv = q_offset + n_q if n_kv is None else whole("n_kv", n_kv, least=1)
        needed = max(q_offset + n_q, n_kv)
        if self.positions is not None and needed > self.positions:
            raise ValueError(
                f"{self!r} is defined for {self.positions} positions, but n_q={n_q}, q_offset={q_offset} and "
                f"n_kv={n_kv} need {needed}; give it one entry for every position"
            )
        return n_kv

    def __and__(self, other: Pattern) -> Pattern:
        return And(self, other) if isinstance(other, Pattern) else NotImplemented

    def __or__(self, other: Pattern) -> Pattern:
        return Or(self, other) if isinstance(other, Pattern) else NotImplemented

    def __invert__(self) -> Pattern:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is neither true nor false: write `&`, `|`, `~` for `and`, `or`, `not`")


def alike(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Of `numbers [n, s]`, n rows, `one [u]` row of each kind, and `which [n]` kind each row is.

    Column by column, which is many times faster than `unique(dim=0)`.
    """
    which = numbers.new_zeros(len(numbers), dtype=torch.int64)
    for column in numbers.unbind(dim=1):
        values, place = column.unique(return_inverse=True)
        which = (which * len(values) + place).unique(return_inverse=True)[1]
    one = which.new_empty(int(which.max()) + 1 if len(which) else 0)
    one[which] = torch.arange(len(which), device=which.device)
    return one, which


@dataclass(frozen=True, eq=False)
class Pair(Pattern):
    """Two patterns overlaid."""

    left: Pattern
    right: Pattern

    def __post_init__(self) -> None:
        for what, *sizes in (
            ("batch entries", self.left.batch, self.right.batch),
            ("heads", self.left.heads, self.right.heads),
        ):
            if len({*sizes} - {1}) > 1:
                raise ValueError(
                    f"cannot combine a pattern for {sizes[0]} {what} with one for {sizes[1]}: "
                    f"{self.left!r}, {self.right!r}"
                )

    @property
    def batch(self) -> int:
        """The larger of the two."""
        return max(self.left.batch, self.right.batch)

    @property
    def heads(self) -> int:
        """The larger of the two."""
        return max(self.left.heads, self.right.heads)

    @property
    def positions(self) -> int | None:
        """The smaller of the two."""
        known = [p.positions for p in (self.left, self.right) if p.positions is not None]
        return min(known) if known else None

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """The numbers of both."""
        sides = (p.fingerprint(b, h, q_idx, kv_idx, block) for p in (self.left, self.right))
        return torch.cat(list(sides), dim=1)

    def _repr(self, sign: str) -> str:
        sides = (
            f"({p!r})" if isinstance(p, Pair) and type(p) is not type(self) else repr(p)
            for p in (self.left, self.right)
        )
        return f" {sign} ".join(sides)


class And(Pair):
    """`left & right`."""

    def __repr__(self) -> str:
        return self._repr("&")

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """Both see it."""
        return self.left(b, h, q_idx, kv_idx) & self.right(b, h, q_idx, kv_idx)

    def runs(self, grid: Grid) -> Runs:
        """The runs of both, merged."""
        return self.left.runs(grid) & self.right.runs(grid)


class Or(Pair):
    """`left | right`."""

    def __repr__(self) -> str:
        return self._repr("|")

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """At least one sees it."""
        return self.left(b, h, q_idx, kv_idx) | self.right(b, h, q_idx, kv_idx)

    def runs(self, grid: Grid) -> Runs:
        """The runs of both, merged."""
        return self.left.runs(grid) | self.right.runs(grid)


@dataclass(frozen=True, eq=False)
class Not(Pattern):
    """`~inner`."""

    inner: Pattern

    def __repr__(self) -> str:
        return f"~({self.inner!r})" if isinstance(self.inner, Pair) else f"~{self.inner!r}"

    @property
    def batch(self) -> int:
        """As of the inner pattern."""
        return self.inner.batch

    @property
    def heads(self) -> int:
        """As of the inner pattern."""
        return self.inner.heads

    @property
    def positions(self) -> int | None:
        """As of the inner pattern."""
        return self.inner.positions

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        """The inner pattern does not see it."""
        return ~self.inner(b, h, q_idx, kv_idx)

    def fingerprint(
        self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, block: tuple[int, int]
    ) -> Tensor:
        """As of the inner pattern."""
        return self.inner.fingerprint(b, h, q_idx, kv_idx, block)

    def runs(self, grid: Grid) -> Runs:
        """Full and empty change places."""
        return ~self.inner.runs(grid)
