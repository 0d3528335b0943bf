"""Links that copy the course into a student's account on a JupyterHub and open a sheet there.

The hub needs nbgitpuller and this package; clicking again brings what has changed and keeps what the student
wrote.
Source: nbgitpuller, "Options in an nbgitpuller URL".
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit


def links(course: Path, repository: str, hub: str, branch: str) -> dict[str, str]:
    """An address for each sheet of `course`; without a `hub` what follows its address.

    Raises:
        ValueError: `repository` or `hub` is no address.
    """
    for option, address in (("--repository", repository), ("--hub", hub)):
        parts = urlsplit(address)
        if (address or option == "--repository") and not (parts.scheme == "https" and parts.netloc):
            raise ValueError(f"{option} must be an address (https://...), got {address!r}")
    folder = urlsplit(repository).path.rstrip("/").rpartition("/")[2].removesuffix(".git")
    if not folder:
        raise ValueError(f"--repository names no repository: {repository!r}")
    found = {}
    for path in sorted((course / "exercises").glob("*.ipynb")):
        place = quote(f"lab/tree/{folder}/exercises/{path.name}")
        words = urlencode({"repo": repository, "branch": branch, "targetPath": folder, "urlpath": place})
        found[path.stem] = f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{words}"
    return found


def advice(repository: str, branch: str) -> str:
    """What must be installed where the students' notebooks run, for the links and the sheets to work."""
    return f'The hub needs: pip install nbgitpuller "git+{repository}@{branch}"'
