"""A real JupyterLab on loopback with its token on, and headless Chromium to look at it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import free_port, get, own_folders, started, wait_for

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# nothing but the page asked for: no sandbox inside a container, no updates, no start page
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@dataclass(frozen=True)
class Server:
    """A running server: `url` without the token, `token`, and what it has written so far."""

    url: str
    token: str
    log: Path


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Headless Chromium; tests that ask for it are skipped where there is none.

    For one file of tests: while it runs, so does the event loop of its driver, which other tests must not meet.
    """
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian and Ubuntu: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """Start a Jupyter server module on a copy of the notebooks, and stop it at the end of the tests."""
    with ExitStack() as running:

        def start(module: str, *options: str) -> Server:
            folder = tmp_path_factory.mktemp(module)
            notebooks = shutil.copytree(ROOT / "notebooks", folder / "course" / "notebooks")
            token, port, log = secrets.token_hex(16), free_port(), folder / "server.log"
            filled = [
                option.format(notebooks=notebooks, root=notebooks.parent, token=token) for option in options
            ]
            where = ["--no-browser", "--ip=127.0.0.1", f"--port={port}"]
            command = [sys.executable, "-m", module, *where, *filled]
            server = started(command, log, env=environment(folder), cwd=notebooks.parent)
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: get(f"{url}/api/status"), running.enter_context(server), log)
            return Server(url, token, log)

        yield start


@pytest.fixture(scope="module")
def lab(browser, serve) -> Server:
    """JupyterLab as `make lab` starts it, on a copy of the course."""
    options = (
        "--ServerApp.root_dir={root}",
        "--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
    )
    return serve("jupyterlab", *options, *(["--allow-root"] if os.getuid() == 0 else []))


def environment(folder: Path) -> dict[str, str]:
    """Folders of its own for everything Jupyter keeps, one thread per kernel, this library first."""
    own = own_folders(folder)
    for name, values in lab_settings().items():
        file = Path(own["JUPYTERLAB_SETTINGS_DIR"], f"{name.replace(':', '/')}.jupyterlab-settings")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    kept = {k: v for k, v in os.environ.items() if k not in ("JUPYTER_PATH", "MPLBACKEND")}
    return kept | own | {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"}


def lab_settings() -> dict[str, dict]:
    """What the Makefile sets JupyterLab to, by the name of the plug-in."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (written,) = re.findall(r"^LAB_SETTINGS := ((?:.*\\\n)*.*)$", makefile, flags=re.MULTILINE)
    return json.loads(written.replace("\\\n", ""))
