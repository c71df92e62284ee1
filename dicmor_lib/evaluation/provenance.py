"""On what a number was measured: the machine, the versions of the libraries, the state of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from dicmor_lib import __version__

PACKAGES: tuple[str, ...] = ("torch", "numpy", "scipy", "scikit-learn")


@cache
def hardware(device: str = "cpu") -> str:
    """Return the processor, the cores that this process may use and, with `device` "cuda", the accelerator."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = f"{_processor()}, {cores} cores"
    return f"{torch.cuda.get_device_name()}; {name}" if device.startswith("cuda") else name


@cache
def versions() -> str:
    """Return the versions of Python and of the packages that the numbers depend on."""
    found = [f"dicmor {__version__}", f"python {platform.python_version()}"]
    return ", ".join([*found, *(f"{package} {version(package)}" for package in PACKAGES)])


@cache
def commit() -> str:
    """Return the commit of this code, with "+" if files of the library differ from it; "" outside a repository."""
    root = Path(__file__).resolve().parents[2]
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--", "dicmor_lib") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
