"""The switchboard in a real browser: in its chapter in JupyterLab, and as a page of its own at two widths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import SHOTS, Server
from tests.browser.test_lab import MODALITIES, open_and_run

PAGE = Path(__file__).resolve().parents[2] / "dicmor_lib" / "widgets" / "page.ipynb"
ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/"  # Voila's template asks for them; JupyterLab's own are there already
CHANGED = """old => [...document.querySelectorAll('.widget-html [role=status]')].at(-1)?.innerText !== old"""


@pytest.fixture(scope="module")
def voila(browser, serve) -> Server:
    """The page as `make demo` starts it: on loopback, with its token on."""
    pytest.importorskip("voila")
    options = ("--token={token}", "--no-browser", str(PAGE))
    return serve("voila", *options)


def page_at(browser, width: int, height: int, name: str):
    page = browser.new_page(viewport={"width": width, "height": height})
    page.problems, page.asked = [], []
    page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: _outside(page, route))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
    if below := page.locator(".widget-html [role=img] img").all():
        below[-1].scroll_into_view_if_needed()
        page.screenshot(path=SHOTS / f"{name}-below.png")
    page.close()


def _outside(page, route) -> None:
    """The page must work without the internet: nothing comes from there, and what was asked for is remembered."""
    page.asked.append(route.request.url)
    route.fulfill(status=200, content_type="text/css", body="")


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["laptop", "phone"])
def shown(browser, voila, request):
    """The page once the switchboard is there."""
    width, height = request.param
    for page in page_at(browser, width, height, f"switchboard-{request.node.callspec.id}"):
        page.goto(f"{voila.url}/?token={voila.token}", wait_until="commit", timeout=120_000)
        page.locator(".widget-html [role=status]").wait_for(timeout=180_000)
        yield page


@pytest.fixture
def notebook(browser, request):
    yield from page_at(browser, 1280, 900, request.node.name)


def images(page) -> list[str]:
    found = page.locator(".widget-html [role=img] img")
    return [found.nth(i).evaluate("e => e.src") for i in range(found.count())]


def press_everything(page) -> None:
    """Every toggle, twice: picture and sentence change, and the picture's words are the sentence."""
    status = page.locator(".widget-html [role=status]").last
    status.scroll_into_view_if_needed()
    first = status.inner_text()
    for modality in MODALITIES:
        for _ in range(2):
            before, drawn = status.inner_text(), images(page)
            page.get_by_role("button", name=modality).last.click()
            page.wait_for_function(CHANGED, arg=before, timeout=20_000)
            assert len(drawn) == 2 and all(a != b for a, b in zip(drawn, images(page)))
            said = page.locator(".widget-html [role=img]").last.get_attribute("aria-label")
            assert said == page.locator(".widget-html [role=status]").last.inner_text()
    assert first.split("The merged")[0] in page.locator(".widget-html [role=status]").last.inner_text()


def hide_everything(page) -> None:
    for modality in MODALITIES:
        button = page.get_by_role("button", name=modality).last
        if not button.inner_text().strip().startswith("no "):
            button.click()
            page.get_by_role("button", name=re.compile(f"no {modality}")).last.wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.widget-html [role=status]')].at(-1).innerText.includes('Nothing is')"
    )


def test_chapter_9_in_jupyterlab(notebook, lab):
    open_and_run(notebook, lab, "09_modality_switchboard")
    press_everything(notebook)
    assert not [line for line in notebook.problems if "Error" in line and "jupyter" not in line.lower()]


def test_every_toggle_of_the_page_changes_picture_and_sentence(shown):
    press_everything(shown)
    assert not shown.problems
    assert all(address.startswith(ICONS) for address in shown.asked), shown.asked


def test_the_keyboard_is_enough(shown):
    button = shown.get_by_role("button", name="language").last
    button.focus()
    before = shown.locator(".widget-html [role=status]").last.inner_text()
    shown.keyboard.press("Space")
    shown.wait_for_function(CHANGED, arg=before, timeout=20_000)
    before = shown.locator(".widget-html [role=status]").last.inner_text()
    shown.get_by_role("slider").last.focus()
    shown.keyboard.press("ArrowRight")
    shown.wait_for_function(CHANGED, arg=before, timeout=20_000)
    assert "Clip 5 of 24." in shown.locator(".widget-html [role=status]").last.inner_text()


def test_nothing_available_is_explained_and_nothing_is_cut_off(shown):
    hide_everything(shown)
    window = shown.viewport_size["width"]
    for part in ("[role=img] img", "[role=status]"):
        for found in shown.locator(f".widget-html {part}").all():
            box = found.bounding_box()
            assert 0 <= box["x"] and box["x"] + box["width"] <= window, (part, box)
    for half in shown.locator(".widget-html [role=img] img").all():
        assert half.evaluate("e => Math.abs(e.width / e.height - e.naturalWidth / e.naturalHeight)") < 0.02
    assert not shown.problems


def test_the_page_wants_its_token(browser, voila):
    for page in page_at(browser, 1280, 900, "switchboard-no-token"):
        answer = page.goto(voila.url)
        assert answer.status == 403 or "login" in page.url
        assert not page.locator(".widget-html").count()
