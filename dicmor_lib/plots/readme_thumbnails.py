"""A thumbnail of every chapter for README.md, cut out of a figure that the executed notebook holds."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from dicmor_lib.errors import DataError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SIZE = (288, 180)  # pixels; shown 144 wide, so that they are sharp on a fine screen
COLOURS, EDGE = 96, "#d0d7de"


@dataclass(frozen=True)
class Thumbnail:
    """What to show of a chapter.

    Attributes:
        figure: which of the notebook's figures, counted from 0.
        cut: the part of it, as shares of its width and height: left, top, right, bottom.
        alt: what the thumbnail shows, in a few words.
    """

    figure: int
    cut: tuple[float, float, float, float]
    alt: str


WHOLE = (0.0, 0.0, 1.0, 1.0)
CHOSEN: dict[int, Thumbnail] = {
    0: Thumbnail(
        1, (0.0, 0.08, 1.0, 1.0), "A clip whose camera is off, its recovered vision, the prediction."
    ),
    1: Thumbnail(
        1, (0.0, 0.04, 1.0, 0.86), "Seven patterns of availability over bars of the error of zero-fill."
    ),
    2: Thumbnail(1, WHOLE, "A smiley face bent by coupling layers and bent back exactly."),
    3: Thumbnail(
        3, (0.33, 0.5, 1.0, 1.0), "Densities of two flows that found the two spirals of their data."
    ),
    4: Thumbnail(0, (0.5, 0.0, 1.0, 0.47), "Clouds of latents on their way from one modality to another."),
    5: Thumbnail(0, (0.0, 0.06, 1.0, 1.0), "The same vision sequence: real, transferred and recovered."),
    6: Thumbnail(3, (0.0, 0.03, 0.91, 0.66), "Attention maps: which modality reads what of another."),
    7: Thumbnail(2, (0.0, 0.0, 0.76, 0.95), "Latents of three modalities before and after training."),
    8: Thumbnail(0, WHOLE, "Stacked bars: five meanings of missing rate 0.5."),
    9: Thumbnail(1, WHOLE, "The switchboard: sequences, latents and the prediction."),
    10: Thumbnail(1, WHOLE, "Histograms of one model's accuracy over draws of the masks."),
    11: Thumbnail(0, WHOLE, "The rate of matrix products against their size."),
    12: Thumbnail(0, WHOLE, "A joint law of two latents, cut: what one says of the other."),
}
"""Chapter -> its thumbnail; a chapter that is not named here shows its first figure whole."""


def thumbnail_name(chapter: int) -> str:
    """Return the file name of a chapter's thumbnail."""
    return f"chapter_{chapter:02}.png"


def thumbnails(notebooks: str | Path = NOTEBOOKS) -> dict[str, tuple[bytes, str]]:
    """Return the thumbnails of all chapters in a folder: file name -> (PNG, alternative text).

    Raises:
        DataError: if there is no chapter, or one has no figure to show.
    """
    found, chapters = {}, sorted(Path(notebooks).glob("[0-9][0-9]_*.ipynb"))
    if not chapters:
        raise DataError(f"{notebooks} holds no chapters, and thumbnails are cut from those: work in a clone")
    for path in chapters:
        chapter, pictures = int(path.name[:2]), figures_of(path)
        chosen = CHOSEN.get(chapter)
        number = chosen.figure if chosen else 0
        if number >= len(pictures):
            raise DataError(
                f"{path.name} holds {len(pictures)} figures and its thumbnail is made of figure {number}, counted from "
                f"0: execute the chapter, or choose another one in dicmor_lib/plots/readme_thumbnails.py"
            )
        png, said = pictures[number]
        chosen = chosen or Thumbnail(0, WHOLE, said.split(". ")[0].removesuffix(".") + ".")
        found[thumbnail_name(chapter)] = small(png, chosen.cut, chosen.alt), chosen.alt
    return found


def small(png: bytes, cut: tuple[float, float, float, float], alt: str) -> bytes:
    """Return a part of an image as a thumbnail on a white, thinly framed card; the same image gives the same bytes."""
    with Image.open(BytesIO(png)) as image:
        solid = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert(
            "RGB"
        )
    width, height = solid.size
    part = solid.crop(tuple(round(share * side) for share, side in zip(cut, (width, height) * 2)))
    card = Image.new("RGB", SIZE, "white")
    inner = ImageOps.contain(part, (SIZE[0] - 12, SIZE[1] - 12), Image.Resampling.LANCZOS)
    card.paste(inner, ((SIZE[0] - inner.width) // 2, (SIZE[1] - inner.height) // 2))
    card = ImageOps.expand(ImageOps.crop(card, 1), 1, EDGE)
    few = card.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    told, buffer = PngInfo(), BytesIO()
    told.add_text("Description", alt)
    few.save(buffer, format="png", optimize=True, pnginfo=told)
    return buffer.getvalue()


def figures_of(path: str | Path) -> list[tuple[bytes, str]]:
    """Return the figures of an executed notebook in order: (PNG, alternative text)."""
    found = []
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            image = output.get("data", {}).get("image/png")
            if image is not None:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                found.append((b64decode("".join(image)), alt))
    return found
