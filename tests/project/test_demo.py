"""`make demo` serves the switchboard on loopback behind its token."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.project.test_makefile import ROOT, USE_THIS_VENV, environment, free_port, get, pytestmark  # noqa: F401


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[dict]:
    home, port = tmp_path_factory.mktemp("demo"), free_port()
    command = ["make", "demo", *USE_THIS_VENV, f"DEMO_PORT={port}", "DEMO_ARGS=--no-browser"]
    folders = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")}
    with open(home / "log", "w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**folders), stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline, token = time.monotonic() + 120, None
        while token is None and time.monotonic() < deadline and process.poll() is None:
            token = re.search(r"[?&]token=(\w+)", (home / "log").read_text())
            time.sleep(0.1)
        assert token, f"`make demo` did not serve:\n{(home / 'log').read_text()}"
        yield {"url": f"http://127.0.0.1:{port}/", "token": token[1], "pid": process.pid, "port": port}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def test_demo_listens_on_loopback_alone(demo):
    family = [psutil.Process(demo["pid"]), *psutil.Process(demo["pid"]).children(recursive=True)]
    listening = [c.laddr for p in family for c in p.net_connections("inet") if c.status == "LISTEN"]
    assert demo["port"] in {address.port for address in listening}
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("query", ["", "?token=", "?token=guessed"], ids=["none", "empty", "wrong"])
def test_demo_shows_nothing_without_its_token(demo, query):
    status, url, body = get(demo["url"] + query)
    assert status == 403 or "/login" in url, (status, url)
    assert b"switchboard" not in body.lower()
