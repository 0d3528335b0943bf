"""Asks, in its metadata, for a kernel that is a program and for cells that are run on opening."""

import json


def spoil(notebook):
    program = {"argv": ["/bin/sh", "-c", "touch pwned"], "name": "sh", "language": "sh", "display_name": "sh"}
    notebook["metadata"] = {"kernelspec": program, "language_info": {"name": "sh"}, "init": "!touch pwned"}
    for cell in notebook["cells"]:
        cell["metadata"] = {"init_cell": True, "tags": ["parameters"], "points": 1000, "status": "PASS"}
        if cell["id"] == "answer-masks-causal":
            cell["source"] = "def causal(n_q, n_kv, q_offset=0):\n    return True"
    return json.dumps(notebook)
