"""What running the whole paper costs: operations counted, on data of the publishers' sizes.

    python benchmarks/paper_cost.py [--datasets NAME ...] [--json FILE]

Every run that the paper's tables and figures ask for at its own settings (`uncle reproduce --preset
paper`, three seeds), each counted once; a run's operations are those of sequence 1 by its method
and main network, rehearsed on empty images, so that no data are needed and nothing is computed.
Device-hours follow from the operations per second that a device keeps up, which are assumed.
"""

import argparse
import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from uncle_jax.config import as_dict
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.five_tasks import TASKS
from uncle_jax.data.publishers.catalogue import CIFAR100, MNIST, TINY_IMAGENET, Source, source
from uncle_jax.engine.estimate import operations
from uncle_jax.methods import registry
from uncle_jax.report.paper import DATASETS
from uncle_jax.requests import table_4
from uncle_jax.runs.environment import environment
from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.finished import Finished
from uncle_jax.studies.items import ITEMS
from uncle_jax.studies.progress import Asked, parts, to_run
from uncle_jax.tasks import Data, InputSpec

SEEDS = (0, 1, 2)
RATES = (0.15, 5, 20)  # TFLOP/s kept up: two cores of a server; an accelerator, twice


def empty(name: str) -> Benchmark:
    """A benchmark of the paper's with images of nothing, as many as the publishers have."""
    tasks: list[Source]
    if name == "five-tasks":
        tasks, share = [source(one) for one in TASKS], 1
    else:
        whole = {"permuted-mnist": MNIST, "cifar100": CIFAR100, "tinyimagenet": TINY_IMAGENET}[name]
        n = 10 if name == "permuted-mnist" else whole.n_classes // 10
        tasks, share = [whole] * n, 1 if name == "permuted-mnist" else n
    shapes = [one.image_shape for one in tasks]
    shape: tuple[int, int, int] = tuple(max(sizes) for sizes in zip(*shapes, strict=True))  # pyright: ignore[reportAssignmentType]
    constants = (0.5,) * shape[-1]
    counts = [tuple(n // share for n in one.counts) for one in tasks]
    spec = InputSpec(shape, 10, constants, constants)
    return Benchmark(name, spec, len(tasks), partial(_load, counts, shape))


def _load(
    counts: list[tuple[int, ...]], shape: tuple[int, int, int], task: int, split: str
) -> Data:
    n = counts[task][split == "test"]
    images = np.broadcast_to(np.uint8(0), (n, *shape))
    return Data(images, np.arange(n, dtype=np.int32) % 10)


def asked(datasets: tuple[str, ...]) -> dict[tuple[str, str, str], tuple[RunSpec, int]]:
    """{(data set, method, main network): (one of its runs, how many seeds of all)}."""
    everything = to_run(parts(ITEMS.values(), Asked("paper", SEEDS, datasets), Finished([])))
    first, seeds = {}, Counter[tuple[str, str, str]]()
    for spec in everything:
        kind = spec.dataset, spec.method, spec.config.backbone
        first.setdefault(kind, spec)
        seeds[kind] += len(spec.seeds)
    return {kind: (spec, seeds[kind]) for kind, spec in first.items()}


def tflop(spec: RunSpec) -> float:
    """What a seed of a run takes."""
    build, requests = partial(registry.build, spec.method), table_4(spec.dataset, 1)
    found = operations(build, empty(spec.dataset), spec.config, requests, spec.settings)
    assert found is not None  # every method of this package is made of pieces
    return found.total / 1e12


def main() -> int:
    """Count, print the table, write the JSON."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    rows = []
    for (dataset, method, backbone), (spec, runs) in asked(tuple(args.datasets)).items():
        of_one = tflop(spec)
        row = {"dataset": dataset, "method": method, "backbone": backbone, "runs": runs}
        rows.append(row | {"tflop_a_run": of_one, "epochs": as_dict(spec.config)["epochs"]})
        print(f"{dataset:16}{method:16}{backbone:10}{runs:5} runs{of_one:12.0f} TFLOP", flush=True)
    head = "".join(f"{rate:>10} TFLOP/s" for rate in RATES)
    print(f"\n{'':16}{'runs':>5}{'PFLOP':>8}  device-hours at{head}")
    total = {"all": [0, 0.0]}
    for row in rows:
        for name in (row["dataset"], "all"):
            one = total.setdefault(name, [0, 0.0])
            one[0] += row["runs"]
            one[1] += row["runs"] * row["tflop_a_run"]
    for name, (runs, work) in sorted(total.items(), key=lambda item: item[0] == "all"):
        told = "".join(f"{work / rate / 3600:18.0f}" for rate in RATES)
        print(f"{name:16}{runs:5}{work / 1e3:8.0f}{'':17}{told}")
    if args.json:
        told = {"seeds": SEEDS, "rows": rows, **environment()}
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
