"""Holds a hundred megabytes of output."""

import json


def spoil(notebook):
    notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "0" * 100_000_000}]
    return json.dumps(notebook)
