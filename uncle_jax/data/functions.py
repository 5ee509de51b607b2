"""A function of one's own as a benchmark: FILE.py:NAME, or MODULE:NAME."""

import hashlib
import inspect
from dataclasses import replace
from typing import Any

import numpy as np

from uncle_jax import own
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.errors import UncleError, raised


def function_benchmark(name: str, seed: int) -> Benchmark:
    """What the function called `name` returns, called with `seed` if it takes one.

    A `Benchmark`, or what `Benchmark.from_arrays` takes: a list with, of each task, {"train":
    (images, labels), "test": (images, labels)}. Its code is told by its content, and arrays by
    theirs. Raises UncleError.
    """
    make = own.load(name, "data set")
    try:
        made = make(seed) if inspect.signature(make).parameters else make()
    except UncleError:
        raise
    except Exception as error:
        raise UncleError(f"data set {name!r} failed ({raised(error)})") from error
    code = {"code": own.source(make)}
    if isinstance(made, Benchmark):
        return replace(made, provenance={**made.provenance, **code})
    if not isinstance(made, list | tuple) or not all(isinstance(task, dict) for task in made):
        raise UncleError(
            f"data set {name!r} returned a {type(made).__name__} (allowed: a Benchmark, or a list "
            'of {"train": (images, labels), "test": (images, labels)})'
        )
    found = Benchmark.from_arrays(made, own.short(name))
    return replace(found, provenance={**found.provenance, **code, "sha256": _content(found)})


def _content(benchmark: Benchmark) -> str:
    whole = hashlib.sha256()
    for task in range(benchmark.n_tasks):
        for split in ("train", "test"):
            for array in benchmark.load(task, split):
                array: Any = np.ascontiguousarray(array)
                whole.update(f"{array.shape} {array.dtype}".encode())
                whole.update(array)
    return whole.hexdigest()
