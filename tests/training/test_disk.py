"""A full disk, a limit on files, and folders that cannot be written: one sentence, status 2, nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dicmor_lib.errors import CheckpointError
from dicmor_lib.training.checkpoint import read_state

NO_MOUNT = 77


def newest(folder: Path) -> tuple[int, int]:
    """Stage and epoch of the checkpoint that a run goes on from."""
    try:
        state, _ = read_state(folder, "last")
    except CheckpointError:
        state, _ = read_state(folder, "previous")
    return state["stage"], state["epoch"]


def fails(victims, tmp_path: Path, out: Path, **job) -> str:
    """Run a command that must end with status 2; return the one sentence that it says."""
    errors = tmp_path / "stderr"
    errors.write_text("")
    status = victims.run(victims.job(out, stderr=str(errors), **job))
    if status == NO_MOUNT:
        pytest.skip("this system does not let a test mount a small file system")
    said = errors.read_text()
    assert status == 2, said
    assert said.startswith("dicmor: cannot write ") and said.count("\n") == 1, said
    assert said.endswith("what was saved before is intact\n")
    return said


def assert_goes_on(kit, victims, out: Path, whole_run: Path) -> None:
    """With space again the run ends as if nothing had happened."""
    assert victims.run(victims.job(out)) == 0
    kit.assert_same_folder(whole_run, out)


@pytest.mark.parametrize(("flush", "stood"), [(12, (1, 0)), (30, (1, 3)), (50, (2, 2))])
def test_no_space_left(kit, victims, whole_run, tmp_path, flush, stood):
    """From one flush to disk on every other one fails too."""
    out = tmp_path / "run"
    said = fails(victims, tmp_path, out, no_space=flush)
    assert "No space left on device; free some space" in said
    assert newest(out) == stood
    assert_goes_on(kit, victims, out, whole_run)


def test_a_disk_that_is_really_full(kit, victims, whole_run, tmp_path):
    """A small file system: it has room for the finished run, but not for a checkpoint beside it."""
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    disk.mkdir()
    pages = sum(-(-path.stat().st_size // 4096) for path in whole_run.rglob("*"))
    job = dict(disk=[str(disk), 4096 * pages], copy_to=str(saved))
    said = fails(victims, tmp_path, disk / "run", **job)
    assert "No space left on device; free some space" in said
    assert newest(saved / "run") >= (1, 1)
    assert_goes_on(kit, victims, saved / "run", whole_run)


def test_files_that_may_not_grow(kit, victims, whole_run, tmp_path):
    """The optimiser of stage 2 remembers more than that of stage 1: only its file is too large."""
    out = tmp_path / "run"
    largest = (whole_run / "last" / "optimiser.safetensors").stat().st_size
    said = fails(victims, tmp_path, out, file_limit=largest - 1)
    assert "File too large; raise the limit on file sizes" in said
    assert newest(out) == (1, 4)
    assert_goes_on(kit, victims, out, whole_run)


def read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def writable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", ["permissions", "mount"])
def test_a_read_only_folder(kit, victims, whole_run, tmp_path, how):
    """A new run says so at once; one that is resumed leaves what is there as it is."""
    folder = tmp_path / "folder"
    shutil.copytree(whole_run, folder / "run")
    before = contents(folder)
    if how == "permissions":
        read_only(folder)
        job, reason = dict(unprivileged=True), "Permission denied; choose a folder that can be written"
    else:
        job, reason = (
            dict(disk=[str(folder), "ro"]),
            "Read-only file system; choose a folder that can be written",
        )
    try:
        assert reason in fails(victims, tmp_path, folder / "other", **job)
        assert reason in fails(victims, tmp_path, folder / "run", **job)
        assert contents(folder) == before
    finally:
        writable(folder)
    assert_goes_on(kit, victims, folder / "run", whole_run)
