"""A real JupyterLab on loopback with its token on, and headless Chromium to look at it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# nothing but the page asked for: no sandbox inside a container, no updates, no start page
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
SECONDS_TO_START = 120
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


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
    started: list[subprocess.Popen] = []

    def start(module: str, *options: str) -> Server:
        folder = tmp_path_factory.mktemp(module)
        notebooks = shutil.copytree(ROOT / "notebooks", folder / "course" / "notebooks")
        token, port, log = secrets.token_hex(16), free_port(), folder / "server.log"
        filled = [
            option.format(notebooks=notebooks, root=notebooks.parent, token=token) for option in options
        ]
        command = [sys.executable, "-m", module, "--no-browser", "--ip=127.0.0.1", f"--port={port}", *filled]
        with log.open("w") as output:
            started.append(
                subprocess.Popen(
                    command, stdout=output, stderr=output, env=environment(folder), cwd=notebooks.parent
                )
            )
        wait_until_it_answers(f"http://127.0.0.1:{port}", started[-1], log)
        return Server(f"http://127.0.0.1:{port}", token, log)

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(30)


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
    names = ("RUNTIME_DIR", "CONFIG_DIR", "DATA_DIR")
    own = {f"JUPYTER_{name}": str(folder / name.lower()) for name in names}
    own |= {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "ws"),
    }
    own |= {"IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    for name, values in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    kept = {k: v for k, v in os.environ.items() if k not in ("JUPYTER_PATH", "MPLBACKEND")}
    return kept | own


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/api/status", timeout=2)
            return
        except urllib.error.HTTPError:
            return  # it asks for its token, so it is there
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-2000:]}")
