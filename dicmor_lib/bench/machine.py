"""Where and with what the numbers were taken."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicmor_lib import __version__

ENVIRONMENT = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "CUDA_VISIBLE_DEVICES")
"""Variables that change how fast torch runs."""


def physical_cores() -> int:
    """Cores that this process may run on, counting those that share one physical core once."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = {_siblings(cpu) for cpu in allowed}
    return max(1, len(siblings))


def _siblings(cpu: int) -> str:
    """The logical processors on the same core as `cpu`; itself where the system does not say."""
    file = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return file.read_text().strip() if file.exists() else str(cpu)


def describe_machine(threads: int) -> dict[str, Any]:
    """Hardware, versions, threads, date and commit, ready for JSON."""
    return {
        "processor": _processor(),
        "cores": physical_cores(),
        "threads": threads,
        "memory_gb": _memory(),
        "devices": [torch.cuda.get_device_name(i) for i in range(_cuda_devices())],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "dicmor": __version__,
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
    }


def devices_here() -> list[str]:
    """The kinds of device to measure: "cpu", and "cuda" or "mps" where there is one."""
    found = ["cpu"]
    if _cuda_devices():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _cuda_devices() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _commit() -> str | None:
    """The commit of the checkout that this file is in, with "+" if something is changed; None outside one."""
    try:
        here: dict[str, Any] = dict(
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=20
        )
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **here).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no", "--", "."], **here)
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed.stdout.strip() else "")
