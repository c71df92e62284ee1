"""The demo: what is drawn is a pure function of the state, and the shell around it is thin and swallows nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from dicmor_lib import MODALITIES, PATTERNS
from dicmor_lib.course import course_model
from dicmor_lib.data import collate
from dicmor_lib.errors import ConfigError, DataError, PatternError
from dicmor_lib.modalities import LETTERS, available_mask
from dicmor_lib.plots import figure_alt
from dicmor_lib.plots.style import png_bytes
from dicmor_lib.widgets import (
    Demo,
    DemoState,
    RecoveredClips,
    clips,
    demo,
    prepare,
    render,
    shell,
    small_multiples,
)

ROOT = Path(__file__).resolve().parents[2]
STATES = ("", *PATTERNS)


@pytest.fixture(scope="module")
def course():
    return course_model()


@pytest.fixture(scope="module")
def shown(course) -> RecoveredClips:
    return prepare(course, 4)


def incomplete(shown: RecoveredClips) -> RecoveredClips:
    """The same clips, of which the second has no audio and the third nothing but vision."""
    observed = shown.observed.copy()
    observed[1] = True, False, True
    observed[2] = False, False, True
    return dataclasses.replace(shown, observed=observed)


def pixels(figure, dpi=40) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png_bytes(figure, dpi))).convert("RGB"))


# --- state and data -----------------------------------------------------------------------------------


def test_a_state_toggles_and_refuses_nonsense():
    state = DemoState(2, "va")
    assert state == DemoState(2, "av") and state.toggled("vision") == DemoState(2, "a")
    assert (
        state.toggled("language") == DemoState(2, "lav") and state.toggled("audio").toggled("audio") == state
    )
    assert DemoState(0, "l").toggled("language").available == ""
    with pytest.raises(PatternError, match="'x'"):
        DemoState(0, "x")
    with pytest.raises(ConfigError, match="clip -1 does not exist"):
        DemoState(-1)


def test_what_is_prepared_is_what_the_model_says(course, shown):
    test = course.clips.test
    rows = [test.ids.index(name) for name in shown.ids]
    assert rows == sorted(rows) and len(shown) == 4  # the first that are long enough, in their order
    assert (test.lengths[rows].max(axis=1) >= clips.SHORTEST).all()
    batch = collate(test, rows)
    for pattern in PATTERNS:
        with torch.no_grad():
            out = course.model(batch.features, available_mask(pattern, 4), batch.lengths)
        np.testing.assert_allclose(shown.prediction[pattern], out.prediction, atol=1e-5)
        for m, letter in enumerate(LETTERS):
            recovered = shown.recovered[pattern][m]
            if letter not in pattern:
                steps = shown.lengths[0, m]
                flat = [x[0, :steps].ravel() for x in (recovered, shown.true[m])]
                assert shown.agreement(0, pattern, m) == pytest.approx(np.corrcoef(*flat)[0, 1])
    assert shown.blind == np.median(course.clips.train.labels) and shown.synthetic
    assert np.abs(shown.true.mean()) < 0.5 and 0.3 < shown.true.std() < 1.5  # in training standard deviations


def test_few_and_short_clips_are_enough(course):
    test = course.clips.test
    short = np.flatnonzero(test.lengths.max(axis=1) < clips.SHORTEST)[:3]
    few = dataclasses.replace(
        course, clips=course.clips.replace_splits(course.clips.splits | {"test": test.select(short)})
    )
    assert len(prepare(few)) == 3
    assert len(prepare(few, 2)) == 2
    nothing = test.select([])
    for splits in ({"test": nothing}, {"test": nothing, "valid": nothing}):
        others = dataclasses.replace(course, clips=course.clips.replace_splits(course.clips.splits | splits))
        assert len(prepare(others, 2)) == 2  # from the validation or the training clips
    empty = course.clips.replace_splits(dict.fromkeys(("train", "valid", "test"), nothing))
    with pytest.raises(DataError, match="has no clip to show"):
        prepare(dataclasses.replace(course, clips=empty))
    with pytest.raises(ConfigError, match="choose 1 to 64"):
        prepare(course, 65)


def test_data_that_lacks_a_modality_altogether_is_prepared(course):
    test = course.clips.test.select(range(5))
    part = dataclasses.replace(
        test, observed=test.observed & [True, True, False], lengths=test.lengths * np.array([1, 1, 0])
    )
    lacking = prepare(
        dataclasses.replace(course, clips=course.clips.replace_splits(course.clips.splits | {"test": part}))
    )
    assert np.isnan(lacking.prediction["v"]).all() and np.isfinite(lacking.prediction["la"]).all()
    assert "Nothing is available" in figure_alt(render(DemoState(0, "v"), lacking))
    assert "Vision is recovered" not in figure_alt(
        render(DemoState(0, "a"), lacking)
    )  # no truth to hold it against
    figure_alt(small_multiples(lacking, 0))


# --- the picture --------------------------------------------------------------------------------------


@pytest.mark.parametrize("available", STATES)
@pytest.mark.parametrize(
    ("sample", "whole"), [(0, True), (1, False), (2, False)], ids=["all", "no audio", "vision"]
)
def test_every_state_renders_and_says_what_it_shows(shown, sample, whole, available):
    of = shown if whole else incomplete(shown)
    figure = render(DemoState(sample, available), of)
    alt = figure_alt(figure)
    seen = of.seen(sample, available)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert alt.startswith(f"Clip {sample + 1} of 4.") and "true label" in alt and len(alt) > 40
    if not seen:
        assert "Nothing is available" in alt and "at least one modality" in alt
        assert any("no prediction" in text for text in written) and "nothing to recover from" in written
        return
    for m, modality in enumerate(MODALITIES):
        missing = LETTERS[m] not in seen and of.observed[sample, m]
        assert (f"{modality.capitalize()} is recovered and correlates" in alt) == missing
    assert sum(text.startswith("recovered") for text in written) == 3 - len(seen)
    said = f"{of.prediction[seen][sample]:+.1f}".replace("-", "\u2212")
    assert f"Prediction {said}," in alt and said in written
    assert ("not in this clip" in written) == (not of.observed[sample].all())


def test_a_picture_is_a_pure_function_of_its_state(shown):
    before = {p: shown.recovered[p].copy() for p in PATTERNS}
    state = DemoState(1, "av")
    np.testing.assert_array_equal(pixels(render(state, shown)), pixels(render(state, shown)))
    assert all((before[p] == shown.recovered[p]).all() for p in PATTERNS)
    pictures = [pixels(render(DemoState(1, p), shown)) for p in STATES]
    for one, other in itertools.combinations(pictures, 2):
        assert (one != other).any()
    with pytest.raises(ConfigError, match="clip 4 does not exist; there are 4"):
        render(DemoState(4), shown)


def test_the_heat_shows_the_features_of_the_recovered_modality(shown):
    figure = render(DemoState(0, "la"), shown)
    images = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    steps = shown.lengths[0, 2]
    assert len(images) == 6
    np.testing.assert_array_equal(images[4], shown.true[2, 0, :steps].T)  # vision as it is
    np.testing.assert_array_equal(images[5], shown.recovered["la"][2, 0, :steps].T)  # and as it is recovered
    np.testing.assert_array_equal(images[0], images[1])  # language was seen


def test_the_still_version_shows_all_seven_patterns(shown):
    for sample in range(3):
        for of in (shown, incomplete(shown)):
            figure = small_multiples(of, sample)
            written = [text.get_text() for text in figure.axes[0].texts]
            assert set(PATTERNS) <= set(written)
            for pattern in PATTERNS:
                seen = of.seen(sample, pattern)
                said = f"{of.prediction[seen][sample]:+.1f}".replace("-", "\u2212") if seen else "none"
                assert f"{pattern} {said}" in figure_alt(figure)
    with pytest.raises(ConfigError, match="clip 9"):
        small_multiples(shown, 9)


# --- the shell ----------------------------------------------------------------------------------------


def errors_in(widget: ipywidgets.Widget) -> list:
    """Errors that an Output widget swallowed, anywhere below."""
    found = [o for o in getattr(widget, "outputs", ()) if o.get("output_type") == "error"]
    return found + [e for child in getattr(widget, "children", ()) for e in errors_in(child)]


def test_toggling_changes_picture_prediction_and_words(shown):
    widget = Demo(shown, DemoState(0, "la"))
    assert widget.state == DemoState(0, "la") and not widget.toggles["vision"].value
    seen = {(widget.picture.value, widget.sentence.value)}
    for modality, state in (("vision", "lav"), ("language", "av"), ("audio", "v"), ("vision", "")):
        widget.toggles[modality].value ^= True
        assert widget.state.available == state
        assert figure_alt(render(widget.state, shown)) in widget.sentence.value
        seen.add((widget.picture.value, widget.sentence.value))
    assert len(seen) == len({picture for picture, _ in seen}) == 5
    assert "Nothing is available" in widget.sentence.value
    widget.slider.value = 3
    assert widget.state.sample == 2 and "Clip 3 of 4" in widget.sentence.value
    assert not errors_in(widget.box)


def test_controls_are_labelled_and_the_image_has_its_words(shown):
    widget = Demo(shown, DemoState(0, "la"))
    for modality, button in widget.toggles.items():
        assert modality in button.description and modality in button.tooltip
        assert button.description.startswith("no ") != button.value  # not by colour or icon alone
    assert widget.slider.description == "clip" and (widget.slider.min, widget.slider.max) == (1, 4)
    alt = re.search(r'alt="([^"]+)"', widget.picture.value)[1]
    assert alt in widget.sentence.value and 'role="status"' in widget.sentence.value


def test_an_error_in_a_callback_is_shown_and_raised(shown, monkeypatch):
    widget = Demo(shown, DemoState(0, "la"))

    def broken(*_):
        raise ValueError("a <deliberate> error")

    monkeypatch.setattr(shell, "render", broken)
    with pytest.raises(ValueError, match="deliberate"):
        widget.toggles["vision"].value = True
    assert 'role="alert"' in widget.sentence.value and "a &lt;deliberate&gt; error" in widget.sentence.value
    monkeypatch.undo()
    widget.toggles["audio"].value = False  # and the next click works again
    assert "Prediction" in widget.sentence.value


def test_a_state_is_drawn_once(shown, monkeypatch):
    widget = Demo(shown, DemoState(0, "la"))
    for modality in (*MODALITIES, *MODALITIES):
        widget.toggles[modality].value ^= True
    monkeypatch.setattr(shell, "render", lambda *_: pytest.fail("drawn twice"))
    for modality in (*MODALITIES, *MODALITIES):
        widget.toggles[modality].value ^= True


def test_in_a_kernel_all_states_of_a_clip_are_drawn_ahead(shown, monkeypatch):
    async def click_through() -> None:
        widget = Demo(shown, DemoState(0, "la"))
        for sample in (0, 2):
            widget.slider.value = sample + 1
            while any(DemoState(sample, p) not in widget._drawn for p in STATES):
                await asyncio.sleep(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(shell, "render", lambda *_: pytest.fail("drawn at the click"))
            for modality in (*MODALITIES, *MODALITIES):
                widget.toggles[modality].value ^= True

    # in a thread of its own: a browser test in this process leaves its event loop running in the main one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(click_through(), 60)).result()


def test_without_a_kernel_there_is_a_picture_with_words(course):
    widget = demo(course, available="av", sample=1, count=3)
    data, metadata = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert (
        data["text/plain"] == metadata["image/png"]["alt"]
        and "Available: audio and vision" in data["text/plain"]
    )
    assert Image.open(io.BytesIO(data["image/png"])).width == 1500


def test_no_committed_chapter_holds_a_widget_without_its_kernel():
    """JupyterLab would show an error in its place; the picture beside it is what a reader should see."""
    for chapter in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(chapter, as_version=4)
        assert "widgets" not in notebook.metadata
        for output in (o for cell in notebook.cells for o in cell.get("outputs", ())):
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {}), chapter.name
