from __future__ import annotations

import io
import itertools

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from dicmor_lib import plots
from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.metrics import METRICS
from dicmor_lib.evaluation.recovery import RecoveryErrors
from dicmor_lib.evaluation.table import REQUIRED_BASELINES, EvaluationTable, Row
from dicmor_lib.modalities import MODALITIES, PATTERNS
from dicmor_lib.plots.drawing import canvas


def history(stage_two: bool = True) -> list[dict[str, float]]:
    rows = [dict(stage=1, epoch=e, task=2 / e, valid_mae=1.5 / e + 0.5, is_best=1) for e in range(1, 5)]
    for e in range(1, 7 if stage_two else 1):
        terms = {f"{term}_{m}": (k + 1) / e for term in ("nll", "recovery") for k, m in enumerate(MODALITIES)}
        rows.append(dict(stage=2, epoch=e, task=3 / e, valid_mae=2 / e + 0.5, is_best=int(e == 3), **terms))
    return rows


def table(**info) -> EvaluationTable:
    rng, rows = np.random.default_rng(0), []
    for pattern, method in itertools.product(PATTERNS, ("DiCMoR", *REQUIRED_BASELINES)):
        metrics = {
            m: Estimate(v, v - 0.05, v + 0.05) for m, v in zip(METRICS, rng.uniform(0.4, 0.8, len(METRICS)))
        }
        if method == "majority":
            metrics["pearson"] = Estimate(*[float("nan")] * 3)
        rows.append(Row(pattern, method, "model" if method == "DiCMoR" else "imputer", 50, metrics))
    return EvaluationTable(tuple(rows), {"split": "test", "seed": 0, "resamples": 10, "level": 0.95} | info)


def recovery() -> RecoveryErrors:
    rng = np.random.default_rng(0)
    cases = [("l", "audio"), ("l", "vision"), ("av", "language")]
    return RecoveryErrors(
        {(*case, m): rng.uniform(0.5, 1.5, 20) for case in cases for m in ("DiCMoR", "ridge")}
    )


def clouds() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(3, 40, 6))
    return {"before": latents + np.arange(3)[:, None, None], "after": latents}, rng.uniform(-3, 3, 40)


def a_clip() -> plots.HouseFigure:
    rng = np.random.default_rng(0)
    return plots.sequence_view([rng.normal(size=(10, d)) for d in (30, 4, 5)], [7, 0, 10], title="one")


@pytest.fixture(scope="module")
def figures() -> dict[str, plots.HouseFigure]:
    return {
        "loss": plots.loss_curves(history()),
        "latents": plots.latent_clouds(*clouds()),
        "patterns": plots.pattern_figure(table()),
        "recovery": plots.recovery_figure(recovery()),
        "clip": a_clip(),
    }


def test_every_figure_says_in_words_what_it_shows(figures):
    for name, figure in figures.items():
        alt = plots.figure_alt(figure)
        assert len(alt.split()) >= 12 and alt.endswith("."), name
    assert "10 epochs of stage 1 and stage 2" in figures["loss"].alt
    assert "language 1.00 to 0.17" in figures["loss"].alt
    assert "language has 7 of 10 steps and 30 channels, audio has 0 of 10" in figures["clip"].alt
    assert "after: the modalities' means are at most" in figures["latents"].alt


@pytest.mark.parametrize("name", ["loss", "clip"])
def test_pixels_repeat_and_do_not_depend_on_the_callers_style(figures, name):
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        again = plots.loss_curves(history()) if name == "loss" else a_clip()
        content = plots.style.png_bytes(again, dpi=40)
    assert content == plots.style.png_bytes(figures[name], dpi=40)
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert pixels.std() > 5  # something is drawn


def test_all_text_can_be_read_at_half_size(figures):
    for name, figure in figures.items():
        width = figure.get_size_inches()[0]
        for text in figure.findobj(mpl.text.Text):
            if text.get_text() and text.get_visible():
                # On a page 7 inches wide at half size a letter of this many points stays above 3.5.
                assert text.get_fontsize() * 7 / width / 2 >= 3, (name, text.get_text())


def test_the_house_style_does_not_leak():
    before = dict(mpl.rcParams)
    plots.sequence_view([np.ones((3, 2))] * 3, [3, 3, 3])
    assert dict(mpl.rcParams) == before


def test_a_notebook_gets_the_alternative_text_with_the_image(figures):
    data, metadata = figures["loss"]._repr_mimebundle_()
    assert Image.open(io.BytesIO(data["image/png"])).width >= 1100  # wide enough to be halved
    assert data["image/png"].startswith(b"\x89PNG") and metadata["image/png"]["alt"] == figures["loss"].alt


def test_the_image_of_a_notebook_is_small_and_looks_the_same(figures):
    data, _ = figures["loss"]._repr_mimebundle_()
    full = plots.style.png_bytes(figures["loss"])
    assert len(data["image/png"]) < 0.6 * len(full)
    few, all_colours = (
        np.asarray(Image.open(io.BytesIO(b)).convert("RGB"), dtype=float) for b in (data["image/png"], full)
    )
    assert np.abs(few - all_colours).mean() < 2.0  # of 255
    for colour in plots.MODALITY_COLOURS.values():
        wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(few - wanted).max(axis=2).min() < 8, "a house colour has changed"


def test_a_clip_may_be_called_what_it_likes():
    figure = plots.sequence_view([np.ones((3, 2))] * 3, [3, 3, 3], title="mmmo014$_$0")
    assert plots.style.png_bytes(figure, dpi=40)


def test_transparent_corners_become_white_in_a_notebook():
    figure, _ = canvas(3, 2)
    figure.alt = "An empty card"
    data, _ = figure._repr_mimebundle_()
    assert Image.open(io.BytesIO(data["image/png"])).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_saved_figures_repeat_and_carry_their_text(figures, tmp_path):
    for suffix in ("png", "svg"):
        one = plots.save_figure(figures["patterns"], tmp_path / "new" / f"one.{suffix}").read_bytes()
        two = plots.save_figure(figures["patterns"], tmp_path / f"two.{suffix}").read_bytes()
        assert one == two
    assert Image.open(tmp_path / "two.png").text["Description"] == figures["patterns"].alt
    with pytest.raises(ConfigError, match="ends in '.gif'"):
        plots.save_figure(figures["patterns"], tmp_path / "one.gif")
    with pytest.raises(ConfigError, match="no alternative text"):
        plots.save_figure(plots.new_figure(), tmp_path / "one.png")


def test_loss_curves_show_every_term_the_selected_epochs_and_the_second_stage():
    figure = plots.loss_curves(history())
    error, nll, rec = figure.axes
    task, valid, ring, *_ = error.lines
    np.testing.assert_allclose(task.get_ydata(), [row["task"] for row in history()])
    np.testing.assert_allclose(valid.get_xdata(), range(1, 11))
    assert ring.get_xydata().tolist() == [
        [4, 0.875],
        [7, 2 / 3 + 0.5],
    ]  # last best of stage 1, best of stage 2
    for panel in (nll, rec):
        assert [line.get_label() for line in panel.lines[:3]] == list(MODALITIES)
        assert panel.lines[0].get_xdata().tolist() == list(range(5, 11))
        assert panel.lines[3].get_xdata()[0] == 4.5


def test_modalities_differ_by_line_as_well_as_by_colour():
    for encoding in (plots.MODALITY_COLOURS, plots.MODALITY_LINES, plots.MODALITY_MARKERS):
        assert list(encoding) == list(MODALITIES) and len(set(map(str, encoding.values()))) == 3
    assert len(set(zip(plots.CLASS_COLOURS, plots.CLASS_MARKERS))) == 7
    assert len(set(plots.style.SERIES_COLOURS)) == len(set(plots.style.SERIES_MARKERS)) == 7


def test_loss_curves_of_stage_one_alone_say_that_the_rest_comes_later():
    figure = plots.loss_curves(history(stage_two=False))
    assert [t.get_text() for t in figure.axes[1].texts] == ["only trained in stage 2"]
    assert "stage 2" not in figure.alt


def test_loss_curves_read_a_metrics_file(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("stage,epoch,task,valid_mae,is_best,nll_language\n1,1,2.0,1.5,1,\n2,1,1.0,1.2,1,3.5\n")
    figure = plots.loss_curves(path)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [2, 1]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[2, 3.5]]
    with pytest.raises(DataError, match="cannot be read"):
        plots.loss_curves(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="no epoch"):
        plots.loss_curves([])


def test_clip_latents_are_means_over_valid_steps():
    latents = np.arange(24.0).reshape(3, 2, 4, 1)
    means = plots.clip_latents(latents, np.array([[1, 2, 4], [3, 0, 1]]))
    assert means[..., 0].tolist()[0] == [0, 5] and means[2, 0, 0] == 17.5 and np.isnan(means[1, 1, 0])
    with pytest.raises(ShapeError, match="lengths"):
        plots.clip_latents(latents, np.ones((3, 2)))


def test_clouds_of_one_row_share_their_axes_and_principal_plane():
    stages, label = clouds()
    figure = plots.latent_clouds(stages, label)
    before = figure.axes[:3]
    assert len({panel.get_xlim() + panel.get_ylim() for panel in before}) == 1
    flat = stages["before"].reshape(-1, 6)
    variance = np.linalg.eigvalsh(np.cov(flat.T))[::-1]
    drawn = np.concatenate([c.get_offsets() for panel in before for c in panel.collections])
    np.testing.assert_allclose(np.var(drawn, axis=0, ddof=1), variance[:2], rtol=1e-8)


def test_clouds_come_with_two_halves_of_one_modality_as_the_noise_floor():
    stages, label = clouds()
    figure = plots.latent_clouds(stages, label)
    assert [p.get_title(loc="left") for p in figure.axes[3::4]] == ["noise floor: two halves"] * 2
    language = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    dots, rings = (np.asarray(c.get_offsets()) for c in figure.axes[3].collections)
    assert len(dots) == len(rings) == 20 and figure.axes[3].get_xlim() == figure.axes[0].get_xlim()
    np.testing.assert_allclose(np.sort(np.concatenate([dots, rings]), 0), np.sort(language, 0))
    assert "those of the noise floor's halves" in figure.alt


def test_clouds_leave_out_clips_whose_modality_does_not_exist():
    stages, label = clouds()
    latents = stages["after"].copy()
    latents[0, :10] = np.nan
    figure = plots.latent_clouds({"after": latents}, label)
    points = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    assert np.isfinite(np.asarray(points)).all(axis=1).sum() == 30
    with pytest.raises(ShapeError, match="'after' must have shape"):
        plots.latent_clouds({"after": latents[:, 1:]}, label)
    with pytest.raises(DataError, match="no latents"):
        plots.latent_clouds({}, label)


def test_pattern_figure_draws_every_value_and_interval():
    results = table(synthetic=True, majority_share=0.6)
    figure = plots.pattern_figure(results, "acc2")
    panel = figure.axes[0]
    for container, method in zip(panel.containers, results.methods, strict=True):
        values = [results.value(pattern, method, "acc2") for pattern in PATTERNS]
        np.testing.assert_allclose(container.lines[0].get_ydata(), values)
        ends = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
        np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 0.1)
    assert "synthetic data" in panel.get_title(loc="left") and "synthetic data" in figure.alt
    assert "larger class" in [t.get_text() for t in figure.legends[0].get_texts()]
    with pytest.raises(ConfigError, match="no metric 'auc'"):
        plots.pattern_figure(results, "auc")


def test_a_metric_that_does_not_exist_is_not_told():
    assert "majority" not in plots.pattern_figure(table(), "pearson").alt


def test_a_method_looks_the_same_in_every_figure():
    table_looks = {c.get_label(): c.lines[0] for c in plots.pattern_figure(table()).axes[0].containers}
    recovery_looks = {c.get_label(): c.lines[0] for c in plots.recovery_figure(recovery()).axes[0].containers}
    for name in ("DiCMoR", "ridge"):
        for look in ("get_color", "get_marker", "get_markerfacecolor"):
            assert getattr(table_looks[name], look)() == getattr(recovery_looks[name], look)()
    seen = {(line.get_color(), line.get_marker()) for line in table_looks.values()}
    assert len(seen) == len(table_looks)


def test_recovery_figure_tells_the_mean_errors():
    errors = recovery()
    figure = plots.recovery_figure(errors)
    value = errors.estimate("av", "language", "ridge").value
    assert (
        f"language from av: DiCMoR {errors.estimate('av', 'language', 'DiCMoR').value:.2f}, ridge {value:.2f}"
        in figure.alt
    )
    with pytest.raises(ConfigError, match="nothing was missing"):
        plots.recovery_figure(RecoveryErrors())


def test_sequence_view_shows_values_padding_and_absence():
    clip = [np.arange(12.0).reshape(6, 2), np.zeros((6, 3)), np.ones((6, 40))]
    figure = plots.sequence_view(clip, [4, 0, 6], channels=10)
    language, audio, vision = figure.axes[:3]
    np.testing.assert_array_equal(language.images[0].get_array(), clip[0][:4].T)
    assert language.patches[0].get_x() == 4 and language.patches[0].get_width() == 2
    assert not audio.images and audio.texts[0].get_text() == "not observed"
    assert "first 10 of 40 channels" in vision.get_title(loc="left")
    with pytest.raises(ShapeError, match="three lengths"):
        plots.sequence_view(clip, [7, 0, 6])


def test_recovered_view_shows_the_most_varying_channels_and_tells_the_correlation():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(12, 5)) * [1, 5, 0.1, 3, 2]
    figure = plots.recovered_view(true, true * 0.5, -true, "vision", channels=2)
    assert [panel.get_ylabel() for panel in figure.axes] == ["channel 1", "channel 3"]
    assert [len(panel.lines) for panel in figure.axes] == [3, 3]
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), true[:, 1] * 0.5)
    assert "recovered 1.00, transferred -1.00" in figure.alt and "vision" in figure.alt
    with pytest.raises(ShapeError, match="one shape"):
        plots.recovered_view(true, true[:5], true)
