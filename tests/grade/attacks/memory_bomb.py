"""Takes all the memory that it can get."""

import torch


def causal(n_q, n_kv, q_offset=0):
    held = []
    while True:
        held.append(torch.ones(1 << 24))
