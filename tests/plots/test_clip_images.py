from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.clip_images import clip_images
from dicmor_lib.plots.style import figure_alt


def versions() -> dict[str, np.ndarray]:
    real = np.random.default_rng(0).normal(size=(12, 5))
    return {"real": real, "pale": 0.25 * real, "nothing": np.zeros_like(real)}


def test_all_images_share_the_scale_of_the_first():
    figure = clip_images(versions(), title="A clip")
    images = [image for axes in figure.axes for image in axes.get_images()]
    assert len(images) == 3
    assert len({image.get_clim() for image in images}) == 1
    np.testing.assert_array_equal(images[1].get_array(), versions()["pale"].T)


def test_the_alternative_text_says_how_wide_each_is_and_how_it_correlates():
    alt = figure_alt(clip_images(versions(), title="A clip"))
    spread = versions()["pale"].std()
    assert f"pale: spread {spread:.2f}, correlation 1.00" in alt
    assert "nothing: spread 0.00, correlation 0.00" in alt and "12 steps by 5 channels" in alt


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"real": np.zeros(3)},
        {"real": np.zeros((3, 2)), "other": np.zeros((2, 2))},
        {"r": np.zeros((0, 2))},
    ],
)
def test_versions_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ShapeError, match="one shape"):
        clip_images(wrong)
