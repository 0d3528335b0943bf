"""Holds one answer under one id a thousand times, once right."""

import json


def spoil(notebook):
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "answer-masks-causal")
    wrong = cell | {"source": "def causal(*args):\n    return None"}
    notebook["cells"] += [wrong] * 1000
    return json.dumps(notebook)
