"""Learn tasks and unlearn them again, on demand, without their data: UnCLe in JAX.

    method = uncle_jax.uncle(spec, n_tasks=10)
    state = method.init(jax.random.key(0))
    state = method.learn(state, 3, (images, labels))
    state = method.unlearn(state, 3)

Names are imported at first use, so that settings can be read without importing jax. Modules are
attributes too: uncle_jax.hypernet, .objectives, .metrics, ..., and the packages they are in.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncle_jax.config import Config as Config
    from uncle_jax.config import Hypernetwork as Hypernetwork
    from uncle_jax.config import Uncle as Uncle
    from uncle_jax.core.state import CLState as CLState
    from uncle_jax.core.status import describe as describe
    from uncle_jax.data.benchmark import Benchmark as Benchmark
    from uncle_jax.data.load import Choice as Choice
    from uncle_jax.data.load import load_benchmark as load_benchmark
    from uncle_jax.data.permuted import permuted_digits as permuted_digits
    from uncle_jax.data.publishers.prepared import Options as Options
    from uncle_jax.engine.saving import restore as restore
    from uncle_jax.engine.saving import save as save
    from uncle_jax.engine.sequence import run_sequence as run_sequence
    from uncle_jax.errors import UncleError as UncleError
    from uncle_jax.evaluation.accuracy import evaluate as evaluate
    from uncle_jax.evaluation.metrics import all_metrics as all_metrics
    from uncle_jax.methods.protocol import Method as Method
    from uncle_jax.methods.uncle import only_learning as only_learning
    from uncle_jax.methods.uncle import uncle as uncle
    from uncle_jax.presets import preset as preset
    from uncle_jax.requests import Request as Request
    from uncle_jax.requests import parse as parse
    from uncle_jax.requests import table_4 as table_4
    from uncle_jax.tasks import Data as Data
    from uncle_jax.tasks import InputSpec as InputSpec

    __version__: str

NAMES = {
    "Benchmark": "data.benchmark",
    "CLState": "core.state",
    "Choice": "data.load",
    "Config": "config",
    "Data": "tasks",
    "Hypernetwork": "config",
    "InputSpec": "tasks",
    "Method": "methods.protocol",
    "Options": "data.publishers.prepared",
    "Request": "requests",
    "Uncle": "config",
    "UncleError": "errors",
    "all_metrics": "evaluation.metrics",
    "describe": "core.status",
    "evaluate": "evaluation.accuracy",
    "load_benchmark": "data.load",
    "only_learning": "methods.uncle",
    "parse": "requests",
    "permuted_digits": "data.permuted",
    "preset": "presets",
    "restore": "engine.saving",
    "run_sequence": "engine.sequence",
    "save": "engine.saving",
    "table_4": "requests",
    "uncle": "methods.uncle",
}
"""Public names and the module that defines each."""

MODULES = {
    **dict.fromkeys(
        ("cli", "core", "data", "engine", "evaluation", "methods", "report", "runs", "store"), ""
    ),
    **dict.fromkeys(("config", "errors", "files", "own", "presets", "requests", "tasks"), ""),
    **dict.fromkeys(
        (
            "adversary",
            "backbones",
            "checks",
            "convolution",
            "devices",
            "heads",
            "holding",
            "hypernet",
        ),
        "core.",
    ),
    **dict.fromkeys(("inputs", "interning", "layout", "loop", "losses", "network"), "core."),
    **dict.fromkeys(("objectives", "pieces", "precision", "refit", "resnet", "scanned"), "core."),
    **dict.fromkeys(("state", "status", "steps", "vit"), "core."),
    **dict.fromkeys(("accuracy", "answers", "audit", "metrics"), "evaluation."),
    **dict.fromkeys(("protocol", "registry"), "methods."),
}
"""Modules that are attributes, and the package (with a dot) of those that are in one."""

__all__ = [*NAMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in NAMES:
        return getattr(importlib.import_module(f"{__name__}.{NAMES[name]}"), name)
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{MODULES[name]}{name}")
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES, *MODULES, "__version__"})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("uncle-jax")
    except metadata.PackageNotFoundError:  # a clone that is not installed
        return "unknown"
