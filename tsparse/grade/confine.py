"""What an answer's process gives up before it runs a line of a sheet, and what it can say about that.

In a sandbox (`sandbox.py`) it sees nothing but Python. Without one it is, if the grader is root, a user who
owns nothing; otherwise it is the grader's own user, and only the limits below hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

import torch

from tsparse.grade import sandbox

LARGEST_FILE = 64 << 20
MOST_PROCESSES = 64
FIRST_USER = 61000
"""Answers of a grader that is root get a user number from here on; systems leave these numbers unused."""

READ_EVERYTHING = 2
"""CAP_DAC_READ_SEARCH of linux/capability.h."""

NO_NEW_PRIVILEGES, KEEP_CAPABILITIES, DIE_WITH_PARENT, ADOPT_ORPHANS, BE_READABLE = 38, 8, 1, 36, 4
"""Options of prctl(2)."""


def confine(scratch: str, memory: int, refusal: str) -> dict[str, str]:
    """Give up what an answer does not need and say what is in force.

    With a `refusal` there is no sandbox, for that reason. Otherwise another process, a child of the one that
    calls this, returns from here.
    """
    user = FIRST_USER + os.getpid() % 4000
    limit = _memory_limit(memory)
    _be_ended_first()
    if not refusal:
        sandbox.enter(scratch, user)
        scratch = sandbox.SCRATCH
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch, USER="answers")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    facts = {
        "protection": protection(refusal),
        "files": f"up to {LARGEST_FILE >> 20} MiB each, in a scratch folder",
        "memory": _limit_memory(limit, memory),
        "user": become_nobody(scratch, user, sandboxed=not refusal),
        "network": "not closed off" if refusal else "none",
    }
    if not refusal:
        facts["files"] += f" of {sandbox.SCRATCH_BYTES >> 20} MiB; of other files only Python's"
    control_process(NO_NEW_PRIVILEGES, 1)
    control_process(DIE_WITH_PARENT, 9)
    return facts


def protection(refusal: str) -> str:
    """In words, what stands between an answer and the grader: "unshare", "unprivileged user" or "none"."""
    if not refusal:
        return "unshare: the answer has a file system, processes and a network of its own"
    marks = ("/.dockerenv", "/run/.containerenv")
    container = ", in a container" if "container" in os.environ or any(map(os.path.exists, marks)) else ""
    kind = "unprivileged user" if os.geteuid() == 0 else "none"
    return f"{kind}{container}, no sandbox: {refusal}"


def become_nobody(scratch: str, user: int, *, sandboxed: bool) -> str:
    """As root, become a user who owns nothing but the scratch folder; lose every capability.

    Where Python lies in a folder that is closed to others, the user keeps the right to read every file that
    can be seen; where the system does not let it, the process stays as it is. Both are said.
    """
    if os.geteuid() != 0 or (sandboxed and os.getuid() == user):
        if sandboxed:
            _keep_only(0)
            _limit(resource.RLIMIT_NPROC, MOST_PROCESSES)
            return "that of the grader, who owns nothing that the answer can see"
        return "that of the grader, which is not root"
    try:
        os.chown(scratch, user, user)
        os.setgroups([])
        closed = _closed_to(user)
        if closed and not _may_read_everything():
            return f"root: {closed} is closed to other users"
        control_process(KEEP_CAPABILITIES, bool(closed))
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError as error:
        return f"root: it cannot be changed here ({error.strerror})"
    _limit(resource.RLIMIT_NPROC, MOST_PROCESSES)
    if not closed:
        return f"number {user}, who owns nothing"
    _keep_only(1 << READ_EVERYTHING)
    what = "every file of Python" if sandboxed else "every file"
    return f"number {user}, who owns nothing but may read {what}: {closed} is closed to other users"


def _closed_to(user: int) -> str | None:
    """The first folder of Python that this user cannot read."""
    needed = [path for path in (*sys.path, torch.__file__) if os.path.exists(path)]
    os.setegid(user)
    os.seteuid(user)
    try:
        return next((path for path in needed if not _opens(path)), None)
    finally:
        os.seteuid(0)
        os.setegid(0)


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def _may_read_everything() -> bool:
    if sys.platform != "linux":
        return False
    header, held = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if ctypes.CDLL(None).capget(header, held):
        return False
    permitted = struct.unpack("=6I", held.raw)[1]
    return bool(permitted >> READ_EVERYTHING & 1)


def _keep_only(capabilities: int) -> None:
    """Drop every capability but some of the first 32 (capset(2), third version of its header)."""
    header = struct.pack("=Ii", 0x20080522, 0)
    if ctypes.CDLL(None).capset(header, struct.pack("=6I", capabilities, capabilities, 0, 0, 0, 0)):
        raise OSError("capabilities could not be dropped")


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def control_process(option: int, value: int) -> None:
    """Call prctl(2) where there is one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _memory_limit(memory: int) -> int | OSError:
    """Bytes beyond what this process has now, as an address space; read while `/proc` can be seen."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError as error:
        return error
    return pages * resource.getpagesize() + memory


def _be_ended_first() -> None:
    """Where the memory of a container or machine runs out, this process shall end and not the grader.

    The limit holds for each process of an answer, not for all of them together.
    """
    with contextlib.suppress(OSError):  # there is no /proc
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_memory(limit: int | OSError, memory: int) -> str:
    if isinstance(limit, OSError):
        return f"not limited ({limit})"
    try:
        _limit(resource.RLIMIT_AS, limit)
    except (OSError, ValueError) as error:
        return f"not limited ({error})"
    return f"{memory >> 20} MiB beyond that of PyTorch"
