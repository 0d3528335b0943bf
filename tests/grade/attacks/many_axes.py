"""Returns a tensor with more axes than a picture or an array of numpy can have."""

import torch


def causal(n_q, n_kv, q_offset=0):
    return torch.ones(1).bool().as_strided([1] * 65, [0] * 65)
