"""Targets are judged by the numbers, misses explained, and the tables written where the document has marks."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dicmor_lib.bench import store, suite
from dicmor_lib.bench.machine import describe_machine, devices_here, physical_cores
from dicmor_lib.bench.report import cases_table, misses, targets_table, to_markdown
from dicmor_lib.bench.results import MEASURED, find, read_results, write_results
from dicmor_lib.bench.suite import Plan, run_suite
from dicmor_lib.bench.targets import TARGETS
from dicmor_lib.cli import main
from dicmor_lib.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def verdicts(results) -> dict[str, str]:
    return {target.what: target.verdict(results) for target in TARGETS}


def test_targets_follow_the_numbers(results):
    found = verdicts(results)
    assert found["CPU: mosi training step, batch 32"] == "met"
    assert found["CPU: mosei training step, batch 32"] == "missed"
    assert found["CPU: mosi, seven patterns of one clip"] == "met"
    assert {v for k, v in found.items() if k.startswith("GPU")} == {"not measured"}
    growths = {k: v for k, v in found.items() if "growth" in k}
    assert {v for k, v in growths.items() if "flow" in k} == {"met"}
    assert {v for k, v in growths.items() if "recovery" in k} == {"missed"}
    stores = {k.split(": ")[1]: v for k, v in found.items() if k.startswith("MOSEI's size")}
    assert stores == {
        "peak of the conversion": "met",
        "opening the store": "missed",
        "held by training on it": "met",
    }
    results["stores"][0]["clips"] = 50.0  # a small file says nothing about a large one
    assert verdicts(results)["MOSEI's size: opening the store"] == "not measured"
    results["cases"][0]["ratio"] = 4.01
    assert verdicts(results)["CPU: mosi training step, batch 32"] == "missed"
    results["cases"][0] = {"preset": "mosi", "task": "train", "batch": 32, "device": "cpu", "error": "killed"}
    assert verdicts(results)["CPU: mosi training step, batch 32"] == "not measured"


def test_targets_of_the_gpu_take_the_quicker_way_and_the_worst_wait(results):
    step = dict(results["cases"][0], device="cuda")
    results["cases"] += [
        step | dict(seconds=9e-3, compiled=False, synchronisations=1),
        step | dict(seconds=7e-3, compiled=True, synchronisations=0),
    ]
    numbers = {target.what: target.number(results) for target in TARGETS}
    assert numbers["GPU: mosi training step, batch 32"] == pytest.approx(7.0)
    assert numbers["GPU: waits in a mosi training step"] == 1
    assert numbers["GPU: epoch of MOSI's size (41 steps)"] == pytest.approx(41 * 7e-3)
    assert numbers["GPU: mosei training step, batch 128, bf16, compiled"] is None


def test_the_limits_are_those_of_the_issue():
    limits = [(target.limit, target.unit) for target in TARGETS]
    products = "matrix products"
    assert limits[:4] == [(4.0, products), (12.0, products), (0.5, products), (600.0, "MB")]
    assert limits[4:8] == [(8.0, "ms"), (25.0, "ms"), (0.0, "calls"), (1.0, "s")] and TARGETS[0].wish == 3.0
    assert limits[-3:] == [(1.3, "times the file"), (2.0, "s"), (1500.0, "MB")]


def test_a_miss_is_explained_by_the_profile(results):
    said = misses(results)
    assert len(said) == 4 and said[-1].startswith("MOSEI's size: opening the store (2.50 s).")
    assert said[0].startswith("CPU: mosei training step, batch 32 (13.0 matrix products).")
    assert "3,000 operator calls" in said[0] and "27.0 GFLOP" in said[0] and "by part:" in said[0]
    share = results["profiles"][0]["kinds"]["matrix products"]
    assert f"its matrix products alone take {13 * share:.2f}. Time by kind" in said[0]
    results["cases"][0]["peak_memory_mb"] = 700.0
    assert "the step itself 500 MB, most of it kept by the forward pass" in misses(results)[1]


def test_every_table_is_rectangular_and_says_where_it_was_measured(results):
    text = to_markdown(results)
    assert "Test processor" in text and "2 thread(s)" in text and "commit abc" in text and "no GPU" in text
    assert "its FLOP/s (cpu: 100 ms, 172 GFLOP/s)." in text
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1
    assert len(targets_table(results).splitlines()) == 2 + len(TARGETS)
    row = next(line for line in cases_table(results).splitlines() if "| mosi | training step | 32 |" in line)
    assert "350 (315 to 420)" in row and "| 3.50 |" in row and "| 500 |" in row and "| 3,000 |" in row
    rows = [line for line in text.splitlines() if line.startswith("| 22,856 clips, 4 GB |")]
    assert len(rows) == 4 and "| open the store | 2.50 | 200 | - |" in rows[1] and "| 610 | 300 |" in rows[3]


def test_results_survive_their_file_and_others_are_refused(results, tmp_path):
    write_results(tmp_path / "a.json", results)
    assert read_results(tmp_path / "a.json") == results
    assert (
        find(results["cases"], preset="mosei")["ratio"] == 13.0 and find(results["cases"], preset="x") is None
    )
    for content in ("{", "[]", '{"format": 1}', json.dumps(results | {"format": 1})):
        (tmp_path / "b.json").write_text(content)
        with pytest.raises(DataError, match="b.json"):
            read_results(tmp_path / "b.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_results(tmp_path / "nowhere.json")


# --- the suite and the command ------------------------------------------------------------------------------------


def test_the_plan_holds_what_the_issue_asks_for():
    cases = Plan(devices=("cpu", "cuda")).cases()
    wanted = {(p, t, b) for p in ("mosi", "mosei") for t in ("train", "predict") for b in (1, 4, 32, 128)}
    wanted |= {(p, "patterns", 1) for p in ("mosi", "mosei")}
    for device in ("cpu", "cuda"):
        assert {(c.preset, c.task, c.batch) for c in cases if c.device == device} == wanted
    ways = {(c.precision, c.compiled) for c in cases if c.device == "cuda"}
    assert ways == {(p, c) for p in ("32-true", "bf16-mixed") for c in (False, True)}
    assert {(c.precision, c.compiled) for c in cases if c.device == "cpu"} == {("32-true", False)}


def test_a_case_that_fails_does_not_stop_the_others(results, monkeypatch):
    answers = iter(
        [subprocess.CompletedProcess("", -9, "", ""), subprocess.CompletedProcess("", 1, "", "a\nOops: b")]
    )

    def fake(command, **_):
        job = json.loads(command[-1])
        assert job["threads"] == 1
        row = results["cases"][0] if job["job"] == "case" else results["profiles"][0]
        return next(answers, subprocess.CompletedProcess("", 0, "noise\n" + json.dumps(row), ""))

    monkeypatch.setattr(suite, "describe_machine", lambda threads: results["machine"])
    monkeypatch.setattr(suite.subprocess, "run", fake)
    said: list[str] = []
    found = run_suite(Plan(presets=("mosi",), batches=(32,), curves=False, store_clips=0), said.append)
    assert [c.get("error") for c in found["cases"]] == [
        "killed, probably for want of memory",
        "Oops: b",
        None,
    ]
    assert "failed (Oops: b)" in said[1] and len(found["profiles"]) == 2
    text = to_markdown(found)
    assert "Not measured: mosi predict 32" in text and "Oops: b" in text


def test_a_store_that_finds_no_room_is_not_measured_and_says_so(results, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e9))
    monkeypatch.setattr(store, "measure_store", lambda *_: pytest.fail("measured"))
    with pytest.raises(DataError, match=r"needs 10\.0 GB in .* and 1\.0 GB are free; set TMPDIR"):
        store.measure_in_scratch_folder(store.CLIPS)
    results["stores"] = [{"clips": store.CLIPS, "error": "DataError: no room"}]
    text = to_markdown(results)
    assert "Not measured: 22856: DataError: no room." in text and "open the store" not in text


def test_the_machine_is_described():
    machine = describe_machine(threads=1)
    assert machine["cores"] == physical_cores() >= 1 and machine["threads"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", machine["date"]) and machine["torch"]
    assert devices_here()[0] == "cpu" and json.loads(json.dumps(machine)) == machine


def test_quick_bench_writes_json_and_the_marked_section(tmp_path, monkeypatch, capsys):
    """The command as it is used, with two jobs in processes of their own, whose memory is not this one's."""
    torch.ones(100_000_000)  # 400 MB here
    document, numbers = tmp_path / "a.md", tmp_path / "a.json"
    document.write_text("before\n<!-- bench:speed -->\nold\n<!-- /bench:speed -->\nafter\n")
    real = Plan
    monkeypatch.setattr(suite, "Plan", lambda **c: real(**c | {"tasks": ("patterns",), "curves": False}))
    options = ["--quick", "--threads", "1", "--devices", "cpu", "--batches", "2"]
    assert main(["bench", *options, "--json", str(numbers), "--into", str(document)]) == 0
    err = capsys.readouterr().err
    assert "[1/3] tiny patterns, batch 1, cpu, 32-true: " in err
    found = read_results(numbers)
    (case,) = found["cases"]
    assert case["task"] == "patterns" and case["flops"] > 1e6 and case["operators"] > 100
    assert 20 < case["peak_memory_mb"] < 400 and case["libraries_mb"] > 0
    assert case["product_seconds"] > 1e-3  # 17 GFLOP
    assert [(c["task"], c["batch"]) for c in found["profiles"]] == [("patterns", 1)]
    (store,) = found["stores"]
    assert store["clips"] == 50 and 8 < store["file_mb"] < 10 and store["train_pass_peak_mb"] > 50
    text = document.read_text()
    assert (
        "| 50 clips, " in text
        and text.startswith("before\n")
        and text.endswith("after\n")
        and "old" not in text
    )
    assert "seven patterns of one clip" in text


def test_from_a_file_nothing_is_measured(results, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "run_suite", lambda *_: pytest.fail("measured"))
    write_results(tmp_path / "a.json", results)
    assert main(["bench", "--from", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out.strip() == to_markdown(results).strip()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--presets", "huge"], "no preset 'huge'"),
        (["--batches", "0"], "at least 1"),
        (["--store-clips", "-1"], "--store-clips is -1"),
        (["--from", "nowhere.json"], "nowhere.json cannot be read"),
        (["--devices", "tpu"], "invalid choice: 'tpu'"),
    ],
)
def test_bad_options_are_one_sentence(options, says, capsys):
    try:
        status = main(["bench", *options])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


def test_the_readme_shows_the_committed_numbers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"<!-- bench:speed -->\n(.*?)\n<!-- /bench:speed -->", readme, re.DOTALL)
    again = "run `dicmor bench --from dicmor_lib/bench/measured.json --into README.md`"
    assert section == to_markdown(read_results(MEASURED), folded=True), again


def test_chapter_11_shows_the_committed_numbers():
    chapter = json.loads((ROOT / "notebooks" / "11_scaling_up.ipynb").read_text(encoding="utf-8"))
    outputs = [out for cell in chapter["cells"] for out in cell.get("outputs", [])]
    shown = [
        "".join(out["data"]["text/markdown"]) for out in outputs if "text/markdown" in out.get("data", {})
    ]
    numbers = read_results(MEASURED)
    for table in (targets_table(numbers), cases_table(numbers)):
        assert table in shown, "execute notebooks/11_scaling_up.ipynb again and commit it"
