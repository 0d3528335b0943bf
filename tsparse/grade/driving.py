"""Answers that return a function, such as a `mask_mod`: how the grader calls what they return.

A function cannot cross to the grader, and what it would say later is of no interest. So the last argument of
a case is a `Then`: with it the returned function is called at once, beside the answer, and what it says is
the result. `call` does so for a reference, a wrong answer and a reader's answer alike. Needs nothing but
torch, so that the child loads this file without the package.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

How = Literal["broadcast", "vmap"]


class NotAFunction(TypeError):
    """The answer returned something else; the message is the name of its type."""


@dataclass(frozen=True, eq=False)
class Then:
    """What a returned function is called with: tensors of shapes that broadcast, and in which of two ways.

    "broadcast" is one call with the tensors as they are. "vmap" is what FlexAttention does: the function is
    written for numbers, one from each tensor, and `torch.vmap` calls it for all of them. Either way the
    result has the shape to which the tensors broadcast. `names` is what the function that was asked last
    calls its arguments.
    """

    args: tuple[Tensor, ...]
    how: How = "broadcast"
    names: list[str] = field(default_factory=list)

    def ask(self, returned: Any) -> Any:
        """What a returned function says.

        Raises:
            NotAFunction: It is none.
            TypeError: It takes another number of arguments.
            ValueError: It gives a tensor where it was called for one place.
        """
        if not callable(returned):
            raise NotAFunction(type(returned).__name__)
        self.names[:] = _names(returned, len(self.args))
        shape = torch.broadcast_shapes(*(arg.shape for arg in self.args))
        if self.how == "broadcast":
            return _expanded(returned(*self.args), shape)
        numbers = [arg.expand(shape).flatten() for arg in self.args]
        with _Lookups():
            value = torch.vmap(returned)(*numbers)
        if value.ndim > 1:
            one = list(value.shape[1:])
            raise ValueError(f"for one place the function you return gives a tensor {one}, not one number")
        return value.view(shape)


def call(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """What a function gives for the arguments of a case, or if they end in a `Then`, what its result says."""
    if args and isinstance(args[-1], Then):
        return args[-1].ask(function(*args[:-1]))
    return function(*args)


def own_arguments(args: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of a case that the answer itself is given."""
    return tuple(arg for arg in args if not isinstance(arg, Then))


def _names(returned: Callable[..., Any], given: int) -> list[str]:
    """The names of its parameters, as far as it has any.

    TypeError, in the same words for all functions, if it cannot be called with so many arguments.
    """
    try:
        signature = inspect.signature(returned)
    except (TypeError, ValueError):  # functions written in C have none
        return []
    try:
        signature.bind(*range(given))
    except TypeError:
        takes = len(signature.parameters)
        raise TypeError(
            f"the function you return takes {takes} arguments and is called with {given}"
        ) from None
    return list(signature.parameters)


def _expanded(value: Any, shape: Sequence[int]) -> Any:
    """A result that does not depend on every argument, in the shape of all of them; others as they are."""
    if not isinstance(value, Tensor) or value.ndim > len(shape):
        return value
    fits = all(size in (1, wanted) for size, wanted in zip(value.shape[::-1], shape[::-1], strict=False))
    return value.expand(*shape) if fits else value


class _Lookups(TorchFunctionMode):
    """Inside this, `table[i]` may be asked with numbers under `torch.vmap`, as inside FlexAttention."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.__getitem__:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if all(isinstance(place, Tensor) for place in index):
                return torch.ops.aten.index(args[0], index)
        return func(*args, **(kwargs or {}))
