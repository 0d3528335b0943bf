"""Returns a list that holds itself, many times."""


def causal(n_q, n_kv, q_offset=0):
    held = []
    held += [held, held]
    return held
