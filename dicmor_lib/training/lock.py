"""A lock between processes that share a folder; it is freed when its process ends, however that happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicmor_lib.errors import CheckpointError
from dicmor_lib.training.atomic import explain_os_errors

try:
    import fcntl
except ImportError:  # not a POSIX system: two processes there must be given folders of their own
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock `path`, an empty file, while the block runs.

    Args:
        wait: until another process lets it go; else that is an error.

    Raises:
        CheckpointError: if another process holds it, or the file cannot be written.
    """
    with explain_os_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w")
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise CheckpointError(
                    f"another process is at work in {path.parent}; wait for it, or give this one other seeds or "
                    "another folder"
                ) from None
        yield
