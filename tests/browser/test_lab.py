"""The course in a real browser: JupyterLab opens a chapter, runs it, and its widget answers to clicks."""

from __future__ import annotations

import pytest

from tests.browser.conftest import SHOTS, Server

IDLE = """() => { const widget = window.jupyterapp?.shell?.currentWidget;
                  return widget?.sessionContext?.session?.kernel?.status === 'idle'; }"""
RAN = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'
             && ![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.includes('*'))"""
RUN_ALL = "async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
MODALITIES = ("language", "audio", "vision")


@pytest.fixture
def page(browser, request):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{request.node.name}.png")
    page.close()


def open_and_run(page, lab: Server, chapter: str) -> None:
    """Open a chapter, run all of its cells, and assert that none failed."""
    page.goto(f"{lab.url}/lab/tree/notebooks/{chapter}.ipynb?token={lab.token}&reset")
    page.wait_for_function(IDLE, timeout=120_000)
    page.evaluate(RUN_ALL)
    page.wait_for_timeout(500)
    page.wait_for_function(RAN, timeout=300_000)
    failed = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
    for kind in failed:
        found = page.locator(f".jp-OutputArea-output[data-mime-type='{kind}']")
        assert found.count() == 0, found.first.inner_text()


def picture(page) -> str:
    return page.locator(".widget-html img[src^='data:image/png']").first.evaluate("e => e.src")


def test_the_server_wants_its_token(page, lab):
    assert page.goto(f"{lab.url}/api/contents").status == 403
    assert page.goto(f"{lab.url}/api/contents?token={lab.token}").status == 200


def test_the_first_chapter_runs_and_every_toggle_changes_picture_and_sentence(page, lab):
    open_and_run(page, lab, "00_start_here")
    status = page.locator(".widget-html [role=status]").first
    status.scroll_into_view_if_needed()
    for modality in MODALITIES:
        for _ in range(2):  # off and on again, or the other way round
            before = picture(page), status.inner_text()
            page.get_by_role("button", name=modality).first.click()
            page.wait_for_function(
                "old => document.querySelector('.widget-html [role=status]').innerText !== old",
                arg=before[1],
                timeout=20_000,
            )
            assert picture(page) != before[0]
    switch_everything_off(page)
    assert not page.problems


def switch_everything_off(page) -> None:
    """Nothing available is no error: the picture says that there is no prediction."""
    for modality in MODALITIES:
        button = page.get_by_role("button", name=modality).first
        if "no " not in button.inner_text():
            button.click()
            page.get_by_role("button", name=f"no {modality}").first.wait_for()
    page.wait_for_function(
        "() => document.querySelector('.widget-html [role=status]').innerText.includes('Nothing is available')"
    )
