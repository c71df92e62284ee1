"""What the facts mean: each check is a pure function from `Facts` to findings, a problem with its remedy in a sentence.

What is well is said without a path of the machine, so that a notebook can show it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dicmor_lib.doctor.facts import FIRST_CHAPTER, Facts

GB = 1e9
LEAST_DISK, LITTLE_DISK = 0.5 * GB, 2 * GB  # a run of the tiny preset takes 10 MB, one of mosi 0.3 GB
LEAST_MEMORY, LITTLE_MEMORY = (
    1 * GB,
    2 * GB,
)  # torch and JupyterLab together take 0.6 GB before anything is trained
BUSY = 1.5  # waiting processes per core from which on the chapters' minutes no longer hold
INSTALL = "run 'make install' in the checkout, or 'pip install -e .'"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        level: "ok"; "note", which the course works without; or "problem".
        what: was found.
        remedy: what to do about it, in a sentence; "" where there is nothing to do.
    """

    level: Literal["ok", "note", "problem"]
    what: str
    remedy: str = ""


def judge(facts: Facts) -> list[Finding]:
    """Return the findings of every check, in order."""
    return [finding for check in CHECKS for finding in check(facts)]


def python(facts: Facts) -> Iterator[Finding]:
    """The interpreter, against the bound in pyproject.toml."""
    if facts.python_bound is None:
        yield Finding("problem", "dicmor is not installed in this environment", INSTALL)
    elif not fits(facts.python, facts.python_bound):
        wanted = facts.python_bound.removeprefix(">=")
        remedy = (
            f"install Python {wanted} or newer and make a new environment: make lab PYTHON=/path/to/python3"
        )
        yield Finding("problem", f"Python {facts.python} is older than {wanted}", remedy)
    else:
        yield Finding("ok", f"Python {facts.python}")


def packages(facts: Facts) -> Iterator[Finding]:
    """Every required package and its bound."""
    good = 0
    for package in facts.packages:
        wanted = f"{package.name}{package.bound}"
        if package.installed is None:
            yield Finding("problem", f"{package.name} is not installed", f"run: pip install '{wanted}'")
        elif not fits(package.installed, package.bound):
            what = f"{package.name} is {package.installed}, and {wanted} is needed"
            yield Finding("problem", what, f"run: pip install --upgrade '{wanted}'")
        else:
            good += 1
    if good:
        yield Finding("ok", f"{good} required packages in versions that fit")


def torch(facts: Facts) -> Iterator[Finding]:
    """PyTorch computes, and on what."""
    if facts.torch_failure:
        what = f"torch does not compute ({facts.torch_failure})"
        yield Finding("problem", what, "reinstall it: pip install --force-reinstall torch")
        return
    yield Finding("ok", "torch multiplies matrices")
    if facts.devices:
        yield Finding("ok", f"accelerators: {', '.join(facts.devices)}")
    elif facts.gpu_seen:
        what = "there is an NVIDIA GPU, but this torch cannot use it; the course needs none"
        yield Finding(
            "note", what, "for full-size models, install the CUDA build of torch that fits the driver"
        )
    else:
        yield Finding("ok", "no GPU; the course needs none")


def threads(facts: Facts) -> Iterator[Finding]:
    """As many threads as cores, at most, and a machine that is not busy."""
    cores = f"{facts.cores} core{'s' * (facts.cores != 1)}"
    remedy = (
        "set OMP_NUM_THREADS=1 before Python starts ('make lab' does); the models of the course are small"
    )
    if facts.omp and not re.fullmatch(r"\s*[1-9]\d*\s*(,\s*[1-9]\d*\s*)*", facts.omp):
        yield Finding("problem", f"OMP_NUM_THREADS is {facts.omp!r}, which is no number of threads", remedy)
    elif facts.threads is not None and facts.threads > facts.cores:
        what = f"torch uses {facts.threads} threads on {cores}: they wait for each other"
        yield Finding("problem", what, remedy)
    elif facts.threads is not None and facts.threads > 4 and not facts.omp:
        yield Finding("note", f"torch uses {facts.threads} threads, more than small models can use", remedy)
    elif facts.threads is not None:
        yield Finding("ok", f"{cores}, torch uses {facts.threads} thread{'s' * (facts.threads != 1)}")
    if facts.load is not None and facts.load > BUSY * facts.cores:
        what = f"the machine is busy (load {facts.load:.1f} on {cores}): chapters take longer than they say"
        yield Finding("note", what, "close or wait for other programs")


def kernel(facts: Facts) -> Iterator[Finding]:
    """The kernel that the chapters ask for runs in this environment."""
    if facts.kernel is None:
        yield Finding("problem", "Jupyter has no kernel 'python3', which every chapter asks for", INSTALL)
    elif not facts.kernel_is_this:
        what = f"the kernel 'python3' starts {facts.kernel}, which is another environment"
        why = "unset JUPYTER_PATH and " if facts.jupyter_path else ""
        remedy = f"{why}start with 'make lab', or set JUPYTER_PREFER_ENV_PATH=1, so that this environment's kernel wins"
        yield Finding("problem", what, remedy)
    else:
        yield Finding("ok", "the kernel 'python3' is this Python")
        if facts.jupyter_path:
            what = "JUPYTER_PATH is set, so kernels of other installations are listed beside this one's"
            yield Finding("note", what, "unset it if a chapter does not find dicmor_lib")


def strangers(facts: Facts) -> Iterator[Finding]:
    """No chapter was saved with a kernel of another time or machine."""
    for chapter, name in facts.strangers:
        what = f"{chapter} asks for the kernel '{name}', which Jupyter does not have"
        remedy = "in JupyterLab choose Kernel, Change Kernel, 'Python 3 (ipykernel)', and save; with papermill: -k python3"
        yield Finding("problem", what, remedy)


def lab(facts: Facts) -> Iterator[Finding]:
    """JupyterLab opens, and draws widgets."""
    if facts.lab_failure:
        yield Finding("problem", f"JupyterLab cannot start: {facts.lab_failure}", INSTALL)
    elif not facts.lab_widgets:
        what = "JupyterLab lacks the extension that draws widgets; chapter 0 shows still pictures instead"
        yield Finding("note", what, "run: pip install --force-reinstall jupyterlab_widgets")
    else:
        yield Finding("ok", "JupyterLab, with widgets")


def checkout(facts: Facts) -> Iterator[Finding]:
    """The library that is imported is the one beside the chapters."""
    if facts.checkout is not None and facts.checkout != facts.library:
        what = f"Python imports {facts.library}, not the dicmor_lib of this checkout ({facts.checkout})"
        yield Finding("problem", what, f"run 'pip install -e .' in {facts.checkout.parent}")
    elif facts.checkout is not None:
        yield Finding("ok", "the library is that of this checkout")
    else:
        yield Finding(
            "note", "the working folder is in no checkout of the project; the library is an installed one"
        )


def chapters(facts: Facts) -> Iterator[Finding]:
    """The notebooks are there."""
    if FIRST_CHAPTER in facts.chapters:
        yield Finding("ok", f"{len(facts.chapters)} chapters in notebooks/")
    else:
        what = f"notebooks/{FIRST_CHAPTER} is not beside the library"
        yield Finding("problem", what, "clone the repository again; an installed package holds no chapters")


def weights(facts: Facts) -> Iterator[Finding]:
    """The model that ships with the library is what its record says."""
    if facts.damaged:
        what = f"the shipped weights are damaged: {', '.join(facts.damaged)}"
        remedy = (
            "restore them with 'git checkout -- dicmor_lib/course/weights', or train them with 'make weights'"
        )
        yield Finding("problem", what, remedy)
    else:
        yield Finding("ok", "the shipped weights are whole")


def space(facts: Facts) -> Iterator[Finding]:
    """Room for runs, on the disk and in memory."""
    if facts.out_failure:
        remedy = "give a folder that can be written with --out, or set TMPDIR if it is the temporary one"
        yield Finding("problem", f"nothing can be written to {facts.out_failure}", remedy)
    else:
        yield Finding("ok", "the folder for runs can be written")
    yield from _room(
        "disk", facts.disk, LEAST_DISK, LITTLE_DISK, "delete files, or choose another disk with --out"
    )
    yield from _room("memory", facts.memory, LEAST_MEMORY, LITTLE_MEMORY, "close other programs or kernels")


def _room(name: str, free: int | None, least: float, little: float, remedy: str) -> Iterator[Finding]:
    if free is None:
        return
    level = "problem" if free < least else "note" if free < little else "ok"
    what = f"{free / GB:.1f} GB of {name} free" + (
        f", less than {little / GB:.0f} GB" if level != "ok" else ""
    )
    yield Finding(level, what, "" if level == "ok" else remedy)  # type: ignore[arg-type]


def network(facts: Facts) -> Iterator[Finding]:
    """Programs on this machine reach each other; a way out of it is a convenience."""
    if facts.loopback_failure:
        what = f"programs on this machine cannot reach each other over 127.0.0.1 ({facts.loopback_failure})"
        remedy = "chapters and their kernels talk that way: switch it on ('ip link set lo up' as root) or leave the sandbox"
        yield Finding("problem", what, remedy)
    if facts.network:
        yield Finding("ok", "a network; the course needs none")
    else:
        what = "no network: the course needs none, but 'make install' and ready-made BERT weights do"
        yield Finding(
            "note",
            what,
            "connect for those, or name a package folder with PIP_ARGS='--no-index --find-links DIR'",
        )


def browser(facts: Facts) -> Iterator[Finding]:
    """Only the tests of the pages need a browser of their own."""
    if facts.browser:
        yield Finding("ok", "Chromium, for the tests in a browser")
    else:
        remedy = "on Debian or Ubuntu: apt install chromium"
        yield Finding("note", "no Chromium; only tests in a browser would use it", remedy)


CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    python,
    packages,
    torch,
    threads,
    kernel,
    strangers,
    lab,
    checkout,
    chapters,
    weights,
    space,
    network,
    browser,
)


def fits(version: str, bound: str) -> bool:
    """Whether a version is at least the bound, as in ">=2.6"; pyproject.toml has lower bounds only."""
    needed = re.search(r">=\s*([\d.]+)", bound)
    return needed is None or _numbers(version) >= _numbers(needed[1])


def _numbers(version: str) -> list[int]:
    """The release as numbers: 2.6.0+cpu is [2, 6], zeros at the end count for nothing."""
    numbers = [int(n) for n in re.match(r"[\d.]*", version)[0].split(".") if n]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
