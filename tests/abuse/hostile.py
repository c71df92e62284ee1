"""Run a command in surroundings that give it little: `python hostile.py SURROUNDINGS COMMAND ...`.

SURROUNDINGS is JSON: {"offline": true, "cores": 1, "bytes": 4e9, "user": 65534}; what is left out is left as it is.
What only root may do (another user, no network at all) is done where this is root; without root, the network is
blocked by `sitecustomize` in this folder's `offline/`, which its caller puts on PYTHONPATH in either case.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import shutil
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def unplug() -> bool:
    """Leave this process with loopback alone; False where the system does not allow it."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        return False
    with socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as any_socket:  # kernels talk over loopback: switch it on
        name = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))
    return True


def surround(asked: dict) -> None:
    """Take from this process, and from all that it starts, what `asked` says."""
    if asked.get("offline") and os.getuid() == 0:
        unplug()
    if asked.get("cores"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked["cores"]])
    if asked.get("bytes"):
        resource.setrlimit(resource.RLIMIT_DATA, (int(asked["bytes"]),) * 2)


def as_user(user: int | None, command: list[str]) -> list[str]:
    """The command that runs `command` as that user, where this is root.

    The user may read what root may, but write nothing of root's: root's Python can lie where no one else may look.
    """
    if not user or os.getuid() != 0:
        return command
    ids = ["--reuid", str(user), "--regid", str(user), "--clear-groups"]
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [shutil.which("setpriv") or "setpriv", *ids, *reading, *command]


if __name__ == "__main__":
    surroundings = json.loads(sys.argv[1])
    surround(surroundings)
    order = as_user(surroundings.get("user"), sys.argv[2:])
    os.execv(order[0], order)
