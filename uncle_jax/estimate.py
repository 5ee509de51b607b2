"""How long a run will take and what it needs, from steps measured on this machine."""

import dataclasses
import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from uncle_jax.config import Config
from uncle_jax.data.benchmark import Benchmark, Data
from uncle_jax.epochs import steps_per_epoch
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import Request

Factory = Callable[..., Method]  # (spec, n_tasks, config) -> Method
STEPS = 2  # of each kind: one that compiles, one that counts


def estimate(
    factory: Factory, benchmark: Benchmark, config: Config, requests: Sequence[Request]
) -> dict[str, Any]:
    """Seconds of a learning step, an unlearning step and an evaluated batch, and of `requests`.

    Measured on one batch of the first request's task after compilation, which is told apart.
    `peak_memory_bytes` is the device's, or on a CPU this process's.
    """
    short = dataclasses.replace(
        config, epochs=STEPS, burn_in=STEPS, burn_in_floor=STEPS, norm_calibration=1
    )
    method = factory(benchmark.spec, benchmark.n_tasks, short)
    task = requests[0].task
    images, labels = benchmark.load(task, "train")
    index = np.arange(config.batch_size) % len(labels)
    batch = Data(np.asarray(images)[index], np.asarray(labels)[index])
    times: list[float] = []

    def note(step: int, steps: int, loss: Any) -> None:
        del step, steps
        jax.block_until_ready(loss)
        times.append(time.perf_counter())

    started = time.perf_counter()
    state = method.learn(method.init(jax.random.key(0)), task, batch, on_step=note)
    compile_seconds = times[0] - started
    learn_step = times[-1] - times[-2]
    n_learned = len(times)
    method.unlearn(state, task, on_step=note)
    unlearned = times[n_learned:]
    unlearn_step = unlearned[-1] - unlearned[-2] if len(unlearned) > 1 else 0.0
    eval_images = np.asarray(images)[np.arange(config.eval_batch_size) % len(labels)]
    jax.block_until_ready(method.logits(state, task, eval_images))  # compiles
    started = time.perf_counter()
    jax.block_until_ready(method.logits(state, task, eval_images))
    eval_batch = time.perf_counter() - started

    counts = {t: len(benchmark.load(t, "train").labels) for t in {t for _, t in requests}}
    tests = {t: len(benchmark.load(t, "test").labels) for t in counts}
    total, seen, n_unlearned = 0.0, set(), 0
    for op, t in requests:
        seen.add(t)
        if op == "L":
            total += learn_step * config.epochs * steps_per_epoch(counts[t], config.batch_size)
        else:
            total += unlearn_step * burn_in_iterations(config, n_unlearned)
            n_unlearned += 1
        total += eval_batch * sum(math.ceil(tests[s] / config.eval_batch_size) for s in seen)
    return {
        "learn_step_seconds": learn_step,
        "unlearn_step_seconds": unlearn_step,
        "eval_batch_seconds": eval_batch,
        "compile_seconds": compile_seconds,
        "total_seconds": total,
        "peak_memory_bytes": peak_memory(),
    }


def peak_memory() -> int:
    """Peak bytes of the device, or of this process where the device keeps no count (CPU)."""
    stats = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return int(stats["peak_bytes_in_use"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def in_words(seconds: float) -> str:
    """A duration as a person says it: "40 s", "12 min", "3.5 h", "2.1 days"."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= 120):
            value = seconds / size
            return f"{value:.0f} {unit}" if unit == "min" else f"{value:.1f} {unit}"
    return f"{seconds:.0f} s"
