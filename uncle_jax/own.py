"""Code and data of one's own, by name: FILE.py:NAME, or MODULE:NAME of what is installed.

It is run once for what it holds, so that what it defines stays the same object. Importing this
module imports no jax.
"""

import importlib
import importlib.util
import inspect
import sys
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from uncle_jax.errors import UncleError
from uncle_jax.files import digest

DATA = (
    "folder:ROOT",
    "csv:FILE",
    "npz:ROOT",
    "pool:NAMES",
    "hf:NAME",
    "tfds:NAME",
    "FILE.py:FUNCTION",
)
"""One's own data, as `--dataset` takes them."""
COUNTED = ("permuted-digits", "permuted-mnist")
"""Benchmarks of as many tasks as are asked for, as in permuted-digits:12; by default ten."""


def counted(dataset: str) -> int:
    """How many tasks one of COUNTED is asked to have. Raises UncleError."""
    name, colon, n = dataset.partition(":")
    if not colon:
        return 10
    if not (n.isascii() and n.isdigit() and 2 <= int(n) <= 10_000):
        raise UncleError(f"{name}:N needs a number of tasks from 2 to 10,000, not {n!r}")
    return int(n)


def data_function(dataset: str) -> bool:
    """Whether a data set's name is that of a function: of a file, or of a module in a package."""
    home = dataset.rpartition(":")[0]
    return named(dataset) and (home.endswith(".py") or "." in home)


def data_place(dataset: str) -> str:
    """What folders call a data set: one's own by its kind, or by its function's name."""
    return short(dataset) if data_function(dataset) else dataset.partition(":")[0]


def short(name: str) -> str:
    """`name` without where it lies."""
    return name.rpartition(":")[2]


def shown(value: Any) -> Any:
    """A setting's value as labels and folders have it: of one's own code its name alone."""
    return short(value) if isinstance(value, str) and named(value) else value


def named(name: str) -> bool:
    """Whether `name` has the form of one's own code."""
    home, _, attribute = name.rpartition(":")
    return attribute.isidentifier() and (home.endswith(".py") or _is_module(home))


def check(name: str, what: str) -> None:
    """Raise UncleError unless `name`, which is to be `what`, has the form and its file is there."""
    home = name.rpartition(":")[0]
    if not named(name):
        raise UncleError(f"{what} {name!r} is not FILE.py:NAME or MODULE:NAME")
    if home.endswith(".py") and not Path(home).is_file():
        raise UncleError(f"{what} {name!r}: there is no file {home}")


def load(name: str, what: str) -> Any:
    """What `name` is called; `what` it is to be. Raises UncleError if it is no callable."""
    check(name, what)
    home, _, attribute = name.rpartition(":")
    try:
        if home.endswith(".py"):
            module = _run(Path(home).absolute(), digest(Path(home)))
        else:
            module = importlib.import_module(home)
    except Exception as error:
        raise UncleError(f"{what} {name!r}: cannot import {home} ({error})") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise UncleError(f"{what} {name!r}: {home} has no function {attribute}")
    return found


def source(found: Any) -> dict[str, Any]:
    """The code of what `load` returned, by content: its file, and its package's version if any.

    What that file imports is not looked at.
    """
    top = found.__module__.partition(".")[0]
    packages = packages_distributions().get(top, [])
    try:
        path = inspect.getsourcefile(inspect.unwrap(found))
        sha = None if path is None else digest(Path(path))
    except (OSError, TypeError):  # built in, or gone
        path, sha = None, None
    told = {"file": path and Path(path).name, "sha256": sha}
    return told | ({"version": version(packages[0])} if packages else {})


def _is_module(home: str) -> bool:
    return bool(home) and all(part.isidentifier() for part in home.split("."))


@cache
def _run(path: Path, sha: str) -> Any:
    name = f"_uncle_jax_own_{path.stem}_{sha[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
