from __future__ import annotations

import inspect

import numpy as np
import pytest

from dicmor_lib import plots
from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.distances import distances_to_real, halves


def clouds() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(61, 5)) * [3, 2, 1, 1, 1]
    return real, {"collapsed": 0.1 * real, "draw": rng.normal(size=(61, 5)) * [3, 2, 1, 1, 1]}


@pytest.fixture(scope="module")
def figure() -> plots.HouseFigure:
    return plots.distribution_map(*clouds(), "vision from language", permutations=19, synthetic=True)


def test_the_noise_floor_is_always_the_first_panel(figure):
    real, _ = clouds()
    one, other = halves(61, 1, 0)[0]
    panel = figure.axes[0]
    assert panel.get_title(loc="left").startswith("Noise floor")
    dots, rings = (np.asarray(c.get_offsets()) for c in panel.collections)
    assert (len(dots), len(rings)) == (30, 30) and not set(one) & set(other)
    centred = real - real.mean(0)
    np.testing.assert_allclose(np.abs(rings[:, 0]), np.abs(centred[one] @ np.linalg.svd(centred)[2][0]))
    for other_panel in figure.axes[1:]:  # the same dots and limits everywhere
        np.testing.assert_array_equal(other_panel.collections[0].get_offsets(), dots)
        assert other_panel.get_xlim() == panel.get_xlim()


def test_no_option_leaves_the_floor_out():
    real, estimates = clouds()
    options = set(inspect.signature(plots.distribution_map).parameters)
    assert options == {"real", "estimates", "title", "how", "synthetic", "permutations", "seed"}
    with pytest.raises(ConfigError, match="at least 19"):
        plots.distribution_map(real, estimates, "t", permutations=0)
    with pytest.raises(DataError, match="noise floor"):
        plots.distribution_map(real, {}, "t")
    with pytest.raises(DataError, match="noise floor"):
        plots.distribution_map(real, {"real": real + 1}, "t")


def test_titles_and_text_tell_the_measured_distances(figure):
    real, estimates = clouds()
    rows = distances_to_real(estimates, real, "", permutations=19)
    found = {(row.method, row.statistic): row for row in rows}
    for panel, method in zip(figure.axes, ("real", "collapsed", "draw"), strict=True):
        title = panel.get_title(loc="left")
        for statistic, name, digits in (
            ("mmd", "MMD²", 3),
            ("sliced_wasserstein", "SW", 2),
            ("classifier", "C2ST", 2),
        ):
            row = found[method, statistic]
            told = f"{name} {round(row.value, digits) + 0.0:.{digits}f} (p {row.p_value:.3f})"
            assert told in title and told in plots.figure_alt(figure)
    assert "synthetic data" in figure.get_suptitle() and "synthetic data" in figure.alt


def test_tsne_is_seeded_and_has_the_floor_too():
    real, estimates = clouds()
    one, two = (
        plots.distribution_map(real, estimates, "t", how="tsne", permutations=19, seed=1) for _ in range(2)
    )
    for a, b in zip(one.axes, two.axes):
        np.testing.assert_array_equal(a.collections[1].get_offsets(), b.collections[1].get_offsets())
    assert one.axes[0].get_title(loc="left").startswith("Noise floor")


def test_outliers_are_counted_and_bad_input_refused():
    real, estimates = clouds()
    far = estimates["draw"].copy()
    far[:] += 1000
    figure = plots.distribution_map(real, {"far": far}, "t", permutations=19)
    assert figure.axes[1].texts[0].get_text() == "30 outside"
    with pytest.raises(ShapeError, match="one shape"):
        plots.distribution_map(real, {"short": far[:9]}, "t")
    with pytest.raises(ConfigError, match="no map 'umap'"):
        plots.distribution_map(real, estimates, "t", how="umap")
