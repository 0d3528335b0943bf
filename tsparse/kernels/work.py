"""What a kernel did: the loads, dots and stores of its programs, one by one or added up.

`tsparse.kernels.interpret` records them while kernels run in Triton's interpreter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Argument:
    """A tensor that a kernel was launched with; strides in elements."""

    name: str
    address: int
    element_bytes: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def indices(self, offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Where elements lie that are so far from the first one: an array for each dimension.

        The widest stride counts first; what lies outside of the tensor has an index out of range.
        """
        indices = [np.zeros_like(offsets)] * len(self.shape)
        walked = [dim for dim, size in enumerate(self.shape) if size > 1 and self.strides[dim] > 0]
        for dim in sorted(walked, key=self.strides.__getitem__, reverse=True):
            indices[dim], offsets = np.divmod(offsets, self.strides[dim])
        return tuple(indices)

    def offsets(self, addresses: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """How many elements from the first one these addresses are; None if one is not an element of it."""
        offsets, left = np.divmod(addresses - self.address, self.element_bytes)
        reached = np.zeros_like(offsets)
        for index, size, stride in zip(self.indices(offsets), self.shape, self.strides, strict=True):
            if ((index < 0) | (index >= size)).any():
                return None
            reached += index * stride
        return None if left.any() or (reached != offsets).any() else offsets


@dataclass(frozen=True, eq=False)
class Access:
    """One `tl.load`, `tl.store` or atomic of a tile.

    `argument` is what all the elements lie in; None if the mask lets nothing through, or an address lies
    outside of every argument. Where two arguments are the same memory, it is the first of them.
    """

    kind: Literal["load", "store", "atomic"]
    argument: Argument | None
    lanes: NDArray[np.bool_]
    """The mask, in the tile's shape: which of its elements are loaded or stored; `[1]` for a scalar."""
    offsets: NDArray[np.int64]
    """Where these lie, in elements from the argument's first one; bare addresses if there is none."""
    element_bytes: int

    @property
    def indices(self) -> tuple[NDArray[np.int64], ...]:
        """Where they lie in the argument, as `numpy.nonzero` would say; empty if there is no argument."""
        return self.argument.indices(self.offsets) if self.argument else ()


@dataclass(frozen=True)
class Dot:
    """One `tl.dot` of tiles `[m, k]` and `[k, n]`, `batch` times."""

    m: int
    k: int
    n: int
    batch: int = 1


@dataclass
class Traffic:
    """Loads or stores, added up."""

    calls: int = 0
    lanes: int = 0
    """Elements of all tiles."""
    elements: int = 0
    """Elements that the masks let through."""
    bytes: int = 0
    """Bytes of these."""
    tensors: Counter[str | None] = field(default_factory=Counter)
    """The same elements, by the kernel's argument they lie in."""


@dataclass
class Work:
    """What the programs of one or more launches did."""

    programs: int = 0
    dots: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    """How often which shape (m, k, n) was multiplied."""
    loads: Traffic = field(default_factory=Traffic)
    stores: Traffic = field(default_factory=Traffic)
    atomics: Traffic = field(default_factory=Traffic)

    @property
    def flops(self) -> int:
        """Floating-point operations of all dots: two for each multiplication."""
        return sum(2 * m * k * n * times for (m, k, n), times in self.dots.items())

    def score_elements(self, head_dim: int, matmuls: int) -> int:
        """Executed elements of the scores, if each was multiplied `matmuls` times along `head_dim`.

        Attention has two such products forward (scores, output) and seven backward (scores and their
        gradients once for dK and dV and once for dQ, and these three). `head_dim` is the one computed with,
        padding included. Raises a ValueError if the dots do not add up to whole elements.
        """
        elements, left = divmod(self.flops, 2 * head_dim * matmuls)
        if left:
            raise ValueError(
                f"the dots make {self.flops} FLOPs, not a multiple of {matmuls} products along {head_dim}: "
                f"{dict(self.dots)}"
            )
        return elements

    def add(self, step: Access | Dot) -> None:
        """Count one step."""
        if isinstance(step, Dot):
            self.dots[step.m, step.k, step.n] += step.batch
            return
        traffic = {"load": self.loads, "store": self.stores, "atomic": self.atomics}[step.kind]
        traffic.calls += 1
        traffic.lanes += step.lanes.size
        traffic.elements += step.offsets.size
        traffic.bytes += step.offsets.size * step.element_bytes
        traffic.tensors[step.argument.name if step.argument else None] += step.offsets.size


@dataclass(frozen=True)
class Program:
    """One program of a launch, and what it did, in order."""

    kernel: str
    index: tuple[int, int, int]
    steps: list[Access | Dot] = field(default_factory=list)

    @property
    def work(self) -> Work:
        """Its steps, added up."""
        work = Work(programs=1)
        for step in self.steps:
            work.add(step)
        return work
