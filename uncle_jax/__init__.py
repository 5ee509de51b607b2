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
    from uncle_jax.config import Config, preset
    from uncle_jax.data.benchmark import Benchmark, Data, InputSpec
    from uncle_jax.data.load import Choice, load_benchmark
    from uncle_jax.data.permuted import permuted_digits
    from uncle_jax.data.prepared import Options
    from uncle_jax.engine import evaluate, run_sequence
    from uncle_jax.errors import UncleError
    from uncle_jax.methods.protocol import Method
    from uncle_jax.methods.uncle import only_learning, uncle
    from uncle_jax.metrics import all_metrics
    from uncle_jax.requests import Request, parse, table_4
    from uncle_jax.state import CLState, describe

_HOMES = {
    "Benchmark": "data.benchmark",
    "CLState": "state",
    "Choice": "data.load",
    "Config": "config",
    "Data": "data.benchmark",
    "InputSpec": "data.benchmark",
    "Method": "methods.protocol",
    "Options": "data.prepared",
    "Request": "requests",
    "UncleError": "errors",
    "all_metrics": "metrics",
    "describe": "state",
    "evaluate": "engine",
    "load_benchmark": "data.load",
    "only_learning": "methods.uncle",
    "parse": "requests",
    "permuted_digits": "data.permuted",
    "preset": "config",
    "run_sequence": "engine",
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
