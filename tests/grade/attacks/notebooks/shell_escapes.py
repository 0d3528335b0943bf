"""Answers in commands for a shell."""

import json


def spoil(notebook):
    for cell in notebook["cells"]:
        if cell["id"] == "answer-masks-causal":
            cell["source"] = "!touch pwned\nanswer = !cat solutions/02_masks.ipynb"
    return json.dumps(notebook)
