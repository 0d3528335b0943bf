"""Ends the process while the cell is still being executed."""

import os

os._exit(0)
