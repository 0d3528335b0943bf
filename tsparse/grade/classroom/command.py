"""`tsparse classroom`: what Gradescope, GitHub and JupyterHub need to give a sheet to a class."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from tsparse.grade import notebooks
from tsparse.grade.classroom import github, gradescope, jupyterhub
from tsparse.grade.classroom.course import find_sheet


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `tsparse classroom`."""
    engines = parser.add_subparsers(dest="engine", metavar="engine", required=True)
    for name, purpose, out in (
        ("gradescope", "the autograder of a sheet, a zip", "FILE.zip"),
        ("github", "a template repository that grades its sheet on every push", "FOLDER"),
    ):
        engine = engines.add_parser(name, help=purpose, description=f"Write {purpose}.")
        engine.add_argument("--sheet", required=True, help="such as 02_masks")
        engine.add_argument("--out", type=Path, required=True, metavar=out)
        engine.add_argument(
            "--torch-index", default="", metavar="URL",
            help="PyTorch's index without CUDA, as its installation page names it: it saves gigabytes",
        )  # fmt: skip
    hub = engines.add_parser("jupyterhub", help="links that open the sheets", description="Print links.")
    hub.add_argument(
        "--repository", metavar="URL", help="where the course lies (default: as pyproject.toml says)"
    )
    hub.add_argument(
        "--hub", default="", metavar="URL", help="the hub (default: links begin after its address)"
    )
    hub.add_argument("--branch", default="main")


def run(args: argparse.Namespace) -> int:
    """Write or print it."""
    if args.engine == "jupyterhub":
        course = notebooks.course_folder()
        repository = args.repository or _repository(course)
        for name, link in jupyterhub.links(course, repository, args.hub, args.branch).items():
            print(f"{name}  {link}")
        print(jupyterhub.advice(repository, args.branch), file=sys.stderr)
        return 0
    sheet = find_sheet(args.sheet)
    if args.engine == "gradescope":
        gradescope.write(sheet, args.out, args.torch_index)
        print(f"{args.out}: written. {gradescope.advice(sheet)}")
    else:
        github.write(sheet, args.out, args.torch_index)
        print(f"{args.out}: written; push it as a template repository.")
    return 0


def _repository(course: Path) -> str:
    """The address that pyproject.toml names, or nothing."""
    project = tomllib.loads((course / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project.get("urls", {}).get("Repository", ""))
