"""The memory a kernel is launched on, every place of which is watched.

All arguments lie in one piece of memory, poisoned and with wide gaps between them. So an address that misses
belongs to the argument whose zone it falls into, and nothing outside of that piece is ever touched. Needs
nothing but numpy and torch: the process in which answers run loads this file without the package.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from tsparse.kernels.work import Argument

GAP = 1 << 12
"""Bytes of poison before and after each argument."""

MOST_FAULTS = 64

Program = tuple[int, ...]

Kind = Literal["read", "wrote", "unwritten", "twice"]
KINDS = get_args(Kind)

Places = NDArray[np.int64]
"""Places of an argument, counted in elements from its first one."""


@dataclass(frozen=True)
class Fault:
    """What a program did to memory that no program may do; the first place, and how many there were at once.

    "read" and "wrote" are outside of the argument, "unwritten" is a read of an output that nothing had
    written yet, and "twice" a place that the program `other` had written before.
    """

    kind: Kind
    program: Program
    argument: str
    index: tuple[int, ...]
    count: int
    shape: tuple[int, ...]
    other: Program = ()

    def sentence(self) -> str:
        """The fault in words."""
        who, what = f"Program {shown(self.program)}", f"`{self.argument}`"
        place = f"`{self.argument}[{', '.join(map(str, self.index))}]`"
        if self.kind == "twice":
            return (
                f"{who} wrote {place}, which program {shown(self.other)} had written too: on a GPU they run "
                "at the same time, and either may be the last."
            )
        if self.kind == "unwritten":
            return f"{who} read {place} before any program had written it: an output starts as anything."
        return f"{who} {self.kind} {self.past()} of {what}: the first is {place}."

    def past(self) -> str:
        """How many places, and past which end: "3 places past the end of a row"."""
        many = places(self.count)
        *rows, column = self.index
        size = self.shape[-1] if self.shape else 1
        in_a_row = all(0 <= index < n for index, n in zip(rows, self.shape, strict=False))
        if rows and in_a_row and column >= size:
            return f"{many} past the end of a row ({size} long)"
        return f"{many} {'before the beginning' if min(self.index) < 0 else 'past the end'}"


def places(count: int) -> str:
    """`1 place`, `3 places`."""
    return f"{count} place{'' if count == 1 else 's'}"


def shown(program: Program) -> str:
    """A program as a reader writes it: "(2, 1)", or "3" on a grid of one axis."""
    return str(program[0]) if len(program) == 1 else f"({', '.join(map(str, program))})"


def poison(dtype: torch.dtype) -> Any:
    """What stands where nothing was written: NaN, and the smallest of whole numbers."""
    return float("nan") if dtype.is_floating_point else 0 if dtype == torch.bool else torch.iinfo(dtype).min


def span(tensor: torch.Tensor) -> int:
    """Number of elements from the first to the last of a tensor, with what lies between them."""
    if not tensor.numel():
        return 0
    return 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """The memory of a tensor from its first to its last element, padding included."""
    return tensor.as_strided((span(tensor),), (1,))


def elements(tensor: torch.Tensor) -> torch.Tensor:
    """Which places of `flat(tensor)` are elements; the others are padding."""
    places = torch.zeros(span(tensor), dtype=torch.bool)
    places.as_strided(tensor.shape, tensor.stride()).fill_(True)
    return places


class Buffer:
    """One argument in memory."""

    def __init__(self, name: str, tensor: torch.Tensor, output: bool) -> None:
        """`tensor` is the argument where it lies now."""
        self.argument = Argument(
            name, tensor.data_ptr(), tensor.element_size(), tuple(tensor.shape), tensor.stride()
        )
        self.elements = elements(tensor).numpy()
        self.writer = np.full(self.elements.size, -1)
        self.output = output

    def index(self, offset: int) -> tuple[int, ...]:
        """Where a place lies in the argument, outside of it too."""
        return tuple(int(place) for place in self.argument.indices(np.asarray(offset)))


class Memory:
    """Copies of the arguments of one launch. `tensors` are what the kernel is given, `faults` what it did.

    The number of the program that runs is set by whoever runs it (`begin`).
    """

    def __init__(self, arguments: dict[str, Any], outputs: tuple[str, ...], grid: tuple[int, ...]) -> None:
        """Lay the tensors among `arguments` out and copy them, with their padding."""
        given = {name: value for name, value in arguments.items() if isinstance(value, torch.Tensor)}
        starts, size = [], GAP
        for tensor in given.values():
            starts.append(size)
            needed = span(tensor) * tensor.element_size()
            size += -(-max(needed, 1) // 64) * 64 + GAP
        held = torch.full((size + 64,), 255, dtype=torch.uint8)  # all ones is NaN in every float format
        aligned = held[-held.data_ptr() % 64 :]
        self.tensors: dict[str, torch.Tensor] = {}
        for (name, tensor), start in zip(given.items(), starts, strict=True):
            bytes_ = span(tensor) * tensor.element_size()
            here = aligned[start : start + bytes_].view(tensor.dtype)
            here.copy_(flat(tensor))
            self.tensors[name] = here.as_strided(
                tensor.shape, tensor.stride(), here.storage_offset() if here.numel() else 0
            )
        self.buffers = [Buffer(name, tensor, name in outputs) for name, tensor in self.tensors.items()]
        self.grid = grid
        self.program = -1
        self.faults: dict[tuple[str, str, int], Fault] = {}
        # an argument without elements has the address 0, whatever its place here
        self._in_order = sorted(self.buffers, key=lambda b: b.argument.address)
        ends = [b.argument.address + b.elements.size * b.argument.element_bytes for b in self._in_order]
        begins = [b.argument.address for b in self._in_order[1:]]
        self._borders = np.array([(end + begin) // 2 for end, begin in zip(ends, begins, strict=False)])

    def begin(self, index: tuple[int, int, int]) -> None:
        """From here on the program `index` runs."""
        sizes = (*self.grid, 1, 1, 1)
        self.program = int(np.ravel_multi_index(index, sizes[:3]))

    def allowed(
        self, kind: Literal["read", "wrote"], addresses: NDArray[np.int64], lanes: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], dict[str, Places]]:
        """Which of `lanes` may be touched, and by argument the places that they mean, missed ones too.

        A write into the padding of a row is a fault and yet allowed: whoever launches can see it there.
        """
        allowed, touched = np.zeros_like(lanes), {}
        zones = np.searchsorted(self._borders, addresses, side="right")
        for zone in np.unique(zones[lanes]):
            buffer = self._in_order[zone]
            mine = lanes & (zones == zone)
            offsets, left = np.divmod(
                addresses[mine] - buffer.argument.address, buffer.argument.element_bytes
            )
            inside = (offsets >= 0) & (offsets < buffer.elements.size) & (left == 0)
            right = inside.copy()
            right[inside] = buffer.elements[offsets[inside]]
            self._note(kind, buffer, offsets[~right])
            touched[buffer.argument.name] = offsets
            self._order(kind, buffer, offsets[right])
            allowed[mine] = inside if kind == "wrote" else right
        return allowed, touched

    def rows(self, name: str, places: Places) -> Places:
        """The rows of an argument in which places lie: along the axis before the last, or the only one."""
        argument = next(one.argument for one in self.buffers if one.argument.name == name)
        axis = max(0, len(argument.shape) - 2)
        rows = np.unique(argument.indices(np.unique(places))[axis])
        return rows[(rows >= 0) & (rows < argument.shape[axis])]

    def _order(self, kind: str, buffer: Buffer, offsets: NDArray[np.int64]) -> None:
        """Who wrote these places before, and whether that is as it should be."""
        if kind == "read":
            if buffer.output:
                self._note("unwritten", buffer, offsets[buffer.writer[offsets] < 0])
            return
        before = buffer.writer[offsets]
        twice = (before >= 0) & (before != self.program)
        self._note("twice", buffer, offsets[twice], before[twice])
        buffer.writer[offsets] = self.program

    def _note(
        self,
        kind: Kind,
        buffer: Buffer,
        offsets: NDArray[np.int64],
        before: NDArray[np.int64] | None = None,
    ) -> None:
        """Keep the first fault of each kind of each program in each argument."""
        key = kind, buffer.argument.name, self.program
        if not offsets.size or key in self.faults or len(self.faults) >= MOST_FAULTS:
            return
        where = int(offsets.argmin())
        fault = Fault(
            kind,
            self._index(self.program),
            buffer.argument.name,
            buffer.index(int(offsets[where])),
            int(np.unique(offsets).size),
            buffer.argument.shape,
        )
        if before is not None:
            fault = replace(fault, other=self._index(int(before[where])))
        self.faults[key] = fault

    def _index(self, program: int) -> Program:
        return tuple(int(i) for i in np.unravel_index(program, self.grid))
