"""Checks that leave no trace: a lesson may show a verdict without touching the reader's progress."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def rehearsal() -> Iterator[None]:
    """Inside this block `check`, `hint` and `predict` show what they always show, and record nothing.

    with rehearsal():
        check("masks.causal", somebody_elses_answer)
    """
    kept = os.environ.get("TSPARSE_PROGRESS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TSPARSE_PROGRESS"] = str(Path(folder, "progress.json"))
        try:
            yield
        finally:
            if kept is None:
                del os.environ["TSPARSE_PROGRESS"]
            else:
                os.environ["TSPARSE_PROGRESS"] = kept
