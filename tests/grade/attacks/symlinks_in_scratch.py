"""Leaves links out of the scratch folder and folders that nobody may open, for whoever cleans up."""

import os
import pathlib
import sys

import torch


def causal(n_q, n_kv, q_offset=0):
    if not os.path.lexists("closed"):
        os.makedirs("closed/inner")
        for number, target in enumerate(("/", "/etc", "..", os.path.dirname(sys.argv[0]), "link0")):
            os.symlink(target, f"link{number}")
            os.symlink(target, f"closed/inner/link{number}")
        pathlib.Path("closed", "inner", "file").write_text("kept")
        os.chmod("closed/inner", 0)
        os.chmod("closed", 0)
    return torch.ones(n_q, n_kv, dtype=torch.bool)
