"""Data larger than memory: what converting, opening and training on a store of MOSEI's shapes takes.

    python -m dicmor_lib.bench.store FOLDER [CLIPS]

Each phase runs in a process of its own, so that its peak is its own. "Anonymous" memory is what a process holds
for itself; "resident" adds the pages of mapped files and libraries that are in memory just now, which the kernel
may drop at any time. Both are read from Linux's /proc/self/status; elsewhere only the peak is known.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.errors import DataError

CLIPS = 22_856
"""Of CMU-MOSEI in the MMSA layout: 16,326 + 1,871 + 4,659."""
SHARES = {"train": 16_326 / CLIPS, "valid": 1_871 / CLIPS, "test": 4_659 / CLIPS}
STEPS, DIMS = 50, {"text": 768, "audio": 74, "vision": 35}
BATCH = 32
PHASES = ("convert", "train", "pickle")
CLIP_BYTES = 4 * STEPS * sum(DIMS.values())
ON_DISK = 2.5
"""Files of so many times the features lie on the disk at once: scratch or store beside the pickle, and room to spare."""


def measure_store(
    folder: str | Path,
    clips: int = CLIPS,
    *,
    protocol: int = 5,
    training_steps: int = 20,
    plain: bool = False,
) -> dict[str, float]:
    """Generate an MMSA pickle of MOSEI's shapes, convert it, and train on the store with the tiny preset.

    The files, twice the 175 kB per clip in all, lie in `folder` and are removed afterwards.

    protocol: of the pickle; before 5 writing it needs its size in memory.
    plain: read the pickle itself into memory too, for comparison.

    Returns: numbers by name; the endings tell the unit: _mb, _s. `convert_peak_ratio` is the peak of the conversion,
    interpreter and PyTorch included, over the size of the file.
    """
    folder = Path(folder)
    source, store = folder / "mosei_shaped.pkl", folder / "mosei_shaped.store"
    try:
        write_pickle(source, clips, protocol)
        found = {"clips": float(clips), "file_mb": source.stat().st_size / 1e6}
        for phase in PHASES if plain else PHASES[:2]:
            found |= {
                f"{phase}_{name}": value for name, value in _run(phase, source, store, training_steps).items()
            }
        found["convert_peak_ratio"] = found["convert_peak_mb"] / found["file_mb"]
        return found
    finally:
        _remove(source, store)


def measure_in_scratch_folder(clips: int) -> dict[str, float]:
    """The same in a temporary folder.

    Raises:
        DataError: if there is too little room for it.
    """
    with tempfile.TemporaryDirectory(prefix="dicmor-bench-") as folder:
        needed, free = ON_DISK * CLIP_BYTES * clips, shutil.disk_usage(folder).free
        if free < needed:
            raise DataError(
                f"the store needs {needed / 1e9:.1f} GB in {tempfile.gettempdir()} and {free / 1e9:.1f} GB are free; "
                "set TMPDIR to a folder with more room"
            )
        return measure_store(folder, clips)


def write_pickle(path: Path, clips: int, protocol: int = 5) -> None:
    """A pickle in the MMSA layout: standard normal features of random length, padded at the front, some -inf."""
    rng = np.random.default_rng(0)
    content: dict[str, dict[str, Any]] = {}
    scratch: list[Path] = []
    try:
        for split, share in SHARES.items():
            count = max(round(share * clips), 2)
            lengths = {key: rng.integers(5, STEPS + 1, count) for key in DIMS}
            fields: dict[str, Any] = {}
            for key, dim in DIMS.items():
                scratch.append(path.with_name(f".{path.name}.{split}.{key}"))
                fields[key] = _features(scratch[-1], (count, STEPS, dim), lengths[key], rng)
            fields["audio"][0, -1, :3] = -np.inf
            fields["text_bert"] = rng.integers(0, 30_000, (count, 3, STEPS)).astype(np.float32)
            fields["raw_text"] = np.array([f"the words of clip {row} of {split}" for row in range(count)])
            fields["id"] = [f"{split}$_${row}" for row in range(count)]
            fields["regression_labels"] = rng.uniform(-3, 3, count).astype(np.float32)
            fields |= {f"{key}_lengths": lengths[key].tolist() for key in ("audio", "vision")}
            content[split] = fields
        with open(path, "wb") as handle:
            pickle.dump(content, handle, protocol)
    finally:
        _remove(*scratch)


def _features(
    scratch: Path, shape: tuple[int, int, int], lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Features in a scratch file, so that the writer does not hold them either."""
    x = np.memmap(scratch, np.float32, "w+", shape=shape)
    padding = np.arange(shape[1]) < shape[1] - lengths[:, None]
    for start in range(0, shape[0], 64):
        rows = slice(start, start + 64)
        chunk = rng.standard_normal((len(lengths[rows]), *shape[1:]), np.float32)
        chunk[padding[rows]] = 0
        x[rows] = chunk
    return np.asarray(x)


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _run(phase: str, source: Path, store: Path, training_steps: int) -> dict[str, float]:
    arguments = [phase, str(source), str(store), str(training_steps)]
    code = "import sys; from dicmor_lib.bench.store import run_phase; run_phase(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the phase {phase!r} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_phase(phase: str, source: str, store: str, training_steps: str) -> None:
    """One phase, in this process; its numbers go to stdout as JSON."""
    phases: dict[str, Callable[[], dict[str, float]]] = {
        "convert": lambda: _convert(source, store),
        "train": lambda: _train(store, int(training_steps)),
        "pickle": lambda: _pickle(source),
    }
    print(json.dumps(phases[phase]()))


def memory_mb() -> dict[str, float]:
    """Peak, resident and anonymous memory of this process; the latter two only on Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        unit = 1e6 if sys.platform == "darwin" else 1e3
        return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {"peak_mb": "VmHWM", "resident_mb": "VmRSS", "anonymous_mb": "RssAnon"}
    return {name: int(values[key].split()[0]) * 1024 / 1e6 for name, key in names.items()}


def _convert(source: str, store: str) -> dict[str, float]:
    from dicmor_lib.data.convert import convert

    before, began = memory_mb(), time.perf_counter()
    convert(source, store)
    return {"start_mb": before["peak_mb"], "s": time.perf_counter() - began, **memory_mb()}


def _pickle(source: str) -> dict[str, float]:
    from dicmor_lib.data.readers import read

    began = time.perf_counter()
    data = read(source)
    return {"s": time.perf_counter() - began, "samples": float(len(data.train)), **memory_mb()}


def _train(store: str, steps: int) -> dict[str, float]:
    """Open the store as training does, take steps of the full objective, and pass once over all training data."""
    import torch

    from dicmor_lib.data.dataset import collate
    from dicmor_lib.data.readers import read
    from dicmor_lib.model import DiCMoR, DiCMoRConfig
    from dicmor_lib.objective import objective
    from dicmor_lib.training.config import TrainConfig
    from dicmor_lib.training.prepare import prepare

    found = {f"start_{name}": value for name, value in memory_mb().items()}
    began, computed = time.perf_counter(), time.process_time()
    data = read(store)
    split = prepare(data, TrainConfig()).train
    found["open_s"] = time.perf_counter() - began
    found["open_cpu_s"] = time.process_time() - computed
    found |= {f"open_{name}": value for name, value in memory_mb().items()}

    model = DiCMoR(DiCMoRConfig.preset("tiny", data.feature_dims))
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(split))
    hidden = rng.integers(0, 3, len(split))
    available = torch.from_numpy(split.observed & (np.arange(3) != hidden[:, None]))
    began, loss = time.perf_counter(), torch.tensor(float("nan"))
    for _ in range(steps):
        batch = collate(split, rng.choice(order, BATCH))
        out = model(batch.features, available[batch.index], batch.lengths, batch.label, batch.observed)
        loss = objective(out.losses, model.config)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    found["step_s"] = (time.perf_counter() - began) / max(steps, 1)
    found["loss"] = float(loss)
    found |= {f"steps_{name}": value for name, value in memory_mb().items()}

    began = time.perf_counter()
    for start in range(0, len(order), BATCH):
        collate(split, order[start : start + BATCH])
    found["pass_s"] = time.perf_counter() - began
    return found | {f"pass_{name}": value for name, value in memory_mb().items()}


if __name__ == "__main__":
    print(json.dumps(measure_store(sys.argv[1], *map(int, sys.argv[2:3])), indent=2))
