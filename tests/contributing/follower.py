"""Runs the commands of recipes in one process (importing torch once): `python follower.py OUT.json < commands.json`."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import shlex
import subprocess
import sys
import traceback
from pathlib import Path


def run(command: str) -> int:
    """Run a command as the shell would in an environment where the project is installed; return its exit status."""
    match shlex.split(command):
        case ["python", "-m", "pytest", *arguments]:
            import pytest

            return int(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]))
        case ["python", script]:
            runpy.run_path(script, run_name="__main__")
            return 0
        case ["dicmor", *arguments]:
            from dicmor_lib.cli import main

            return int(main(arguments) or 0)
        case ["jupyter", "nbconvert", *arguments]:
            # comes with JupyterLab
            done = subprocess.run(
                [sys.executable, "-m", "nbconvert", *arguments], capture_output=True, text=True
            )
            print(done.stdout, done.stderr)
            return done.returncode
    raise ValueError(f"what is {command!r}?")


def main() -> None:
    """Run all commands, whatever becomes of them, and write [status, output] of each."""
    found = []
    for command in json.load(sys.stdin):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                status = run(command)
            except SystemExit as stop:
                status = int(stop.code or 0)
            except BaseException:  # noqa: BLE001  reported, so that the test names the command
                traceback.print_exc()
                status = 1
        found.append([status, said.getvalue()])
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
