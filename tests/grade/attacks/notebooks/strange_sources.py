"""Gives numbers, objects and text that cannot be written where a cell's lines should stand."""

import json


def spoil(notebook):
    strange = (5, None, {"a": 1}, [1, [2], None], ["def causal", 3], "\ud800\x00def causal(: 0")
    for cell in notebook["cells"]:
        if cell["id"] == "answer-masks-causal":
            cell["source"] = strange[-1]
    notebook["cells"] += [
        {"cell_type": "code", "id": "answer-masks-padding", "source": one} for one in strange
    ]
    return json.dumps(notebook)
