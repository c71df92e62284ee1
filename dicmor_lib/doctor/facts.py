"""What can be seen of the machine and the environment, without a judgement. Nothing here raises: what fails is a fact."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

from dicmor_lib.doctor import machine

DISTRIBUTION = "dicmor"
LIBRARY = Path(__file__).resolve().parents[1]
FIRST_CHAPTER = "00_start_here.ipynb"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDGETS_IN_LAB = "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager"


@dataclass(frozen=True)
class Package:
    """A required package: its name, the bound such as ">=2.6" ("" if there is none), and what is installed."""

    name: str
    bound: str
    installed: str | None


@dataclass(frozen=True)
class Facts:
    """What was seen. Sizes are in bytes; None stands for what is not there or cannot be known.

    Attributes:
        python, python_bound: the version that runs, and the bound on it; None if dicmor is not installed.
        packages: those that dicmor requires.
        torch_failure: why a small matrix product did not come out right; None if it did.
        devices: accelerators that torch can use; `gpu_seen`: the system has an NVIDIA GPU.
        cores: that this process may use; `threads`: that torch uses; `omp`: OMP_NUM_THREADS; `load`: of the last minute.
        kernel: the Python that the kernel "python3" starts; `kernel_is_this`: it is this one; `jupyter_path`: JUPYTER_PATH.
        strangers: chapters that ask for a kernel which Jupyter does not have, and its name.
        lab_failure: what JupyterLab lacks; `lab_widgets`: it has what draws widgets.
        library: folder of the dicmor_lib that is imported; `checkout`: that of the working folder's checkout.
        chapters: the notebooks that lie beside the library.
        damaged: shipped weights that are missing or changed.
        out, out_failure: where runs are to be written, and why that is impossible.
        disk, memory: free there, and free at all.
        loopback_failure: why programs here cannot reach each other; `network`: there is a way out of this machine.
        browser: path of a Chromium.
    """

    python: str
    python_bound: str | None
    packages: tuple[Package, ...]
    torch_failure: str | None
    devices: tuple[str, ...]
    gpu_seen: bool
    cores: int
    threads: int | None
    omp: str | None
    load: float | None
    kernel: str | None
    kernel_is_this: bool
    jupyter_path: str | None
    strangers: tuple[tuple[str, str], ...]
    lab_failure: str | None
    lab_widgets: bool
    library: Path
    checkout: Path | None
    chapters: tuple[str, ...]
    damaged: tuple[str, ...]
    out: Path
    out_failure: str | None
    disk: int | None
    memory: int | None
    loopback_failure: str | None
    network: bool
    browser: str | None


def gather(out: str | Path = "runs") -> Facts:
    """Look at everything once."""
    out = Path(out)
    bound, packages = _requirements()
    failure, devices, threads = _torch()
    kernel = _kernel()
    return Facts(
        python=platform.python_version(),
        python_bound=bound,
        packages=packages,
        torch_failure=failure,
        devices=devices,
        gpu_seen=Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=threads,
        omp=os.environ.get("OMP_NUM_THREADS"),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        kernel=kernel,
        kernel_is_this=kernel is not None and is_this_python(kernel),
        jupyter_path=os.environ.get("JUPYTER_PATH"),
        strangers=strangers(LIBRARY.parent / "notebooks"),
        lab_failure=_lab_failure(),
        lab_widgets=any((Path(p) / WIDGETS_IN_LAB).is_dir() for p in (sys.prefix, sys.base_prefix)),
        library=LIBRARY,
        checkout=find_checkout(Path.cwd()),
        chapters=tuple(path.name for path in _notebooks(LIBRARY.parent / "notebooks")),
        damaged=damaged_weights(LIBRARY / "course" / "weights"),
        out=out,
        out_failure=machine.writing_failure(out),
        disk=machine.free_disk(out),
        memory=machine.free_memory(),
        loopback_failure=machine.loopback_failure(),
        network=machine.has_network(),
        browser=next((found for name in BROWSERS if (found := shutil.which(name))), None),
    )


def _requirements() -> tuple[str | None, tuple[Package, ...]]:
    """The bound on Python and the required packages, as the installed dicmor states them."""
    try:
        about: Any = metadata(DISTRIBUTION)  # an email.message.Message, which may lack the field
        return about.get("Requires-Python") or "", _required(DISTRIBUTION)
    except PackageNotFoundError:
        return None, ()


def _required(distribution: str) -> tuple[Package, ...]:
    """What a distribution always requires: extras, and what only some systems need, are left out."""
    found = []
    for line in requires(distribution) or []:
        requirement, _, marker = line.partition(";")
        if not marker:
            name = re.match(r"[\w.-]+", requirement)[0]  # type: ignore[index]
            found.append(Package(name, requirement[len(name) :].strip(), _installed(name)))
    return tuple(found)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _torch() -> tuple[str | None, tuple[str, ...], int | None]:
    """Why torch does not compute, the accelerators it can use, and the threads it takes."""
    try:
        import torch

        product = (torch.ones(8, 8) @ torch.ones(8, 8)).sum().item()
        if product != 512:
            return f"a product of two 8 x 8 matrices of ones sums to {product}, not 512", (), None
        cuda = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
        devices = [torch.cuda.get_device_name(i) for i in cuda]
        devices += ["Apple GPU (mps)"] if torch.backends.mps.is_available() else []
        return None, tuple(devices), torch.get_num_threads()
    except Exception as problem:  # whatever an incomplete installation raises is the finding
        return _first_line(problem), (), None


def _kernel() -> str | None:
    """The interpreter of the kernel that every chapter asks for."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        return KernelSpecManager().get_kernel_spec("python3").argv[0]
    except (
        Exception
    ):  # no jupyter_client, no such kernel, a damaged kernel.json: there is none that would start
        return None


def _notebooks(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.ipynb"))


def strangers(folder: Path) -> tuple[tuple[str, str], ...]:
    """The notebooks in `folder` that ask for a kernel which Jupyter does not have, and its name."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        known = {"python3", *KernelSpecManager().find_kernel_specs()}
    except Exception:  # no jupyter_client: `kernel` says so
        return ()
    asked = ((path.name, _asked_kernel(path)) for path in _notebooks(folder))
    return tuple((name, kernel) for name, kernel in asked if kernel not in known)


def _asked_kernel(notebook: Path) -> str:
    """The name of the kernel that a notebook asks for; a notebook that names none gets the usual one."""
    try:
        return str(json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return "python3"


def is_this_python(executable: str) -> bool:
    """Whether a kernel started with `executable` runs in this environment.

    Jupyter takes a bare "python" to be the one that it runs with. Links are not followed: every virtual environment's
    python is a link to the same file.
    """
    if re.fullmatch(r"python(3(\.\d+)?)?", executable):
        return True
    return os.path.abspath(os.path.dirname(executable)) == os.path.abspath(os.path.dirname(sys.executable))


def _lab_failure() -> str | None:
    """What JupyterLab lacks; it is found, not imported, which alone would take seconds."""
    try:
        if importlib.util.find_spec("jupyterlab") is None:
            return "it is not installed"
        return next(
            (f"{p.name} is not installed" for p in _required("jupyterlab") if p.installed is None), None
        )
    except (ImportError, ValueError, PackageNotFoundError) as problem:
        return _first_line(problem)


def _first_line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0]}"


def find_checkout(folder: Path) -> Path | None:
    """The library's folder in the checkout that `folder` lies in, or None outside one."""
    for parent in (folder, *folder.parents):
        if (parent / "dicmor_lib" / "__init__.py").is_file() and (parent / "pyproject.toml").is_file():
            return (parent / "dicmor_lib").resolve()
    return None


def damaged_weights(folder: Path) -> tuple[str, ...]:
    """The shipped files that are missing or not what the record says."""
    try:
        sums = json.loads((folder / "record.json").read_text(encoding="utf-8"))["sha256"]
        return tuple(name for name, known in sums.items() if _sha256(folder / name) != known)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return ("record.json",)


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
