"""What is said about a case follows from what was timed; memory is counted in a process of its own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from dicmor_lib.bench import measure as module
from dicmor_lib.bench.cases import Case, build, mixed_patterns, random_split
from dicmor_lib.bench.measure import count_operators, measure, time_in_turns
from dicmor_lib.bench.memory import peak_resident_memory, resident_memory
from dicmor_lib.bench.scaling import curve, growth
from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import PATTERNS, mask_pattern


def test_step_and_product_are_timed_in_turns(monkeypatch):
    """A step of 3 s beside a product of 2 s; the third round is ten times slower, as on a busy machine."""
    durations = itertools.cycle([2.0, 3.0, 2.0, 3.0, 20.0, 30.0])
    order = []
    monkeypatch.setattr(module, "matrix_product", lambda case: lambda: None)
    monkeypatch.setattr(module, "clock", lambda call, device: order.append(call) or next(durations))
    call, case = (lambda: None), Case("tiny", "train", 6)
    found = time_in_turns(call, case, seconds=0, rounds=3)
    assert [one is call for one in order] == [False, True] * 3
    assert (found["seconds"], found["product_seconds"], found["ratio"], found["rounds"]) == (3.0, 2.0, 1.5, 3)
    assert found["quartiles"] == [3.0, 16.5] and found["samples_per_second"] == 2.0


def test_the_numbers_of_a_case_belong_together(small_product):
    case = Case("tiny", "patterns", 2, time=6)
    found = measure(case, seconds=0.0, rounds=3, memory_before=0.0)
    assert found["rounds"] == 3 and found["quartiles"][0] <= found["seconds"] <= found["quartiles"][1]
    assert found["samples_per_second"] == pytest.approx(14 / found["seconds"])
    assert found["ratio"] == pytest.approx(found["seconds"] / found["product_seconds"])
    steps_flops = found["flops"] / found["seconds"]
    assert found["share_of_peak"] == pytest.approx(steps_flops / (2 * 64**3 / found["product_seconds"]))
    assert {name: found[name] for name in case.to_dict()} == case.to_dict()
    assert 0 < found["weights_mb"] < 5 and found["peak_memory_mb"] >= found["libraries_mb"]


def test_operators_inside_operators_count_once():
    x, weight = torch.ones(3, 4), torch.ones(5, 4)
    found = count_operators(lambda: torch.nn.functional.linear(x, weight).relu(), "cpu")
    assert found == {"operators": 2}  # linear (with what it calls) and relu


def test_the_training_case_trains_every_parameter():
    built = build(Case("tiny", "train", 7, time=6))
    before = {name: p.detach().clone() for name, p in built.model.named_parameters()}
    built.call()
    still = [name for name, p in built.model.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_clips_are_full_and_patterns_take_turns():
    clips = random_split(9, 6, (4, 3, 2))
    assert [x.shape for x in clips.features] == [(9, 6, 4), (9, 6, 3), (9, 6, 2)]
    assert (clips.lengths == 6).all() and np.abs(clips.labels).max() <= 3
    assert tuple(mask_pattern(row) for row in mixed_patterns(9)) == (*PATTERNS, "l", "a")
    same = random_split(9, 6, (4, 3, 2))
    assert all(np.array_equal(a, b) for a, b in zip(clips.features, same.features))


@pytest.mark.parametrize("wrong", [dict(task="run"), dict(batch=0), dict(time=1.5)])
def test_impossible_cases_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Case(**{"preset": "tiny", "task": "train", "batch": 1} | wrong)


def test_peak_memory_remembers_what_was_freed():
    before = resident_memory()
    block = np.ones(40_000_000)  # 320 MB
    del block
    assert peak_resident_memory() > before + 300
    assert before > 100 or before == 0


def test_growth_is_the_exponent():
    points = [dict(part="flow", axis="time", time=t, seconds=2e-3 * t**1.5) for t in (1, 10, 100, 1000)]
    assert growth(points, "flow", "time") == pytest.approx(1.5)
    found = curve("tiny", "cpu", times=(3, 6), batches=(1, 2), rounds=1)
    sizes = [(p["axis"], p["time"], p["batch"]) for p in found["points"] if p["part"] == "flow"]
    assert sizes == [("time", 3, 4), ("time", 6, 4), ("batch", 50, 1), ("batch", 50, 2)]
    assert len(found["points"]) == 8 and all(p["seconds"] > 0 for p in found["points"])
