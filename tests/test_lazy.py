"""`import dicmor_lib` loads nothing heavy until a name is used, and every name is then what its module defines."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import dicmor_lib

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "numpy", "scipy", "sklearn", "matplotlib", "lightning_fabric", "transformers"}


def python(code: str, *arguments: str, **changes: str) -> str:
    """What a fresh interpreter prints."""
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | changes
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


LOADED = f"import sys; print(sorted({HEAVY!r} & set(sys.modules)))"


@pytest.mark.parametrize(
    "code",
    [
        "import dicmor_lib",
        "import dicmor_lib.cli as cli; cli.build_parser()",
        "import dicmor_lib.cli as cli\ntry: cli.main(['--help'])\nexcept SystemExit: print()",
        "import dicmor_lib.cli as cli\ntry: cli.main(['train', '--help'])\nexcept SystemExit: print()",
    ],
    ids=["package", "parser", "help", "train help"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    assert python(f"{code}\n{LOADED}").splitlines()[-1] == "[]"


def test_the_command_leaves_the_waiting_of_threads_to_the_user():
    """Sleeping threads made a training step on two idle cores 2.4 times slower, spinning ones suffer on busy cores."""
    assert python("import os, dicmor_lib.cli\nprint('OMP_WAIT_POLICY' in os.environ)").split() == ["False"]


def test_each_name_is_what_its_module_defines():
    assert sorted(dicmor_lib._MODULE_OF) == sorted(dicmor_lib.__all__)
    for name, module in dicmor_lib._MODULE_OF.items():
        found = getattr(importlib.import_module(f"dicmor_lib.{module}"), name)
        assert getattr(dicmor_lib, name) is found
        assert inspect.getmodule(found) in (None, importlib.import_module(f"dicmor_lib.{module}"))
    assert set(dicmor_lib.__all__) <= set(dir(dicmor_lib))


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "dicmor_lib" / "__init__.py").read_text(encoding="utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {alias.name: node.module for node in guarded.body for alias in node.names}
    assert told == {name: f"dicmor_lib.{module}" for name, module in dicmor_lib._MODULE_OF.items()}


def test_star_import_pickle_and_unknown_names():
    names: dict[str, object] = {}
    exec("from dicmor_lib import *", names)
    assert set(dicmor_lib.__all__) <= set(names)
    config = names["DiCMoRConfig"].tiny()
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(AttributeError, match="no attribute 'DiCMoRe'"):
        dicmor_lib.DiCMoRe  # noqa: B018
    with pytest.raises(ImportError, match="DiCMoRe"):
        exec("from dicmor_lib import DiCMoRe", {})
