"""Small programs that stand for those of another machine."""

from pathlib import Path


def script(path: Path, *lines: str) -> Path:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path
