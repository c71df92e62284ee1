"""The switchboard of a joint prior: draws, bands, intervals, expected latents and class probabilities are the model's."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from dicmor_lib import MODALITIES, PATTERNS, DiCMoR, DiCMoRConfig
from dicmor_lib.course.trained import CourseModel
from dicmor_lib.data import Oracle, Standardiser, collate
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.intervals import Residuals, prediction_interval
from dicmor_lib.modalities import LETTERS, available_mask, pattern_mask
from dicmor_lib.plots import figure_alt
from dicmor_lib.training.density import fit_density
from dicmor_lib.widgets import (
    Switchboard,
    SwitchboardState,
    prepare_switchboard,
    render,
    render_switchboard,
    small_multiples,
    switchboard_shell,
)
from dicmor_lib.widgets.clips import shown_clips, training_frame
from dicmor_lib.widgets.switchboard_interval import complete_residuals
from dicmor_lib.widgets.switchboard_joint import DRAWS, LANES, draw_pattern, draws_band
from dicmor_lib.widgets.switchboard_joint_frame import PLANES
from dicmor_lib.widgets.switchboard_joint_picture import lane_curves
from dicmor_lib.widgets.switchboard_layer import DEPTH, ROWS, STRIP, USED, on_scale, to_inches
from dicmor_lib.widgets.switchboard_paint import Painter
from dicmor_lib.widgets.switchboard_words import moved_by
from tests.random_models import perturb
from tests.widgets import test_demo
from tests.widgets.test_demo import STATES
from tests.widgets.test_switchboard import by_gid, minus, pixels, written

D = 4
COUNT = 4


def joint_course(steps: int = 0, **changes) -> CourseModel:
    """A joint prior on the oracle with random weights, or with flows and prior trained for some steps."""
    oracle = Oracle(dims=(D, D, D), time=12, mean_length=7.0, sizes=(160, 60, 12))
    raw = oracle.dataset(seed=0)
    standardiser = Standardiser.fit(raw)
    clips = standardiser.apply(raw)
    settings = dict(hidden=D, heads=2, flow_layers=4, flow_width=12, fusion_layers=1, mixing="conv1x1")
    torch.manual_seed(0)
    model = DiCMoR(
        DiCMoRConfig.tiny((D, D, D), **settings | dict(prior="joint", shallow="identity") | changes)
    )
    if steps:
        fit_density(model, clips.train, steps=steps, seed=0)
    else:
        perturb(model)
    return CourseModel(model.eval(), model, clips, raw, standardiser, oracle)


@pytest.fixture(scope="module", params=[0, 30], ids=["random", "trained"])
def course(request):
    return joint_course(request.param)


@pytest.fixture(scope="module")
def prepared(course):
    return prepare_switchboard(course, COUNT)


@pytest.fixture(scope="module")
def random():
    return joint_course()


@pytest.fixture(scope="module")
def board(random):
    return prepare_switchboard(random, COUNT)


def with_draws(model: DiCMoR, draws: int) -> DiCMoR:
    """The same weights, predicting with so many draws."""
    other = DiCMoR(dataclasses.replace(model.config, draws=draws))
    other.load_state_dict(model.state_dict())
    return other.eval()


# --- what is prepared ---------------------------------------------------------------------------------


def test_predictions_and_recovered_means_are_the_models(course, prepared):
    batch, frame = collate(shown_clips(course, COUNT), range(COUNT)), training_frame(course)
    model = with_draws(course.model, DRAWS)
    assert prepared.joint.draws == prepared.clips.draws == DRAWS
    for pattern in PATTERNS:
        with torch.no_grad():
            out = model(batch.features, available_mask(pattern, COUNT), batch.lengths)
        np.testing.assert_allclose(prepared.clips.prediction[pattern], out.prediction, atol=1e-5)
        np.testing.assert_allclose(prepared.joint.posterior[pattern], out.class_posterior, atol=1e-6)
        np.testing.assert_array_equal(prepared.clips.recovered_lengths[pattern], out.lengths)
        for m in (m for m in range(3) if LETTERS[m] not in pattern):
            expected = frame.standardise(out.recovered[m].numpy(), m)
            np.testing.assert_allclose(prepared.clips.recovered[pattern][m], expected, atol=1e-4)
    prior = course.model.flow.prior.class_logits.softmax(0).detach()
    np.testing.assert_allclose(prepared.joint.posterior[""], prior.expand(COUNT, -1), atol=1e-6)


def test_bands_are_the_quantiles_of_the_draws(course, prepared):
    chosen, frame = shown_clips(course, COUNT), training_frame(course)
    for pattern in PATTERNS[:-1]:
        draws = draw_pattern(course.model, chosen, pattern, DRAWS).features.astype(np.float64)
        for m in (m for m in range(3) if LETTERS[m] not in pattern):
            ranked = np.sort(frame.standardise(draws[:, m], m), axis=0)
            # rank 0.1 (32 + 1) = 3.3 from below, and as much from above
            low, high = (0.7 * a + 0.3 * b for a, b in ((ranked[2], ranked[3]), (ranked[-3], ranked[-4])))
            np.testing.assert_allclose(prepared.joint.low[pattern][m], low, atol=1e-6)
            np.testing.assert_allclose(prepared.joint.high[pattern][m], high, atol=1e-6)
            for sample in range(COUNT):
                steps = chosen.lengths[sample][np.array(pattern_mask(pattern))].max()
                assert (low[sample, :steps] < high[sample, :steps]).all()


def test_a_band_holds_one_more_draw_as_often_as_it_says():
    draws = np.random.default_rng(0).gumbel(size=(DRAWS + 1, 20_000))
    low, high = draws_band(draws[:-1])
    inside = ((low <= draws[-1]) & (draws[-1] <= high)).mean()
    assert inside == pytest.approx(0.8, abs=0.012)  # four standard errors; linear quantiles give 0.76


def test_intervals_are_draws_plus_residuals_and_hold_the_middle_of_the_draws(course, prepared):
    known = complete_residuals(course.model, course.clips.valid)
    with torch.no_grad():
        batch = collate(course.clips.valid, range(60))
        out = course.model(batch.features, available_mask("lav", 60), batch.lengths)
    other = Residuals.of(out.prediction.numpy(), course.clips.valid.labels)
    np.testing.assert_allclose(known.residuals, other.residuals, atol=1e-5)
    assert prepared.calibrated == dict.fromkeys(STATES, 60)
    for pattern in PATTERNS:
        draws, interval = prepared.joint.predictions[pattern], prepared.joint.intervals[pattern]
        if pattern == "lav":
            np.testing.assert_array_equal(draws, draws[:1].repeat(DRAWS, 0))
            near = draws[0][:, None] + known.near(draws[0])
            np.testing.assert_allclose(interval, np.quantile(near, [0.1, 0.9], axis=1).T)
            continue
        np.testing.assert_allclose(interval, prediction_interval(draws, known, 0.8))
        assert (draws.std(axis=0) > 1e-5).all()
        for sample in range(COUNT):
            sums = (draws[:, sample, None] + known.near(draws[:, sample])).ravel()
            inside = (interval[sample, 0] <= sums) & (sums <= interval[sample, 1])
            assert inside.mean() == pytest.approx(0.8, abs=0.01)
            assert interval[sample, 0] < np.median(sums) < interval[sample, 1]
    labels = course.clips.valid.labels.astype(np.float64)
    np.testing.assert_allclose(prepared.joint.intervals[""][0], np.quantile(labels, [0.1, 0.9]))


def test_with_residuals_of_nought_an_interval_is_the_middle_of_the_draws(course):
    draws = draw_pattern(course.model, shown_clips(course, COUNT), "v", DRAWS).predictions
    sure = Residuals.of(np.linspace(-3, 3, 50), np.linspace(-3, 3, 50))
    low, high = prediction_interval(draws, sure, 0.8).T
    inside = (low <= draws) & (draws <= high)
    assert (inside.mean(axis=0) >= 0.75).all() and (high > low).all()


def test_expected_latents_are_those_of_the_prior(course, prepared):
    batch = collate(shown_clips(course, COUNT), range(COUNT))
    model, prior = course.model, course.model.flow.prior
    for pattern in PATTERNS:
        seen = available_mask(pattern, COUNT)
        with torch.no_grad():
            there = model.step_mask(batch.lengths * seen, batch.features[0].shape[1])
            z, _ = model.flow(torch.stack(batch.features) * there[..., None], there)
            expected = prior.expected(z, there, prior.posterior(z, there)).numpy()
        for m, plane in enumerate(prepared.planes):
            for sample in range(COUNT):
                found = plane.merged[pattern][sample]
                steps = 0 if LETTERS[m] in pattern else int(there[:, sample].sum(-1).max())
                assert np.isnan(found[steps:]).all()
                place = (expected[m, sample, :steps] - plane.centre) @ plane.axes.T
                np.testing.assert_allclose(found[:steps], place, atol=1e-5)
    assert np.isnan(prepared.planes[0].stand_in(0, "")).all()


def test_every_modality_has_the_plane_and_the_ellipses_of_its_own_marginal(course, prepared):
    prior = course.model.flow.prior
    mean, covariance = (x.detach().double().numpy() for x in (prior.mean, prior.covariance))
    for m, plane in enumerate(prepared.planes):
        block = slice(D * m, D * (m + 1))
        np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-6)
        middle = plane.priors[:, :, :-1].mean(axis=2)
        np.testing.assert_allclose(middle, (mean[:, block] - plane.centre) @ plane.axes.T, atol=1e-6)
        # an ellipse 1.8 sd out is where the Mahalanobis distance in the plane is 1.8
        flat = np.linalg.inv(plane.axes @ covariance[block, block] @ plane.axes.T)
        away = plane.priors - middle[:, :, None]
        squared = np.einsum("cit,ij,cjt->ct", away, flat, away)[:, :-1]
        np.testing.assert_allclose(squared, 1.8**2, rtol=0.02)
        assert np.abs(plane.priors).max() < plane.reach
        others = np.arange(3) != m
        assert np.isnan(plane.latents[others]).all() and np.isfinite(plane.place(0, m)).all()
    with pytest.raises(ConfigError, match="a plane of its own"):
        _ = prepared.plane


def test_what_a_pattern_hides_is_not_read_and_draws_are_fixed(course):
    chosen = shown_clips(course, COUNT)
    for pattern in PATTERNS:
        hidden = [
            x if letter in pattern else np.full_like(np.asarray(x), np.nan)
            for x, letter in zip(chosen.features, LETTERS)
        ]
        blind = dataclasses.replace(chosen, features=tuple(hidden))
        one, other = (draw_pattern(course.model, split, pattern, 8) for split in (chosen, blind))
        for field in dataclasses.fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
        assert np.isfinite(one.features).all() and np.isfinite(one.predictions).all()
    alone = draw_pattern(course.model, chosen.select([2]), "a", 8)
    among = draw_pattern(course.model, chosen, "a", 8)
    np.testing.assert_allclose(alone.predictions[:, 0], among.predictions[:, 2], atol=1e-5)


def test_a_clip_that_lacks_a_modality_is_drawn_for_as_if_it_were_hidden(random):
    chosen = shown_clips(random, COUNT)
    observed = chosen.observed.copy()
    observed[1], observed[2] = (True, False, True), (False, False, True)
    lacking = dataclasses.replace(chosen, observed=observed)
    whole = draw_pattern(random.model, lacking, "lav", 6)
    for sample, seen in ((0, "lav"), (1, "lv"), (2, "v")):
        same = draw_pattern(random.model, chosen, seen, 6)
        np.testing.assert_allclose(whole.predictions[:, sample], same.predictions[:, sample], atol=1e-5)
    nothing = draw_pattern(random.model, lacking, "la", 6)
    assert np.isnan(nothing.predictions[:, 2]).all() and np.isfinite(nothing.predictions[:, 1]).all()
    assert np.isnan(nothing.expected[:, 2]).all() and not nothing.features[:, :, 2].any()


# --- the picture --------------------------------------------------------------------------------------


@pytest.mark.parametrize("available", STATES)
@pytest.mark.parametrize(
    ("sample", "whole"), [(0, True), (1, False), (2, False)], ids=["0", "no audio", "vision"]
)
def test_what_is_drawn_is_what_the_draws_say(board, sample, whole, available):
    of = board if whole else dataclasses.replace(board, clips=test_demo.incomplete(board.clips))
    clips, view, seen = of.clips, of.joint, of.clips.seen(sample, available)
    figure = render_switchboard(SwitchboardState(sample, available), of)
    alt, texts, steps = figure_alt(figure), written(figure), clips.steps(sample)
    assert alt.startswith(f"Clip {sample + 1} of {COUNT}.") and not by_gid(figure, "merged")
    real = sum(len(of_line.get_segments()) for of_line in by_gid(figure, "lanes"))
    assert real == D * (clips.observed[sample].sum() + len(seen))
    for m, modality in enumerate(MODALITIES):
        drawn, hidden = seen and LETTERS[m] not in seen, LETTERS[m] not in seen
        band, mean = by_gid(figure, f"band {modality}"), by_gid(figure, f"mean of draws {modality}")
        star, truth = by_gid(figure, f"expected {modality}"), by_gid(figure, f"truth {modality}")
        assert bool(band) == bool(mean) == bool(star) == bool(drawn)
        assert bool(truth) == bool(drawn and clips.observed[sample, m])
        if own := by_gid(figure, f"mean {modality}"):
            assert (own[0].get_markerfacecolor() == "white") == hidden
        if not drawn:
            continue
        n = clips.recovered_lengths[seen][sample, m]
        sides = [
            lane_curves(s[seen][m, sample, :n], USED, ROWS[modality], steps) for s in (view.low, view.high)
        ]
        for lane, path in enumerate(band[0].get_paths()):
            np.testing.assert_allclose(path.vertices[: n + 2], sides[0][lane])
            np.testing.assert_allclose(path.vertices[n + 2 : 2 * n + 4], sides[1][lane][::-1])
        line = lane_curves(clips.made(sample, seen, m), USED, ROWS[modality], steps)
        np.testing.assert_allclose(mean[0].get_segments(), line)
        place = to_inches(of.planes[m].stand_in(sample, seen), PLANES[m], of.planes[m].reach)
        np.testing.assert_allclose(np.ravel(star[0].get_data()), place)
    _check_sentiment(of, sample, seen, figure, alt, texts)


def _check_sentiment(of, sample, seen, figure, alt, texts):
    view = of.joint
    (band,), low, high = by_gid(figure, "interval"), *of.interval(sample, seen)
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((on_scale(low), on_scale(high)))
    said = minus(f"{low:+.1f} to {high:+.1f}")
    assert said in texts and f"80 % interval {said} (" in alt
    ticks = by_gid(figure, "draws")
    assert bool(ticks) == bool(seen and seen != "lav")
    if ticks:
        assert "32 draws and residuals of validation clips" in alt
        places = [segment[0][0] for segment in ticks[0].get_segments()]
        np.testing.assert_allclose(places, [on_scale(v) for v in view.predictions[seen][:, sample]])
        assert any("the draws (ticks) and residuals" in text for text in texts)
    else:
        source = "(from residuals of validation" if seen else "(the middle of the validation labels)"
        assert source in alt and any(source.strip("()") in text for text in texts)
    for gid, law in (("posterior", view.posterior), ("classes", of.classes)):
        (bars,) = by_gid(figure, gid)
        heights = [np.ptp(path.vertices[:, 1]) for path in bars.get_paths()]
        np.testing.assert_allclose(np.array(heights) / sum(heights), law[seen][sample], atol=1e-6)
    assert by_gid(figure, "classes")[0].get_hatch() and not by_gid(figure, "posterior")[0].get_hatch()
    top = view.posterior[seen][sample]
    assert minus(f"({top.max() * 100:.0f} %) most probable") in alt
    hidden = sum(LETTERS[m] not in seen and of.clips.observed[sample, m] for m in range(3))
    assert alt.count(" is recovered in 32 draws, their mean correlates ") == (hidden if seen else 0)
    assert alt.count(" % of the true values") == (hidden if seen else 0)
    assert texts.count("nothing to go by") == (0 if seen else 3)


def test_a_lane_is_a_strip_cut_into_equal_rows():
    curves = lane_curves(np.array([[0.0, 9.0], [-2.5, -9.0], [1.25, 0.0]]), 1.0, 2.0, 6)
    assert curves.shape == (2, 5, 2)
    np.testing.assert_allclose(curves[0, :, 0] - 1.0, STRIP / 6 * np.array([0, 0.5, 1.5, 2.5, 3]))
    low, middle, high = 2.0 + 0.01, 2.0 + DEPTH / 4, 2.0 + DEPTH / 2
    np.testing.assert_allclose(curves[0, 1:3, 1], [middle, low])
    assert middle < curves[0, 3, 1] < high < curves[1, 3, 1] < curves[1, 1, 1]
    np.testing.assert_allclose(curves[1, 1:3, 1], [2.0 + DEPTH - 0.01, high + 0.01])
    np.testing.assert_array_equal(curves[:, [0, -1], 1], curves[:, [1, -2], 1])  # held to the edges


def test_a_toggle_leaves_a_ghost_where_a_latent_was_expected(board):
    state = SwitchboardState(1, "l").toggled("vision")
    figure = render_switchboard(state, board)
    old, new = (board.planes[1].stand_in(1, p) for p in ("l", "lv"))
    (way,) = by_gid(figure, "way audio")
    shown = to_inches(np.stack([old, new]), PLANES[1], board.planes[1].reach)
    np.testing.assert_allclose(np.transpose(way.get_data()), shown)
    assert moved_by(state, board, 1) == pytest.approx(np.hypot(*(new - old)))
    assert f"expected of audio moved by {np.hypot(*(new - old)):.2f}" in figure.alt
    # vision is there now: it leaves a ghost and goes nowhere
    assert by_gid(figure, "ghost vision") and not by_gid(figure, "way vision")
    assert moved_by(state, board, 2) is None and "expected of vision" not in figure.alt
    assert not by_gid(figure, "ghost language")


def test_layers_are_the_pure_function_and_pictures_are_deterministic(random, board):
    painter, state = Painter(board), SwitchboardState(0, "la")
    for modality in (*MODALITIES, "vision"):
        state = state.toggled(modality)
        np.testing.assert_array_equal(painter.pixels(state), pixels(render_switchboard(state, board)))
    again = prepare_switchboard(random, COUNT)
    np.testing.assert_array_equal(Painter(again).pixels(state), painter.pixels(state))
    small = Painter(board, dpi=50)
    assert len({small.pixels(SwitchboardState(0, p)).tobytes() for p in STATES}) == 8


def test_the_still_pictures_say_that_they_show_means(board):
    figure = small_multiples(board.clips, 0)
    assert "mean of 32 draws of those that are missing" in figure.alt
    assert any("mean of 32 draws" in text.get_text() for text in figure.axes[0].texts)
    assert "recovered as the mean of 32 draws" in render(SwitchboardState(0, "la"), board.clips).alt


# --- other models and data ----------------------------------------------------------------------------


def test_a_file_shows_the_models_classes_alone_and_few_clips_no_interval(random):
    few = {name: split.select(range(min(len(split), 9))) for name, split in random.clips.splits.items()}
    small = dataclasses.replace(random, oracle=None, clips=random.clips.replace_splits(few))
    prepared = prepare_switchboard(small, 2)
    assert not prepared.best and not prepared.has_interval(0, "l") and not prepared.has_interval(0, "")
    figure = render_switchboard(SwitchboardState(0, "l"), prepared)
    assert not by_gid(figure, "interval") and not by_gid(figure, "classes") and by_gid(figure, "draws")
    assert "too few validation clips" in figure.alt and "best possible" not in figure.alt
    assert "most probable." in figure.alt and "no band: too few validation clips" in written(figure)
    (bars,) = by_gid(figure, "posterior")
    heights = [np.ptp(path.vertices[:, 1]) for path in bars.get_paths()]
    np.testing.assert_allclose(np.array(heights) / sum(heights), prepared.joint.posterior["l"][0], atol=1e-6)


def test_more_channels_than_lanes_and_no_classes():
    course = joint_course(hidden=8, shallow="conv", prior_classes=1, draws=40)
    prepared = prepare_switchboard(course, 2)
    assert prepared.joint.draws == 40 and prepared.joint.channels.shape == (3, LANES)
    sd = training_frame(course).sd
    for row, channels in zip(sd, prepared.joint.channels):
        assert row[channels].min() >= np.delete(row, channels).max() and list(channels) == sorted(channels)
    figure = render_switchboard(SwitchboardState(0, "la"), prepared)
    assert len(by_gid(figure, "band vision")[0].get_paths()) == LANES
    assert not by_gid(figure, "posterior") and by_gid(figure, "classes") and "model finds" not in figure.alt
    assert any("4 of 8 channels (most varied)" in text.get_text() for text in figure.axes[0].texts)
    assert math.isfinite(prepared.guess(0, "la"))


# --- the shell ----------------------------------------------------------------------------------------


def test_the_shell_toggles_and_swallows_no_error(board, monkeypatch):
    shown = Switchboard(board, SwitchboardState(0, "la"))
    pictures = {shown.picture.value}
    for modality in MODALITIES:
        shown.toggles[modality].value ^= True
        assert figure_alt(render_switchboard(shown.state, board)) in shown.sentence.value
        pictures.add(shown.picture.value)
    assert len(pictures) == 4

    def broken(*_):
        raise ValueError("a deliberate error")

    monkeypatch.setattr(switchboard_shell, "describe_switchboard", broken)
    with pytest.raises(ValueError, match="deliberate"):
        shown.slider.value = 2
    assert 'role="alert"' in shown.sentence.value
