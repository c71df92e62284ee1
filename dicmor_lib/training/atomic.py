"""Files and folders that are either wholly there or not at all, whatever moment the process dies at."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicmor_lib.errors import CheckpointError


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256 sum."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def explain_os_errors(what: str) -> Iterator[None]:
    """Turn an `OSError` while writing `what` into one clear `CheckpointError`."""
    try:
        yield
    except OSError as problem:
        remedy = _REMEDIES.get(problem.errno or 0, "choose another folder")
        reason = problem.strerror or str(problem)
        raise CheckpointError(
            f"cannot write {what}: {reason}; {remedy}; what was saved before is intact"
        ) from problem


_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on file sizes",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that can be written",
    errno.EPERM: "choose a folder that can be written",
}


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    Raises:
        CheckpointError: if the disk is full, the folder cannot be written, and so on.
    """
    temporary = path.with_name(f".{path.name}.new")
    with explain_os_errors(str(path)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_through(temporary, content)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_folder(folder: Path, files: dict[str, bytes], keep: Path | None = None) -> None:
    """Write a folder of files beside `folder`, then swap it in; the one that was there becomes `keep`.

    Between the two renames of the swap `folder` does not exist for an instant, but its predecessor does, as
    `keep` (or, without `keep`, as what `predecessor` returns).

    Raises:
        CheckpointError: if the disk is full, the folder cannot be written, and so on.
    """
    new, old = folder.with_name(f".{folder.name}.new"), keep or predecessor(folder)
    with explain_os_errors(f"the checkpoint {folder}"):
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            for name, content in files.items():
                _write_through(new / name, content)
            _sync_folder(new)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if folder.exists():
            if old.exists():
                shutil.rmtree(old)
            os.rename(folder, old)
        os.rename(new, folder)
        _sync_folder(folder.parent)
        if keep is None:
            shutil.rmtree(old, ignore_errors=True)


def predecessor(folder: Path) -> Path:
    """Where `write_folder` keeps the old content while it swaps."""
    return folder.with_name(f".{folder.name}.old")


def find(folder: Path) -> Path:
    """Return `folder`, or its predecessor if a process died between the two renames of its swap."""
    old = predecessor(folder)
    return old if old.exists() and not folder.exists() else folder


def finish_swap(folder: Path) -> None:
    """Finish what a process that died within a swap left: name the predecessor again, or remove it."""
    with explain_os_errors(f"the checkpoint {folder}"):
        if find(folder) != folder:
            os.rename(predecessor(folder), folder)
        else:
            shutil.rmtree(predecessor(folder), ignore_errors=True)


def _write_through(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames durable; not every file system or operating system offers this for folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
