"""What an answer called while it ran, and how large its largest tensor was.

Two modes of PyTorch see this: one sees the Python functions ("torch.nn.functional.softmax"), the other the
operators they end in ("aten._softmax"). This file needs nothing but torch, so a child process can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

NO_SOFTMAX = frozenset({"aten._softmax", "aten._log_softmax", "aten.logsumexp"})
"""To write a softmax is the exercise."""

NO_MULTI_HEAD = frozenset(
    {
        "torch.nn.functional.multi_head_attention_forward",
        "torch._native_multi_head_attention",
        "torch._transformer_encoder_layer_fwd",
    }
)
"""To put the heads together is the exercise: no `nn.MultiheadAttention`, no `nn.Transformer*`."""

NO_ATTENTION = NO_MULTI_HEAD | frozenset(
    {
        "torch.nn.functional.scaled_dot_product_attention",
        "torch.ops.higher_order.flex_attention",
        "aten._scaled_dot_product_flash_attention_for_cpu",
        "aten._scaled_dot_product_flash_attention",
        "aten._scaled_dot_product_efficient_attention",
        "aten._scaled_dot_product_cudnn_attention",
        "aten._scaled_dot_product_attention_math",
    }
)
"""To write attention is the exercise: no SDPA, FlexAttention, `nn.MultiheadAttention`, `nn.Transformer*`."""


class Watch:
    """A context in which calls of PyTorch are recorded.

    `calls` maps each function and each operator to the function that the learner wrote. `largest` is the
    number of elements of the largest tensor that an operator returned; a view counts what lies in memory.
    """

    def __init__(self) -> None:
        """Start with nothing recorded."""
        self.calls: dict[str, str] = {}
        self.largest = 0
        self._functions = _Functions(self)
        self._operators = _Operators(self)

    def __enter__(self) -> Watch:
        """Record from here on."""
        self._functions.__enter__()
        self._operators.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop recording."""
        self._operators.__exit__(*error)
        self._functions.__exit__(*error)


def forbidden_call(calls: Mapping[str, str], forbidden: frozenset[str]) -> str | None:
    """Return the first forbidden call, by the name that the learner used, or None."""
    return next((written for name, written in calls.items() if name in forbidden), None)


class _Functions(TorchFunctionMode):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch
        self.current: str | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = _name(func)
        self.watch.calls.setdefault(name, name)
        self.current = name
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.current = None


class _Operators(TorchDispatchMode):
    supports_higher_order_operators = True

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise the first operator imports PyTorch's compiler, which takes seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.name().split(".")[0].replace("::", ".")
        self.watch.calls.setdefault(name, self.watch._functions.current or name)
        for leaf in (result,) if isinstance(result, torch.Tensor) else tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.watch.largest = max(self.watch.largest, _elements(leaf))
        return result


@lru_cache(4096)
def _name(func: Callable[..., Any]) -> str:
    return resolve_name(func) or f"{func.__module__}.{func.__name__}"


def _elements(tensor: torch.Tensor) -> int:
    if tensor.layout != torch.strided:
        return tensor.numel()
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // max(tensor.element_size(), 1))
