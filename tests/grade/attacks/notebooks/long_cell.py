"""Gives an answer of five million lines, which costs gigabytes to read."""

import json


def spoil(notebook):
    for cell in notebook["cells"]:
        if cell["id"] == "answer-masks-causal":
            cell["source"] = "x=1\n" * 5_000_000
    return json.dumps(notebook)
