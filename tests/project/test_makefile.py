"""`make lab` serves the course on loopback behind its token; the Makefile says plainly what it lacks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.servers import free_port, get, own_folders, started, wait_for

ROOT = Path(__file__).resolve().parents[2]
# The environment that these tests run in serves as .venv, as it is: `-o` tells make that it is up to date.
VENV = ".venv" if Path(sys.prefix) == ROOT / ".venv" else sys.prefix
USE_THIS_VENV = [f"VENV={VENV}", "-o", f"{VENV}/installed"]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what an outer make leaves in it."""
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PORT", "LAB_ARGS", "VENV", "PYTHON")
    return {name: value for name, value in os.environ.items() if name not in outer} | changes


def make(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    command, env = ["make", *arguments], environment(**changes)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def fake_python(folder: Path, body: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


# --- make lab ------------------------------------------------------------------------------------------------------


@contextmanager
def serve(home: Path) -> Iterator[dict]:
    """A server started by `make lab`, as its own runtime file describes it; it reads and writes no user's settings."""
    command = ["make", "lab", *USE_THIS_VENV, f"PORT={free_port()}"]
    command += ["LAB_ARGS=--no-browser --ServerApp.port_retries=0"]
    log = home / "log"
    with started(command, log, cwd=ROOT, env=environment(**own_folders(home))) as process:
        yield wait_for(lambda: described(home / "runtime"), process, log) | {"make": process, "log": log}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    with serve(tmp_path_factory.mktemp("lab")) as server:
        yield server


def request(url: str, token: str, method: str, body: bytes | None = None) -> bytes:
    asked = urllib.request.Request(url, body, {"Authorization": f"token {token}"}, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.read()


def described(runtime: Path) -> dict | None:
    """The server's runtime file (pid, port, token, url), once it answers."""
    for path in runtime.glob("jpserver-*.json"):
        server = json.loads(path.read_text())
        get(f"{server['url']}api")
        return server | {"file": path}
    return None


def test_lab_listens_on_loopback_alone(lab):
    listening = [c.laddr for c in psutil.Process(lab["pid"]).net_connections("inet") if c.status == "LISTEN"]
    assert lab["port"] in {address.port for address in listening}
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("query", ["", "?token=", "?token=guessed"], ids=["none", "empty", "wrong"])
def test_lab_refuses_requests_without_its_token(lab, query):
    assert len(lab["token"]) >= 32
    for page in ("api/status", "api/contents/notebooks", "api/kernels"):
        assert get(f"{lab['url']}{page}{query}")[0] == 403
    _, arrived, body = get(f"{lab['url']}lab{query}")
    assert "/login" in arrived and lab["token"] not in body.decode()


def test_lab_serves_the_course_to_those_with_the_token(lab):
    status, _, body = get(f"{lab['url']}api/status?token={lab['token']}")
    assert status == 200 and json.loads(body)["kernels"] == 0
    status, _, body = get(f"{lab['url']}api/contents/notebooks?token={lab['token']}")
    served = sorted(entry["path"] for entry in json.loads(body)["content"] if entry["type"] == "notebook")
    chapters = sorted(f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert status == 200 and served == chapters and chapters, "there is no chapter"
    log = lab["log"].read_text()
    assert f"{lab['url']}lab/tree/{chapters[0]}?token=" in log, "it does not open at the first chapter"


def test_lab_runs_the_kernel_of_this_environment(lab):
    started = json.loads(request(f"{lab['url']}api/kernels", lab["token"], "POST", b'{"name": "python3"}'))
    try:
        children = [child.cmdline() for child in psutil.Process(lab["pid"]).children(recursive=True)]
        kernels = [command[0] for command in children if "ipykernel_launcher" in command]
        assert [Path(kernel).parent for kernel in kernels] == [Path(sys.prefix) / "bin"]
    finally:
        request(f"{lab['url']}api/kernels/{started['id']}", lab["token"], "DELETE")


def test_lab_stops_by_its_process_id_and_leaves_nothing(tmp_path):
    with serve(tmp_path) as lab:
        os.kill(lab["pid"], signal.SIGTERM)
        lab["make"].wait(20)
        assert not psutil.pid_exists(lab["pid"]) and not lab["file"].exists()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", lab["port"]), timeout=2)


# --- the rest of the Makefile --------------------------------------------------------------------------------------


def test_help_is_the_default_and_lists_every_target():
    result = make()
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    listed = re.findall(r"^  make ([a-z-]+) ", result.stdout, flags=re.MULTILINE)
    assert result.returncode == 0 and result.stdout == make("help").stdout
    assert listed == targets and {"lab", "test", "test-long", "check", "clean"} <= set(listed)


@pytest.mark.skipif(VENV != ".venv", reason="these tests do not run in the environment that make installed")
def test_second_make_has_nothing_to_install():
    assert make("-q", ".venv/installed").returncode == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('[ "$1" = -V ] && echo Python 3.8.2; [ "$2" = "" ]', "is Python 3.8.2, which is too old"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "cannot make virtual environments"),
        ("exit 127", "does not run"),
    ],
    ids=["old", "no-venv", "broken"],
)
def test_an_unfit_python_is_named_in_one_sentence(tmp_path, body, says):
    python = fake_python(tmp_path, body)
    result = make("lab", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    first, *rest = result.stderr.strip().splitlines()
    assert result.returncode == 2 and first.startswith(f"'{python}' ") and says in first
    assert len(rest) == 1 and rest[0].startswith("make: ***"), "one sentence, and make's own last line"
    assert not (tmp_path / "venv").exists()


def test_bounds_are_read_from_the_files_that_hold_them():
    database = make("-pn", "help").stdout
    values = dict(re.findall(r"^(PYTHON_MIN|TORCH_MIN) := (.*)$", database, flags=re.MULTILINE))
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={values["PYTHON_MIN"]}"' in pyproject
    assert f'"torch>={values["TORCH_MIN"]}"' in pyproject
