"""Run folders, ledgers and published checkpoints made to do harm, with sums that fit: a sum only finds accidents."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from tests.data.hostile_pickles import malicious_pickles
from tests.fuzz.mutations import damaged

Damage = Callable[[Path], None]
WRONG: tuple[Any, ...] = (None, -1, 10**400, "x\0\x1b[2J", {"a": {}}, [10**9] * 3, float("nan"))
"""Values of a kind or size that no run writes."""
DEEP = b"[" * 10**6
TENSORS: dict[str, bytes] = {
    "a header of an exabyte": b"\xff" * 8 + b"{}",
    "a header that is no JSON": (2).to_bytes(8, "little") + b"{{",
    "a deep header": len(DEEP[:100_000]).to_bytes(8, "little") + DEEP[:100_000],
    "no tensors": save_tensors({}),
    "other tensors": save_tensors({"x": np.zeros(3, np.float32)}),
    "empty": b"",
}
HUGE = '{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,4]}}'
TENSORS["a huge declared shape"] = len(HUGE).to_bytes(8, "little") + HUGE.encode() + b"1234"


def in_config(change: Callable[[dict], Any]) -> Damage:
    """Change config.json."""

    def damage(run: Path) -> None:
        content = json.loads((run / "config.json").read_bytes())
        change(content)
        (run / "config.json").write_text(json.dumps(content))

    return damage


def in_states(change: Callable[[dict], Any], sums: Callable[[dict], Any] = lambda sums: None) -> Damage:
    """Change every state.json, and give it the sums that it should have."""

    def damage(run: Path) -> None:
        for path in run.glob("*/state.json"):
            state = json.loads(path.read_bytes())
            listed = state.pop("sha256")
            change(state)
            for file in path.parent.glob("*.safetensors"):
                listed[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
            listed["state"] = hashlib.sha256(json.dumps(state, indent=1, sort_keys=True).encode()).hexdigest()
            sums(listed)
            path.write_text(json.dumps({**state, "sha256": listed}))

    return damage


def put(section: str | None, key: str, value: Any) -> Callable[[dict], None]:
    return lambda content: (content if section is None else content[section]).update({key: value})


def tensors(file: str, data: bytes | Callable[[bytes], bytes]) -> Damage:
    """Replace a file of tensors in every checkpoint that has it."""

    def damage(run: Path) -> None:
        for path in run.glob(f"*/{file}"):
            path.write_bytes(data(path.read_bytes()) if callable(data) else data)
        in_states(lambda state: None)(run)

    return damage


def each_tensor(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes], bytes]:
    return lambda data: save_tensors({name: change(x) for name, x in load_tensors(data).items()})


def text(file: str, content: bytes) -> Damage:
    """Replace a file that is not JSON of ours."""
    return lambda run: (run / file).write_bytes(content) and None


def pipe(file: str) -> Damage:
    """Put a pipe, which nobody writes to, in the place of a file."""

    def damage(run: Path) -> None:
        (run / file).unlink()
        os.mkfifo(run / file)

    return damage


def damages(run: Path) -> Iterator[tuple[str, Damage]]:
    """What is done to a copy of `run`, by name."""
    config = json.loads((run / "config.json").read_bytes())
    state = json.loads((run / "last" / "state.json").read_bytes())
    for section in ("model", "training", "data"):
        for number, key in enumerate(config[section]):
            for value in WRONG[number % len(WRONG) :: 7 if section == "model" else 4]:
                yield f"{section} {key} {value!r:.20}", in_config(put(section, key, value))
        yield f"{section} a list", in_config(put(None, section, [1]))
    for key in ("hidden", "flow_layers", "rcab_blocks", "fusion_layers", "flow_width", "feature_dims"):
        value = [2**24] * 3 if key == "feature_dims" else 2**20
        yield f"model {key} large", in_config(put("model", key, value))
    for key in [name for name in state if name != "sha256"]:
        for value in WRONG:
            yield f"state {key} {value!r:.20}", in_states(put(None, key, value))
    scheduler = {"_last_lr": "x", "best": [], "last_epoch": None, "evil": 1, "optimizer": {}}
    yield "state scheduler of other kinds", in_states(put(None, "scheduler", scheduler))
    for name in ("../../secret", "/dev/zero", "model.safetensors/x"):
        yield f"a sum for {name}", in_states(lambda s: None, lambda sums, name=name: sums.update({name: "0"}))
    yield "no sum for the model", in_states(lambda s: None, lambda sums: sums.pop("model.safetensors"))
    yield (
        "sums of a number",
        in_states(put(None, "epoch", 1), lambda sums: sums.update({"model.safetensors": 5})),
    )
    for file in ("config.json", "last/state.json", "best/state.json", "stage1/state.json"):
        for name, content in {
            "deep": DEEP,
            "a number": b"3",
            "not UTF-8": b"\xff\xfe{",
            "empty": b"",
        }.items():
            yield f"{file} {name}", text(file, content)
        yield f"{file} a pipe", pipe(file)
    for part in ("model.safetensors", "optimiser.safetensors"):
        for name, content in TENSORS.items():
            yield f"{part} {name}", tensors(part, content)
        yield f"{part} float64", tensors(part, each_tensor(lambda x: x.astype(np.float64)))
        yield f"{part} integers", tensors(part, each_tensor(lambda x: x.astype(np.int64)))
        yield f"{part} NaN", tensors(part, each_tensor(lambda x: np.full_like(x, np.nan)))
        yield f"{part} one axis less", tensors(part, each_tensor(lambda x: x.reshape(-1)))
    table = (run / "metrics.csv").read_bytes()
    for name, content in {"empty": b"", "binary": b"\0\xff" * 99, "wide": b"1," * 10**5 + b"\n"}.items():
        yield f"metrics.csv {name}", text("metrics.csv", content)
    chance = random.Random(3)
    for file, content in (("config.json", (run / "config.json").read_bytes()), ("metrics.csv", table)):
        for number in range(12):
            yield f"{file} damaged {number}", text(file, damaged(content, chance))


RESUMED = ("state", "training", "metrics", "optimiser")
"""Beginnings of the names of what matters, or matters most, to a run that is resumed."""


def run_jobs(run: Path, clips: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Apply or resume every damaged copy of `run`."""
    for number, (name, damage) in enumerate(damages(run)):
        copy = folder / "runs" / str(number)
        shutil.copytree(run, copy)
        damage(copy)
        out = str(folder / f"run-{number}.npz")
        apply = ["recover", str(copy), "--data", str(clips), "--out", out, "--pattern", "l", "--quiet"]
        if not name.startswith(RESUMED):
            yield f"{name} (apply)", [*apply, "--accelerator", "cpu"]
        if name.startswith((*RESUMED, "data", "config", "last")):
            yield f"{name} (resume)", ["train", "--resume", "--out", str(copy), "--quiet"]


def published_jobs(folder: Path, marker: Path) -> Iterator[tuple[str, list[str]]]:
    """Convert .pth files that would run something or hold nonsense; legacy pickles and zips alike."""
    (folder / "pth").mkdir()
    for number, (name, data) in enumerate(list(malicious_pickles(marker))[::5]):
        path = folder / "pth" / f"{number}.pth"
        if number % 2:
            path.write_bytes(data)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", data)
                archive.writestr("archive/version", "3\n")
                archive.writestr("archive/byteorder", "little")
        yield f"{name} (convert)", ["convert-checkpoint", str(path), str(folder / "pth" / f"out-{number}")]
    for number, value in enumerate([{}, [], {"a": object}, {1: 2}, {"proj_l.weight": [10**400]}, "x"]):
        path = folder / "pth" / f"plain-{number}.pth"
        path.write_bytes(pickle.dumps(value))
        yield f"plain {number} (convert)", ["convert-checkpoint", str(path), str(folder / "pth" / "out")]


def ledger_jobs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Show ledgers and evaluations that are none."""
    from dicmor_lib.evaluation.ledger import MEASURE_COLUMNS, RUN_COLUMNS

    head, nonsense = (
        ",".join(RUN_COLUMNS) + "\n",
        [b"", b"\0" * 9, b"\xff\xfe", DEEP, b"null", b"[[[1]]]", b'{"a": 1}'],
    )
    line = ",".join(["1"] * len(RUN_COLUMNS)) + "\n"
    measures = (",".join(MEASURE_COLUMNS) + "\n").encode()
    for number, (runs, configs) in enumerate(
        [(head.encode(), x) for x in nonsense]
        + [(x, b"{}") for x in nonsense]
        + [((head + line).encode(), b"{}"), ((head + line.replace("1", "inf")).encode(), b"{}")]
        + [((head + line[:-3] + '"' + "x" * 200_000).encode(), b"{}")]
    ):
        ledger = folder / "ledgers" / str(number)
        (ledger / "evaluation-test").mkdir(parents=True)
        for name, content in {"runs.csv": runs, "configs.json": configs, "measures.csv": measures}.items():
            (ledger / name).write_bytes(content)
        (ledger / "evaluation-test" / "evaluation.json").write_bytes(configs if number < 7 else runs)
        yield f"ledger {number}", ["results", "--ledger", str(ledger)]
        yield f"evaluation {number}", ["results", str(ledger)]
