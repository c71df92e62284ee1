"""The link checker itself: it finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.site.links import broken, outside, read_site

GOOD = '<a href="sub/b.html#there">b</a> <a href="#here">up</a> <p id="here"></p> <img src="p.png" alt="a picture">'
OTHER = '<p id="there"></p> <a href="../a.html#here">a</a> <a href="https://example.org/x">out</a>'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "p.png").touch()

    def write(first: str):
        (tmp_path / "a.html").write_text(first)
        (tmp_path / "sub" / "b.html").write_text(OTHER)
        return read_site(tmp_path)

    return tmp_path, write


def test_a_whole_site_has_nothing_broken(site):
    folder, write = site
    pages = write(GOOD)
    assert broken(folder, pages) == ([], 4)
    assert not outside(pages) and not pages["a.html"].without_alt


@pytest.mark.parametrize(
    "link", ["gone.html", "sub/b.html#gone", "#gone", "sub", "../a.html"], ids=lambda link: link
)
def test_a_link_to_nothing_is_found(site, link):
    folder, write = site
    assert broken(folder, write(f'{GOOD}<a href="{link}">?</a>'))[0] == [f"a.html: {link}"]


def test_what_comes_from_outside_is_found_links_are_not(site):
    pages = site[1](
        f'{GOOD}<script src="https://cdn.example.org/m.js"></script><link rel="next" href="https://x.y/">'
    )
    assert outside(pages) == ["a.html: https://cdn.example.org/m.js"]


def test_a_picture_without_an_alternative_text_is_found(site):
    assert site[1]('<img src="p.png"><img src="q.png" alt="">')["a.html"].without_alt == ["p.png", "q.png"]
