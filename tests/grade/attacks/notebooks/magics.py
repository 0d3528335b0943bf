"""Answers in magics, which only a notebook's kernel understands."""

import json


def spoil(notebook):
    for cell in notebook["cells"]:
        if cell["id"] == "answer-masks-causal":
            cell["source"] = "%load_ext answers\n%%bash\ntouch pwned"
    return json.dumps(notebook)
