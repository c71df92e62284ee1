"""All protocols at once: what is printed and saved, and the frame-level pass behind one of them."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest

from dicmor_lib.data.missingness import FRAMES, PROTOCOLS, load_masks, mask_hash
from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation import table_files
from dicmor_lib.evaluation.bench import Bench
from dicmor_lib.evaluation.evaluate import evaluate
from dicmor_lib.evaluation.frames import draw_frame_masks, drop_frames, run_frames, score_frames
from dicmor_lib.evaluation.metrics import sentiment_metrics
from dicmor_lib.evaluation.protocol_run import NAMES, evaluate_protocols, parse_protocols
from dicmor_lib.evaluation.protocol_tables import column_groups, protocols_to_text
from dicmor_lib.evaluation.table import REQUIRED_BASELINES


@pytest.fixture(scope="module")
def measured(models, oracle_data, quick_imputers):
    """An evaluation and the bench behind it."""
    benches = []
    result = evaluate(
        models[0],
        oracle_data,
        stage1=models[1],
        imputers=quick_imputers(),
        resamples=20,
        observer=lambda pattern, bench, run: benches.append(bench),
    )
    return result, benches[0]


@pytest.fixture(scope="module")
def scored(measured):
    result, bench = measured
    rates = (0.1, 0.5, 0.8)
    return evaluate_protocols(result.predictions, bench, rates=rates, mask_seed=3, resamples=20)


# --- frames ------------------------------------------------------------------------------------------


def test_dropping_nothing_is_the_complete_evaluation_bit_by_bit(measured):
    result, bench = measured
    none = run_frames(bench, 0.0, seed=0)
    for method, values in none.predictions.items():
        expected, _ = result.predictions.of(method, "lav")
        np.testing.assert_array_equal(values, expected)


def test_what_stood_in_a_dropped_frame_changes_nothing(measured):
    _, bench = measured
    masks = draw_frame_masks(bench.tested, 0.6, seed=1)
    poisoned = tuple(
        np.where(masks[:, :, m, None], x, np.float32("nan")) for m, x in enumerate(bench.tested.features)
    )
    dirty = dataclasses.replace(bench, tested=dataclasses.replace(bench.tested, features=poisoned))
    clean, other = run_frames(bench, 0.6, seed=1), run_frames(dirty, 0.6, seed=1)
    for method, values in clean.predictions.items():
        np.testing.assert_array_equal(values, other.predictions[method])


def test_dropped_frames_are_zero_kept_ones_unchanged_and_lengths_stay(oracle_data):
    test = oracle_data.test
    masks = draw_frame_masks(test, 0.7, seed=0)
    dropped = drop_frames(test, masks)
    for m, (before, after) in enumerate(zip(test.features, dropped.features)):
        np.testing.assert_array_equal(after[masks[:, :, m]], before[masks[:, :, m]])
        assert not after[~masks[:, :, m]].any() and after.dtype == before.dtype
    np.testing.assert_array_equal(dropped.lengths, test.lengths)
    np.testing.assert_array_equal(dropped.observed, masks.any(axis=1))
    assert not dropped.observed.all()  # some short sequence lost everything, which the next tests rely on
    valid = np.arange(masks.shape[1])[:, None] < test.lengths[:, None]
    assert abs((masks.sum() / valid.sum()) - 0.3) < 0.03


def test_every_method_sees_the_same_dropped_frames(measured, models):
    """The ridge on the last step and the model, each computed here from the dropped split alone."""
    _, bench = measured
    done = run_frames(bench, 0.5, seed=4)
    dropped = drop_frames(bench.tested, done.masks)
    rows = done.rows
    expected = bench.ridge.predict(
        tuple(x[rows] for x in dropped.features), dropped.lengths[rows], dropped.observed[rows]
    )
    np.testing.assert_array_equal(done.predictions[bench.ridge.name][rows], expected)
    changed = {
        m for m, v in done.predictions.items() if not np.allclose(v, run_frames(bench, 0.0, 0).predictions[m])
    }
    assert changed == set(bench.kinds) - {"majority"}


def test_samples_that_lost_everything_are_not_scored_and_counted(measured):
    result, bench = measured
    masks = draw_frame_masks(bench.tested, 0.95, seed=0)
    lost = ~masks.any(axis=(1, 2))
    assert 0 < lost.sum() < len(lost)
    found = evaluate_protocols(
        result.predictions, bench, ["gcnet", FRAMES], (0.95,), mask_seed=0, resamples=20
    )
    (done,) = found.frames
    assert all(np.array_equal(np.isnan(values), lost) for values in done.predictions.values())
    assert {s.n for s in found.table.of(FRAMES, 0.95)} == {int((~lost).sum())}
    assert f"Samples that lost every step are not scored: {lost.sum()} at .95" in found.to_text()


def test_a_frame_score_is_the_plain_metric_of_its_pass(measured):
    result, bench = measured
    done = run_frames(bench, 0.5, seed=4)
    scores = score_frames([done], result.predictions.label, bench.kinds, resamples=20)
    assert {s.mask_hash for s in scores} == {mask_hash(done.masks)}
    for score in scores:
        values = sentiment_metrics(
            done.predictions[score.method][done.rows], result.predictions.label[done.rows]
        )
        for metric, value in values.items():
            assert score.metrics[metric].value == pytest.approx(value, nan_ok=True)


def test_masks_depend_on_the_seed_and_an_unobserved_modality_has_no_frames(oracle_data):
    test = oracle_data.test
    first, again, other = (draw_frame_masks(test, 0.4, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert mask_hash(first) != mask_hash(other)
    observed = test.observed.copy()
    observed[:5, 1] = False
    partial = dataclasses.replace(test, observed=observed)
    masks = draw_frame_masks(partial, 0.0, 0)
    assert not masks[:5, :, 1].any() and not drop_frames(partial, masks).observed[:5, 1].any()


def test_impossible_frames_are_one_clear_sentence(measured, oracle_data):
    result, bench = measured
    for rate in (1, 1.5, -0.1, float("nan")):
        with pytest.raises(ConfigError, match="share of frames to drop is .* below 1, where nothing is left"):
            run_frames(bench, rate, 0)
    with pytest.raises(ShapeError, match=r"must have shape \(30, 12, 3\)"):
        drop_frames(oracle_data.test, np.ones((30, 5, 3), bool))
    with pytest.raises(ConfigError, match="Left out: frames at 1"):
        evaluate_protocols(result.predictions, bench, [FRAMES], (1.0,))
    with pytest.raises(ConfigError, match="give the bench"):
        evaluate_protocols(result.predictions, None, [FRAMES])


def test_dropping_every_frame_of_all_samples_is_refused(measured):
    _, bench = measured
    one = dataclasses.replace(bench.tested.select([0]), lengths=np.ones((1, 3), np.int64))
    seed = next(s for s in range(500) if not draw_frame_masks(one, 0.99, s).any())
    with pytest.raises(DataError, match="dropping 99% of the frames left nothing"):
        run_frames(dataclasses.replace(bench, tested=one), 0.99, seed)


# --- all protocols -----------------------------------------------------------------------------------


def test_all_protocols_hold_all_methods_at_all_rates_they_define(scored):
    expected = [
        (p, r) for p in PROTOCOLS for r in (0.1, 0.5, 0.8) if not (p in ("dicmor", "imder") and r == 0.8)
    ]
    assert scored.table.cases == expected + [(FRAMES, r) for r in (0.1, 0.5, 0.8)]
    for case in scored.table.cases:
        assert {"DiCMoR", *REQUIRED_BASELINES} <= {s.method for s in scored.table.of(*case)}
    assert any("Left out: imder at 0.8" in note for note in scored.table.info["notes"])


def test_text_has_one_table_per_metric_with_every_hash_and_label(scored):
    text = scored.to_text()
    assert text.startswith("SYNTHETIC DATA")
    for score in scored.table.scores:
        assert score.mask_hash in text
    titles = [line for line in text.splitlines() if line.startswith(("Acc", "F1", "MAE", "Pearson"))]
    mixed = " (mixed; plain for frames)"
    assert titles == ["Acc-2", f"F1{mixed}", "Acc-7", "MAE", f"Pearson r{mixed}"]
    assert "a definition of its own" in text and "mixture of the seven fixed patterns" in text
    assert column_groups(scored.table)[0] == (("dicmor", "imder"), [0.1, 0.5])
    tables = [
        line for line in text.splitlines() if line.startswith(("protocol", "rate ", "DiCMoR", "majority"))
    ]
    assert max(map(len, tables)) <= 110


def test_a_printed_number_stands_under_its_protocol_and_rate(scored):
    lines = scored.to_text().splitlines()
    block = lines[lines.index("MAE") + 2 :]
    head, rates = block[0], block[1]
    row = next(line for line in block if line.startswith("mean-fill"))
    start = head.index("gcnet")
    cells = list(zip(rates[start:].split()[:3], row[start:].split()[:3]))
    expected = [scored.table.value("gcnet", rate, "mean-fill", "mae") for rate in (0.1, 0.5, 0.8)]
    assert [rate for rate, _ in cells] == [".1", ".5", ".8"]
    assert [float(cell) for _, cell in cells] == pytest.approx(expected, abs=6e-4)


def test_laws_alone_say_nothing_of_frames_and_need_no_bench(measured):
    found = evaluate_protocols(measured[0].predictions, None, ["gcnet"], (0.5,), resamples=20)
    text = found.to_text()
    assert "F1 (mixed)" in text and "frames" not in text and not found.frames
    frames = evaluate_protocols(
        measured[0].predictions, measured[1], [FRAMES], (0.5,), resamples=20
    ).to_text()
    assert "(mixed)" not in frames and "no mask is drawn" not in frames and "frames: the rate is" in frames


def test_markdown_has_a_column_per_protocol_and_rate(scored):
    rows = [line for line in scored.to_markdown().splitlines() if line.startswith("| DiCMoR")]
    assert len(rows) == 5 and {line.count("|") for line in rows} == {2 + 2 + 9 + 3 + 1 - 1}


def test_files_come_back_with_every_number_and_masks_with_their_hash(scored, tmp_path):
    paths = {path.name: path for path in scored.save(tmp_path / "new")}
    masks = {f"masks-frames-{rate}.npz" for rate in ("0.1", "0.5", "0.8")}
    assert set(paths) == {"protocols.csv", "protocols.json", "protocols.md"} | masks
    again = table_files.read_protocols_json(paths["protocols.json"])
    assert protocols_to_text(again) == scored.to_text()
    assert again.cases == scored.table.cases
    with open(paths["protocols.csv"], newline="") as file:
        lines = list(csv.DictReader(file))
    for line, score in zip(lines, scored.table.scores, strict=True):
        assert (line["mask_hash"], line["identity"]) == (score.mask_hash, score.identity)
        assert (line["hash_of"], int(line["n"])) == (score.hash_of, score.n)
        assert float(line["mae"]) == score.metrics["mae"].value
    for done in scored.frames:
        loaded, about = load_masks(paths[f"masks-frames-{done.rate:g}.npz"])
        assert about == {"protocol": "frames", "rate": done.rate, "seed": 3, "hash": done.mask_hash}
        np.testing.assert_array_equal(loaded, done.masks)
        assert about["hash"] in {s.mask_hash for s in scored.table.of(FRAMES, done.rate)}


def test_a_saved_table_whose_baselines_were_removed_is_refused(scored, tmp_path):
    path = tmp_path / "protocols.json"
    table_files.write_protocols_json(scored.table, path)
    content = json.loads(path.read_text())
    content["scores"] = [s for s in content["scores"] if s["method"] != "ridge"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="lack the baselines ridge"):
        table_files.read_protocols_json(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="not a saved table of scores under protocols"):
        table_files.read_protocols_json(path)


def test_progress_ends_at_its_total(measured):
    calls = []
    result, bench = measured
    progress = lambda done, total, what: calls.append((done, total, what))  # noqa: E731
    evaluate_protocols(result.predictions, bench, [FRAMES], (0.2, 0.4), progress=progress, resamples=20)
    assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1)) and calls[-1][0] == calls[-1][1]
    assert calls[0][2] == "frames at 0.2: DiCMoR"


def test_names_of_protocols():
    assert parse_protocols("all") == NAMES and NAMES[-1] == FRAMES
    assert parse_protocols(" gcnet, frames,gcnet") == ("gcnet", "frames")
    for text, word in (("lnln", "'lnln'"), ("", "no protocol is named"), ("all,gcnet", "'all'")):
        with pytest.raises(ConfigError, match=word):
            parse_protocols(text)


def test_the_published_configuration_runs_on_dropped_frames_too(small_model, oracle_data, quick_imputers):
    model = small_model(0, honour_lengths=False, mixing="none", scale_map="sigmoid", shift_first=True)
    test = oracle_data.test.select(np.arange(6))
    bench = Bench.build({"DiCMoR": model}, model, oracle_data.train, test, quick_imputers()[:2], 8)
    assert np.isfinite(run_frames(bench, 0.5, 0).predictions["DiCMoR"]).all()
