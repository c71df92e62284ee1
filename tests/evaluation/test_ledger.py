"""The ledger: a round trip changes nothing, duplicates and damage are named, changes are all or nothing."""

from __future__ import annotations

import dataclasses
import math
import os

import pytest

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.ledger import Ledger, append
from dicmor_lib.evaluation.ledger_rows import Measure, Run, config_hash


def run(method="ridge", seeds="0", **changes) -> Run:
    facts = dict(
        data="clips.pkl",
        data_sha256="ab" * 32,
        synthetic="no",
        split="test",
        clips=30,
        masks_sha256="c0ffee",
        preset="tiny",
    )
    facts |= dict(
        kind="imputer", config="", seconds=0.0, hardware="2 cores, fast", versions="python 3", commit="abc+"
    )
    return Run(**{**facts, "method": method, "seeds": seeds, "date": "2026-01-01", **changes})


def ledger(*runs: Run, value: float = 0.5) -> Ledger:
    whole = Ledger()
    for one in runs:
        config = {"model": {"hidden": 8}} if one.config else None
        numbers = [
            Measure(one.id, "l", "", "acc2", value, value - 0.1, value + 0.1),
            Measure(one.id, "l", "audio", "mse recovered", 1 / 3, p=0.0123456),
            Measure(one.id, "l", "", "acc2", -0.1, against="mean-fill"),
            Measure(one.id, "v", "", "pearson", math.nan),
        ]
        whole.add(one, numbers, config)
    return whole


def same(first: Ledger, second: Ledger) -> bool:
    def text(one):
        return sorted(map(str, one.runs.values())), sorted(map(str, one.measures.values())), one.configs

    return text(first) == text(second)


def test_a_round_trip_keeps_everything_but_digits_beyond_the_fifth(tmp_path):
    config = config_hash({"model": {"hidden": 8}})
    model = run("DiCMoR, of sorts", "0 1 2", kind="model", config=config, seconds=12.5)
    whole = ledger(run(), model)
    whole.write(tmp_path / "ledger")
    read = Ledger.read(tmp_path / "ledger")
    assert read.runs == whole.runs and read.configs == {config: {"model": {"hidden": 8}}}
    key = (model.id, "l", "audio", "mse recovered", "")
    assert read.measures[key].value == 0.33333 and read.measures[key].p == 0.01235
    assert math.isnan(read.measures[model.id, "v", "", "pearson", ""].value)
    read.write(tmp_path / "again")
    for name in ("runs.csv", "measures.csv", "configs.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "ledger" / name).read_bytes()


def test_the_same_thing_is_refused_twice_and_replaced_by_merging():
    whole = ledger(run(), run("k nearest"))
    with pytest.raises(DataError, match="already holds 'ridge' on clips.pkl for seed 0"):
        whole.add(run(), [])
    other = run("zero-fill")
    with pytest.raises(DataError, match="the measure .* / l / acc2 is there twice"):
        whole.add(other, [Measure(other.id, "l", "", "acc2", 0.1)] * 2)
    with pytest.raises(DataError, match="belongs to the run nobody"):
        whole.add(run("mean-fill"), [Measure("nobody", "l", "", "acc2", 0.1)])
    whole = ledger(run(), run("k nearest"))
    whole.merge(ledger(run(), value=0.9))
    assert whole.measures[run().id, "l", "", "acc2", ""].value == 0.9
    assert whole.measures[run("k nearest").id, "l", "", "acc2", ""].value == 0.5


def test_a_study_replaces_all_of_an_older_study_of_the_same_data(tmp_path):
    kept = run("ridge", data="other.pkl", data_sha256="cd" * 32)
    old = ledger(run(), run("given up", kind="model", config="123456789abc"), kept)
    append(tmp_path / "ledger", old)
    append(tmp_path / "ledger", ledger(run(seeds="0 1"), value=0.7))
    read = Ledger.read(tmp_path / "ledger")
    assert set(read.runs) == {kept.id, run(seeds="0 1").id}
    assert read.configs == {} and {m.run for m in read.measures.values()} == set(read.runs)


@pytest.mark.parametrize("operation", range(1, 8))
def test_death_while_it_is_written_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, operation):
    old, new = ledger(run()), ledger(run(), value=0.9)
    append(tmp_path / "ledger", old)
    count = 0

    def dying(function):
        def wrapper(*args, **kwargs):
            nonlocal count
            count += 1
            if count == operation:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return wrapper

    for name in ("rename", "fsync"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    try:
        append(tmp_path / "ledger", new)
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    value = Ledger.read(tmp_path / "ledger").measures[run().id, "l", "", "acc2", ""].value
    assert value in (0.5, 0.9)
    assert same(append(tmp_path / "ledger", new), new)


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("measures.csv", lambda t: t.replace("0.5,0.4", "good,0.4"), r"measures.csv line 2: value is 'good', which is no number"),
        ("measures.csv", lambda t: t + "too,few\n", r"measures.csv line 6: there are 2 cells instead of 9"),
        ("measures.csv", lambda t: t + t.splitlines()[1] + "\n", r"measures.csv line 6: .* is there twice"),
        ("measures.csv", lambda t: t + "0000aaaa,l,,acc2,1,,,,\n", r"line 6: .* belongs to the run 0000aaaa"),
        ("measures.csv", lambda t: t.replace("run,pattern", "run,mask"), r"measures.csv line 1: the columns must be run, pattern"),
        ("runs.csv", lambda t: t.replace(",valid", ",test"), r"runs.csv line 2: selected_on is 'test'; only weights"),
        ("runs.csv", lambda t: t.replace(",ridge,", ",lasso,"), r"runs.csv line 2: the run .* was changed by hand"),
        ("runs.csv", lambda t: t + t.splitlines()[1] + "\n", r"runs.csv line 3: the run .* is there twice"),
        ("runs.csv", lambda t: t.replace(",imputer,", ",magic,"), r"runs.csv line 2: kind is 'magic'"),
        ("runs.csv", lambda t: t.replace(",test,30,", ",test,none,"), r"runs.csv line 2: clips is 'none'"),
        ("runs.csv", lambda t: "", r"runs.csv line 1: the columns must be"),
        ("configs.json", lambda t: "{", r"configs.json is not part of a ledger"),
    ],
)  # fmt: skip
def test_damage_is_one_sentence_that_names_the_line(tmp_path, file, change, sentence):
    ledger(run()).write(tmp_path / "ledger")
    path = tmp_path / "ledger" / file
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=sentence):
        Ledger.read(tmp_path / "ledger")


def test_a_run_without_its_configuration_and_a_folder_that_is_none(tmp_path):
    whole = ledger(run("DiCMoR", kind="model", config="123456789abc"))
    whole.configs.clear()
    whole.write(tmp_path / "ledger")
    with pytest.raises(DataError, match="configs.json lacks the configuration 123456789abc"):
        Ledger.read(tmp_path / "ledger")
    with pytest.raises(DataError, match="configs.json is not part of a ledger"):
        Ledger.read(tmp_path)


def test_the_id_depends_on_what_was_measured_and_not_on_where():
    one = run()
    assert one.id == dataclasses.replace(one, hardware="elsewhere", date="2027-01-01", seconds=3.0).id
    for change in (
        {"seeds": "1"},
        {"method": "x"},
        {"config": "y"},
        {"split": "valid"},
        {"data_sha256": "z"},
    ):
        assert dataclasses.replace(one, **change).id != one.id
