"""The oracle's map from latent to features: invertible, with the log-determinant and the mean it claims."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.data.oracle_warp import Warp


@pytest.fixture(params=[2, 6, 8])
def warp(request: pytest.FixtureRequest) -> Warp:
    return Warp.draw(request.param, 1.0, np.random.default_rng(request.param))


def _dim(warp: Warp) -> int:
    return len(warp.sine)


def test_inverse_undoes_forward_in_both_directions(warp: Warp) -> None:
    w = 2.5 * np.random.default_rng(0).normal(size=(40, 7, _dim(warp)))
    np.testing.assert_allclose(warp.inverse(warp.forward(w)), w, rtol=0, atol=1e-10)
    np.testing.assert_allclose(warp.forward(warp.inverse(w)), w, rtol=0, atol=1e-10)


def test_log_det_is_that_of_the_numerical_jacobian(warp: Warp) -> None:
    d, h = _dim(warp), 1e-5
    for w in np.random.default_rng(1).normal(size=(12, d)):
        jacobian = (warp.forward(w + h * np.eye(d)) - warp.forward(w - h * np.eye(d))).T / (2 * h)
        sign, expected = np.linalg.slogdet(jacobian)
        assert abs(sign) == 1
        np.testing.assert_allclose(warp.log_det(w), expected, atol=1e-7)


def test_log_det_differs_between_points(warp: Warp) -> None:
    assert warp.log_det(np.random.default_rng(2).normal(size=(200, _dim(warp)))).std() > 0.2


def test_mean_is_the_average_of_mapped_gaussian_draws(warp: Warp) -> None:
    d, rng = _dim(warp), np.random.default_rng(3)
    centre, root = rng.normal(size=d), rng.normal(size=(d, d)) / d**0.5
    draws = warp.forward(centre + rng.normal(size=(200_000, d)) @ root.T)
    error = draws.std(0) / len(draws) ** 0.5
    assert (np.abs(warp.mean(centre, root @ root.T) - draws.mean(0)) < 4 * error).all()
    # the damping matters: the image of the mean is somewhere else
    assert np.abs(warp.forward(centre) - draws.mean(0)).max() > 20 * error.max()


def test_without_nonlinearity_the_map_is_a_rotation() -> None:
    warp = Warp.draw(5, 0.0, np.random.default_rng(0))
    matrix = warp.forward(np.eye(5))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(warp.log_det(np.ones((3, 5))), 0, atol=1e-15)
