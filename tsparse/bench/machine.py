"""On what a bench ran: the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("tsparse", "torch", "triton", "transformers", "numpy")


def versions() -> dict[str, str]:
    """The version of Python and of each package that is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"torch": str(torch.__version__)}


def cpu() -> dict[str, Any]:
    """The processor, the cores of this process, the threads that PyTorch uses, and the memory in GiB."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts: dict[str, Any] = {"CPU": _processor(), "cores": cores, "threads": torch.get_num_threads()}
    if hasattr(os, "sysconf"):
        facts["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    return facts | {"system": platform.platform(terse=True)}


def gpu() -> dict[str, Any]:
    """The GPU, its multiprocessors and memory, CUDA's version, the driver's, and the facts of the CPU."""
    about = torch.cuda.get_device_properties()
    return {
        "GPU": about.name,
        "multiprocessors": about.multi_processor_count,
        "GPU memory": f"{about.total_memory / 2**30:.0f} GiB",
        "CUDA": torch.version.cuda,
        "driver": _driver(),
        **cpu(),
    }


def _processor() -> str:
    """The processor's name."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _driver() -> str:
    """The version of NVIDIA's driver."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"
