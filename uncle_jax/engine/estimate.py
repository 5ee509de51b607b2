"""How long a run will take and what it needs, from steps measured on this machine."""

import contextlib
import dataclasses
import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from uncle_jax.config import Config, Hypernetwork
from uncle_jax.core.loop import steps_per_epoch
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine.sequence import gather, unlearn
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import Request, retained
from uncle_jax.tasks import Data

Factory = Callable[..., Method]  # (spec, n_tasks, config, settings) -> Method
STEPS = 2  # of each kind: one that compiles, one that counts


class Measured(NamedTuple):
    """What a run's parts take, in seconds."""

    learn_step: float
    unlearn_step: float
    unlearn_steps: int  # of one request, where the method does not say
    eval_batch: float
    compile: float  # until the first learning step is over


def estimate(
    factory: Factory,
    benchmark: Benchmark,
    config: Config,
    requests: Sequence[Request],
    settings: Any = None,
) -> dict[str, Any]:
    """Seconds of a learning step, an unlearning step and an evaluated batch, and of `requests`.

    Measured on one batch of the first request's task after compilation, which is told apart.
    `peak_memory_bytes` is the device's, or on a CPU this process's.
    """
    short = dataclasses.replace(config, epochs=STEPS)
    quick = settings
    if isinstance(settings, Hypernetwork):
        quick = dataclasses.replace(settings, norm_calibration=1)
    brief = factory(benchmark.spec, benchmark.n_tasks, short, quick)
    measured = _measured(brief, benchmark, config, requests[0].task)
    method = factory(benchmark.spec, benchmark.n_tasks, config, settings)
    return {
        "learn_step_seconds": measured.learn_step,
        "unlearn_step_seconds": measured.unlearn_step,
        "eval_batch_seconds": measured.eval_batch,
        "compile_seconds": measured.compile,
        "total_seconds": _total(measured, method, benchmark, config, requests),
        "peak_memory_bytes": peak_memory(),
    }


def _measured(method: Method, benchmark: Benchmark, config: Config, task: int) -> Measured:
    """The parts of a run, timed on a batch of `task` with a `method` that learns for few steps."""
    data = benchmark.load(task, "train")
    times: list[float] = []

    def note(step: int, steps: int, loss: Any) -> None:
        del step, steps
        jax.block_until_ready(loss)
        times.append(time.perf_counter())

    batch = _batch(data, config.batch_size)
    started = time.perf_counter()
    state = method.learn(method.init(jax.random.key(0)), task, batch, on_step=note)
    first = time.perf_counter()
    compiled = (times[0] if times else first) - started
    learn_step = times[-1] - times[-2] if len(times) > 1 else 0.0
    unlearn_step, unlearn_steps = _unlearning(method, benchmark, config, state, Request("L", task))
    images = _batch(data, config.eval_batch_size).images
    jax.block_until_ready(method.logits(state, task, images))  # compiles
    started = time.perf_counter()
    jax.block_until_ready(method.logits(state, task, images))
    eval_batch = time.perf_counter() - started
    return Measured(learn_step, unlearn_step, unlearn_steps, eval_batch, compiled)


def _batch(data: Data, size: int) -> Data:
    """The first `size` of `data`, as often as it takes to have as many."""
    index = np.arange(size) % len(data.labels)
    return Data(np.asarray(data.images)[index], np.asarray(data.labels)[index])


def _total(
    measured: Measured,
    method: Method,
    benchmark: Benchmark,
    config: Config,
    requests: Sequence[Request],
) -> float:
    """Seconds that `requests` take, each with the evaluation after it."""
    counts = {t: len(benchmark.load(t, "train").labels) for t in {t for _, t in requests}}
    tests = {t: len(benchmark.load(t, "test").labels) for t in counts}
    total, seen, n_unlearned = 0.0, set(), 0
    for index, (op, t) in enumerate(requests):
        seen.add(t)
        if op == "L":
            steps = config.epochs * steps_per_epoch(counts[t], config.batch_size)
            total += measured.learn_step * steps
        else:
            told = method.iterations
            steps = told(n_unlearned) if told else measured.unlearn_steps
            if method.reads == "all retained data":  # it goes over each of them
                steps *= len(retained(requests[: index + 1]))
            total += measured.unlearn_step * steps
            n_unlearned += 1
        batches = sum(math.ceil(tests[s] / config.eval_batch_size) for s in seen)
        total += measured.eval_batch * batches
    return total


class _Enough(Exception):
    """Ends a request that was only begun to be timed."""


def _unlearning(
    method: Method, benchmark: Benchmark, config: Config, state: Any, first: Request
) -> tuple[float, int]:
    """(seconds of an optimiser step, steps) of unlearning the only task that `state` has learned.

    With methods that read retained tasks, a second task is learned in the state's place. Whatever
    an algorithm computes before its first step is not counted.
    """
    task, times, told = first.task, [], []

    def note(step: int, steps: int, loss: Any) -> None:
        jax.block_until_ready(loss)
        times.append(time.perf_counter())
        told.append(steps)
        if step >= STEPS:
            raise _Enough

    requests = [first, Request("U", task)]
    if method.reads in ("all retained data", "latest", "forget+retain"):
        other = (task + 1) % benchmark.n_tasks
        batch = _batch(benchmark.load(other, "train"), config.batch_size)
        state = method.learn(state, other, batch)
        requests = [first, Request("L", other), Request("U", task)]
    past = gather(method, benchmark, requests)
    with contextlib.suppress(_Enough):
        unlearn(method, state, task, past, note)
    if len(times) < STEPS:
        return 0.0, 0
    return times[-1] - times[-2], told[-1]


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
