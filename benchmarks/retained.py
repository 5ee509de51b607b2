"""What steps cost by how many tasks are retained, and of how many slots.

    python benchmarks/retained.py --out benchmarks/results/retained_cpu.json

`laptop` preset, permuted digits' or another's: CPU milliseconds a step, median, compilation apart,
beside the plain step of the same network (a network of its own, `clpu`'s: the floor), and peak
memory of the process. Steps of all three are taken in turns, so that their ratio stands on a busy
machine too; each case is a process of its own, in turns. Pin it to quiet cores.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from uncle_jax.core import steps
from uncle_jax.core.holding import hold
from uncle_jax.core.inputs import task_input
from uncle_jax.core.status import LEARNED
from uncle_jax.engine.estimate import peak_memory
from uncle_jax.methods import clpu
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.presets import preset
from uncle_jax.runs.environment import environment
from uncle_jax.runs.process import keep_freed
from uncle_jax.tasks import Data, InputSpec

SHAPES = {"permuted-digits": (8, 8, 1), "cifar100": (32, 32, 3)}
CASES = ((2, 1), (1000, 1), (10, 1), (10, 4), (10, 9), (51, 50))  # slots, retained
ROUNDS, STEPS = 3, 40


def in_turns(todo: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """CPU milliseconds of each, called in turns so that a busy moment strikes all, and ratios."""
    times: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(STEPS):
        for name, step in todo.items():
            begun = time.process_time()
            jax.block_until_ready(step())
            times[name].append(1e3 * (time.process_time() - begun))
    warm = {name: took[2:] for name, took in times.items()}  # the first compile
    told = {f"{name}_ms": statistics.median(took) for name, took in warm.items()}
    pairs = zip(warm["learn"], warm["plain"], strict=True)
    return told | {"learn_over_plain": statistics.median(a / b for a, b in pairs)}


def case(dataset: str, slots: int, retained: int) -> dict[str, float]:
    """The steps of a learner with so many slots and retained tasks, in this process."""
    chosen, shape = preset(dataset, "laptop"), SHAPES[dataset]
    spec = InputSpec(shape, 10, (0.5,) * shape[-1], (0.25,) * shape[-1])
    net = hypernetwork(spec, slots, chosen.config, settings=chosen.uncle).network
    state = steps.init(net, slots, jax.random.key(0))
    state = dataclasses.replace(state, status=state.status.at[1 : retained + 1].set(LEARNED))
    held, lr = hold(net, state), np.float32(1e-4)
    images = np.random.RandomState(0).randint(0, 256, (chosen.config.batch_size, *shape))
    batch = Data(images.astype(np.uint8), np.arange(len(images), dtype=np.int32) % 10)
    task = steps.TaskToLearn(task_input(spec, 0, net.shape), jnp.zeros(()))
    learning = steps.start_learning(net, state, state.task_emb[0])
    unlearning, forgotten = steps.start_unlearning(net, chosen.uncle, state, 0, jax.random.key(1))
    key = jax.random.key(2)
    alone = clpu.networks(spec, 1, chosen.config, None)
    carry = {"plain": clpu.start(alone, jax.random.key(3)), "learn": learning}
    carry["unlearn"] = unlearning
    step = {
        "plain": lambda c: clpu.step(alone, c, task.input, *batch, lr)[0],
        "learn": lambda c: steps.learn(net, c, task, held, batch, lr)[0],
        "unlearn": lambda c: steps.unlearn(net, chosen.uncle, c, forgotten, held, key, lr)[0],
    }

    def go_on(name: str) -> Any:
        carry[name] = step[name](carry[name])
        return carry[name]

    found = in_turns({name: partial(go_on, name) for name in step})
    return found | {"peak_mb": peak_memory() / 1e6}


def main() -> None:
    """Measure every case, in turns, and print (or write) the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=SHAPES, default="permuted-digits")
    parser.add_argument("--case", type=int, nargs=2, help="one, in this process")
    parser.add_argument("--memory", choices=("kept", "kernel"), default="kept", help="once freed")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.memory == "kept":
        keep_freed()
    if args.case:
        print(json.dumps(case(args.dataset, *args.case)))
        return
    found: dict[tuple[int, int], list[dict[str, float]]] = {which: [] for which in CASES}
    for _ in range(ROUNDS):
        for which, rounds in found.items():
            command = [sys.executable, __file__, "--dataset", args.dataset]
            command += ["--memory", args.memory, "--case", *map(str, which)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rounds.append(json.loads(done.stdout))
    rows = [
        {"slots": slots, "retained": retained}
        | {k: round(statistics.median(r[k] for r in rounds), 2) for k in rounds[0]}
        for (slots, retained), rounds in found.items()
    ]
    told = {"dataset": args.dataset, "memory": args.memory, "rows": rows, "rounds": ROUNDS}
    text = json.dumps(told | environment(), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
