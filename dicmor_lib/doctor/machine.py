"""What the machine itself gives: disk, memory, a way out, and the loopback interface. Nothing here raises."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]

OUTSIDE = ("192.0.2.1", 9)  # set aside for documentation (RFC 5737): nobody has it


def loopback_failure() -> str | None:
    """Why one program cannot reach another on this machine over 127.0.0.1, as JupyterLab its kernels; None if it can."""
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            socket.create_connection(listener.getsockname(), timeout=5).close()
    except OSError as problem:
        return problem.strerror or str(problem)
    return None


def has_network() -> bool:
    """Whether there is a way out of this machine; a datagram socket looks for one, and nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(OUTSIDE)
    except OSError:
        return False
    return True


def writing_failure(out: Path) -> str | None:
    """Why nothing can be written to `out`, or to the folder for temporary files; None if both work."""
    for folder in (existing(out), Path(tempfile.gettempdir())):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"x")
        except OSError as problem:
            return f"{folder}: {problem.strerror or problem}"
    return None


def free_disk(out: Path) -> int | None:
    """Bytes free on the disk that `out` is or will be on."""
    try:
        return shutil.disk_usage(existing(out)).free
    except OSError:
        return None


def existing(folder: Path) -> Path:
    """The nearest existing path at or above `folder`."""
    folder = Path(os.path.abspath(folder))
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def free_memory(proc: Path = Path("/proc"), group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes of memory that are free for a new process, within the limits of a container and of `ulimit`."""
    try:
        lines = dict(
            line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines() if ":" in line
        )
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, max(limit - used, 0))
    except (OSError, ValueError):  # no container, or "max": no limit
        pass
    return min([free, *_own_limits()])


def _own_limits() -> list[int]:
    """What `ulimit -v` and `ulimit -d` leave to a new process: it has the limits of this one."""
    if resource is None:
        return []
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]
