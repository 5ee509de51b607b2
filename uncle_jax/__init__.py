"""Learn tasks and unlearn them again, on demand, without their data: UnCLe in JAX.

    method = uncle_jax.uncle(spec, n_tasks=10)
    state = method.init(jax.random.key(0))
    state = method.learn(state, 3, (images, labels))
    state = method.unlearn(state, 3)

Names are imported at first use, so that settings can be read without importing jax.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncle_jax.config import Config
    from uncle_jax.core.state import CLState
    from uncle_jax.core.status import describe
    from uncle_jax.data.benchmark import Benchmark
    from uncle_jax.data.load import Choice, load_benchmark
    from uncle_jax.data.permuted import permuted_digits
    from uncle_jax.data.publishers.prepared import Options
    from uncle_jax.engine.sequence import run_sequence
    from uncle_jax.errors import UncleError
    from uncle_jax.evaluate.accuracy import evaluate
    from uncle_jax.evaluate.metrics import all_metrics
    from uncle_jax.methods.protocol import Method
    from uncle_jax.methods.uncle import only_learning, uncle
    from uncle_jax.presets import preset
    from uncle_jax.requests import Request, parse, table_4
    from uncle_jax.tasks import Data, InputSpec

_HOMES = {
    "Benchmark": "data.benchmark",
    "CLState": "core.state",
    "Choice": "data.load",
    "Config": "config",
    "Data": "tasks",
    "InputSpec": "tasks",
    "Method": "methods.protocol",
    "Options": "data.publishers.prepared",
    "Request": "requests",
    "UncleError": "errors",
    "all_metrics": "evaluate.metrics",
    "describe": "core.status",
    "evaluate": "evaluate.accuracy",
    "load_benchmark": "data.load",
    "only_learning": "methods.uncle",
    "parse": "requests",
    "permuted_digits": "data.permuted",
    "preset": "presets",
    "run_sequence": "engine.sequence",
    "table_4": "requests",
    "uncle": "methods.uncle",
}

__all__ = [
    "Benchmark",
    "CLState",
    "Choice",
    "Config",
    "Data",
    "InputSpec",
    "Method",
    "Options",
    "Request",
    "UncleError",
    "all_metrics",
    "describe",
    "evaluate",
    "load_benchmark",
    "only_learning",
    "parse",
    "permuted_digits",
    "preset",
    "run_sequence",
    "table_4",
    "uncle",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
