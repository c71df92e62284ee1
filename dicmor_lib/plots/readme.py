"""Makes every picture that README.md shows: `python -m dicmor_lib.plots.readme figures/` (`make figures`)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from dicmor_lib.plots.idea import idea_figure
from dicmor_lib.plots.readme_strip import strip_figure
from dicmor_lib.plots.readme_thumbnails import NOTEBOOKS, thumbnails
from dicmor_lib.plots.style import HouseFigure, figure_alt, save_figure

FIGURES: Mapping[str, Callable[[], HouseFigure]] = MappingProxyType(
    {"idea.png": idea_figure, "switchboard.png": strip_figure}
)
"""File name -> the function that draws it, without arguments and every time the same."""
ALT_FILE = "alt.json"


def write_figures(folder: str | Path, notebooks: str | Path = NOTEBOOKS) -> dict[str, str]:
    """Write every figure and a thumbnail of every chapter into `folder`, with `alt.json` beside them.

    Args:
        folder: where to write; it is made if it is not there.
        notebooks: the executed chapters, whose figures the thumbnails are cut from.

    Returns:
        file name -> alternative text, the content of `alt.json`; README.md gives its images the same texts.

    Raises:
        DataError: if there are no chapters, or one lacks the figure of its thumbnail.
    """
    folder, alts = Path(folder), {}
    for name, draw in FIGURES.items():
        figure = draw()
        save_figure(figure, folder / name)
        alts[name] = figure_alt(figure)
    for name, (png, alt) in thumbnails(notebooks).items():
        (folder / name).write_bytes(png)
        alts[name] = alt
    (folder / ALT_FILE).write_text(json.dumps(alts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return alts


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m dicmor_lib.plots.readme")
    parser.description = "Make every picture that README.md shows, and alt.json with their alternative texts."
    parser.add_argument("folder", nargs="?", default="figures", help="where to write them (default: figures)")
    folder = parser.parse_args(arguments).folder
    for name in write_figures(folder):
        print(Path(folder) / name)


if __name__ == "__main__":
    main()
