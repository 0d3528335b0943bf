"""Prints without end, past Python's own buffers too."""

import os


def causal(n_q, n_kv, q_offset=0):
    while True:
        print("PASS" * 1000)
        os.write(1, b"PASS" * 1000)
        os.write(2, b"PASS" * 1000)
