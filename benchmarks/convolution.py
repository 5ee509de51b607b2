"""A main network's gradient with XLA's convolutions, with those suited to a CPU, and as products.

    python benchmarks/convolution.py --preset permuted-digits cifar100

CPU milliseconds, median of alternating calls, compilation apart. Pin it to quiet cores.
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uncle_jax.core import backbones, convolution, objectives
from uncle_jax.presets import preset
from uncle_jax.runs.environment import environment

SHAPES = {"permuted-digits": (8, 8, 1), "cifar100": (32, 32, 3), "tinyimagenet": (64, 64, 3)}


def gradient(module: nn.Module, within: Callable[[], Any] | None) -> Callable[..., Any]:
    """The jitted gradient of the task loss, its convolutions traced `within` a context."""

    def loss(theta: Any, stats: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        variables = {"params": theta, "batch_stats": stats}
        with within() if within else contextlib.nullcontext():
            logits, _ = module.apply(variables, x, train=True, mutable=["batch_stats"])
        return objectives.task_loss(logits, labels)

    return jax.jit(jax.value_and_grad(loss))


def measure(dataset: str, repeats: int) -> dict[str, Any]:
    """CPU milliseconds a call and CPU seconds of compilation, of each form."""
    config = preset(dataset, "laptop").config
    module = backbones.from_config(config, 10)
    x = jax.random.normal(jax.random.key(0), (config.batch_size, *SHAPES[dataset]))
    labels = jnp.arange(config.batch_size) % 10
    variables = jax.jit(lambda k: module.init(k, x[:1], train=False))(jax.random.key(1))
    given = (variables["params"], variables["batch_stats"], x, labels)
    forms = {"xla": None, "suited": convolution.as_suited, "products": convolution.as_products}
    functions: dict[str, Callable[..., Any]] = {}
    row: dict[str, Any] = {"dataset": dataset}
    for name, within in forms.items():
        functions[name] = gradient(module, within)
        begun = time.process_time()
        jax.block_until_ready(functions[name](*given))
        row[f"{name}_compile_s"] = round(time.process_time() - begun, 2)
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, function in functions.items():
            begun = time.process_time()
            jax.block_until_ready(function(*given))
            times[name].append(1e3 * (time.process_time() - begun))
    return row | {f"{name}_ms": round(statistics.median(t), 2) for name, t in times.items()}


def main() -> None:
    """Measure each preset asked for and print (or write) the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = [measure(dataset, args.repeats) for dataset in args.preset]
    text = json.dumps({"rows": rows} | environment(), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
