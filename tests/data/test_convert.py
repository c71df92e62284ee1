"""A store appears whole or not at all, and replaces nothing but another store."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.cli import main
from dicmor_lib.data import convert as module
from dicmor_lib.data import sequences
from dicmor_lib.data.convert import convert
from dicmor_lib.data.readers import read
from dicmor_lib.errors import DataError, UnsafePickleError
from tests.data.same_data import assert_same_data

Content = dict[str, Any]


def entries(folder: Path) -> set[str]:
    """What the folder holds, hidden files too."""
    return set(os.listdir(folder))


def test_what_is_there_is_not_replaced(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    path, store = write_pickle(mmsa_content), tmp_path / "new folder" / "store"
    said: list[str] = []
    convert(path, store, say=said.append)
    assert said and entries(store.parent) == {"store"}
    with pytest.raises(DataError, match="exists already.*--overwrite"):
        convert(path, store)
    with pytest.raises(DataError, match="is a store already"):
        convert(store, tmp_path / "other")
    mmsa_content["train"]["audio"] += 1
    convert(write_pickle(mmsa_content), store, overwrite=True)
    assert_same_data(read(store), read(path))
    assert entries(store.parent) == {"store"} and entries(tmp_path) == {"data.pkl", "new folder"}


def test_what_is_no_store_is_never_overwritten(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    path = write_pickle(mmsa_content)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("text")
    convert(path, tmp_path / "store")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for place in (tmp_path / "precious", path, tmp_path / "link", tmp_path / "nowhere"):
        with pytest.raises(DataError, match="is not a store, so it is not overwritten"):
            convert(path, place, overwrite=True)
    assert entries(tmp_path / "precious") == {"thesis.tex"} and read(path) and read(tmp_path / "store")


def test_an_old_store_survives_whatever_goes_wrong(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted, or out of space, at every chunk and every file that is written."""
    path, store = write_pickle(mmsa_content), tmp_path / "store"
    convert(path, store)
    before, wanted = entries(tmp_path), read(store)
    full = OSError(errno.ENOSPC, "No space left on device")
    seen = set()
    places = ((sequences, "valid_span"), (module, "_through"), (module, "file_sha256"), (module.os, "rename"))
    for problem in (KeyboardInterrupt(), full):
        for where, name in places:
            for operation in (1, 2, 9):
                calls, real = [0], getattr(where, name)

                def fail(*args: Any, calls=calls, real=real, operation=operation, problem=problem) -> Any:
                    calls[0] += 1
                    if calls[0] == operation:
                        raise problem
                    return real(*args)

                with monkeypatch.context() as patched:
                    patched.setattr(where, name, fail)
                    if name == "rename" and (operation > 2 or problem is not full):
                        continue
                    with pytest.raises((DataError, KeyboardInterrupt)) as stopped:
                        convert(path, store, overwrite=True)
                seen.add((name, type(stopped.value)))
                assert entries(tmp_path) == before
                if problem is full:
                    assert "No space left on device" in str(stopped.value)
                    assert "\n" not in str(stopped.value)
    assert len(seen) == 7
    assert_same_data(read(store), wanted)


def test_a_write_that_fails_leaves_nothing(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    """The operating system itself refuses, by a limit on the size of files; a full disk does the same."""
    resource = pytest.importorskip("resource")
    path, limits = write_pickle(mmsa_content), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DataError, match="cannot be written: File too large; nothing of it was kept"):
            convert(path, tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert entries(tmp_path) == {"data.pkl"}


def test_too_little_space_is_said_beforehand(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match="0.00 GB are free"):
        convert(write_pickle(mmsa_content), tmp_path / "store")
    assert entries(tmp_path) == {"data.pkl"}


def test_a_source_that_changes_is_noticed(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = write_pickle(mmsa_content), module.file_sha256

    def touch(file: Path) -> str:
        os.utime(path, ns=(1, 1))
        return real(file)

    monkeypatch.setattr(module, "file_sha256", touch)
    with pytest.raises(DataError, match="changed while it was read"):
        convert(path, tmp_path / "store")
    assert entries(tmp_path) == {"data.pkl"}


def test_what_cannot_be_read_leaves_nothing(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return (print, ("never",), None)

    wrong_dims = {**mmsa_content, "test": {**mmsa_content["test"], "audio": np.ones((4, 7, 9), np.float32)}}
    empty = {**mmsa_content, "train": {key: value[:0] for key, value in mmsa_content["train"].items()}}
    cases = {
        "unsafe": ({**mmsa_content, "x": Attack()}, UnsafePickleError, "builtins.print"),
        "dims": (wrong_dims, DataError, "different number of channels"),
        "empty": (empty, DataError, "train split is empty"),
        "labels": ({**mmsa_content, "test": {}}, DataError, "has no 'regression_labels'"),
        "cut": (b"\x80\x04\x95", DataError, "ends in the middle"),
    }
    for content, kind, message in cases.values():
        with pytest.raises(kind, match=message):
            convert(write_pickle(content), tmp_path / "store")
        assert entries(tmp_path) == {"data.pkl"}
    with pytest.raises(DataError, match="there is no file"):
        convert(tmp_path / "absent.pkl", tmp_path / "store")


def test_a_place_that_cannot_be_written(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    path = write_pickle(mmsa_content)
    with pytest.raises(DataError, match="cannot be written"):
        convert(path, path / "store")


def test_the_command(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store = str(write_pickle(mmsa_content)), str(tmp_path / "store")
    assert main(["data", "convert", path, store]) == 0
    assert f"dicmor train --data {store}" in capsys.readouterr().out
    assert main(["data", "convert", path, store]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["data", "convert", path, store, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["data", "check", store]) == 0
    assert "A store made from data.pkl" in capsys.readouterr().out
    monkeypatch.setattr(module, "_finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["data", "convert", path, store + "2"]) == 130
    assert "nothing was written" in capsys.readouterr().err and entries(tmp_path) == {"data.pkl", "store"}
