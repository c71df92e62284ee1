"""The site as it is built: every link, every formula and every picture, in a browser at two widths, and by axe."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from dicmor_lib.course.equations import EQUATIONS, where
from dicmor_lib.course.guide import GUIDE
from dicmor_lib.site.addresses import ROOT, shown_files
from dicmor_lib.site.reference import packages
from tests.browser.conftest import SHOTS
from tests.site.conftest import WIDTHS
from tests.site.links import broken, outside

pytestmark = pytest.mark.slow
LOOKED_AT = {
    "first": "index.html",
    "chapter": "chapters/02_coupling_layers.html",
    "reference": "reference/dicmor_lib.blocks.html",
    "equations": "equations.html",
}
OPEN_HINTS = "() => document.querySelectorAll('article details').forEach(hint => { hint.open = true; })"
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
CUT_OFF_AT_THE_LEFT = """() => [...document.querySelectorAll('div.math')].filter(formula =>
    formula.firstElementChild.getBoundingClientRect().left < formula.getBoundingClientRect().left - 1).length"""
REFERENCE = [f"reference/{package}.html" for package in packages()]
CHAPTERS = [f"chapters/{c.name}.html" for c in GUIDE]
SEVERE = ("serious", "critical")


class TestLinks:
    def test_every_link_and_every_file_is_there(self, site, pages):
        wrong, looked_at = broken(site, pages)
        assert not wrong
        assert looked_at > 10_000

    def test_nothing_comes_from_outside(self, pages):
        assert outside(pages) == []

    def test_every_picture_says_what_it_shows(self, pages):
        assert {name: p.without_alt for name, p in pages.items() if p.without_alt} == {}

    def test_nothing_names_a_folder_of_this_machine(self, site):
        found = [p.name for p in site.rglob("reference/*.html") if str(ROOT) in p.read_text(encoding="utf-8")]
        assert not found

    def test_every_chapter_and_every_file_has_a_page(self, pages):
        assert set(CHAPTERS) <= set(pages)
        assert sum(name.startswith("source/") for name in pages) == len(shown_files()) + 1


@pytest.mark.parametrize("name", [*LOOKED_AT.values(), "source/dicmor_lib.blocks.flow.html"])
def test_a_page_is_not_wider_than_a_laptop(look, name):
    page = look(name, "laptop")
    picture_of(page, name, "laptop")
    assert page.evaluate(TOO_WIDE) <= 0


@pytest.mark.parametrize(
    "name", ["index.html", "equations.html", "glossary.html", "source/index.html", *CHAPTERS, *REFERENCE]
)
def test_a_page_is_not_wider_than_a_phone(look, name):
    page = look(name, "phone")
    picture_of(page, name, "phone")
    assert page.evaluate(TOO_WIDE) <= 0


def picture_of(page, name: str, width: str) -> None:
    """Keep a screenshot for whoever wants to see what the test saw."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"site-{name.replace('/', '-').removesuffix('.html')}-{width}.png")


@pytest.mark.parametrize("name", [*CHAPTERS, "equations.html"])
def test_all_mathematics_is_set_and_none_is_cut_off(look, name):
    page = look(name)
    page.evaluate(OPEN_HINTS)
    asked, shown = page.locator(".math").count(), page.locator(".math > mjx-container").count()
    assert shown == asked > 0
    assert page.locator("[data-mjx-error], [data-mml-node='merror']").count() == 0
    assert not [tex for tex in (r"\(", r"\[", "$$") if tex in page.locator("article").inner_text()]
    assert page.evaluate(CUT_OFF_AT_THE_LEFT) == 0  # what sticks out there cannot be scrolled to


@pytest.mark.parametrize("equation", [EQUATIONS[0], EQUATIONS[22]], ids=lambda e: f"({e.number})")
def test_from_an_equation_to_its_code_and_back(look, equation):
    page = look(f"chapters/{equation.chapter}.html")
    place, line = f"equation-{equation.number}", where(equation.number).rpartition(":")[2]
    page.locator(f"#{place} ~ p.equation-code a").first.click()
    assert page.url.endswith(f"#line-{line}")
    here = page.locator(f"#line-{line}")
    assert f"Eq. ({equation.number})" in here.inner_text()
    here.locator("a").first.click()
    assert page.url.endswith(f"chapters/{equation.chapter}.html#{place}")


def test_from_the_reference_to_the_source(look):
    page = look("reference/dicmor_lib.blocks.html")
    entry = page.locator("[id='dicmor_lib.blocks.flow.Flow.forward']")
    entry.locator("a", has_text="[source]").click()
    page.wait_for_url("**/source/dicmor_lib.blocks.flow.html#line-*")
    line = page.url.rpartition("#")[2]
    page.locator(f"#{line}").wait_for()
    below = page.locator(f"#{line}, #{line} ~ span").all_inner_texts()[:2]
    assert "def forward(self, x" in "".join(below)


def test_search_finds_a_chapter_and_a_class(look):
    for words, page_name in (
        ("staircase dice", "02_coupling_layers"),
        ("AffineCoupling", "reference/dicmor_lib.blocks"),
    ):
        page = look(f"search.html?q={words}")
        page.locator("#search-results li a").first.wait_for()
        found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
        assert any(page_name in link for link in found), found


def test_a_hint_opens_and_its_mathematics_is_set(look):
    page = look("chapters/02_coupling_layers.html", "phone")
    hint = page.locator("details", has=page.locator("mjx-container")).first
    formula = hint.locator("mjx-container").first
    assert not formula.is_visible()
    hint.locator("summary").click()
    assert formula.is_visible() and formula.bounding_box()["height"] > 5


def test_nothing_is_left_of_the_widgets(look):
    page = look("chapters/09_modality_switchboard.html")
    text = page.locator("article").inner_text()
    assert "Error displaying widget" not in text and "VBox(" not in text
    assert page.locator("article img").count() >= 5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", LOOKED_AT.values(), ids=LOOKED_AT)
def test_axe_finds_no_serious_barrier(look, name, theme):
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None:
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")
    for width in WIDTHS:
        page = look(name, width, theme)
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme
        page.evaluate(OPEN_HINTS)
        page.add_script_tag(path=Path(spec.submodule_search_locations[0]) / "axe.min.js")
        found = page.evaluate("async () => (await axe.run({ preload: false })).violations")
        severe = [
            f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in SEVERE
        ]
        assert not severe
