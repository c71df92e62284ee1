"""`make demo` serves the switchboard on loopback behind its token."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psutil
import pytest

from tests.project.test_makefile import ROOT, USE_THIS_VENV, environment, pytestmark  # noqa: F401
from tests.servers import free_port, get, own_folders, started, wait_for


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[dict]:
    home, port = tmp_path_factory.mktemp("demo"), free_port()
    command = ["make", "demo", *USE_THIS_VENV, f"DEMO_PORT={port}", "DEMO_ARGS=--no-browser"]
    log = home / "log"
    with started(command, log, cwd=ROOT, env=environment(**own_folders(home))) as process:
        token = wait_for(lambda: re.search(r"[?&]token=(\w+)", log.read_text()), process, log)
        yield {
            "url": f"http://127.0.0.1:{port}/",
            "token": token[1],
            "pid": process.pid,
            "port": port,
            "log": log,
        }


def test_demo_listens_on_loopback_alone(demo):
    family = [psutil.Process(demo["pid"]), *psutil.Process(demo["pid"]).children(recursive=True)]
    listening = [c.laddr for p in family for c in p.net_connections("inet") if c.status == "LISTEN"]
    assert demo["port"] in {address.port for address in listening}
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}


def test_demo_takes_every_option_that_make_gives_it(demo):
    """Voila only warns of an option that it does not know: the address would be left to its default."""
    assert "Unrecognized" not in demo["log"].read_text()


@pytest.mark.parametrize("query", ["", "?token=", "?token=guessed"], ids=["none", "empty", "wrong"])
def test_demo_shows_nothing_without_its_token(demo, query):
    status, url, body = get(demo["url"] + query)
    assert status == 403 or "/login" in url, (status, url)
    assert b"switchboard" not in body.lower()


KERNEL = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("query", ["", "?token=guessed"], ids=["none", "wrong"])
def test_demo_lets_nobody_at_its_kernels_without_its_token(demo, query):
    """What the page itself asks the server for; with the token it answers, so the refusal is the token's doing."""
    for page in (f"api/kernels/{KERNEL}", f"api/kernels/{KERNEL}/channels", f"voila/api/shutdown/{KERNEL}"):
        status, url, _ = get(demo["url"] + page + query)
        assert status == 403 or "/login" in url, (page, status, url)
    assert get(f"{demo['url']}voila/api/shutdown/{KERNEL}?token={demo['token']}")[0] == 405  # it wants a POST
