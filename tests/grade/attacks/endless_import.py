"""Never comes back from an import, of a module that it has just written."""

import pathlib
import sys

pathlib.Path("endless.py").write_text("while True:\n    pass\n")
sys.path.insert(0, ".")
import endless  # noqa: E402, F401
