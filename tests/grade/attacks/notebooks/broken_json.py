"""Ends in the middle of a word."""

import json


def spoil(notebook):
    return json.dumps(notebook)[:-40]
