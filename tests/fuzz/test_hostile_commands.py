"""The command over the whole corpus: every file is read or refused in one sentence, nothing runs, memory is bounded."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from dicmor_lib.cli import main
from tests.fuzz.hostile_files import malicious_files, real_files, synthetic_files
from tests.fuzz.hostile_runs import ledger_jobs, published_jobs, run_jobs
from tests.mmsa import mmsa

ROOT = Path(__file__).resolve().parents[2]
SIZES = dict(hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1)
SMALL = [
    *(part for name, value in SIZES.items() for part in ("--set", f"{name}={value}")),
    *("--stage1-epochs", "1", "--stage2-epochs", "0", "--accelerator", "cpu", "--quiet"),
]
MOST_MEMORY = 200 * 2**20
"""What a command on a file of at most 4 MB may take at once; measured on Linux."""
Job = tuple[str, list[str]]
Watched = Callable[[Iterable[Job]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data file and a run on it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "clips.pkl").write_bytes(pickle.dumps(mmsa(sizes=(6, 3, 3))))
    assert main(["train", "--data", str(folder / "clips.pkl"), "--out", str(folder / "run"), *SMALL]) == 0
    return folder / "clips.pkl", folder / "run"


@pytest.fixture
def watched(tmp_path: Path, trained: tuple[Path, Path]) -> Watched:
    """Run commands one after the other in a watched process, after a few that import everything."""

    def run(jobs: Iterable[Job]) -> list[dict[str, Any]]:
        file, folder = map(str, trained)
        (tmp_path / "bad.npz").write_bytes(b"PK")
        warm = [
            ["data", "check", file],
            ["data", "check", str(tmp_path / "bad.npz")],
            ["data", "convert", file, str(tmp_path / "warm.store"), "--quiet"],
            ["data", "check", str(tmp_path / "warm.store")],
            ["train", "--data", file, "--out", str(tmp_path / "warm"), *SMALL],
            recover(folder, file, tmp_path),
        ]
        given = [*(("warm-up", argv) for argv in warm), *jobs]
        (tmp_path / "jobs.json").write_text(json.dumps(given))
        command = [sys.executable, "-m", "tests.fuzz.watched", str(tmp_path / "jobs.json"), str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
        results = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and len(results) == len(given), done.stderr[-3000:] or results[-1:]
        assert [result["status"] for result in results[: len(warm)]] == [0, 2, 0, 0, 0, 0], results[
            : len(warm)
        ]
        return results[len(warm) :]

    return run


def recover(run: str, file: str, folder: Path) -> list[str]:
    out = ["--out", str(folder / "recovered.npz"), "--pattern", "l", "--quiet", "--accelerator", "cpu"]
    return ["recover", run, "--data", file, *out]


def judge(result: dict[str, Any]) -> bool:
    """Whether a command refused; it must have ended well or with one sentence, and done nothing else."""
    where = f"{result['name']}: {' '.join(result['argv'])[:200]}"
    assert not result["trace"], f"{where}\n{result['trace']}"
    assert not result["seen"], f"{where}\n{result['seen']}"
    assert result["peak"] < MOST_MEMORY, f"{where}: {result['peak'] / 2**20:.0f} MiB"
    if result["status"] == 0:
        assert "\x1b" not in result["out"], where
        return False
    assert result["status"] == 2, where
    sentence = result["err"]
    assert sentence.startswith("dicmor: ") and sentence.count("\n") == 1, f"{where}\n{sentence}"
    assert sentence[:-1].isprintable() and len(sentence) < 900, f"{where}\n{sentence}"
    return True


def jobs_for(files: Iterable[tuple[str, bytes]], folder: Path, run: Path) -> Iterable[Job]:
    """`data check` for every file; the commands that go on with what they read for some of them."""
    (folder / "files").mkdir()
    for number, (name, data) in enumerate(files):
        path = folder / "files" / f"{number}{Path(name).suffix}"
        path.write_bytes(data)
        yield f"{name} (check)", ["data", "check", str(path)]
        out = str(folder / f"out-{number}")
        following = {
            "convert": ["data", "convert", str(path), out, "--quiet"],
            "train": ["train", "--data", str(path), "--out", out, *SMALL],
            "recover": recover(str(run), str(path), folder),
            "extra": [
                "train",
                "--data",
                str(run.parent / "clips.pkl"),
                "--extra-train",
                str(path),
                "--out",
                out,
            ]
            + SMALL,
        }
        what = list(following)[number // 9 % 4]
        if number % 9 == 0:
            yield f"{name} ({what})", following[what]


def count(results: list[dict[str, Any]], what: str) -> tuple[int, int]:
    """The commands whose name ends so, and how many of them refused; every one of `results` is judged."""
    refused = [judge(result) for result in results]
    chosen = [no for no, result in zip(refused, results) if result["name"].endswith(f"({what})")]
    print(f"{what}: {len(chosen)}, refused {sum(chosen)}")
    return len(chosen), sum(chosen)


def test_hostile_files_runs_ledgers_and_checkpoints(
    watched: Watched, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """In one process, for the imports take longer than the files; what is malicious is always refused."""
    clips, run = trained
    marker = tmp_path / "marker"
    (tmp_path / "malicious").mkdir()
    malicious = list(jobs_for(malicious_files(marker), tmp_path / "malicious", run))
    damaged = list(jobs_for(synthetic_files(), tmp_path, run))
    folders = [*run_jobs(run, clips, tmp_path), *published_jobs(tmp_path, marker), *ledger_jobs(tmp_path)]
    results = watched([*malicious, *damaged, *folders])
    assert not marker.exists()

    files, refused = count(results[: len(malicious)], "check")
    assert files == refused > 240
    files, refused = count(results[len(malicious) : -len(folders)], "check")
    assert files > 180 and files / 3 < refused < files
    of_folders = results[-len(folders) :]
    for what, least in (("apply", 100), ("resume", 100)):
        folders_used, refused = count(of_folders, what)
        assert folders_used > least and folders_used / 3 < refused < folders_used
    converted, refused = count(of_folders, "convert")
    assert converted == refused > 40


def test_damaged_real_files_are_read_or_refused(
    watched: Watched, trained: tuple[Path, Path], tmp_path: Path, shared_data: Path
) -> None:
    files, refused = count(watched(jobs_for(real_files(shared_data), tmp_path, trained[1])), "check")
    assert files > 80 and files / 3 < refused < files


ATTACKS = """
import os, pickle, sys
from pathlib import Path
from tests.fuzz.watched import Watch

watch = Watch(Path(sys.argv[1]))
for attack in (
    lambda: os.system("true"),
    lambda: pickle.loads(b"cos\\nsystem\\n."),
    lambda: eval("1"),
    lambda: open(Path(sys.argv[1]).parent / "outside", "w"),
    lambda: open(Path(sys.argv[1]) / "inside", "w").close(),
):
    watch.on = True
    try:
        attack()
    except PermissionError:
        pass
    watch.on = False
print(*(event.split()[0] for event in watch.seen))
"""


def test_the_watch_sees_what_the_tests_above_rely_on(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    command = [sys.executable, "-c", ATTACKS, str(tmp_path / "folder")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["os.system", "pickle.find_class", "exec", "open"], done.stderr
    assert not (tmp_path / "outside").exists() and (tmp_path / "folder" / "inside").exists()
