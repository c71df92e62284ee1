"""The built site, once for all tests that look at it; served on loopback, and watched by a browser that stays there."""

from __future__ import annotations

import fcntl
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dicmor_lib.site.addresses import ROOT
from dicmor_lib.site.build import NEEDED
from tests.browser.conftest import browser  # noqa: F401  (a fixture)
from tests.site.links import Page, read_site

WIDTHS = {"laptop": (1280, 800), "phone": (390, 844)}


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id: str) -> Path:
    """The folder of the site, built by whichever test process comes first."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the extra `site` is not installed ({', '.join(missing)}): pip install -e '.[site]'")
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "site-is-built").exists():
            command = [sys.executable, "-m", "dicmor_lib.site", str(shared / "site")]
            built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stderr[-3000:]
            (shared / "site-is-built").touch()
    return shared / "site"


@pytest.fixture(scope="session")
def pages(site) -> dict[str, Page]:
    """Every page of the site, parsed."""
    return read_site(site)


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    """The site served on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def look(browser, address) -> Iterator[Callable]:  # noqa: F811
    """Open a page of the site; at the end, nothing may have gone wrong on it and nothing been asked for outside."""
    contexts, problems = [], []

    def blocked(route) -> None:
        problems.append(f"asked for {route.request.url}")
        route.abort()

    def open_page(name: str, width: str = "laptop", theme: str = "light"):
        size = dict(zip(("width", "height"), WIDTHS[width]))
        contexts.append(browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce"))
        contexts[-1].route(lambda url: not url.startswith((address, "data:")), blocked)
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)  # of a busy machine
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.on(
            "response", lambda got: problems.append(f"{got.status} {got.url}") if got.status >= 400 else None
        )
        page.goto(address + name)
        page.wait_for_function("() => !window.MathJax?.startup || MathJax.startup.promise.then(() => true)")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems
