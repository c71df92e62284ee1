"""Servers that tests start: a free port, folders of their own, a wait until they are there, and an end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

SECONDS_TO_START, SECONDS_TO_STOP = 120, 30
Found = TypeVar("Found")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def own_folders(home: Path) -> dict[str, str]:
    """Return the environment in which Jupyter reads and writes below `home` alone, and no user's settings."""
    folders = {f"JUPYTER_{name}_DIR": name for name in ("RUNTIME", "CONFIG", "DATA")}
    folders |= {f"JUPYTERLAB_{name}_DIR": name for name in ("SETTINGS", "WORKSPACES")}
    folders["IPYTHONDIR"] = "IPYTHON"
    return {variable: str(home / name.lower()) for variable, name in folders.items()}


def get(url: str) -> tuple[int, str, bytes]:
    """Return the status, the address arrived at after redirects, and the body."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.url, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.url, error.read()


@contextmanager
def started(command: Sequence[str], log: Path, **options: Any) -> Iterator[subprocess.Popen]:
    """Run a server in a session of its own, what it says in `log`; at the end it and its children are stopped."""
    pipes: dict = {"stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, "start_new_session": True}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, **pipes, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(SECONDS_TO_STOP)


def wait_for(found: Callable[[], Found | None], process: subprocess.Popen, log: Path) -> Found:
    """Return what `found` returns as soon as it is something.

    It is asked again and again; ValueError (half written) and OSError (nobody listens) of it mean: not yet.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if there := found():
                return there
        except (ValueError, OSError):
            pass
        time.sleep(0.1)
    pytest.fail(f"{process.args} did not serve:\n{log.read_text()[-4000:]}")
