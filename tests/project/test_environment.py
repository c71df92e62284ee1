"""What is required stands in one place: pyproject.toml, and the other files agree with it."""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
OURS = {"dicmor_lib", "tests", "conftest"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA = [spec for spec in ENVIRONMENT["dependencies"] if isinstance(spec, str)]
PIP = [line for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]


def requirements(*extras: str) -> dict[str, Requirement]:
    """The requirements of the package with some of its extras, extras of extras included, by name."""
    found: dict[str, Requirement] = {}
    todo = [
        Requirement(line)
        for line in [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    ]
    while todo:
        requirement = todo.pop()
        if requirement.name == PROJECT["name"]:
            todo += [Requirement(line) for extra in requirement.extras for line in EXTRAS[extra]]
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def pins() -> dict[str, str]:
    """The versions in constraints.txt by name; every line that is not a comment must be `name==version`."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "a line of constraints.txt is not name==version"
    return {canonicalize_name(name): version for name, version in pairs}


# --- environment.yml -----------------------------------------------------------------------------------------------


def test_environment_file_has_the_shape_conda_reads():
    assert set(ENVIRONMENT) == {"name", "channels", "dependencies"}, "a key conda does not know, or prefix:"
    assert ENVIRONMENT["name"] == PROJECT["name"]
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]


def test_conda_is_asked_for_python_and_pip_alone():
    names = sorted(re.match(r"[\w.-]+", spec).group() for spec in CONDA)
    assert names == ["pip", "python"], "anything else belongs into pyproject.toml"


def test_pip_is_asked_for_this_project_and_its_extras_alone():
    assert len(PIP) == 1, "anything else belongs into pyproject.toml"
    match = re.fullmatch(r"-e \.\[([\w,-]+)\]", PIP[0])
    assert match, f"{PIP[0]!r} is not this folder with extras"
    assert set(match[1].split(",")) <= set(EXTRAS)


def test_pythons_are_those_of_pyproject():
    allowed = SpecifierSet(
        next(spec for spec in CONDA if spec.startswith("python")).removeprefix("python").strip()
    )
    required = SpecifierSet(PROJECT["requires-python"])
    minors = [f"3.{minor}" for minor in range(30)]
    in_conda = {minor for minor in minors if f"{minor}.5" in allowed}
    classified = {c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)}
    assert in_conda == classified
    assert min(minors.index(m) for m in in_conda) == min(
        i for i, m in enumerate(minors) if f"{m}.5" in required
    )
    assert all(f"{minor}.5" in required for minor in in_conda)


def test_conda_itself_reads_each_line():
    rattler = pytest.importorskip("rattler", reason="py-rattler, conda's own parser, is not installed")
    specs = {spec.split()[0]: rattler.MatchSpec(spec, strict=True) for spec in CONDA}
    assert set(specs) == {"python", "pip"}
    assert "3.11" in str(specs["python"].version)
    with pytest.raises(Exception, match="(?i)version|spec|parse"):
        rattler.MatchSpec("python >=3.11,<", strict=True)


# --- constraints.txt -----------------------------------------------------------------------------------------------


def test_every_requirement_is_pinned_and_each_pin_fits():
    pinned = pins()
    for name, requirement in requirements(*EXTRAS).items():
        assert name in pinned, f"{name} is required by pyproject.toml but not pinned in constraints.txt"
        assert pinned[name] in requirement.specifier, f"{name}=={pinned[name]} does not fit {requirement}"


def test_pins_leave_the_build_of_torch_to_the_user():
    assert not [name for name, version in pins().items() if "+" in version], (
        "a pin names one build (+cpu, say)"
    )
    assert not [name for name in pins() if name.startswith(("nvidia-", "cuda-")) or name == "triton"]


def test_pins_fit_the_oldest_python_supported():
    """A pin that asks for Python 3.11.5, say, makes pip search for minutes on 3.11.2, and then fail."""
    oldest = re.fullmatch(r">=(\d+\.\d+)", PROJECT["requires-python"])[1] + ".0"
    for name, version in pins().items():
        try:
            installed = metadata(name)
        except PackageNotFoundError:
            continue  # of an extra that is not installed
        if Version(installed["Version"]).public == version and installed["Requires-Python"]:
            fits = oldest in SpecifierSet(installed["Requires-Python"])
            assert fits, f"{name}=={version} needs Python {installed['Requires-Python']}, we support {oldest}"


def test_bounds_are_lower_bounds():
    for requirement in requirements(*EXTRAS).values():
        assert [s.operator for s in requirement.specifier] == [">="], (
            f"{requirement}: a lower bound is enough"
        )


# --- what is imported is required, and what is read is packaged ----------------------------------------------------


def third_party(folder: Path) -> dict[str, Path]:
    """Top-level modules imported below a folder that are neither Python's nor ours, each with a file that does."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            found |= {name.split(".")[0]: path for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | OURS}


@pytest.mark.parametrize(
    ("folder", "extras"), [("dicmor_lib", ("bert", "site")), ("tests", ("test", "bench", "fuzz"))]
)
def test_what_is_imported_is_required(folder, extras):
    optional = {"rattler"} if folder == "tests" else set()  # skipped where it is not installed
    distributions = packages_distributions()
    declared = requirements(*extras)
    for module, path in third_party(ROOT / folder).items():
        names = {canonicalize_name(name) for name in distributions.get(module, [module])}
        assert names & set(declared) or module in optional, (
            f"{path.relative_to(ROOT)} imports {module}, which pyproject.toml does not require"
        )


def test_files_beside_the_code_are_packaged():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["dicmor_lib"]
    for path in (ROOT / "dicmor_lib").rglob("*"):
        name = path.relative_to(ROOT / "dicmor_lib").as_posix()
        is_cache = any(part.startswith((".", "__pycache__")) for part in name.split("/"))
        if path.is_file() and path.suffix != ".py" and not is_cache:
            assert any(
                fnmatch.fnmatch(f"./{name}", f"*{pattern.removeprefix('**')}") for pattern in patterns
            ), (
                f"dicmor_lib/{name} would not be installed: no pattern of package-data in pyproject.toml matches it"
            )
