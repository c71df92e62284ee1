"""Nothing that the library uses is going away: all of it is imported, and a model trained, with such warnings as errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import importlib, pkgutil, sys, warnings
import dicmor_lib

OPTIONAL = ("transformers", "sphinx", "docutils", "IPython", "pytest_benchmark", "ipywidgets", "torch.utils.benchmark")
# What other packages do on their own import is theirs; what they warn of in our lines is ours.
for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
    warnings.filterwarnings("error", category=kind, module="dicmor_lib")

names = [m.name for m in pkgutil.walk_packages(dicmor_lib.__path__, "dicmor_lib.")]
names = [name for name in names if not name.endswith((".conf", "__main__"))]  # read by Sphinx; commands
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as lacking:
        if not (lacking.name or "").startswith(OPTIONAL):
            raise
print(len(names), "modules")

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data import Oracle
from dicmor_lib.training import TrainConfig, fit

data = Oracle(sizes=(40, 8, 8)).dataset()
model = DiCMoR(DiCMoRConfig.tiny(data.feature_dims, flow_layers=2, rcab_blocks=1, fusion_layers=1))
fit(model, data, TrainConfig(stage1_epochs=1, stage2_epochs=1), out=sys.argv[1], progress=False)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_imports_and_training_meet_no_deprecation(tmp_path):
    done = run(str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 150


def test_one_would_be_found():
    source = """
import warnings
warnings.filterwarnings("error", category=DeprecationWarning, module="dicmor_lib")
code = "import warnings; warnings.warn('old', DeprecationWarning)"
exec(compile(code, "here", "exec"), {"__name__": "dicmor_lib.x"})
"""
    assert (
        "DeprecationWarning: old"
        in subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60).stderr
    )
