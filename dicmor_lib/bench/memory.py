"""What this process holds, in megabytes. Imports nothing, so that it can be asked before anything is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STATUS, STATM = Path("/proc/self/status"), Path("/proc/self/statm")


def resident_memory() -> float:
    """Megabytes of memory now; 0 where the system does not say."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if STATM.exists() else 0.0


def peak_resident_memory() -> float:
    """The most megabytes so far."""
    if STATUS.exists():  # not getrusage: that also remembers the process that started this one
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
