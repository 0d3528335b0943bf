"""Never ends, and swallows whatever is raised to end it."""


def causal(n_q, n_kv, q_offset=0):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
