"""`dicmor doctor` names each problem of an environment, with its remedy; every one of them is provoked here."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicmor_lib import cli
from dicmor_lib.doctor import Facts, Package, Report, doctor, facts, gather, judge
from dicmor_lib.doctor.findings import fits

ROOT = Path(__file__).resolve().parents[2]
HEALTHY = Facts(
    python="3.12.1",
    python_bound=">=3.11",
    packages=(Package("torch", ">=2.6", "2.13.0+cpu"), Package("numpy", ">=2.0", "2.4.6")),
    torch_failure=None,
    devices=(),
    gpu_seen=False,
    cores=4,
    threads=1,
    omp="1",
    load=0.5,
    kernel="/env/bin/python",
    kernel_is_this=True,
    jupyter_path=None,
    strangers=(),
    lab_failure=None,
    lab_widgets=True,
    library=Path("/course/dicmor_lib"),
    checkout=Path("/course/dicmor_lib"),
    chapters=("00_start_here.ipynb", "01_missing_modalities.ipynb"),
    damaged=(),
    out=Path("runs"),
    out_failure=None,
    disk=50_000_000_000,
    memory=8_000_000_000,
    loopback_failure=None,
    network=True,
    browser="/usr/bin/chromium",
)

# what is wrong -> the level, words of the finding, words of its remedy
PROVOKED: dict[str, tuple[dict, str, str, str]] = {
    "old Python": ({"python": "3.10.14"}, "problem", "Python 3.10.14 is older than 3.11", "make lab PYTHON="),
    "not installed": (
        {"python_bound": None, "packages": ()},
        "problem",
        "dicmor is not installed",
        "pip install",
    ),
    "package missing": (
        {"packages": (Package("seaborn", ">=0.13.2", None),)},
        "problem",
        "seaborn is not installed",
        "pip install 'seaborn>=0.13.2'",
    ),
    "package too old": (
        {"packages": (Package("torch", ">=2.6", "2.5.1+cu121"),)},
        "problem",
        "torch is 2.5.1+cu121, and torch>=2.6 is needed",
        "pip install --upgrade 'torch>=2.6'",
    ),
    "torch broken": (
        {"torch_failure": "OSError: libcudart.so.12: cannot open", "threads": None},
        "problem",
        "torch does not compute (OSError: libcudart",
        "pip install --force-reinstall torch",
    ),
    "GPU out of reach": ({"gpu_seen": True}, "note", "this torch cannot use it", "CUDA build"),
    "too many threads": (
        {"threads": 8, "omp": "8"},
        "problem",
        "8 threads on 4 cores: they wait for each other",
        "OMP_NUM_THREADS=1",
    ),
    "threads no number": ({"omp": "many"}, "problem", "OMP_NUM_THREADS is 'many'", "OMP_NUM_THREADS=1"),
    "more threads than help": (
        {"threads": 16, "cores": 16, "omp": None},
        "note",
        "16 threads, more than",
        "=1",
    ),
    "busy": ({"load": 9.0}, "note", "the machine is busy (load 9.0 on 4 cores)", "other programs"),
    "no kernel": (
        {"kernel": None, "kernel_is_this": False},
        "problem",
        "no kernel 'python3'",
        "make install",
    ),
    "other kernel": (
        {"kernel": "/other/bin/python", "kernel_is_this": False},
        "problem",
        "starts /other/bin/python, which is another environment",
        "JUPYTER_PREFER_ENV_PATH=1",
    ),
    "other kernel by JUPYTER_PATH": (
        {"kernel": "/other/bin/python", "kernel_is_this": False, "jupyter_path": "/other/share"},
        "problem",
        "another environment",
        "unset JUPYTER_PATH and start with 'make lab'",
    ),
    "JUPYTER_PATH": ({"jupyter_path": "/other/share"}, "note", "JUPYTER_PATH is set", "unset it"),
    "no JupyterLab": (
        {"lab_failure": "it is not installed"},
        "problem",
        "JupyterLab cannot start: it is not installed",
        "make install",
    ),
    "no widgets": ({"lab_widgets": False}, "note", "draws widgets", "jupyterlab_widgets"),
    "other library": (
        {"checkout": Path("/second/dicmor_lib")},
        "problem",
        "imports /course/dicmor_lib, not the dicmor_lib of this checkout (/second/dicmor_lib)",
        "'pip install -e .' in /second",
    ),
    "outside a checkout": ({"checkout": None}, "note", "in no checkout", ""),
    "no chapters": ({"chapters": ()}, "problem", "00_start_here.ipynb is not beside the library", "clone"),
    "damaged weights": (
        {"damaged": ("best/model.safetensors",)},
        "problem",
        "weights are damaged: best/model.safetensors",
        "git checkout -- dicmor_lib/course/weights",
    ),
    "not writable": (
        {"out_failure": "/course: Read-only file system"},
        "problem",
        "nothing can be written to /course: Read-only file system",
        "--out",
    ),
    "disk full": ({"disk": 200_000_000}, "problem", "0.2 GB of disk free", "delete files"),
    "little disk": ({"disk": 1_500_000_000}, "note", "1.5 GB of disk free, less than 2 GB", "delete files"),
    "no memory": ({"memory": 500_000_000}, "problem", "0.5 GB of memory free", "close other programs"),
    "little memory": ({"memory": 1_500_000_000}, "note", "1.5 GB of memory free", "close other programs"),
    "no loopback": (
        {"loopback_failure": "Network is unreachable"},
        "problem",
        "cannot reach each other over 127.0.0.1 (Network is unreachable)",
        "ip link set lo up",
    ),
    "no network": ({"network": False}, "note", "no network: the course needs none", "PIP_ARGS"),
    "old kernel name": (
        {"strangers": (("03_flows_and_priors.ipynb", "python3.9-old"),)},
        "problem",
        "03_flows_and_priors.ipynb asks for the kernel 'python3.9-old'",
        "Change Kernel",
    ),
    "no browser": ({"browser": None}, "note", "no Chromium", "apt install chromium"),
}


def test_a_healthy_environment_has_no_problem_no_note_and_no_path():
    report = Report(tuple(judge(HEALTHY)))
    assert report.healthy and {finding.level for finding in report.findings} == {"ok"}
    assert "/" not in str(report).replace("notebooks/", "")  # a chapter prints it, and is committed
    assert str(report).endswith("everything that the course needs is here")


@pytest.mark.parametrize("name", PROVOKED)
def test_what_is_wrong_is_named_with_its_remedy(name):
    changes, level, what, remedy = PROVOKED[name]
    wrong = [f for f in judge(dataclasses.replace(HEALTHY, **changes)) if f.level != "ok"]
    assert len(wrong) == 1, wrong  # this and nothing else
    assert wrong[0].level == level and what in wrong[0].what and remedy in wrong[0].remedy
    assert wrong[0].remedy or level == "note"
    assert "\n" not in wrong[0].what + wrong[0].remedy


def test_every_problem_and_note_of_the_code_is_provoked():
    tree = ast.parse((ROOT / "dicmor_lib" / "doctor" / "findings.py").read_text())
    made = [
        call
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding"
    ]
    levels = [call.args[0].value if isinstance(call.args[0], ast.Constant) else "room" for call in made]
    said = sum(
        {"ok": 0, "room": 4}.get(level, 1) for level in levels
    )  # too little and little of disk and memory
    assert said == len(PROVOKED) - 1  # the other kernel stands here twice


@pytest.mark.parametrize(
    "changes",
    [
        dict(load=None, memory=None, disk=None),
        dict(devices=("H100",), gpu_seen=True),
        dict(omp="1,1"),
        dict(omp=None),
    ],
)
def test_what_cannot_be_known_or_is_better_is_no_problem(changes):
    assert {f.level for f in judge(dataclasses.replace(HEALTHY, **changes))} == {"ok"}


def test_versions_against_bounds():
    assert fits("2.6", ">=2.6") and fits("2.6.0+cpu", ">=2.6") and fits("2.13.0", ">=2.6") and fits("1", "")
    assert not fits("2.5.9", ">=2.6") and not fits("0.13", ">=0.13.2") and fits("0.13.2", ">= 0.13.2")
    assert not fits("3.9.18", ">=3.11") and fits("3.11.0", ">=3.11")


# --- the facts ----------------------------------------------------------------------------------------


def test_this_environment_is_seen_as_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    seen = gather(tmp_path / "not" / "there" / "yet")
    assert {"torch", "numpy", "jupyterlab", "ipywidgets"} <= {p.name for p in seen.packages}
    assert not {"pytest", "ruff", "transformers"} & {p.name for p in seen.packages}  # extras
    assert all(p.installed and p.bound.startswith(">=") for p in seen.packages)
    assert seen.python_bound.startswith(">=3.") and seen.torch_failure is None and seen.threads >= 1
    assert seen.kernel_is_this and seen.lab_failure is None and seen.out_failure is None
    assert seen.library == ROOT / "dicmor_lib" and "00_start_here.ipynb" in seen.chapters
    assert seen.damaged == () and seen.disk > 0 and seen.cores >= 1
    assert not (tmp_path / "not").exists()  # looking leaves nothing behind


def test_a_package_that_is_gone_and_a_torch_that_fails(monkeypatch):
    monkeypatch.setattr(facts, "_installed", lambda name: None if name == "scipy" else "9.9")
    monkeypatch.setitem(sys.modules, "torch", None)  # `import torch` now raises ImportError
    seen = gather()
    assert [p.name for p in seen.packages if p.installed is None] == ["scipy"]
    assert "torch" in seen.torch_failure and seen.threads is None
    monkeypatch.setattr(facts, "DISTRIBUTION", "dicmor-that-nobody-installed")
    assert gather().python_bound is None


def test_damaged_and_missing_weights_are_found(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    sums = {"a": facts._sha256(tmp_path / "a"), "b": "0" * 64}
    (tmp_path / "record.json").write_text(json.dumps({"sha256": sums}))
    assert facts.damaged_weights(tmp_path) == ("b",)
    (tmp_path / "a").write_bytes(b"two")
    assert facts.damaged_weights(tmp_path) == ("a", "b")
    for text in ("{", "[]", "{}", '{"sha256": 1}'):
        (tmp_path / "record.json").write_text(text)
        assert facts.damaged_weights(tmp_path) == ("record.json",)
    assert facts.damaged_weights(tmp_path / "nowhere") == ("record.json",)


def test_which_interpreters_are_this_one(tmp_path):
    assert facts.is_this_python(sys.executable) and facts.is_this_python("python3")
    assert facts.is_this_python("python") and facts.is_this_python("python3.12")
    os.symlink(os.path.realpath(sys.executable), tmp_path / "python")  # another venv of the same Python
    assert not facts.is_this_python(str(tmp_path / "python"))


def test_a_kernel_elsewhere_is_seen(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {
        "argv": ["/other/bin/python", "-m", "ipykernel_launcher"],
        "display_name": "x",
        "language": "python",
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    seen = gather()
    assert (seen.kernel, seen.kernel_is_this) == ("/other/bin/python", False)
    assert any("another environment" in finding.what for finding in judge(seen))


def test_the_checkout_of_the_working_folder(tmp_path):
    assert facts.find_checkout(ROOT / "notebooks") == ROOT / "dicmor_lib"
    assert facts.find_checkout(tmp_path) is None
    (tmp_path / "dicmor_lib").mkdir()
    (tmp_path / "dicmor_lib" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").touch()
    assert facts.find_checkout(tmp_path) == (tmp_path / "dicmor_lib").resolve()


def test_a_chapter_saved_with_a_kernel_of_another_time_is_found(tmp_path):
    for name, kernel in (("01_a", "python3"), ("02_b", "python3.9-old"), ("03_c", None)):
        spec = {"metadata": {"kernelspec": {"name": kernel}} if kernel else {}}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(spec))
    (tmp_path / "04_d.ipynb").write_text("{")
    assert facts.strangers(tmp_path) == (("02_b.ipynb", "python3.9-old"),)


# --- the command --------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [False, True])
def test_the_status_says_whether_something_must_be_mended(problem, monkeypatch, capsys):
    seen = dataclasses.replace(HEALTHY, damaged=("config.json",)) if problem else HEALTHY
    monkeypatch.setattr("dicmor_lib.doctor.gather", lambda out: seen)
    assert cli.main(["doctor"]) == int(problem)
    out = capsys.readouterr().out
    assert ("PROBLEM  the shipped weights are damaged: config.json\n         -> restore" in out) == problem
    assert out.endswith("1 problem to mend\n" if problem else "everything that the course needs is here\n")
    assert cli.main(["doctor", "--json"]) == int(problem)
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] != problem and {"level", "what", "remedy"} == set(found["findings"][0])


def test_it_is_quick_and_needs_no_torch_to_be_imported():
    code = "import sys, dicmor_lib.doctor; print('torch' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    doctor()  # torch is imported by now
    start = time.process_time()
    doctor()
    assert time.process_time() - start < 3
