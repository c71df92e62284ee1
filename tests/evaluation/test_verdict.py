"""The oracle's verdict: the Bayes answers are the best there are, and the law is told from look-alikes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data import Oracle, Standardiser
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.baselines import MeanFill
from dicmor_lib.evaluation.bench import BenchRun
from dicmor_lib.evaluation.distances import distances_by_target
from dicmor_lib.evaluation.frame import comparable_steps
from dicmor_lib.evaluation.passes import shallow_split
from dicmor_lib.evaluation.verdict import BAYES_MEAN, ORACLE_SAMPLE, OracleVerdict
from dicmor_lib.modalities import pattern_mask

ORACLE = Oracle(sizes=(150, 0, 300), time=12, mean_length=8)
N = 300


@pytest.fixture(scope="module")
def world() -> SimpleNamespace:
    """A C^m, the standardised clips, and a bench of mean-fill; nothing is trained."""
    raw = ORACLE.dataset(seed=3)
    standardiser = Standardiser.fit(raw)
    data = standardiser.apply(raw)
    torch.manual_seed(0)
    model = DiCMoR(DiCMoRConfig.tiny(ORACLE.dims, hidden=8, heads=2, fusion_layers=1, flow_layers=1))
    known, real = shallow_split(model, data.train), shallow_split(model, data.test)
    mean_fill = MeanFill()
    mean_fill.fit(known.features, known.lengths, known.observed)
    bench = SimpleNamespace(stage1=model, tested=data.test, frame=mean_fill.frame, batch_size=64)
    return SimpleNamespace(
        raw=raw.test, standardiser=standardiser, bench=bench, real=real, mean_fill=mean_fill
    )


def a_run(world, pattern: str, predictions: dict | None = None, **estimates: np.ndarray) -> BenchRun:
    available = np.tile(pattern_mask(pattern), (N, 1))
    real = world.real
    filled = world.mean_fill.fill(real.features, real.lengths, available)
    return BenchRun(
        predictions={"majority": np.full(N, 0.2)} | (predictions or {}),
        rows=np.arange(N),
        estimates={"mean-fill": filled} | estimates,
        real=real,
        available=available,
        steps=comparable_steps(real.lengths, real.observed, available, real.features.shape[2]),
    )


def a_verdict(world, permutations: int | None = None, **changes) -> OracleVerdict:
    return OracleVerdict(ORACLE, world.raw, world.standardiser, permutations, resamples=200, **changes)


def law_draws(world, pattern: str, n: int, seed: int) -> list[np.ndarray]:
    """Shallow features (3, N, T, d) of draws from the law, by the verdict's own way through C^m."""
    run, verdict = a_run(world, pattern), a_verdict(world)
    draws = ORACLE.conditional_sample(world.raw.features, run.available, world.raw.lengths, n=n, seed=seed)
    return [verdict._shallow(tuple(x[k] for x in draws), world.bench, run, world.raw) for k in range(n)]


def test_c_of_the_mean_is_the_mean_of_c(world):
    """C^m is linear and nothing is clipped, so the mean of many mapped draws is the mapped mean, borders included."""
    run, verdict = a_run(world, "la"), a_verdict(world)
    mean = ORACLE.conditional_mean(world.raw.features, run.available, world.raw.lengths)
    mapped = verdict._shallow(mean, world.bench, run, world.raw)
    draws = np.stack([x[2] for x in law_draws(world, "la", 60, seed=9)])
    inside = run.steps[2]
    gap = (draws.mean(0) - mapped[2])[inside] / (draws.std(0)[inside] / 60**0.5)
    assert abs(gap.mean()) < 0.02 and gap.std() == pytest.approx(1, abs=0.05)
    assert not mapped[2][~(np.arange(12) < world.raw.lengths[:, 2:])].any()  # padding stays zero
    np.testing.assert_allclose(mapped[:2], world.real.features[:2], atol=1e-6)  # what is available stays


def test_shares_are_anchored_at_mean_fill_and_bayes(world):
    run = a_run(world, "av")
    half = (run.estimates["mean-fill"] + world.real.features) / 2  # it cheats: the truth is in it
    verdict = a_verdict(world)
    verdict("av", world.bench, a_run(world, "av", cheat=half))
    table = verdict.table()
    case = ("av", "language")
    assert table.cases == [case]
    for method, expected in ((BAYES_MEAN, 1.0), ("mean-fill", 0.0)):
        share = table.recovery_share(case, method)
        assert (share.value, share.low, share.high) == pytest.approx((expected,) * 3)
    errors = {m: table.recovery_error(case, m).value for m in table.recoverers}
    share = table.recovery_share(case, "cheat")
    expected = (errors["mean-fill"] - errors["cheat"]) / (errors["mean-fill"] - errors[BAYES_MEAN])
    assert share.value == pytest.approx(expected) and share.low < expected < share.high and share.value > 1
    # A draw is the law's variance away from the mean, as the truth is: twice the Bayes error.
    assert errors[ORACLE_SAMPLE] == pytest.approx(2 * errors[BAYES_MEAN], rel=0.06)
    assert table.recovery_share(table.all_cases, "cheat") == share


def test_no_estimate_beats_the_bayes_mean(world):
    """Moving the Bayes mean towards anything that the available clips say makes it worse."""
    run, verdict = a_run(world, "l"), a_verdict(world)
    mean = ORACLE.conditional_mean(world.raw.features, run.available, world.raw.lengths)
    bayes = verdict._shallow(mean, world.bench, run, world.raw)
    fill = run.estimates["mean-fill"]
    others = {f"{w:+.2f}": (1 - w) * bayes + w * fill for w in (-0.25, 0.25)}
    verdict("l", world.bench, a_run(world, "l", **others))
    table = verdict.table()
    for case in table.cases:
        assert all(table.recovery_share(case, name).value < 1 for name in others)


def test_the_joint_distance_sees_what_the_marginal_one_cannot(world):
    draw = law_draws(world, "la", 1, seed=77)[0]
    # Each clip gets the features of one that is as long or longer, so that it has some at every step.
    order = np.argsort(world.raw.lengths[:, 0], kind="stable")
    shuffled = draw.copy()
    shuffled[:, order] = draw[:, np.roll(order, -1)]
    shuffled[:, order[-1]] = draw[:, order[-1]]
    verdict = a_verdict(world, permutations=99)
    run = a_run(world, "la", faithful=draw, shuffled=shuffled)
    verdict("la", world.bench, run)
    joint = [row for row in verdict.distances if row.space == "joint"]
    p = {(row.method, row.statistic): row.p_value for row in joint}
    assert joint[0].method == ORACLE_SAMPLE  # the noise floor comes first
    for statistic in ("mmd", "sliced_wasserstein"):
        for method in (ORACLE_SAMPLE, "faithful", "real"):
            assert p[method, statistic] > 0.05
        for method in ("shuffled", "mean-fill", BAYES_MEAN):
            assert p[method, statistic] == 0.01
    real = world.real
    marginal = distances_by_target(
        {"shuffled": shuffled},
        real.features,
        real.lengths,
        real.observed,
        run.available,
        world.bench.frame,
        permutations=99,
    )
    assert all(row.p_value > 0.05 for row in marginal)
    features = {row.method for row in verdict.distances if row.space == "feature"}
    assert features == {"real", BAYES_MEAN, ORACLE_SAMPLE}


def test_predictions_are_measured_against_bayes_on_the_same_clips(world):
    label = world.raw.labels.astype(float)
    available = np.tile(pattern_mask("lav"), (N, 1))
    best = ORACLE.bayes_prediction(world.raw.features, available, world.raw.lengths)
    verdict = a_verdict(world)
    predictions = {"as Bayes": best.sign.astype(float), "knows": label, "median": best.median}
    verdict("lav", world.bench, a_run(world, "lav", predictions))
    table = verdict.table()
    assert not table.cases
    assert table.score("lav", "Bayes", "acc2") == table.score("lav", "as Bayes", "acc2")
    for method, metric, expected in (
        ("as Bayes", "acc2", 1.0),
        ("median", "mae", 1.0),
        ("majority", "acc2", 0.0),
        ("majority", "mae", 0.0),
    ):
        assert table.score_share("lav", method, metric).value == pytest.approx(expected), (method, metric)
    assert table.score_share("lav", "knows", "mae").value > 1
    luck = table.score("lav", "Bayes", "acc2")
    assert luck.low < table.expected("lav", "acc2").value < luck.high


@pytest.mark.filterwarnings("ignore:An input array is nearly constant")  # the posterior mean is
def test_nothing_to_know_gives_no_share(world):
    flat = Oracle(sizes=(150, 0, 300), time=12, mean_length=8, shared=0.0, separation=0.0, nonlinearity=0.0)
    raw = flat.dataset(seed=3)
    standardiser = Standardiser.fit(raw)
    tested = standardiser.apply(raw).test
    real = shallow_split(world.bench.stage1, tested)
    mean_fill = MeanFill()
    mean_fill.fit(real.features, real.lengths, real.observed)
    bench = SimpleNamespace(**vars(world.bench) | {"tested": tested, "frame": mean_fill.frame})
    other = SimpleNamespace(bench=bench, real=real, mean_fill=mean_fill)
    verdict = OracleVerdict(flat, raw.test, standardiser, None, resamples=200)
    verdict("v", bench, a_run(other, "v"))
    assert np.isnan(verdict.table().score_share("v", "majority", "acc2").value)


def test_everything_printed_and_stored_says_synthetic(world):
    verdict = a_verdict(world, permutations=9)
    verdict("la", world.bench, a_run(world, "la"))
    table = verdict.table()
    text, markdown, rows = table.to_text(), table.to_markdown(), table.rows()
    assert text.startswith("SYNTHETIC DATA") and markdown.startswith("SYNTHETIC DATA")
    for word in (
        "How much of what can be known was recovered",
        "mean-fill",
        "Bayes expected",
        "law against law",
    ):
        assert word in text and word in markdown
    assert all(row["synthetic"] for row in rows) and len({tuple(row) for row in rows}) == 1
    share = [r for r in rows if r["measure"] == "recovery_share" and r["pattern"] == "la"]
    assert {(r["method"], round(r["value"], 9)) for r in share} >= {("mean-fill", 0.0), (BAYES_MEAN, 1.0)}
    joint = [r for r in rows if r["measure"] == "joint_mmd" and r["method"] == "mean-fill"]
    assert len(joint) == 1 and joint[0]["p_value"] == 0.1 and joint[0]["n"] == N
    header = next(line for line in markdown.splitlines() if line.startswith("| method | mean"))
    assert header == "| method | mean | la to vision |"


def test_wrong_clips_are_refused(world):
    run = a_run(world, "la")
    with pytest.raises(DataError, match="not the raw ones after standardisation"):
        OracleVerdict(ORACLE, world.raw, None, None)("la", world.bench, run)
    with pytest.raises(ConfigError, match="give the oracle that drew them"):
        OracleVerdict(Oracle(dims=(4, 4, 4)), world.raw, None)
    del run.estimates["mean-fill"]
    with pytest.raises(ConfigError, match="was not evaluated"):
        a_verdict(world)("la", world.bench, run)
