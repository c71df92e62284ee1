from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation.distances import distances_to_real
from dicmor_lib.plots import figure_alt
from dicmor_lib.plots.clouds import moving_clouds
from dicmor_lib.plots.principal import principal_plane


def case() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(50, 5)) * [3, 2, 1, 1, 1]
    start = rng.normal(size=(50, 5)) + [0, 0, 4, 0, 0]
    return {"start": start, "half way": (start + real) / 2, "end": real}, real, rng.integers(-3, 4, 50)


def test_every_panel_has_the_same_plane_and_the_real_points():
    stages, real, label = case()
    figure = moving_clouds(stages, real, label, "audio", followed=[3, 7])
    centre, axes, _ = principal_plane(real)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(centre, real.mean(0))
    panels = figure.axes[:3]
    for panel, values in zip(panels, stages.values()):
        drawn = [np.asarray(c.get_offsets()) for c in panel.collections]
        np.testing.assert_allclose(drawn[0], (real - centre) @ axes.T)
        own = np.concatenate(drawn[1:])
        np.testing.assert_allclose(np.sort(own, axis=0), np.sort((values - centre) @ axes.T, axis=0))
        assert panel.get_xlim() == panels[0].get_xlim()
        assert [t.get_text() for t in panel.texts] == ["1", "2"]
        assert panel.texts[0].get_position() == pytest.approx((values[3] - centre) @ axes.T)


def test_titles_and_text_tell_the_measured_distance():
    stages, real, label = case()
    figure = moving_clouds(stages, real, label, "audio")
    rows = distances_to_real(stages, real, "", statistics=("mmd",), permutations=0)
    for panel, (name, row) in zip(figure.axes, zip(stages, rows[1:])):
        told = f"{round(row.value, 3) + 0.0:.3f}"
        assert panel.get_title(loc="left") == f"{name}\nMMD² to real audio {told}"
        assert f"{name}: {told}" in figure_alt(figure)
    assert len(figure.axes) == 4 and not figure.axes[3].axison  # the empty place


def test_the_ellipse_has_the_points_mean_and_covariance():
    stages, real, label = case()
    figure = moving_clouds(stages, real, label)
    centre, axes, _ = principal_plane(real)
    points = (stages["start"] - centre) @ axes.T
    curve = np.asarray(figure.axes[0].lines[1].get_data()).T
    away = curve - points.mean(0)
    distance = np.einsum("ni,ij,nj->n", away, np.linalg.inv(np.cov(points.T)), away)
    np.testing.assert_allclose(distance, 1.8**2)


def test_what_does_not_fit_is_refused():
    stages, real, label = case()
    with pytest.raises(DataError, match="no stage"):
        moving_clouds({}, real, label)
    with pytest.raises(ShapeError, match="'end'"):
        moving_clouds(stages | {"end": real[:, :4]}, real, label)
    with pytest.raises(ShapeError, match="labels"):
        moving_clouds(stages, real, label[:9])
