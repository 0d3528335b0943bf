"""Forks a child that never ends, and waits for it."""

import os


def causal(n_q, n_kv, q_offset=0):
    pid = os.fork()
    while pid == 0:
        pass
    os.waitpid(pid, 0)
