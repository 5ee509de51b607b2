"""From imports to the first learning step of a prepared benchmark, and this process's peak memory.

    python benchmarks/startup.py --dataset tinyimagenet --data-dir DIR [--accept NAME ...]

Run it twice: the first start prepares the data, the second is what a user sees every day.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

from uncle_jax.runs.environment import environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STARTED = time.perf_counter()

import jax

from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.engine.estimate import peak_memory
from uncle_jax.methods.uncle import uncle
from uncle_jax.presets import preset


class FirstStep(Exception):
    """Raised once the first step is done."""


def main() -> None:
    """Time each part of a start and print (or write) the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="tinyimagenet")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--accept", nargs="+", default=[])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    imported = time.perf_counter()

    config = preset(args.dataset, args.preset).config
    choice = Choice(Options(args.data_dir, tuple(args.accept))).under(config)
    benchmark = load_benchmark(args.dataset, 0, choice)
    train = benchmark.load(0, "train")
    ready = time.perf_counter()

    def stop(step: int, steps: int, loss: object) -> None:
        del step, steps
        jax.block_until_ready(loss)
        raise FirstStep

    method = uncle(benchmark.spec, benchmark.n_tasks, config)
    with contextlib.suppress(FirstStep):
        method.learn(method.init(jax.random.key(0)), 0, train, on_step=stop)
    done = time.perf_counter()
    told = {
        "dataset": args.dataset,
        "preset": args.preset,
        "imports_seconds": imported - STARTED,
        "data_seconds": ready - imported,
        "first_step_seconds": done - ready,
        "after_imports_seconds": done - imported,
        "peak_memory_GB": peak_memory() / 1e9,
    }
    text = json.dumps(told | environment(), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
