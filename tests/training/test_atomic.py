"""Files and folders are whole or absent at whatever moment a write stops."""

from __future__ import annotations

import errno
import os

import pytest

from dicmor_lib.errors import CheckpointError
from dicmor_lib.training import atomic, checkpoint


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_survives_death_at_every_operation(kit, tmp_path, name):
    """Whatever the moment, a reader finds the old or the new content whole."""
    import torch

    found = []
    for operation in range(1, 40):
        folder = tmp_path / f"{name}-{operation}"
        for epoch in (1, 2):
            checkpoint.write_state(
                folder, name, {"epoch": epoch}, model={"w": torch.full((3,), float(epoch))}
            )
        with pytest.MonkeyPatch.context() as patch:
            done = kit.stop_at(patch, operation)
            try:
                checkpoint.write_state(folder, name, {"epoch": 3}, model={"w": torch.full((3,), 3.0)})
                finished = True
            except kit.Killed:
                finished = False
        try:
            state, tensors = checkpoint.read_state(folder, name)
        except CheckpointError:
            state, tensors = checkpoint.read_state(folder, "previous")
        assert tensors["model"]["w"].tolist() == [float(state["epoch"])] * 3
        found.append(state["epoch"])
        checkpoint.write_state(
            folder, name, {"epoch": 4}, model={"w": torch.zeros(3)}
        )  # and it can be gone on from
        assert checkpoint.read_state(folder, name)[0] == {"epoch": 4}
        if finished:
            break
    assert finished and done[0] < operation and operation > 6
    assert set(found) == {2, 3}


def test_files_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    atomic.write_file(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        CheckpointError, match="No space left on device; free some space; what was saved before"
    ) as e:
        atomic.write_file(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file.json"]
    assert "\n" not in str(e.value)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write .*choose another folder"):
        atomic.write_file(tmp_path / "file" / "config.json", b"{}")
    with pytest.raises(CheckpointError, match="cannot write"):
        atomic.write_folder(tmp_path / "file" / "last", {"state.json": b"{}"})


def test_an_unfinished_swap_is_finished(tmp_path):
    folder, old = tmp_path / "best", tmp_path / ".best.old"
    atomic.write_folder(folder, {"state.json": b"1"})
    folder.rename(old)  # died between the two renames
    atomic.finish_swap(folder)
    assert (folder / "state.json").read_bytes() == b"1" and not old.exists()
    atomic.write_folder(old, {"state.json": b"0"})  # died before the old content was removed
    atomic.finish_swap(folder)
    assert (folder / "state.json").read_bytes() == b"1" and not old.exists()
    atomic.finish_swap(tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
