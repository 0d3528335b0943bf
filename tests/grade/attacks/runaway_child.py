"""Leaves a process behind, in a session of its own, that holds the pipes open; then never ends."""

import os
import time


def causal(n_q, n_kv, q_offset=0):
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)
    time.sleep(1000)
