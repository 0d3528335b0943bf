"""Returns an object that sleeps when it is deleted."""

import time


class Sticky:
    def __del__(self):
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                continue


def causal(n_q, n_kv, q_offset=0):
    return Sticky()
