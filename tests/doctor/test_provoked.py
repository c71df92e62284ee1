"""Environments that are really broken, and what `dicmor doctor` says of them in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DOCTOR = (sys.executable, "-m", "dicmor_lib", "doctor", "--json")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="made with means that Linux has")


def unwell(*command: str, **environment: str) -> dict[str, str]:
    """What the doctor finds that is not well, with its remedy; of load and browser, which are this machine's, nothing."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "OMP_"))}
    env = kept | {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"} | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert not done.stderr and done.stdout, done.stderr
    found = [f for f in json.loads(done.stdout)["findings"] if f["level"] != "ok"]
    assert done.returncode == any(f["level"] == "problem" for f in found)
    return {f["what"]: f["remedy"] for f in found if "busy" not in f["what"] and "Chromium" not in f["what"]}


def one(found: dict[str, str], words: str) -> str:
    """The remedy of the one finding that has these words; it is taken out of `found`."""
    (what,) = [what for what in found if words in what]
    return found.pop(what)


def test_threads_an_old_package_another_kernel_no_network_and_a_folder_that_is_a_file(tmp_path):
    stale = tmp_path / "packages" / "numpy-1.21.0.dist-info"
    stale.mkdir(parents=True)
    (stale / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.21.0\n")
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/usr/bin/other/python", "-m", "x"], "display_name": "x", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    (tmp_path / "file").touch()
    found = unwell(
        *("taskset", "-c", str(min(os.sched_getaffinity(0)))),
        *(*DOCTOR, "--out", str(tmp_path / "file" / "runs")),
        OMP_NUM_THREADS="2",
        MKL_NUM_THREADS="2",
        JUPYTER_PATH=str(tmp_path / "jupyter"),
        PYTHONPATH=os.pathsep.join([str(tmp_path / "packages"), str(ROOT / "tests" / "abuse" / "offline")]),
    )
    assert "OMP_NUM_THREADS=1" in one(found, "torch uses 2 threads on 1 core")
    assert "pip install --upgrade 'numpy>=2.0'" in one(found, "numpy is 1.21.0, and numpy>=2.0 is needed")
    assert "unset JUPYTER_PATH" in one(found, "starts /usr/bin/other/python")
    assert "PIP_ARGS" in one(found, "no network")
    assert "--out" in one(found, f"nothing can be written to {tmp_path / 'file'}")
    assert not found


def test_no_package_at_all():
    """Even then it speaks: `-S` leaves Python without its packages."""
    found = unwell(sys.executable, "-S", *DOCTOR[1:])
    told = " ".join(found)
    assert "torch does not compute (ModuleNotFoundError" in told and "no kernel 'python3'" in told
    assert "JupyterLab cannot start: it is not installed" in told
    assert (
        "dicmor is not installed" in told or "numpy is not installed" in told
    )  # an egg-info may lie beside it
    assert all(found.values()), "each with its remedy"


@pytest.mark.skipif(
    os.getuid() != 0, reason="only root may take a process off the network and mount a small disk"
)
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_no_loopback_a_small_disk_and_little_memory(tmp_path):
    allowed = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True)
    if allowed.returncode:
        pytest.skip("this container may not make name spaces")
    script = f'mount -t tmpfs -o size=900k none "{tmp_path}" && ulimit -d 900000 && exec "$@"'
    order = ("unshare", "-n", "-m", "sh", "-c", script, "sh", *DOCTOR, "--out", str(tmp_path / "runs"))
    found = unwell(*order)
    assert "ip link set lo up" in one(
        found, "cannot reach each other over 127.0.0.1 (Network is unreachable)"
    )
    assert "PIP_ARGS" in one(found, "no network")
    assert "choose another disk" in one(found, "0.0 GB of disk free")
    assert "close other programs" in one(found, "0.9 GB of memory free")
    assert not found


def test_a_python_that_is_too_old_can_read_what_names_it():
    """What runs before the doctor speaks is in a grammar that Python 3.8 knows."""
    import ast

    names = ["__init__", "__main__", "cli", "errors", "commands/*", "doctor/*"]
    files = [path for name in names for path in (ROOT / "dicmor_lib").glob(f"{name}.py")]
    assert len(files) > 10
    for path in files:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 8))
