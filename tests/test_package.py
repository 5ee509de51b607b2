"""The package as others import it."""

import ast
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import uncle_jax

ROOT = Path(__file__).resolve().parents[1]


def test_importing_it_imports_nothing_heavy():
    code = "import sys, uncle_jax; assert not {'jax', 'numpy', 'flax'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_modules_and_packages_are_attributes():
    for name in ("hypernet", "objectives", "metrics", "layout", "resnet", "steps", "core", "data"):
        assert isinstance(getattr(uncle_jax, name), types.ModuleType)
    assert set(uncle_jax.MODULES) | set(uncle_jax.NAMES) <= set(dir(uncle_jax))
    for name, package in uncle_jax.MODULES.items():
        assert getattr(uncle_jax, name).__name__ == f"uncle_jax.{package}{name}"


def test_every_module_of_core_is_an_attribute():
    for path in (ROOT / "uncle_jax" / "core").glob("[a-z]*.py"):
        assert uncle_jax.MODULES.get(path.stem) == "core.", path.stem


def test_every_attack_is_an_attribute():
    audit = uncle_jax.audit
    here = Path(audit.__file__).parent
    assert {path.stem for path in here.glob("*.py")} - {"__init__"} == set(audit.MODULES)
    assert {audit.margins.__name__, audit.weights.__name__} == {
        "uncle_jax.evaluation.audit.margins",
        "uncle_jax.evaluation.audit.weights",
    }
    with pytest.raises(AttributeError, match="has no attribute 'marginal'"):
        _ = audit.marginal
    assert "margins" in dir(audit)


def test_a_function_stays_one_once_the_package_of_its_name_is_imported():
    import uncle_jax.evaluation.accuracy

    for _ in range(2):
        assert uncle_jax.evaluate is sys.modules["uncle_jax.evaluation.accuracy"].evaluate


def test_the_version(monkeypatch):
    from importlib import metadata

    assert uncle_jax.__version__

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert uncle_jax.__version__ == "unknown"


def test_type_checkers_see_the_names_that_are_there():
    tree = ast.parse((ROOT / "uncle_jax" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    homes = {
        alias.asname: node.module.removeprefix("uncle_jax.")
        for node in imports
        if node.module and node.module.startswith("uncle_jax.")
        for alias in node.names
    }
    assert homes == uncle_jax.NAMES
    assert sorted(homes) == sorted(uncle_jax.__all__)
    assert (ROOT / "uncle_jax" / "py.typed").exists()


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = uncle_jax.nothing_like_it


def test_the_lock_file_has_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"]]
    asked += [*project["optional-dependencies"]["dev"], *project["optional-dependencies"]["docs"]]
    locked = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))
    assert {re.match(r"[a-z0-9-]+", one).group() for one in asked} <= pinned, "make lock"
