"""Numbers its format with a million digits, which take a minute to read."""

import json


def spoil(notebook):
    return json.dumps(notebook)[:-1] + ', "nbformat_minor": ' + "9" * 1_000_000 + "}"
