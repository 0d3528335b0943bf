"""Nests metadata deeper than any reader can follow."""

import json


def spoil(notebook):
    return json.dumps(notebook)[:-1] + ', "deep": ' + "[" * 200_000 + "]" * 200_000 + "}"
