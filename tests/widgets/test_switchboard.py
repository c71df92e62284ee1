"""The switchboard: a pure function of a small state, layers that equal it, bands that hold, a shell that swallows nothing."""

from __future__ import annotations

import dataclasses
import io
import math
import re
import time

import numpy as np
import pytest
import torch
from PIL import Image

from dicmor_lib import MODALITIES, PATTERNS, DiCMoR, DiCMoRConfig
from dicmor_lib.bench import toggle
from dicmor_lib.course import course_model
from dicmor_lib.data import collate
from dicmor_lib.errors import ConfigError, PatternError
from dicmor_lib.modalities import LETTERS, available_mask, pattern_mask
from dicmor_lib.plots import figure_alt
from dicmor_lib.widgets import (
    Switchboard,
    SwitchboardState,
    conformal_half_width,
    prepare_switchboard,
    render_switchboard,
    switchboard,
    switchboard_shell,
)
from dicmor_lib.widgets.switchboard_clips import shown_clips
from dicmor_lib.widgets.switchboard_frame import NOW, on_scale, to_inches
from dicmor_lib.widgets.switchboard_interval import residuals
from dicmor_lib.widgets.switchboard_paint import Painter
from tests.widgets import test_demo
from tests.widgets.test_demo import STATES


@pytest.fixture(scope="module")
def course():
    return course_model()


@pytest.fixture(scope="module")
def prepared(course):
    return prepare_switchboard(course, 4)


def incomplete(prepared):
    """The same clips, of which the second has no audio and the third nothing but vision."""
    return dataclasses.replace(prepared, clips=test_demo.incomplete(prepared.clips))


def pixels(figure) -> np.ndarray:
    return test_demo.pixels(figure, 100)


def by_gid(figure, gid):
    return [artist for artist in figure.artists if artist.get_gid() == gid]


def written(figure) -> list[str]:
    return [a.get_text() for a in figure.artists if hasattr(a, "get_text")]


def minus(text: str) -> str:
    return text.replace("-", "\u2212")


# --- state --------------------------------------------------------------------------------------------


def test_a_state_remembers_one_toggle_and_refuses_what_cannot_be():
    state = SwitchboardState(2, "va").toggled("audio")
    assert state == SwitchboardState(2, "v", before="av")
    assert state.toggled("vision") == SwitchboardState(2, "", before="v")
    assert state.moved_to(0) == SwitchboardState(0, "v")
    for before, available in (("l", "l"), ("", "la"), ("av", "l"), ("", "")):
        with pytest.raises(ConfigError, match="no single toggle leads"):
            SwitchboardState(0, available, before)
    with pytest.raises(PatternError, match="'lx'"):
        SwitchboardState(0, "l", before="lx")
    with pytest.raises(ConfigError, match="clip -1"):
        SwitchboardState(-1)
    possible = 0
    for available in STATES:
        for before in (None, *STATES):
            try:
                SwitchboardState(0, available, before)
                possible += 1
            except ConfigError:
                pass
    assert possible == 32


# --- what is prepared ---------------------------------------------------------------------------------


def test_the_merged_latent_is_what_the_model_transfers(course, prepared):
    batch = collate(shown_clips(course, 4), range(4))
    plane = prepared.plane
    for pattern in PATTERNS[:-1]:
        with torch.inference_mode():
            out = course.model(batch.features, available_mask(pattern, 4), batch.lengths)
        for m in (m for m in range(3) if LETTERS[m] not in pattern):
            with torch.inference_mode():
                z = course.model.flow(out.transferred)[0][
                    m
                ].numpy()  # F^m undoes the inverse: the merged latent
            for sample in range(4):
                steps = int(out.lengths[sample, m])
                place = ((z[sample, :steps] - plane.centre) @ plane.axes.T).mean(axis=0)
                np.testing.assert_allclose(place, plane.stand_in(sample, pattern), atol=2e-3)
    for m, letter in enumerate(LETTERS):  # alone, a modality is its own mean
        np.testing.assert_allclose(plane.place(1, m), plane.stand_in(1, letter), atol=1e-5)
    assert np.isnan(plane.stand_in(0, "")).all()


def test_the_plane_keeps_lengths_and_the_ellipses_are_the_priors(course, prepared):
    plane = prepared.plane
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-6)
    mean = course.model.flow.prior.mean.detach().double().numpy()
    np.testing.assert_allclose(
        plane.priors[:, :, :-1].mean(axis=2), (mean - plane.centre) @ plane.axes.T, atol=1e-6
    )


def test_the_oracle_is_asked_for_what_is_available_only(course, prepared):
    ids = list(prepared.clips.ids)
    raw = course.raw.test.select([course.raw.test.ids.index(name) for name in ids])
    for pattern in PATTERNS:
        seen = np.tile(pattern_mask(pattern), (4, 1))
        best = course.oracle.bayes_prediction(raw.features, seen, raw.lengths)
        np.testing.assert_allclose(prepared.classes[pattern], best.posterior, atol=1e-12)
        np.testing.assert_array_equal(prepared.best[pattern], best.median)
    np.testing.assert_allclose(prepared.classes[""].sum(axis=1), 1)


def test_other_models_are_refused_and_a_file_has_no_bound(course):
    config = DiCMoRConfig.tiny(course.clips.feature_dims, two_source_merge="data_conv")
    with pytest.raises(ConfigError, match="no.*two_source_merge='data_conv'|has none"):
        prepare_switchboard(dataclasses.replace(course, model=DiCMoR(config)), 2)
    few = {name: split.select(range(min(len(split), 3))) for name, split in course.clips.splits.items()}
    small = dataclasses.replace(course, oracle=None, clips=course.clips.replace_splits(few))
    prepared = prepare_switchboard(small, 2)
    assert not prepared.best and set(prepared.classes) == {""}
    assert math.isinf(prepared.half_width["l"]) and prepared.calibrated["l"] == 3  # too few for a band
    figure = render_switchboard(SwitchboardState(0, "l"), prepared)
    assert not by_gid(figure, "interval") and "too few validation clips" in figure.alt
    assert "best possible" not in figure.alt and not any("\u00b1" in text for text in written(figure))


# --- bands --------------------------------------------------------------------------------------------


def test_the_half_width_is_a_rank_of_n_plus_one():
    errors = np.array([-5.0, 1, -2, 3, 4, -6, 7, 8, 9])
    assert conformal_half_width(errors, 0.8) == 8  # (9 + 1) 0.8 = 8, exactly
    assert conformal_half_width(errors, 0.81) == 9
    assert math.isinf(conformal_half_width(errors, 0.95)) and math.isinf(
        conformal_half_width(np.zeros(0), 0.5)
    )
    with pytest.raises(ConfigError, match="strictly between"):
        conformal_half_width(errors, 1.0)


def test_it_covers_what_it_promises_on_average_over_calibration_sets():
    rng = np.random.default_rng(0)
    inside = [abs(rng.gumbel()) <= conformal_half_width(rng.gumbel(size=20), 0.8) for _ in range(6000)]
    assert np.mean(inside) == pytest.approx(17 / 21, abs=0.02)  # k / (n + 1)


def test_bands_hold_on_test_clips(course, prepared):
    test = course.clips.test
    for pattern in ("l", "av", "lav"):
        errors = residuals(course.model, test, pattern)
        assert len(errors) == len(test) and prepared.calibrated[pattern] == len(course.clips.valid)
        covered = np.mean(np.abs(errors) <= prepared.half_width[pattern])
        assert abs(covered - 0.8) < 0.09, (
            pattern
        )  # three standard errors of 686 test and 229 validation clips
    rows = [test.ids.index(name) for name in prepared.clips.ids]
    np.testing.assert_allclose(
        errors[rows], prepared.clips.label - prepared.clips.prediction["lav"], atol=1e-4
    )
    blind = np.abs(test.labels - prepared.clips.blind) <= prepared.half_width[""]
    assert blind.mean() > 0.71


# --- the picture --------------------------------------------------------------------------------------


@pytest.mark.parametrize("available", STATES)
@pytest.mark.parametrize(
    ("sample", "whole"), [(0, True), (3, True), (1, False), (2, False)], ids=["0", "3", "no audio", "vision"]
)
def test_what_is_drawn_is_what_the_data_says(prepared, sample, whole, available):
    of = prepared if whole else incomplete(prepared)
    clips, seen = of.clips, of.clips.seen(sample, available)
    figure = render_switchboard(SwitchboardState(sample, available), of)
    alt, texts = figure_alt(figure), written(figure)
    assert alt.startswith(f"Clip {sample + 1} of 4.") and "true label" in alt

    images = [
        np.asarray(a.get_array()) for a in figure.artists if hasattr(a, "get_array") and hasattr(a, "origin")
    ]
    there = clips.observed[sample]
    expected = [clips.true[m, sample, : clips.lengths[sample, m]].T for m in range(3) if there[m]]
    for m in range(3):
        if LETTERS[m] in seen:
            expected.append(clips.true[m, sample, : clips.lengths[sample, m]].T)
        elif seen:
            expected.append(clips.recovered[seen][m, sample, : clips.recovered_lengths[seen][sample, m]].T)
    assert len(images) == len(expected)
    for one, other in zip(images, expected):
        np.testing.assert_array_equal(one, other)

    for m, modality in enumerate(MODALITIES):
        (mean,) = by_gid(figure, f"mean {modality}") if there[m] else (None,)
        if mean is not None:
            np.testing.assert_allclose(np.ravel(mean.get_data()), to_inches(of.plane.place(sample, m)))
            assert (mean.get_markerfacecolor() == "white") == (LETTERS[m] not in seen)
    star = by_gid(figure, "merged")
    assert bool(star) == bool(seen)
    if seen:
        np.testing.assert_allclose(np.ravel(star[0].get_data()), to_inches(of.plane.stand_in(sample, seen)))
    (band,) = by_gid(figure, "interval")
    low, high = of.interval(sample, seen)
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((on_scale(low), on_scale(high)))
    number = minus(f"{of.guess(sample, seen):+.1f}")
    assert any(text.startswith(number) and "\u00b1" in text for text in texts)
    (bars,) = by_gid(figure, "classes")
    heights = [path[1, 1] - path[0, 1] for path in bars.get_segments()]
    np.testing.assert_allclose(np.array(heights) / sum(heights), of.classes[seen][sample], atol=1e-6)
    (best,) = by_gid(figure, "best")
    assert best.get_xdata()[0] == pytest.approx(on_scale(of.best[seen][sample]))
    _check_words(of, sample, seen, alt, texts)


def _check_words(of, sample, seen, alt, texts):
    hidden = sum(LETTERS[m] not in seen and of.clips.observed[sample, m] for m in range(3))
    if not seen:
        assert "Nothing is available" in alt and "blind guess" in alt and texts.count("nothing") == 3
        assert any("nothing to recover from" in text for text in texts) and "blind guess" in texts
        return
    assert alt.count(" is recovered and correlates ") == hidden
    assert sum(text.startswith("recovered") for text in texts) == 3 - len(seen)
    assert minus(f"Prediction {of.guess(sample, seen):+.1f}, 80 % interval") in alt and "prediction" in texts


def test_the_star_leaves_a_ghost_where_it_was(prepared):
    state = SwitchboardState(1, "l").toggled("vision")
    figure = render_switchboard(state, prepared)
    (ghost,), (way,) = by_gid(figure, "ghost"), by_gid(figure, "way")
    old, new = prepared.plane.stand_in(1, "l"), prepared.plane.stand_in(1, "lv")
    np.testing.assert_allclose(np.ravel(ghost.get_data()), to_inches(old))
    np.testing.assert_allclose(np.transpose(way.get_data()), to_inches(np.stack([old, new])))
    assert f"moved by {np.hypot(*(new - old)):.2f}" in figure.alt
    last = render_switchboard(SwitchboardState(1, "v").toggled("vision"), prepared)
    assert by_gid(last, "ghost") and not by_gid(last, "way") and "moved by" not in last.alt
    first = render_switchboard(SwitchboardState(1, "").toggled("vision"), prepared)
    assert by_gid(first, "merged")[0].get_color() == NOW and not by_gid(first, "ghost")


def test_layers_are_pixel_by_pixel_the_pure_function(prepared):
    painter = Painter(prepared)
    state = SwitchboardState(0, "la")
    for modality in (*MODALITIES, "vision", "audio"):
        state = state.toggled(modality)
        np.testing.assert_array_equal(painter.pixels(state), pixels(render_switchboard(state, prepared)))
    state = state.moved_to(3)
    np.testing.assert_array_equal(painter.pixels(state), pixels(render_switchboard(state, prepared)))
    left, right = (Image.open(io.BytesIO(half)) for half in painter.halves(state))
    np.testing.assert_array_equal(np.hstack([left, right]), painter.pixels(state))
    with pytest.raises(ConfigError, match="clip 4 does not exist"):
        painter.pixels(SwitchboardState(4))
    with pytest.raises(ConfigError, match="clip 4 does not exist"):
        render_switchboard(SwitchboardState(4), prepared)


def test_every_state_has_a_picture_of_its_own(prepared):
    painter = Painter(prepared, dpi=50)
    pictures = {painter.pixels(SwitchboardState(0, p)).tobytes() for p in STATES}
    assert len(pictures) == 8


# --- the shell ----------------------------------------------------------------------------------------


def test_toggling_changes_picture_and_sentence_and_remembers(prepared):
    board = Switchboard(prepared, SwitchboardState(0, "la"))
    shown = {(board.picture.value, board.sentence.value)}
    for modality, available in (("vision", "lav"), ("language", "av"), ("audio", "v"), ("vision", "")):
        before = board.state.available
        board.toggles[modality].value ^= True
        assert board.state == SwitchboardState(0, available, before)
        assert figure_alt(render_switchboard(board.state, prepared)) in board.sentence.value
        shown.add((board.picture.value, board.sentence.value))
    assert len({picture for picture, _ in shown}) == len({said for _, said in shown}) == 5
    board.slider.value = 3
    assert board.state == SwitchboardState(2, "") and "Clip 3 of 4" in board.sentence.value
    assert not [o for child in board.box.children for o in getattr(child, "outputs", ())]


def test_the_words_of_the_picture_are_the_status_line(prepared):
    board = Switchboard(prepared, SwitchboardState(1, "av"))
    label = re.search(r'role="img" aria-label="([^"]+)"', board.picture.value)[1]
    assert label in board.sentence.value and 'role="status"' in board.sentence.value
    assert (
        board.picture.value.count('<img alt=""') == 2
    )  # two halves, which a narrow page puts below each other
    assert board.box.children[1] is board.sentence  # near the buttons, so that a phone shows both
    for modality, button in board.toggles.items():
        assert modality in button.description and button.description.startswith("no ") != button.value


def test_an_error_is_shown_and_raised_and_the_next_click_works(prepared, monkeypatch):
    board = Switchboard(prepared, SwitchboardState(0, "la"))

    def broken(*_):
        raise ValueError("a <deliberate> error")

    monkeypatch.setattr(switchboard_shell, "describe_switchboard", broken)
    with pytest.raises(ValueError, match="deliberate"):
        board.toggles["vision"].value = True
    assert 'role="alert"' in board.sentence.value and "a &lt;deliberate&gt; error" in board.sentence.value
    monkeypatch.undo()
    board.toggles["audio"].value = False
    assert board.state == SwitchboardState(0, "lv") and "Prediction" in board.sentence.value


def test_kept_pictures_are_bounded(prepared, monkeypatch):
    monkeypatch.setattr(switchboard_shell, "KEPT", 3)
    board = Switchboard(prepared, SwitchboardState(0, "la"))
    for modality in (*MODALITIES, *MODALITIES):
        board.toggles[modality].value ^= True
    assert len(board._drawn) == 3


def test_without_a_kernel_there_is_a_picture_with_words(course, prepared):
    data, metadata = switchboard(course, "av", 1, prepared=prepared)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == metadata["image/png"]["alt"] and "Clip 2 of 4" in data["text/plain"]


# --- speed --------------------------------------------------------------------------------------------


def test_a_toggle_is_drawn_quickly(prepared):
    board = Switchboard(prepared, SwitchboardState(0, "la"))
    spent = []
    for modality in (*MODALITIES, *reversed(MODALITIES)):
        start = time.process_time()
        board.toggles[modality].value ^= True
        spent.append(time.process_time() - start)
    assert min(spent) < 0.15, spent  # 0.05 on an idle machine; what else it does only ever adds time


def test_the_benchmark_prints_its_medians(capsys, monkeypatch, prepared, tmp_path):
    monkeypatch.setattr(toggle, "prepare_switchboard", lambda course, clips: prepared)
    monkeypatch.setattr(toggle, "mosi_course", lambda: None)
    assert toggle.main(["--clips", "1", "--json", str(tmp_path / "times.json")]) == 0
    printed = capsys.readouterr().out
    assert (
        "tiny, shipped" in printed and "mosi, untrained" in printed and "from toggle to picture: " in printed
    )
    assert (tmp_path / "times.json").exists()


def test_a_model_as_large_as_the_papers_can_be_switched():
    course = toggle.mosi_course(sizes=(12, 6, 4))
    assert course.model.config == DiCMoRConfig.mosi(course.clips.feature_dims)
    few = prepare_switchboard(course, 2)
    assert "Prediction" in render_switchboard(SwitchboardState(0, "la"), few).alt
