"""Opening a data file: what every reader checks before it looks inside."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from dicmor_lib.errors import DataError


def show(value: object, limit: int = 80) -> str:
    """Anything from a file as text that is safe in one line: printable, and at most `limit` characters."""
    try:
        text = str(value)
    except ValueError:  # an integer of thousands of digits
        text = f"a {type(value).__name__} too long to print"
    text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


@contextmanager
def open_data_file(path: str | os.PathLike[str]) -> Iterator[tuple[BufferedReader, int]]:
    """Open a regular, non-empty file for reading; gives the handle and the size in bytes.

    Raises:
        DataError: if there is no such file, or it is a folder, a device, empty or not readable.
    """
    name = show(path, 300)
    try:
        # A pipe would block in open() until somebody writes to it, so the kind is checked before opening.
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if Path(path).is_dir() else "not a regular file"
            raise DataError(f"{name} is {kind}; give the path of a data file (.pkl or .npz) or of a store")
        handle = open(path, "rb")  # noqa: SIM115  (closed by the with below)
    except DataError:  # our own refusal, which is a ValueError too
        raise
    except FileNotFoundError:
        raise DataError(f"there is no file {name}; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{name} cannot be opened ({show(reason)}); check the path and its permissions"
        ) from None
    with handle:
        size = os.fstat(handle.fileno()).st_size
        if size == 0:
            raise DataError(f"{name} is empty (0 bytes); copy or download it again")
        yield handle, size


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with open_data_file(path) as (handle, _):
        return hashlib.file_digest(handle, "sha256").hexdigest()
