"""Every way in agrees with the project: plain commands, dev container, Binder, Colab."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.project.test_environment import EXTRAS, PROJECT, pins

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHONS = {c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)}
CLONE = ("dicmor_lib", "notebooks", "pyproject.toml", "constraints.txt", "README.md", "LICENSE")
MINUTE = 60  # seconds


def block(language: str, holding: str) -> list[str]:
    """The lines of the only fenced block of README.md in that language that holds these words."""
    found = [b for b in re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S) if holding in b]
    assert len(found) == 1, f"{len(found)} blocks of {language} hold {holding!r}"
    return found[0].splitlines()


def makefile_value(name: str) -> str:
    """What `NAME ?= value` says in the Makefile."""
    return re.search(rf"^{name} \?= (.*)$", MAKEFILE, re.M)[1]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.M))


# --- plain commands, where there is no make --------------------------------------------------------------------------

PLAIN = block("powershell", "-m venv")


def test_plain_commands_install_what_make_installs():
    (install,) = [line for line in PLAIN if "pip install" in line]
    words = shlex.split(install, posix=True)
    assert words[-1] == f".[{makefile_value('EXTRAS')}]" and set(makefile_value("EXTRAS").split(",")) <= set(
        EXTRAS
    )
    assert words[words.index("-c") + 1] == "constraints.txt" and "-e" in words
    assert f'$env:OMP_NUM_THREADS = "{makefile_value("OMP_NUM_THREADS")}"' in PLAIN


def test_plain_commands_are_the_two_of_make_and_name_what_is_there():
    modules = [line.split("-m ")[1].split()[0] for line in PLAIN if "-m " in line]
    assert modules == ["venv", "pip", "jupyterlab", "pytest"]
    opened = next(line for line in PLAIN if "jupyterlab" in line).split()[-1]
    assert (ROOT / opened).is_file() and opened == sorted(
        f"notebooks/{p.name}" for p in ROOT.glob("notebooks/*.ipynb")
    )[0]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A copy of the project, in a folder with a space in its name."""
    home = tmp_path_factory.mktemp("plain") / "a clone"
    home.mkdir()
    for name in CLONE:
        source = ROOT / name
        skip = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(source, home / name, ignore=skip) if source.is_dir() else shutil.copy2(
            source, home / name
        )
    return home


def environment() -> dict[str, str]:
    """This process's environment without what points at other installations."""
    outer = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "JUPYTER_PATH", "PIP_USER")
    return {k: v for k, v in os.environ.items() if k not in outer and not k.startswith("PYTEST_")}


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20 * MINUTE,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def posix(line: str) -> list[str]:
    """A PowerShell line of README.md as this system would run it."""
    words = shlex.split(line.replace("\\", "/"))
    return [
        sys.executable if w == "python" else w.replace(".venv/Scripts/python", ".venv/bin/python")
        for w in words
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are run as their POSIX equivalents")
def test_plain_commands_run(clone):
    """In seconds: packages are lent by this environment, nothing is fetched, and the last two only say that they can."""
    venv, install, _, lab, test = PLAIN
    run([*posix(venv), "--without-pip"], clone)
    purelib = next((clone / ".venv").glob("lib/python*/site-packages"))
    (purelib / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run([*posix(install), "--no-deps", "--no-index", "--no-build-isolation", "--quiet"], clone)
    where = "import dicmor_lib, importlib.metadata as m; print(dicmor_lib.__file__, m.version('dicmor'))"
    said = run([str(clone / ".venv" / "bin" / "python"), "-c", where], clone / "notebooks")
    assert said.split(" clone")[0].endswith("/a") and PROJECT["version"] in said, said
    assert re.match(r"\d+\.", run([*posix(lab), "--version"], clone))
    (clone / "test_it.py").write_text("def test_it():\n    assert True\n")
    said = run([*posix(test), "test_it.py", "-q", "-p", "no:cacheprovider"], clone)
    assert "1 passed" in said


# --- dev container -------------------------------------------------------------------------------------------------


def test_dev_container_agrees_with_the_makefile():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert container["image"].rsplit(":", 1)[1] in PYTHONS
    command = container["postCreateCommand"]
    assert command.startswith("make install ") and "install" in targets() and CPU_INDEX in command
    assert container["forwardPorts"] == [int(makefile_value("PORT")), int(makefile_value("DEMO_PORT"))]
    assert set(container["portsAttributes"]) == {str(port) for port in container["forwardPorts"]}
    assert all(
        value["label"].removeprefix("make ") in targets() for value in container["portsAttributes"].values()
    )
    assert container["containerEnv"] == {"OMP_NUM_THREADS": makefile_value("OMP_NUM_THREADS")}
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith(f"/{makefile_value('VENV')}/bin/python")


# --- Binder --------------------------------------------------------------------------------------------------------

BINDER = ROOT / ".binder"


def test_binder_installs_this_project_with_its_constraints_and_the_small_torch():
    lines = [x for x in (BINDER / "requirements.txt").read_text().splitlines() if x and not x.startswith("#")]
    assert lines == [CPU_INDEX, "-c ../constraints.txt", "-e ."]
    assert (BINDER / lines[1].removeprefix("-c ")).resolve() == ROOT / "constraints.txt"
    assert "+" not in pins()["torch"], "a pin without a local tag lets the index's +cpu build in"
    assert CPU_INDEX in README
    needed = {"jupyterlab", "ipykernel", "ipywidgets"}
    assert needed <= {Requirement(line).name for line in PROJECT["dependencies"]}, (
        "Binder opens the chapters with these"
    )


def test_binder_has_a_python_that_the_project_supports():
    assert (BINDER / "runtime.txt").read_text().strip().removeprefix("python-") in PYTHONS


@pytest.mark.skipif(sys.platform == "win32", reason="Binder's start file is a shell script")
def test_binder_start_sets_the_threads_and_runs_what_it_is_given():
    assert os.access(BINDER / "start", os.X_OK)
    command = [str(BINDER / "start"), sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"]
    assert run(command, ROOT).strip() == makefile_value("OMP_NUM_THREADS")


def test_binder_has_no_file_that_would_take_the_place_of_these():
    """repo2docker takes one of these and ignores requirements.txt and runtime.txt."""
    assert {p.name for p in BINDER.iterdir()} == {"requirements.txt", "runtime.txt", "start"}


# --- Colab ---------------------------------------------------------------------------------------------------------


def test_colab_cell_installs_this_project_by_its_name():
    cell = block("python", "input(")
    assert len(cell) == 2 and cell[0].startswith("address = input(")
    magic, *_, requirement = shlex.split(cell[1])
    assert magic == "%pip" and "-c" not in shlex.split(cell[1]), (
        "Colab's own torch and numpy stay as they are"
    )
    assert requirement.endswith("git+{address}")
    assert Requirement(requirement.format(address="https://example.org/x.git")).name == PROJECT["name"]


def test_chapters_need_no_file_beside_the_library():
    """On Colab there is the one notebook and the installed library, and nothing else of the repository."""
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                code = "".join(cell["source"])
                assert not re.search(
                    r"""open\(["']|Path\(["']\.\.?/|read_text\(["']|["'](notebooks|tests|figures)/""", code
                ), f"{path.name} reads a file of the repository: {code}"


def test_conda_lines_of_the_readme_name_the_environment():
    name = yaml.safe_load((ROOT / "environment.yml").read_text())["name"]
    assert f"conda env create -f environment.yml && conda activate {name}" in README
