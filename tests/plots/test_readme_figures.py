"""The figures of README.md: figures/ holds what the command draws, and the README describes it."""

from __future__ import annotations

import html
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots import MODALITY_COLOURS, HouseFigure, save_figure
from dicmor_lib.plots.drawing import canvas, signed, strip
from dicmor_lib.plots.idea import idea_figure
from dicmor_lib.plots.readme import ALT_FILE, FIGURES, main
from dicmor_lib.plots.readme_thumbnails import (
    CHOSEN,
    NOTEBOOKS,
    figures_of,
    small,
    thumbnail_name,
    thumbnails,
)

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "figures"
LARGEST, LARGEST_THUMBNAIL = 300_000, 20_000  # bytes
THUMBNAILS = [thumbnail_name(int(path.name[:2])) for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))]
NAMES = [*FIGURES, *THUMBNAILS]
DARK = "#0d1117"  # of a dark page, as on GitHub
# Pictures are compared tile by tile, the size of a letter or two, by the mean of their colours in 0..255.
# matplotlib 3.9 and 3.11 place letters up to two pixels apart, which makes 11.
TILE, TOLERANCE = 40, 25.0
SMALL_TILE = 8  # for thumbnails: their letters were placed when the chapter was executed


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    main([str(folder)])
    return folder


@pytest.fixture(scope="module")
def idea() -> HouseFigure:
    return idea_figure()


def tiles(path: Path) -> np.ndarray:
    """The mean colours (rows, columns, 3) of the picture's tiles, on a white page."""
    with Image.open(path) as image:
        page = Image.new("RGBA", image.size, "white")
        page.alpha_composite(image.convert("RGBA"))
    tile = SMALL_TILE if path.name in THUMBNAILS else TILE
    return np.asarray(page.convert("RGB").reduce(tile), dtype=np.float64)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Of the two tiles that are least alike."""
    assert a.shape == b.shape
    return float(np.abs(a - b).max())


def readme_images(text: str) -> list[tuple[str, str]]:
    """(path, alternative text) of every local image in Markdown, whether `![alt](path)` or `<img ...>`."""
    found = [(path, alt) for alt, path in re.findall(r"!\[([^\]]*)\]\(\s*<?([^)\s>]+)", text)]
    for tag in re.findall(r"<img\b[^>]*>", text, flags=re.DOTALL):
        values = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', tag))
        found.append((values["src"], html.unescape(values.get("alt", ""))))
    return [(path, " ".join(alt.split())) for path, alt in found if not re.match(r"https?://", path)]


def test_the_command_draws_exactly_the_files_of_the_folder(drawn):
    names = {path.name for path in drawn.iterdir()}
    assert names == {*NAMES, ALT_FILE} and len(THUMBNAILS) >= 12
    assert names == {path.name for path in COMMITTED.iterdir()}, "run `make figures` and commit figures/"


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_figure_is_what_the_command_draws(drawn, name):
    assert (COMMITTED / name).is_file(), f"figures/{name} is missing: run `make figures`"
    found = difference(tiles(drawn / name), tiles(COMMITTED / name))
    assert found < TOLERANCE, f"figures/{name} is out of date ({found:.0f}): run `make figures`"
    assert (COMMITTED / name).stat().st_size < (LARGEST_THUMBNAIL if name in THUMBNAILS else LARGEST)


@pytest.mark.parametrize("chapter", CHOSEN)
def test_another_figure_of_the_chapter_would_be_found(drawn, tmp_path, chapter):
    name, chosen = thumbnail_name(chapter), CHOSEN[chapter]
    for number, (png, _) in enumerate(figures_of(next(NOTEBOOKS.glob(f"{chapter:02}_*.ipynb")))):
        (tmp_path / name).write_bytes(small(png, chosen.cut, "another"))
        found = difference(tiles(drawn / name), tiles(tmp_path / name))
        assert found == 0 if number == chosen.figure else found > 2 * TOLERANCE, number


@pytest.mark.parametrize("gone", ["recovered", "+2.0", "a strip", "a marker"])
def test_the_tolerance_is_below_what_a_reader_would_see(drawn, tmp_path, gone):
    figure = idea_figure()
    axes = figure.axes[0]
    parts = {text.get_text(): text for text in axes.texts}
    parts |= {"a strip": axes.collections[-1], "a marker": axes.lines[-1]}
    parts[gone].set_visible(False)
    found = difference(tiles(drawn / "idea.png"), tiles(save_figure(figure, tmp_path / "changed.png")))
    assert found > TOLERANCE


def test_the_alternative_texts_stand_beside_and_inside_the_figures(drawn):
    alts = json.loads((drawn / ALT_FILE).read_text(encoding="utf-8"))
    assert (COMMITTED / ALT_FILE).read_text(encoding="utf-8") == (drawn / ALT_FILE).read_text(
        encoding="utf-8"
    )
    for name, alt in alts.items():
        assert 20 < len(alt) < 90 if name in THUMBNAILS else 80 < len(alt) < 700
        for folder in (drawn, COMMITTED):
            with Image.open(folder / name) as image:
                assert image.text["Description"] == alt


def test_the_images_of_the_readme_exist_and_have_these_texts():
    alts = json.loads((COMMITTED / ALT_FILE).read_text(encoding="utf-8"))
    images = readme_images((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {path for path, _ in images} >= {f"figures/{name}" for name in alts}
    for path, alt in images:
        assert (ROOT / path).is_file(), f"README.md shows {path}, which does not exist"
        assert alt == alts.get(path.removeprefix("figures/")), f"the text of {path} is not alt.json's"


def test_both_ways_to_write_an_image_are_read():
    text = (
        '![a\nb](figures/x.png) <img width="800"\n  alt="c &quot;d&quot;" src="y.png"> ![](https://e.org/z)'
    )
    assert readme_images(text) == [("figures/x.png", "a b"), ("y.png", 'c "d"')]


def test_a_second_drawing_is_the_same_to_the_byte(drawn, idea, tmp_path):
    """The strip of the switchboard is drawn twice in its own tests."""
    assert save_figure(idea, tmp_path / "idea.png").read_bytes() == (drawn / "idea.png").read_bytes()
    for name, (png, _) in thumbnails().items():
        assert png == (drawn / name).read_bytes()


def written(figure: HouseFigure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_idea_figure_is_readable_at_half_size(idea):
    """Shown 800 pixels wide, 14 points of a picture of 13 inches are 12 pixels."""
    assert min(text.get_fontsize() for text in written(idea)) >= 14
    assert idea.get_figwidth() <= 13


def test_no_two_texts_of_the_idea_figure_touch_and_none_leaves_the_card(idea):
    renderer = FigureCanvasAgg(idea).get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in written(idea)]
    assert len(boxes) > 20
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} overlaps {other!r}"
    for text, where in boxes:
        assert idea.bbox.padded(-8).contains(where.x0, where.y0), text
        assert idea.bbox.padded(-8).contains(where.x1, where.y1), text


def test_idea_figure_tells_the_whole_story(idea):
    texts = [text.get_text() for text in written(idea)]
    assert all(texts.count(modality) == 2 for modality in MODALITIES)
    assert {"missing", "recovered", "shared latent space", signed(-3), "0", "+3"} <= set(texts)
    for symbol in (r"$F_\mathrm{language}$", r"$F_\mathrm{audio}$", r"$F_\mathrm{vision}^{-1}$", "$D$"):
        assert symbol in texts
    assert r"$F_\mathrm{vision}$" not in texts  # nothing of the missing modality is read
    strips = idea.axes[0].collections
    meshes = [s for s in strips if type(s).__name__ == "QuadMesh"]
    assert len(meshes) == 5  # two are there, three in the end
    np.testing.assert_array_equal(meshes[0].get_array(), meshes[2].get_array())
    np.testing.assert_array_equal(meshes[1].get_array(), meshes[3].get_array())


@pytest.mark.parametrize("name", FIGURES)
def test_the_card_is_white_with_transparent_corners(drawn, name):
    with Image.open(drawn / name) as image:
        rgba = np.asarray(image.convert("RGBA"))
    assert rgba[0, 0, 3] == 0 and rgba[-1, -1, 3] == 0
    assert tuple(rgba[30, 30]) == (255, 255, 255, 255)


@pytest.mark.parametrize("name", NAMES)
def test_a_light_and_a_dark_page_show_the_same_picture(name):
    """All but the rim is solid, so nothing is read against the page's own colour."""
    with Image.open(COMMITTED / name) as image:
        solid = image.convert("RGBA")
    light, dark = (
        np.asarray(Image.alpha_composite(Image.new("RGBA", solid.size, page), solid))
        for page in ("white", DARK)
    )
    rim = 2 + round(0.03 * solid.width / 13 * 150 / 100) if name in FIGURES else 0
    inner = (slice(rim, solid.height - rim), slice(rim, solid.width - rim))
    changed = (light[inner] != dark[inner]).any(axis=-1)
    assert changed.mean() < 2e-3, "only the round corners may let the page through"
    height, width = changed.shape
    assert not changed[height // 20 : -height // 20, width // 20 : -width // 20].any()
    assert np.asarray(solid)[..., 3].max() == 255


def test_signed_has_a_true_minus():
    assert [signed(v) for v in (-3, 0, 2, -1.25, 1.8)] == ["\u22123", "0", "+2", "\u22121.2", "+1.8"]


def test_strip_runs_to_the_right_and_leaves_the_canvas_as_it_is():
    _, axes = canvas(4, 2)
    strip(axes, (1, 0.5, 2, 1), np.arange(6.0).reshape(3, 2), MODALITY_COLOURS["audio"], limit=5)
    mesh = axes.collections[0]
    np.testing.assert_array_equal(mesh.get_array(), [[0, 2, 4], [1, 3, 5]])
    assert axes.get_xlim() == (0, 4) and axes.get_ylim() == (0, 2)
