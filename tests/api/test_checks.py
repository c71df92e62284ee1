"""What pre-commit runs is what `make check` runs, from the environment that `make` installs."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ".venv/bin/python"
(LOCAL,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
HOOKS = {hook["id"]: hook for hook in LOCAL["hooks"]}
COMMANDS = [shlex.split(hook["entry"]) for hook in HOOKS.values()]
PACKAGES = {"codespell_lib": "codespell"}  # where the module is not called like its package


def of_make() -> list[list[str]]:
    """The commands of `make check`, as make would run them with its own environment up to date."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VENV"))
    }
    command = ["make", "--dry-run", "check", "VENV=.venv", "-o", ".venv/installed"]
    printed = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return [words for words in map(shlex.split, printed.stdout.splitlines()) if words[:1] == [PYTHON]]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_pre_commit_runs_what_make_check_runs():
    assert COMMANDS == of_make()


def test_hooks_need_nothing_but_the_environment():
    assert LOCAL["repo"] == "local"
    assert len(HOOKS) == len(LOCAL["hooks"]) == 5
    for hook in HOOKS.values():
        assert hook["language"] == "system" and hook["pass_filenames"] is False


@pytest.mark.parametrize("command", COMMANDS, ids=list(HOOKS))
def test_the_commands_exist(command):
    python, flag, module, *arguments = command
    assert (python, flag) == (PYTHON, "-m")
    assert importlib.util.find_spec(module) is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    declared = {name.split(">")[0].split("[")[0] for name in (*extras["dev"], *extras["test"])}
    assert PACKAGES.get(module, module) in declared
    assert all((ROOT / word).exists() for word in arguments if "/" in word or word.endswith((".md", ".cff")))


def test_pre_commit_can_read_the_file():
    if importlib.util.find_spec("pre_commit") is None:
        pytest.skip("pre-commit is not installed; `make` installs it with the extra dev")
    command = [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"]
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == 0


def test_a_lint_fault_and_a_wrong_type_are_found(tmp_path):
    """The tools that the hooks call do find what they are there for."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import os\n\n\ndef half(n: int) -> str:\n    return n / 2\n")
    lint = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
        str(wrong),
    ]
    assert "F401" in subprocess.run(lint, capture_output=True, text=True, timeout=60).stdout
    kinds = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(wrong)]
    kinds += ["--cache-dir", str(tmp_path / "cache")]
    assert "[return-value]" in subprocess.run(kinds, capture_output=True, text=True, timeout=120).stdout
