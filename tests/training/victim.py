"""A process that runs `dicmor` commands in children of its own, which may be killed, refused files, and so on.

Starting Python with torch takes seconds, forking a process that has it takes none. So this one imports everything
and forks a child for each job, one line of JSON on stdin; the answer is a line of JSON with its exit status (negative:
the signal that ended it). Given a job as its argument instead, it does that one itself. The keys of a job:

argv: the command's arguments.
journal: a file to which it adds what each epoch drew (order, masks, the random state after it).
phase: a file that holds what it is doing, for whoever kills it from outside.
slow: seconds that each part of a file takes to write, so that it can be met in the middle.
die: [what, n]: SIGKILL itself at the n-th "step", "validation", "row" of metrics.csv, "write" of a file (within it), or
    "operation" (rename, replace, removal or flush to disk).
file_limit: bytes that a file may have (RLIMIT_FSIZE).
no_space: the flush to disk, counted from 1, that finds the disk full.
disk: [folder, bytes]: a file system of this size there, for this job alone; or bytes "ro": read-only as it is.
copy_to: where a copy of `disk`'s folder goes in the end.
unprivileged: give up root's right to pass over the permissions of files.
stdout, stderr: files.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import lightning_fabric  # noqa: F401
import numpy as np
import torch
from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: F401
from tensorboard.summary.writer import record_writer  # noqa: F401

from dicmor_lib.cli import build_parser, main
from dicmor_lib.evaluation import metrics  # noqa: F401
from dicmor_lib.training import atomic, history, stage
from dicmor_lib.training.steps import Stepper

NO_MOUNT = 77
"""Exit status: this system lets the process mount nothing."""
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_BIND, MS_REMOUNT, MS_RDONLY = 0x20000, 16384, 1 << 18, 4096, 32, 1


def run(job: dict[str, Any]) -> int:
    """Do one job in this process."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if name in job:
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    if "disk" in job and not mount(*job["disk"]):
        return NO_MOUNT
    for name, prepare in (
        ("journal", keep_journal),
        ("slow", write_slowly),
        ("die", die_at),
        ("phase", show_phase),  # the outermost, so that it is up to date when the process dies
        ("no_space", fill_the_disk),
    ):
        if name in job:
            prepare(job[name])
    if "file_limit" in job:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"], job["file_limit"]))
    if job.get("unprivileged"):
        drop_capabilities()
    try:
        return main(job["argv"])
    finally:
        sys.stdout.flush()
        if "copy_to" in job:
            shutil.copytree(job["disk"][0], job["copy_to"])


def digest(*values: np.ndarray | torch.Tensor) -> str:
    """A short name for the content of arrays."""
    return hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in values)).hexdigest()[:16]


def before(holder: Any, name: str, action: Any) -> None:
    """Let `action` run before every call of a function, with the function's arguments."""
    function = getattr(holder, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        action(*args)
        return function(*args, **kwargs)

    setattr(holder, name, wrapped)


def keep_journal(path: str) -> None:
    """Note order and masks of each epoch as they are drawn, and torch's random state when it has used them."""
    drawn: list[Any] = []

    def note(function: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            result = function(*args)
            drawn.append(result)
            return result

        return wrapped

    stage.epoch_order, stage.epoch_masks = note(stage.epoch_order), note(stage.epoch_masks)
    epoch = stage.Stage._epoch

    def write(self: Any) -> Any:
        drawn.clear()
        at = [self.state.stage, self.state.epoch + 1]
        train = self._train

        def trained(number: int) -> Any:
            means = train(number)
            line = json.dumps([*at, digest(*drawn), digest(torch.get_rng_state())])
            with open(path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
            return means

        self._train = trained
        try:
            return epoch(self)
        finally:
            del self._train

    stage.Stage._epoch = write


def show_phase(path: str) -> None:
    """Keep the name of what is done at present in a file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)

    def show(name: str) -> None:
        os.pwrite(handle, name.encode().ljust(40), 0)

    show("starting")
    before(Stepper, "_step", lambda *_: show("training"))
    before(stage, "validate", lambda *_: show("validating"))
    before(history.Recorder, "add", lambda *_: show("writing metrics.csv"))
    before(atomic, "_write_through", lambda file, *_: show(f"writing {file.parent.name[1:]}/{file.name}"))
    for name in ("rename", "replace"):
        before(os, name, lambda source, *_: show(f"renaming {Path(source).name}"))


def write_in_parts(path: Path, content: bytes, pause: float, parts: int) -> None:
    """What `atomic._write_through` does, up to the given part of ten."""
    with open(path, "wb") as file:
        for part in range(parts):
            file.write(content[len(content) * part // 10 : len(content) * (part + 1) // 10])
            file.flush()
            time.sleep(pause)
        os.fsync(file.fileno())


def write_slowly(seconds: float) -> None:
    """Let a file take its time."""
    atomic._write_through = lambda path, content: write_in_parts(path, content, seconds, 10)


def die_at(what_and_n: tuple[str, int]) -> None:
    """Let this process kill itself at the n-th time that it comes to something."""
    what, n = what_and_n
    left = [n]

    def comes(*_: Any) -> bool:
        left[0] -= 1
        return left[0] == 0

    def die(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def within_a_write(path: Path, content: bytes) -> None:
        if comes():
            write_in_parts(path, content, 0.0, n % 11)  # nothing of it, a part, or all
            die()

    def within_a_row(recorder: Any, row: Any) -> None:
        if comes():
            line = history._format([row])
            with open(recorder._csv, "a", encoding="utf-8") as file:
                file.write(line[: len(line) * (n % 3) // 2])
            die()

    def plainly(*_: Any) -> None:
        if comes():
            die()

    if what == "step":
        before(Stepper, "_step", plainly)
    elif what == "validation":
        before(stage, "validate", plainly)
    elif what == "row":
        before(history.Recorder, "add", within_a_row)
    elif what == "write":
        before(atomic, "_write_through", within_a_write)
    else:
        for name in ("rename", "replace", "fsync"):
            before(os, name, plainly)
        before(shutil, "rmtree", plainly)


def fill_the_disk(n: int) -> None:
    """From the n-th flush to disk on, there is no space left."""
    left = [n]

    def full(*_: Any) -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before(os, "fsync", full)


def mount(folder: str, size: int | str) -> bool:
    """Mount a small file system, or the folder as it is but read-only; False if this process may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or libc.unshare(CLONE_NEWNS):
        return False
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return False
    path = folder.encode()
    if size != "ro":
        return libc.mount(b"tmpfs", path, b"tmpfs", 0, f"size={size}".encode()) == 0
    if libc.mount(path, path, None, MS_BIND, None):
        return False
    return libc.mount(b"none", path, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None) == 0


def drop_capabilities() -> None:
    """Give up every special right; whoever is not root has none."""
    if os.geteuid() == 0:
        header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        if ctypes.CDLL(None, use_errno=True).capset(header, none):
            raise OSError(ctypes.get_errno(), "capset")


def serve() -> None:
    """Fork a child for each line of stdin; its process id is one line of the answer, its end the next."""
    build_parser()  # imports every command
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = run(json.loads(line))
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(run(json.loads(sys.argv[1])))
    serve()
