"""Has lost the ids of all its cells."""

import json


def spoil(notebook):
    for cell in notebook["cells"]:
        del cell["id"]
    return json.dumps(notebook)
