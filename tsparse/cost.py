"""Counting: what attention must do at least, and how fast a machine could do it at best.

The work is that of *score elements*, pairs of a query and a key of one head for which a score is computed.
Counted over whole blocks they give what is executed, over the pairs that are seen what is useful.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Floating-point operations of matrix products, exponentials, and bytes between memory and processor."""

    flops: int
    exponentials: int
    bytes: int

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops, self.exponentials + other.exponentials, self.bytes + other.bytes
        )


@dataclass(frozen=True)
class Ceilings:
    """What a machine can do at best, each measured alone: matrix FLOP/s, exponentials/s, bytes/s."""

    flops: float
    exponentials: float
    bytes: float

    def least_seconds(self, work: Work) -> float:
        """The time below which no implementation comes that overlaps all three perfectly.

        Source: Williams et al., "Roofline", 2009, with exponentials as a third roof.

        >>> Ceilings(flops=100.0, exponentials=10.0, bytes=1.0).least_seconds(Work(200, 50, 3))
        5.0
        """
        return max(work.flops / self.flops, work.exponentials / self.exponentials, work.bytes / self.bytes)


def forward(elements: int, queries: int, keys: int, head_dim: int, itemsize: int) -> Work:
    """The forward pass over `elements` score elements of all batch entries and heads.

    Two matrix products of 2 D operations an element, one exponential each. q, k and v are read once, the
    output and a float32 lse for each query written once; `queries` and `keys` are counted over batch entries
    and heads.

    >>> forward(elements=100, queries=10, keys=10, head_dim=8, itemsize=2)
    Work(flops=3200, exponentials=100, bytes=680)
    """
    rows = 2 * queries + 2 * keys  # q and out, k and v
    return Work(4 * head_dim * elements, elements, rows * head_dim * itemsize + 4 * queries)


def backward(elements: int, queries: int, keys: int, head_dim: int, itemsize: int) -> Work:
    """The backward pass over `elements` score elements: five matrix products, one exponential each.

    Scores and probabilities are computed once more; a backward pass in two kernels that share nothing, one
    for k and v and one for q, executes seven products. Read are q, k, v, the output, its gradient and lse,
    written are the gradients of q, k and v. Source: Dao et al., "FlashAttention", 2022, appendix B.

    >>> backward(elements=100, queries=10, keys=10, head_dim=8, itemsize=2)
    Work(flops=8000, exponentials=100, bytes=1320)
    """
    rows = 4 * queries + 4 * keys  # q, out, dout and dq; k, v, dk and dv
    return Work(10 * head_dim * elements, elements, rows * head_dim * itemsize + 4 * queries)
