"""A link checker for a folder of HTML, of the standard library: what each page refers to, and what it offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""Elements that make a browser fetch something, and where they name it."""
NOT_FETCHED = {"canonical", "next", "prev", "index", "search", "author", "copyright"}
"""Values of <link rel> that name a page without fetching it."""


@dataclass
class Page(HTMLParser):
    """The links of a page, what it fetches, its anchors, and its pictures without an alternative text."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    without_alt: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = object.__hash__

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in FETCHED and values.get(FETCHED[tag]) and values.get("rel") not in NOT_FETCHED:
            self.fetched.append(values[FETCHED[tag]])
        if tag == "img" and not values.get("alt"):
            self.without_alt.append(values.get("src", ""))


def read_site(folder: Path) -> dict[str, Page]:
    """Parse every page of a site, by its path from the folder; _static/ holds no pages, but templates of the theme."""
    pages = {}
    for file in sorted(set(folder.rglob("*.html")) - set(folder.glob("_static/**/*"))):
        page = Page()
        page.feed(file.read_text(encoding="utf-8"))
        pages[file.relative_to(folder).as_posix()] = page
    return pages


def broken(folder: Path, pages: dict[str, Page]) -> tuple[list[str], int]:
    """Return what leads nowhere ("page: link") and how many internal links and files were looked at."""
    wrong, looked_at = [], 0
    for name, page in pages.items():
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            looked_at += 1
            target = ((folder / name).parent / unquote(parts.path)).resolve() if parts.path else folder / name
            if not target.is_file():
                wrong.append(f"{name}: {link}")
            elif parts.fragment and target.suffix == ".html":
                there = pages[target.relative_to(folder.resolve()).as_posix()] if parts.path else page
                if unquote(parts.fragment) not in there.anchors:
                    wrong.append(f"{name}: {link}")
    return wrong, looked_at


def outside(pages: dict[str, Page]) -> list[str]:
    """Return what pages would fetch from another machine."""
    return [f"{name}: {url}" for name, page in pages.items() for url in page.fetched if urlsplit(url).netloc]
