"""The `tsparse` command, also `python -m tsparse`.

Each subcommand lives in the room that does the work and is imported only when it is called: a room gives
`configure(parser)`, which adds its options, and `run(args)`, which returns the exit status.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "bench": ("measure attention beside what people would use instead", "tsparse.bench.command"),
    "classroom": ("write what Gradescope, GitHub or JupyterHub need", "tsparse.grade.classroom.command"),
    "doctor": ("what this machine can run, and the way out where it cannot", "tsparse.notebook"),
    "exam": ("write an exam for each student of a roster, and grade it", "tsparse.grade.exam.command"),
    "grade": ("grade a filled-in exercise sheet", "tsparse.grade.command"),
    "inspect": (
        "what a compiler makes of the kernels, for GPUs that are not there",
        "tsparse.kernels.inspect",
    ),
    "mutants": ("try the graders on every wrong answer that they know", "tsparse.grade.mutants"),
    "notebooks": ("put notebooks into canonical form, run them, or check them", "tsparse.grade.notebooks"),
    "sheets": ("make exercises/ from solutions/, or check that they agree", "tsparse.grade.sheets"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status; 2 with one line on stderr if the input is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="tsparse", description="The sparse-attention course.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    rooms = {}
    for name, (purpose, room) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        if words[:1] == [name]:
            rooms[name] = importlib.import_module(room)
            rooms[name].configure(command)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        return rooms[args.command].run(args)
    except (ValueError, OSError) as error:
        print(f"tsparse {args.command}: {error}", file=sys.stderr)
        return 2
