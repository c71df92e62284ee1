"""Runs many `dicmor` commands in one process that is watched: `python -m tests.fuzz.watched JOBS.json FOLDER`.

An audit hook notes everything that a data file must never cause (a process, a looked-up name, code, a file written
outside FOLDER). On Linux the kernel tells how much memory each command took at most, and RLIMIT_AS ends what takes
too much. The outcome of each job is one line of JSON on standard output.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import io
import json
import os
import resource
import sys
import traceback
import types
import typing
from pathlib import Path
from typing import Any

FORBIDDEN = (
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.putenv", "os.kill"),
    *("subprocess.Popen", "pickle.find_class", "exec", "ctypes.dlopen", "shutil.copyfile", "webbrowser.open"),
    *("socket.connect", "socket.bind", "urllib.Request"),
)
MORE_MEMORY = 3 * 2**30
"""Address space beyond what the imports took."""


class Watch:
    """The audit hook: while it is on, it notes what is forbidden, and forbids it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on, self.seen = str(folder.resolve()), False, []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.on or (event == "exec" and _is_pythons_own(sys._getframe(1))):
            return
        if event in FORBIDDEN or (event == "open" and self._writes_outside(*arguments)):
            self.seen.append(f"{event} {str(arguments)[:100]}")
            raise PermissionError(f"{event} is forbidden here")

    def _writes_outside(self, path: Any, mode: Any, flags: int) -> bool:
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return bool(writes) and isinstance(path, str) and not os.path.abspath(path).startswith(self.folder)


def _is_pythons_own(caller: types.FrameType) -> bool:
    """An import, or what typing, dataclasses and named tuples write as text and evaluate."""
    return caller.f_code.co_filename in PYTHONS_OWN


PYTHONS_OWN = {
    *(module.__file__ for module in (typing, dataclasses, collections)),
    "<frozen importlib._bootstrap>",
}


def memory(forget: bool = False) -> int:
    """The largest resident memory of this process so far, or since it was last forgotten, in bytes; 0 but on Linux."""
    if sys.platform != "linux":
        return 0
    if forget:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


def run_job(argv: list[str], watch: Watch | None) -> dict[str, Any]:
    """One command: its status, what it said, what it should not have done, and its largest memory in bytes.

    Without a watch only the first two: what imports everything may do more.
    """
    from dicmor_lib.cli import main

    out, err, trace = io.StringIO(), io.StringIO(), ""
    seen, peak = [], 0
    if watch is not None:
        before = memory(forget=True)
        watch.on, watch.seen = True, seen
    status: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(argv)
        except SystemExit as stop:
            status = stop.code
        except BaseException:  # noqa: BLE001  whatever leaves the command is what is looked for
            trace = traceback.format_exc(limit=-3)
    if watch is not None:
        watch.on = False
        peak = memory() - before
    said = {"out": out.getvalue()[-2000:], "err": err.getvalue()[-2000:], "trace": trace}
    return {"status": status, **said, "seen": seen, "peak": peak}


def main() -> None:
    """Run the jobs of the first argument, [[name, argv, ...], ...]; those named "warm-up" are not watched."""
    import torch  # noqa: F401  before the limit is set

    jobs, watch = json.loads(Path(sys.argv[1]).read_text()), Watch(Path(sys.argv[2]))
    limited = False
    for name, argv in jobs:
        if not limited and name != "warm-up":
            pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
            limit = pages * resource.getpagesize() + MORE_MEMORY
            if pages:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            limited = True
        found = run_job(argv, watch if name != "warm-up" else None)
        print(json.dumps({"name": name, "argv": argv, **found}), flush=True)


if __name__ == "__main__":
    main()
