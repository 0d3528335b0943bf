"""Returns an object whose class has a name of half a million letters."""


def causal(n_q, n_kv, q_offset=0):
    return type("tensor" * 100000, (), {})()
