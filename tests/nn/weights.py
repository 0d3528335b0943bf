"""Random weights everywhere: PyTorch starts biases at 0 and norms at 1, which hides one that is forgotten."""

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def randomised(module: Module) -> Module:
    """`module` in float64, in evaluation mode, with every weight drawn anew."""
    generator = torch.Generator().manual_seed(1)
    module.double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 2)
    return module


def tokens(*shape: int) -> torch.Tensor:
    """Float64 normal numbers, the same for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def words(*shape: int) -> torch.Tensor:
    """Integers below 11, the same for the same shape."""
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(3))
