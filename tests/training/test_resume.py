"""A run that was interrupted, at any moment, ends with the weights of one that was not, bit for bit."""

from __future__ import annotations

import csv
import shutil

import pytest

from dicmor_lib.errors import CheckpointError, ConfigError
from dicmor_lib.training import load_checkpoint
from dicmor_lib.training.checkpoint import read_state

# Plateau patience 0 lowers the learning rate as soon as an epoch is no better (test_state.py has the schedule).
CHANGES = dict(plateau_patience=0, learning_rate=0.1)


@pytest.fixture(scope="module")
def whole(kit, data, tmp_path_factory):
    """The uninterrupted run of 2 + 3 epochs: folder."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    kit.train(data, kit.settings(stage2_epochs=3, **CHANGES), out=folder)
    return folder


def interrupt(kit, data, folder, stage, epoch, **changes):
    """Train until Ctrl-C in the callback of an epoch."""

    def stop(row):
        if (row["stage"], row["epoch"]) == (stage, epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kit.train(data, kit.settings(**{"stage2_epochs": 3, **CHANGES, **changes}), out=folder, callback=stop)


def resume(kit, data, folder, **changes):
    return kit.train(
        data, kit.settings(**{"stage2_epochs": 3, **CHANGES, **changes}), out=folder, resume=True
    )


def assert_same_run(kit, first, second):
    """The same checkpoints (weights, moments, state) and the same record but for the clock."""
    for name in ("last", "previous", "best", "stage1"):
        (one, tensors_one), (two, tensors_two) = (read_state(folder, name) for folder in (first, second))
        assert one == two, name
        assert all(kit.identical(tensors_one[part], tensors_two[part]) for part in tensors_one), name
    records = []
    for folder in (first, second):
        with open(folder / "metrics.csv", newline="") as file:
            records.append(
                [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]
            )
    assert records[0] == records[1]


@pytest.mark.parametrize(("stage", "epoch"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_resumed_after_an_epoch(kit, data, whole, tmp_path, stage, epoch):
    interrupt(kit, data, tmp_path, stage, epoch)
    model, history = resume(kit, data, tmp_path)
    assert_same_run(kit, whole, tmp_path)
    assert kit.identical(model, load_checkpoint(whole)[0])
    assert [(row["stage"], row["epoch"]) for row in history.rows] == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]


def test_more_epochs_can_be_asked_for_afterwards(kit, data, whole, tmp_path):
    kit.train(data, kit.settings(stage2_epochs=1, **CHANGES), out=tmp_path)
    resume(kit, data, tmp_path)
    assert_same_run(kit, whole, tmp_path)


def test_resuming_a_finished_run_changes_nothing(kit, data, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    model, _ = resume(kit, data, folder)
    assert_same_run(kit, whole, folder)
    assert kit.identical(model, load_checkpoint(whole)[0])


@pytest.fixture(scope="module")
def interrupted(kit, data, tmp_path_factory):
    """A run that stands at epoch 2 of stage 2."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    interrupt(kit, data, folder, 2, 2)
    return folder


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "one bit": lambda path: path.write_bytes(flip(path.read_bytes())),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


def flip(content: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", "truncated"),
        ("model.safetensors", "one bit"),
        ("optimiser.safetensors", "one bit"),
        ("optimiser.safetensors", "missing"),  # half of the pair
        ("state.json", "empty"),
        ("state.json", "one bit"),
    ],
)
def test_a_damaged_last_checkpoint_falls_back_and_says_so(
    kit, data, whole, interrupted, tmp_path, file, damage
):
    folder = shutil.copytree(interrupted, tmp_path / "run")
    DAMAGE[damage](folder / "last" / file)
    _, history = resume(kit, data, folder)
    (notice,) = history.notices
    assert f"the checkpoint {folder / 'last'} is damaged: " in notice and "\n" not in notice
    assert f"the run goes on from the one before ({folder / 'previous'})" in notice
    assert f"the damaged one is kept as {folder / 'damaged'}" in notice
    assert (file in notice) or file == "state.json"
    assert (folder / "damaged" / file).exists() == (damage != "missing")
    assert_same_run(kit, whole, folder)


def test_death_after_a_fallback(kit, data, whole, interrupted, tmp_path):
    """The damaged checkpoint never takes the place of the one that the run went on from."""
    for operation in range(11, 20):  # the first checkpoint that is written then, and its swap
        folder = shutil.copytree(interrupted, tmp_path / f"run{operation}")
        DAMAGE["truncated"](folder / "last" / "model.safetensors")
        with pytest.MonkeyPatch.context() as patch:
            kit.stop_at(patch, operation)
            with pytest.raises(kit.Killed):
                resume(kit, data, folder)
        found = []
        for name in ("last", "previous"):
            try:
                found.append(read_state(folder, name)[0]["epoch"])
            except CheckpointError:
                pass
        assert found and max(found) in (1, 2), operation
    resume(kit, data, folder)
    assert_same_run(kit, whole, folder)


def test_death_during_a_swap(kit, data, whole, tmp_path):
    """Between the two renames there is no last/ (or best/), but its predecessor."""
    interrupt(kit, data, tmp_path, 2, 2)
    (tmp_path / "last").rename(tmp_path / ".last.new")
    (tmp_path / "best").rename(tmp_path / ".best.old")
    load_checkpoint(tmp_path)
    resume(kit, data, tmp_path)
    assert_same_run(kit, whole, tmp_path)
    assert not (tmp_path / ".last.new").exists() and not (tmp_path / ".best.old").exists()


@pytest.mark.parametrize("operation", [3, 14, 33, 58])
def test_death_in_the_middle_of_a_run(kit, data, whole, tmp_path, operation):
    """The n-th rename, removal or flush to disk of the run is its last; test_kill.py uses SIGKILL."""
    with pytest.MonkeyPatch.context() as patch:
        kit.stop_at(patch, operation)
        with pytest.raises(kit.Killed):
            kit.train(data, kit.settings(stage2_epochs=3, **CHANGES), out=tmp_path)
    resume(kit, data, tmp_path)
    assert_same_run(kit, whole, tmp_path)


def test_when_both_are_damaged_nothing_is_overwritten(kit, data, tmp_path):
    interrupt(kit, data, tmp_path, 1, 2)
    for name in ("last", "previous"):
        (tmp_path / name / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="neither checkpoint"):
        resume(kit, data, tmp_path)
    assert (tmp_path / "last" / "state.json").read_text() == "{}"


def test_damaged_best_weights_are_selected_anew(kit, data, tmp_path):
    interrupt(kit, data, tmp_path, 2, 1)
    (tmp_path / "best" / "state.json").write_text("{}")
    _, history = resume(kit, data, tmp_path)
    assert any("selected anew" in notice for notice in history.notices)
    assert load_checkpoint(tmp_path)[1].state["epoch"] >= 2


def test_a_run_killed_before_its_first_checkpoint_starts_over(kit, data, whole, tmp_path):
    resume(kit, data, tmp_path)  # nothing there at all
    assert_same_run(kit, whole, tmp_path)
    other = tmp_path / "other"
    interrupt(kit, data, other, 1, 1)
    shutil.rmtree(other / "last")
    shutil.rmtree(other / "previous")  # only config.json had been written
    _, history = resume(kit, data, other)
    assert "from the beginning" in history.notices[0]
    assert_same_run(kit, whole, other)


def test_what_may_not_change(kit, data, whole, tmp_path):
    with pytest.raises(CheckpointError, match="already holds a training run"):
        kit.train(data, kit.settings(), out=whole)
    with pytest.raises(CheckpointError, match="training setting learning_rate"):
        resume(kit, data, whole, learning_rate=1e-3)
    with pytest.raises(CheckpointError, match="training setting seed"):
        resume(kit, data, whole, seed=1)
    with pytest.raises(CheckpointError, match="stage1_epochs must stay 2"):
        resume(kit, data, whole, stage1_epochs=5)
    from dicmor_lib.data.oracle import Oracle

    other = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(48, 16, 16)).dataset(1)
    with pytest.raises(CheckpointError, match="started on other data"):
        resume(kit, other, whole)
    with pytest.raises(ConfigError, match="nothing to resume from"):
        kit.train(data, kit.settings(), resume=True)


def test_memory_and_disk_agree(kit, data, whole):
    """Where the results go does not change them."""
    model, _ = kit.train(data, kit.settings(stage2_epochs=3, **CHANGES))
    assert kit.identical(model, load_checkpoint(whole)[0])
