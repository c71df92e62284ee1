"""The model: batches, patterns, padding, lengths, losses, and its parts that others use."""

from __future__ import annotations

import doctest
import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib import MODALITIES, PATTERNS, DiCMoR, DiCMoRConfig, available_mask
from dicmor_lib.objective import objective
from tests.random_models import (
    CONFIGS,
    FIELDS,
    published_small_config,
    random_batch,
    random_model,
    random_weights,
    small_config,
)

every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def assert_same_output(ours, theirs, **tolerance):
    for field in FIELDS:
        torch.testing.assert_close(getattr(ours, field), getattr(theirs, field), **tolerance)
    for name, term in ours.losses.items():
        torch.testing.assert_close(term.total, theirs.losses[name].total, **tolerance)
        torch.testing.assert_close(term.count, theirs.losses[name].count, **tolerance)


# --- batches --------------------------------------------------------------------------------------


def select(batch, rows):
    picked = {name: value[rows] for name, value in batch.items() if name != "features"}
    return picked | {"features": [x[rows] for x in batch["features"]]}


def pick(output, rows):
    """The rows of one batch's output, per field."""
    by_sample = {
        "prediction": 0,
        "shallow": 1,
        "latents": 1,
        "log_det": 0,
        "transferred": 1,
        "recovered": 1,
        "lengths": 0,
    }
    return {
        field: getattr(output, field).index_select(axis, torch.tensor(rows))
        for field, axis in by_sample.items()
    }


@every_config
@torch.no_grad()
def test_patterns_mixed_in_one_batch_are_the_patterns_one_by_one(config):
    model, batch = random_model(config), random_batch(config, batch=9)
    mixed = model(**batch)
    for b in range(9):
        alone = model(**select(batch, [b]))
        for field, rows in pick(mixed, [b]).items():
            torch.testing.assert_close(rows, getattr(alone, field), rtol=1e-5, atol=1e-5)
    for pattern in PATTERNS:  # every sample with this pattern, then the row that had it in the mixed batch
        pure = model(**{**batch, "available": available_mask(pattern, 9)})
        rows = [b for b in range(9) if PATTERNS[b % 7] == pattern]
        for field, ours in pick(mixed, rows).items():
            torch.testing.assert_close(ours, pick(pure, rows)[field], rtol=1e-5, atol=1e-5)


@every_config
@torch.no_grad()
def test_the_order_of_the_batch_does_not_matter(config):
    model, batch = random_model(config), random_batch(config, batch=9)
    order = torch.randperm(9).tolist()
    shuffled = model(**select(batch, order))
    for field, rows in pick(model(**batch), order).items():
        torch.testing.assert_close(rows, getattr(shuffled, field), rtol=1e-5, atol=1e-5)


@every_config
@torch.no_grad()
def test_sums_and_counts_of_shards_are_those_of_the_batch(config):
    model, batch = (
        random_model(config, dtype=torch.float64),
        random_batch(config, batch=9, dtype=torch.float64),
    )
    whole = model(**batch).losses
    shards = [model(**select(batch, rows)).losses for rows in ([0], [1, 2, 3, 4], [5, 6, 7, 8])]
    for name, term in whole.items():
        torch.testing.assert_close(sum(s[name].total for s in shards), term.total)
        assert sum(s[name].count for s in shards) == term.count


# --- padding and lengths --------------------------------------------------------------------------


@settings(max_examples=12)
@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(0, 4),
    st.integers(0, 99),
)
@torch.no_grad()
def test_neither_the_amount_nor_the_content_of_padding_matters(names, time, extra, seed):
    config = small_config()
    model = random_model(config, dtype=torch.float64)
    batch = random_batch(config, len(names), time, seed, torch.float64)
    batch["available"] = torch.cat([available_mask(name, 1) for name in names])
    padded = [
        torch.cat([x, torch.zeros(len(names), extra, x.shape[2]).double()], dim=1) for x in batch["features"]
    ]
    for m, x in enumerate(padded):
        x[torch.arange(time + extra) >= batch["lengths"][:, m, None]] = (
            torch.randn(()).item() if seed % 2 else torch.nan
        )
    plain, longer = model(**batch), model(**{**batch, "features": padded})
    for field in ("shallow", "latents", "transferred", "recovered"):
        ours = getattr(longer, field)
        torch.testing.assert_close(ours[:, :, :time], getattr(plain, field), rtol=1e-11, atol=1e-11)
        assert not ours[:, :, time:].any()
    for field in ("prediction", "log_det", "lengths"):
        torch.testing.assert_close(getattr(longer, field), getattr(plain, field), rtol=1e-11, atol=1e-11)
    for name, term in plain.losses.items():
        torch.testing.assert_close(longer.losses[name].value, term.value, rtol=1e-11, atol=1e-11)


def test_a_recovered_modality_is_as_long_as_its_longest_source():
    batch = random_batch(small_config(), batch=7)
    batch["lengths"] = torch.tensor([[7, 2, 5]] * 7)
    lengths = random_model(small_config())(**batch).lengths.tolist()
    expected = {
        "l": [7, 7, 7],
        "a": [2, 2, 2],
        "v": [5, 5, 5],
        "la": [7, 2, 7],
        "lv": [7, 7, 5],
        "av": [5, 2, 5],
        "lav": [7, 2, 5],
    }
    assert dict(zip(PATTERNS, lengths)) == expected


@pytest.mark.parametrize(
    "config, time", ((small_config(), 9), (published_small_config(), 5)), ids=("ours", "published")
)
@torch.no_grad()
def test_shapes(config, time):
    out = random_model(config)(**random_batch(config, batch=4, time=9))
    for field in ("shallow", "latents", "transferred", "recovered"):
        assert getattr(out, field).shape == (3, 4, time, 8), field
    assert out.prediction.shape == (4,) and out.log_det.shape == out.lengths.shape == (4, 3)
    assert list(out.losses) == ["task"] + [
        f"{kind}_{m}" for m in MODALITIES for kind in ("nll", "recovery", "distance")
    ]


# --- losses ---------------------------------------------------------------------------------------


@torch.no_grad()
def test_only_observed_entries_are_targets():
    config = small_config()
    model, batch = random_model(config), random_batch(config, batch=7)
    batch["lengths"] = torch.tensor([[7, 2, 5]] * 7)
    batch["observed"] = batch["available"].clone()
    batch["observed"][:3] = torch.tensor([True, True, False])  # patterns l, a, v
    batch["observed"] |= batch["available"]
    losses = model(**batch).losses
    observed, available = batch["observed"], batch["available"]
    for m, name in enumerate(MODALITIES):
        n = int(batch["lengths"][0, m])
        assert losses[f"nll_{name}"].count == observed[:, m].sum() * n * config.hidden
        hidden = [b for b in range(7) if observed[b, m] and not available[b, m]]
        longest = [max(int(batch["lengths"][b, k]) for k in range(3) if available[b, k]) for b in hidden]
        assert losses[f"recovery_{name}"].count == sum(min(n, length) for length in longest)
    assert losses["recovery_vision"].count == 0 == losses["recovery_vision"].value
    assert losses["task"].count == 7


def test_the_objective_of_a_batch_is_finite_and_falls():
    config = small_config()
    torch.manual_seed(0)
    model, batch = DiCMoR(config), random_batch(config, batch=14)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    values = []
    for _ in range(25):
        loss = objective(model(**batch).losses, config)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.9 * values[0]


# --- parts for others -----------------------------------------------------------------------------


@every_config
@torch.no_grad()
def test_fusion_alone_predicts_what_the_model_predicts(config):
    model, batch = random_model(config), random_batch(config)
    batch["available"] = available_mask("lav", 9)
    out = model(**batch)
    x = model.shallow_features(batch["features"], batch["lengths"])
    assert torch.equal(x, out.shallow)
    torch.testing.assert_close(model.predict_from_shallow(x, out.lengths), out.prediction)


def test_the_same_seed_makes_the_same_model_and_the_same_dropout():
    config, results = DiCMoRConfig.tiny(language_dropout=0.3, attention_dropout=(0.2, 0.2, 0.2)), []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(DiCMoR(config).train()(**random_batch(config, batch=4)))
    assert_same_output(*results, rtol=0, atol=0)
    assert not torch.equal(DiCMoR(config)(**random_batch(config, batch=4)).prediction, results[0].prediction)


@pytest.mark.parametrize("before", (False, True))
def test_language_dropout_stands_where_the_switch_says(before):
    """Ours: between C^m and fusion, so targets and densities are clean; published: before C^m."""
    config = small_config(language_dropout=0.5, dropout_before_shallow=before)
    model = random_model(config).train()
    batch = random_batch(config)
    batch["available"] = available_mask("lav", 9)
    first, second = model(**batch), model(**batch)
    assert torch.equal(first.shallow[0], second.shallow[0]) != before
    assert torch.equal(first.shallow[1:], second.shallow[1:])
    assert not torch.equal(first.prediction, second.prediction)


def test_autocast_to_bfloat16_stays_finite_and_near():
    model, batch = random_model(small_config()), random_batch(small_config())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(**batch)
    exact = model(**batch)
    assert torch.isfinite(mixed.prediction).all()
    torch.testing.assert_close(mixed.latents, exact.latents, rtol=0.1, atol=0.1)
    random_weights(mixed.losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.gpu
@torch.no_grad()
def test_the_accelerator_agrees_with_the_processor(monkeypatch):
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
        monkeypatch.setattr(backend, "allow_tf32", False)
    for config in CONFIGS.values():
        model, batch = random_model(config), random_batch(config, batch=14)
        here = model(**batch)
        batch["features"] = [x.cuda() for x in batch["features"]]  # masks and labels stay on the processor
        there = model.cuda()(**batch)
        for field in FIELDS:
            torch.testing.assert_close(
                getattr(there, field).cpu(), getattr(here, field), rtol=1e-3, atol=1e-3
            )


@pytest.mark.parametrize("name", ("model", "modalities", "blocks.prior"))
def test_the_examples_in_the_docstrings_run(name):
    module = importlib.import_module(f"dicmor_lib.{name}")
    result = doctest.testmod(module, extraglobs={"torch": torch}, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0 and result.failed == 0
