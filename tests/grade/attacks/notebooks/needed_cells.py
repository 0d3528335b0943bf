"""Adds five thousand cells, each of which uses a name of the next."""

import json


def spoil(notebook):
    for cell in notebook["cells"]:
        if cell["id"] == "answer-masks-causal":
            cell["source"] = f"x0\n{cell['source']}"
    for place in range(5000):
        source = f"x{place} = 0\ndef f():\n    return x{place + 1}"
        notebook["cells"].append({"cell_type": "code", "id": f"answer-x-x{place}", "source": source})
    return json.dumps(notebook)
