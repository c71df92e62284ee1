"""A checkout in a place that nobody would choose, and commands run there with as little as we can leave them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
COPIED = ("dicmor_lib", "notebooks", "tests/course", "tests/abuse", "pyproject.toml", "README.md")
NOBODY = 65534
LITTLE = {"offline": True, "cores": 1, "bytes": 4e9, "user": NOBODY}


@dataclass(frozen=True)
class Place:
    """`checkout` cannot be written; `home` is the only folder that can."""

    checkout: Path
    home: Path

    def run(self, *command: str, **changes: object) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout with little (see `hostile`); `changes` give more, or other, surroundings."""
        asked = json.dumps(LITTLE | changes)
        arguments = [sys.executable, str(HERE / "hostile.py"), asked, sys.executable, *command]
        return subprocess.run(
            arguments, cwd=self.checkout, env=self.environment(), capture_output=True, text=True, timeout=1800
        )

    def execute(self, notebook: NotebookNode, name: str, **changes: object) -> NotebookNode:
        """Execute a notebook there; AssertionError with the end of the traceback if a cell ended the run."""
        source, result = self.home / f"{name}.ipynb", self.home / f"{name} out.ipynb"
        nbformat.write(notebook, source)
        give_to_all(self.home)
        done = self.run(str(HERE / "execute.py"), str(source), str(result), **changes)
        assert done.returncode == 0, done.stderr[-3000:]
        return nbformat.read(result, as_version=4)

    def environment(self) -> dict[str, str]:
        """This process's environment, with that home and the checkout's own library, and none of Jupyter's folders."""
        taken = ("JUPYTER", "IPYTHON", "PYTEST", "MPL", "XDG", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(taken)}
        path = os.pathsep.join(map(str, (self.checkout, HERE / "offline")))
        backend = "module://matplotlib_inline.backend_inline"
        return kept | {
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "JUPYTER_PREFER_ENV_PATH": "1",
            "MPLBACKEND": backend,
            "OMP_NUM_THREADS": "1",
        }


@contextmanager
def hostile_place() -> Iterator[Place]:
    """A read-only copy of this checkout, in folders with spaces and letters beyond ASCII."""
    # not pytest's own folder, which other users may not enter
    base = Path(tempfile.mkdtemp(prefix="dicmor abuse "))
    place = Place(base / "Kurs für Müßiggänger (日本)" / "di cmor", base / "Heim ñ")
    try:
        for name in COPIED:
            copy_into(place.checkout / name, ROOT / name)
        place.home.mkdir()
        # a list of fonts: on a slow machine matplotlib says on stderr that it makes one
        shutil.copytree(matplotlib.get_cachedir(), place.home / ".cache" / "matplotlib")
        give_to_all(place.home)
        base.chmod(0o755)
        set_writable(place.checkout, False)
        yield place
    finally:
        set_writable(place.checkout, True)
        shutil.rmtree(base)


def copy_into(target: Path, source: Path) -> None:
    """Copy a file, or a folder without its caches."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    else:
        shutil.copy(source, target)


def set_writable(folder: Path, writable: bool) -> None:
    """Let the owner of a folder and of all in it write there, or nobody."""
    write = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode | stat.S_IRGRP | stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        path.chmod(mode | stat.S_IWUSR if writable else mode & ~write)


def give_to_all(folder: Path) -> None:
    """Whichever user runs the command there may read and write."""
    for path in (folder, *folder.rglob("*")):
        if path.stat().st_uid == os.getuid():
            path.chmod(0o777 if path.is_dir() else 0o666)
