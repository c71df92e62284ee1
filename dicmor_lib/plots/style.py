"""The house style: colours with a second encoding, and figures that carry their alternative text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import matplotlib.style  # noqa: F401  (mpl.style)
from matplotlib.figure import Figure
from PIL import Image

from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import MODALITIES

STYLE_SHEET = Path(__file__).with_name("house.mplstyle")
P = ParamSpec("P")

# Okabe and Ito, "Color Universal Design" (2008). Line style and marker say the same without colour.
MODALITY_COLOURS: dict[str, str] = dict(zip(MODALITIES, ("#0072B2", "#D55E00", "#009E73")))
MODALITY_MARKERS: dict[str, str] = dict(zip(MODALITIES, ("o", "s", "^")))
MODALITY_LINES: dict[str, Any] = dict(zip(MODALITIES, ("-", "--", (0, (1, 1.2)))))

CLASS_COLOURS: tuple[str, ...] = ("#67001f", "#c94741", "#f0a582", "#8c8c8c", "#8fc0dc", "#3a84bb", "#053061")
"""Sentiment classes -3..3, from red over grey to blue: lightness shows how strong, hue the sign."""
CLASS_MARKERS: tuple[str, ...] = ("v", "v", "v", "o", "^", "^", "^")
"""The sign once more, without colour."""

HATCHED: dict[str, Any] = dict(facecolor="#f2f2f2", edgecolor="#b5b5b5", hatch="//", linewidth=0)
"""The look of a rectangle where there is nothing to show: padding, or a modality that is missing."""

SERIES_COLOURS: tuple[str, ...] = (
    "#000000",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
SERIES_MARKERS: tuple[str, ...] = ("D", "o", "s", "^", "v", "P", "X")
SERIES_LINES: tuple[Any, ...] = ("-", "--", (0, (1, 1.2)), "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (3, 1)), "-")


class HouseFigure(Figure):
    """A matplotlib figure that knows its alternative text and gives it to the notebook with its image.

    Attributes:
        alt: one or two sentences that say what the figure shows to someone who cannot see it.
    """

    alt: str = ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        # Jupyter asks for this; the "alt" of the metadata ends up as the image's alt attribute in exports.
        return {"image/png": small_png(png_bytes(self)), "text/plain": self.alt}, {
            "image/png": {"alt": self.alt}
        }


def house_figure(plot: Callable[P, HouseFigure]) -> Callable[P, HouseFigure]:
    """Run a plotting function under the house style, whatever style the caller has set."""

    @wraps(plot)
    def styled(*args: P.args, **kwargs: P.kwargs) -> HouseFigure:
        with house_style():
            return plot(*args, **kwargs)

    return styled


def house_style() -> Any:
    """Return a context manager under which matplotlib draws in the house style and nothing else."""
    return mpl.style.context(["default", STYLE_SHEET])


def new_figure(width: float = 8.0, height: float = 4.5) -> HouseFigure:
    """Return an empty figure of that size in inches; it belongs to no window and no global state."""
    return HouseFigure(figsize=(width, height), layout="constrained")


def figure_alt(figure: Figure) -> str:
    """Return the alternative text of a figure of this library.

    Raises:
        ConfigError: if it has none; every figure of this library has one.
    """
    alt = getattr(figure, "alt", "")
    if not alt:
        raise ConfigError(
            "the figure has no alternative text: set figure.alt to a sentence that says what it shows"
        )
    return alt


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG or SVG (by the path's suffix); the same figure gives the same bytes.

    The alternative text is required and stored as the file's description.
    """
    path, alt = Path(path), figure_alt(figure)
    if path.suffix not in (".png", ".svg"):
        raise ConfigError(f"{path.name} ends in {path.suffix!r}; choose .png or .svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Description": alt} | ({"Date": None} if path.suffix == ".svg" else {"Software": None})
    with house_style():
        figure.savefig(path, metadata=metadata)
    return path


def png_bytes(figure: Figure, dpi: float | None = None) -> bytes:
    """Return the figure as a PNG image; `dpi` defaults to the style's 150 dots per inch."""
    buffer = BytesIO()
    with house_style():
        figure.savefig(
            buffer, format="png", dpi=dpi or mpl.rcParams["savefig.dpi"], metadata={"Software": None}
        )
    return buffer.getvalue()


def small_png(png: bytes) -> bytes:
    """Return a PNG image with the 256 colours that suit it best: a third of the bytes, and no difference to the eye."""
    with Image.open(BytesIO(png)) as image:
        solid = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert(
            "RGB"
        )
    # maximum coverage keeps the colours of small text and markers, which the median cut would blend with larger areas
    few = solid.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = BytesIO()
    few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def describe(names: Sequence[str]) -> str:
    """Return names as prose: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
