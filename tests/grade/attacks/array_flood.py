"""Returns a hundred thousand tensors of one element."""

import torch


def causal(n_q, n_kv, q_offset=0):
    return [torch.ones(1) for _ in range(100_000)]
