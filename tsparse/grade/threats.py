"""`tsparse grade --threats`: what is promised against a submission that attacks the grader."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

THREATS = Path(__file__).with_name("THREATS.md")


class ShowThreats(argparse.Action):
    """Print the threat model and leave, as `--help` does."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        """An option without a value."""
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print it."""
        print(THREATS.read_text(encoding="utf-8").rstrip())
        parser.exit()
