"""What data costs a learning step: steps on real batches against the same step on one batch.

    python benchmarks/input.py [--preset cifar100|tinyimagenet|permuted-mnist] [--out FILE]

Images are random uint8 of the benchmark's size and number, since their content does not matter to
the pipeline. Both loops are the laptop preset's jitted step, compiled beforehand; they alternate in
one process, an epoch each, and the medians of their times a step are compared.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from uncle_jax.runs.environment import environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import backbones, steps
from uncle_jax.core.holding import hold
from uncle_jax.core.inputs import batches_of, fit_images, input_shape, task_input
from uncle_jax.core.loop import epoch_order
from uncle_jax.core.network import network
from uncle_jax.methods.uncle import uncle
from uncle_jax.presets import preset
from uncle_jax.tasks import Data, InputSpec

SIZES = {  # image shape and training images of a task
    "cifar100": ((32, 32, 3), 5_000),
    "tinyimagenet": ((64, 64, 3), 2_500),
    "permuted-mnist": ((28, 28, 1), 15_000),
}


def measure(dataset: str, epochs: int) -> dict[str, float | str]:
    """Seconds a learning step with data and on a constant batch, and their ratio."""
    shape, n = SIZES[dataset]
    chosen = preset(dataset, "laptop")
    config = chosen.config
    spec = InputSpec(shape, 10, (0.5,) * shape[-1], (0.25,) * shape[-1])
    fitted = input_shape(spec, config.image_size)
    net = network(
        backbones.from_config(config, 10), fitted, config, part(Hypernetwork, chosen.uncle)
    )
    state = uncle(spec, 10, config, settings=chosen.uncle).init(jax.random.key(0))
    rng = np.random.RandomState(0)
    host = rng.randint(0, 256, (n, *shape), np.uint8)
    labels = jnp.asarray(rng.randint(0, 10, n).astype(np.int32))
    images, inputs = fit_images(host, fitted), task_input(spec, 0, fitted)
    lr, held = np.float32(1e-4), hold(net, state)
    task = steps.TaskToLearn(inputs, jnp.zeros(()))
    carry = steps.start_learning(net, state, state.task_emb[0])
    batch_of = batches_of(images, labels)
    constant = batch_of(np.arange(config.batch_size))

    def epoch(carry, index: int | None):
        """Seconds a step of one epoch on its own order, or (None) on the constant batch."""
        started = time.perf_counter()
        key = jax.random.key(1)
        order = epoch_order(key, index or 0, n, config.batch_size) if index is not None else None
        count = -(-n // config.batch_size)
        losses = None
        for i in range(count):
            batch = constant if order is None else batch_of(order[i])
            carry, losses = steps.learn(net, carry, task, held, Data(*batch), lr)
        jax.block_until_ready(losses)
        return carry, (time.perf_counter() - started) / count

    times: dict[str, list[float]] = {"data": [], "constant": []}
    for index in range(epochs + 1):  # the first of each compiles
        for name, which in (("data", index), ("constant", None)):
            carry, seconds = epoch(carry, which)
            if index:
                times[name].append(seconds)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return {
        "dataset": dataset,
        "seconds_a_step_with_data": medians["data"],
        "seconds_a_step_constant": medians["constant"],
        "ratio": medians["data"] / medians["constant"],
        "median_of_paired_ratios": float(
            np.median(np.array(times["data"]) / np.array(times["constant"]))
        ),
    }


def main() -> None:
    """Measure each preset asked for and print (or write) the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--epochs", type=int, default=5, help="epochs timed of each kind")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = [measure(dataset, args.epochs) for dataset in args.preset]
    text = json.dumps({"rows": rows} | environment(), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
