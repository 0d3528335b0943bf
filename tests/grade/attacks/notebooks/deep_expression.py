"""Gives an answer of a hundred thousand signs, which Python's parser has no memory for."""

import json


def spoil(notebook):
    for cell in notebook["cells"]:
        if cell["id"] == "answer-masks-causal":
            cell["source"] = "x = " + "-" * 100_000 + "1"
    return json.dumps(notebook)
