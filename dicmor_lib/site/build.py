"""Collect the pages in a temporary folder and let Sphinx make a site of them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

from dicmor_lib.course.guide import GUIDE
from dicmor_lib.errors import ConfigError, MissingExtraError
from dicmor_lib.site.addresses import NOTEBOOKS, ROOT
from dicmor_lib.site.chapters import prepare
from dicmor_lib.site.equations_page import equations_page
from dicmor_lib.site.landing import landing_page
from dicmor_lib.site.reference import write_reference
from dicmor_lib.site.sources import write_sources

HERE = Path(__file__).resolve().parent
GLOSSARY = HERE / "glossary.md"
NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_copybutton", "sphinx-mathjax-offline")
MARK = ".dicmor-site"
"""Stands in what is built here, from the start; a folder without it is not ours to empty."""


def build_site(folder: Path) -> Path:
    """Build the site and return its first page; nothing is fetched, and the notebooks are not executed again.

    Args:
        folder: that will hold the site and nothing else; an earlier site in it is replaced.

    Raises:
        MissingExtraError: if the extra `site` is not installed.
        ConfigError: if the folder holds something other than a site, a chapter cannot be shown, or Sphinx warns.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the site needs {', '.join(missing)}; install them with: pip install -c constraints.txt -e '.[site]'"
        )
    _empty(folder)
    with tempfile.TemporaryDirectory(prefix="dicmor-site-") as temporary:
        pages = Path(temporary) / "pages"
        write_pages(pages)
        _run_sphinx(pages, folder, Path(temporary) / "doctrees")
    return folder / "index.html"


def write_pages(pages: Path) -> None:
    """Write everything that Sphinx reads into a new folder.

    Raises:
        ConfigError: if a chapter cannot be shown as it is.
    """
    (pages / "chapters").mkdir(parents=True)
    for chapter in GUIDE:
        notebook = json.loads((NOTEBOOKS / f"{chapter.name}.ipynb").read_text(encoding="utf-8"))
        page = pages / "chapters" / f"{chapter.name}.ipynb"
        page.write_text(json.dumps(prepare(notebook, chapter.name)), encoding="utf-8")
    write_reference(pages)
    write_sources(pages)
    (pages / "equations.md").write_text(equations_page(), encoding="utf-8")
    (pages / "index.md").write_text(landing_page(GLOSSARY.exists()), encoding="utf-8")
    if GLOSSARY.exists():
        shutil.copy(GLOSSARY, pages / "glossary.md")
    shutil.copy(ROOT / "figures" / "idea.png", pages / "idea.png")


def _run_sphinx(pages: Path, folder: Path, doctrees: Path) -> None:
    from sphinx.cmd.build import build_main

    # -W: a warning is a broken link, an unreadable docstring or a wrong setting; all of them fail the build
    settings = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE), "-d", str(doctrees)]
    if build_main([*settings, str(pages), str(folder)]):
        raise ConfigError(f"Sphinx found something to mend in the pages of {folder}; it is named above")


def _empty(folder: Path) -> None:
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; name a new or an empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise ConfigError(f"{folder} holds something else than a site; name a new or an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
