"""Freed memory stays with the process: asking the system for the same pages at every step costs a tenth of it.

A training step allocates and frees hundreds of megabytes. By default glibc hands the top of its heap back at once, and
the next step pays for each page again: the kernel has to find it, clear it and map it.
"""

from __future__ import annotations

import ctypes
import functools
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
KEEP = 2**31 - 1
"""Bytes that may lie free at the top of the heap: the largest number that mallopt takes, 2 GB."""
FROM_HEAP = 2**25
"""Blocks up to this size (32 MB, the most that mallopt takes) come from the heap, larger ones from the system."""


@functools.cache  # it holds for the whole process, so once is enough
def keep_freed_memory() -> bool:
    """Let the C library of this process keep what is freed, for its next allocation; the peak stays what it is.

    Returns:
        Whether it will: on Linux with glibc. Elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, FROM_HEAP) and mallopt(M_TRIM_THRESHOLD, KEEP))
