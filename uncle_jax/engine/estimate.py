"""How long a run will take and what it needs: its operations counted, or its steps measured."""

import contextlib
import dataclasses
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Config, Hypernetwork
from uncle_jax.core.loop import OnStep, steps_per_epoch
from uncle_jax.core.pieces import rehearsal
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine.sequence import nbytes
from uncle_jax.engine.unlearning import gather, one_by_one, unlearn, unlearn_classes
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import Request, retained
from uncle_jax.tasks import Data

Factory = Callable[..., Method]  # (spec, n_tasks, config, settings) -> Method
STEPS = 2  # of each kind: one that compiles, one that counts


def estimate(
    factory: Factory,
    benchmark: Benchmark,
    config: Config,
    requests: Sequence[Request],
    settings: Any = None,
) -> dict[str, Any]:
    """What `requests` take, from the operations of every piece they call: nothing is computed.

    Seconds are those of a convolution of this device, so they are right to a factor of two or so.
    `peak_memory_bytes` counts arrays, those between operations as if nothing were fused. A method
    of one's own that is not made of pieces (core/pieces.py) is measured.
    """
    counted = operations(factory, benchmark, config, requests, settings)
    if counted is None:
        return measure(factory, benchmark, config, requests, settings)
    rate = flops_per_second()
    return {
        "how": f"operations counted, at {rate / 1e9:.0f} GFLOP/s: a convolution's on this device",
        "learn_step_gflop": counted.learn_step / 1e9,
        "unlearn_step_gflop": counted.unlearn_step / 1e9,
        "total_tflop": counted.total / 1e12,
        "learn_step_seconds": counted.learn_step / rate,
        "unlearn_step_seconds": counted.unlearn_step / rate,
        "total_seconds": counted.total / rate,
        "peak_memory_bytes": counted.peak,
        "device_memory_bytes": device_memory(),
    }


def flops_per_second(images: int | None = None) -> float:
    """What this device does of a 3 x 3 convolution with its normalisation, forth and back."""
    images = images or (32 if jax.default_backend() == "cpu" else 512)
    x, w = jnp.ones((images, 16, 16, 64)), jnp.full((3, 3, 64, 64), 0.01)

    def loss(x: Array, w: Array) -> Array:
        y = jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        y = (y - y.mean((0, 1, 2))) * jax.lax.rsqrt(y.var((0, 1, 2)) + 1e-5)
        return jnp.sum(jax.nn.relu(y) ** 2)

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    cost = gradient.lower(x, w).cost_analysis() or {}
    jax.block_until_ready(gradient(x, w))  # compiles
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        jax.block_until_ready(gradient(x, w))
        seconds.append(time.perf_counter() - started)
    return cost["flops"] / statistics.median(seconds)


class _Enough(Exception):
    """Ends a request that was only begun."""


class Counted(NamedTuple):
    """What a run's parts take, in operations."""

    learn_step: float  # of the costliest learn request
    unlearn_step: float  # of the costliest unlearn request
    total: float
    peak: int  # bytes


def operations(
    factory: Factory,
    benchmark: Benchmark,
    config: Config,
    requests: Sequence[Request],
    settings: Any,
) -> Counted | None:
    """`requests` rehearsed, each learned for few steps; None if the method has no pieces."""
    size, asked = config.batch_size, {one.task for one in requests}
    # Each task is loaded once: permuting or decoding images takes longer than counting with them.
    first = {t: _first(benchmark.load(t, "train"), 2 * STEPS * size) for t in asked}
    counts = {t: n for t, (n, _) in first.items()}
    tests = {t: _first(benchmark.load(t, "test"), config.eval_batch_size) for t in asked}
    few = 1 if min(counts.values()) > size else STEPS  # so many steps at least
    short = dataclasses.replace(config, epochs=min(few, config.epochs))
    method = factory(benchmark.spec, benchmark.n_tasks, short, settings)
    learn_step = unlearn_step = total = 0.0
    an_image: float | None = None  # what learning takes of each, its steps apart
    evaluation: dict[int, float] = {}
    with rehearsal() as work:

        def counted(ask: Callable[[OnStep], Any]) -> tuple[Any, float, float]:
            """(state after, operations, those of a step) of one request."""
            before, after = work.flops, list[float]()

            def note(step: int, steps: int, loss: Any) -> None:
                del step, steps, loss
                after.append(work.flops)
                if after[-1] == before:
                    raise _Enough

            state = ask(note)
            return state, work.flops - before, after[-1] - after[-2] if len(after) > 1 else 0.0

        def learned(state: Any, task: int, batches: int) -> tuple[Any, float, float, int]:
            """... of learning so many batches at most, and how many images they were."""
            data = _first(first[task][1], batches * size)[1]
            answer = counted(lambda note: method.learn(state, task, data, on_step=note))
            return *answer, len(data.labels)

        def steps(n: int, epochs: int) -> int:
            return epochs * steps_per_epoch(n, size)

        state, requests = method.init(jax.random.key(0)), one_by_one(method, requests)
        passed = method.passes(requests) if method.passes else ()
        for index, request in enumerate(requests):
            op, task, _ = request
            try:
                if task in passed or (op == "C" and method.passes):
                    pass
                elif op == "L":
                    after, flops, each, n = learned(state, task, STEPS)
                    if an_image is None:
                        _, more, _, n_more = learned(state, task, 2 * STEPS)
                        fixed = more - each * steps(n_more, short.epochs)
                        fixed -= flops - each * steps(n, short.epochs)
                        an_image = max(fixed, 0.0) / max(n_more - n, 1)
                    missing = steps(counts[task], config.epochs) - steps(n, short.epochs)
                    total += flops + each * missing + an_image * (counts[task] - n)
                    learn_step, state = max(learn_step, each), after
                else:
                    past = gather(method, benchmark, requests[: index + 1])
                    ask = partial(unlearn, method, state, task, past)
                    if op == "C":
                        ask = partial(unlearn_classes, method, state, request, past, None)
                    state, flops, each = counted(ask)
                    unlearn_step = max(unlearn_step, each)
                    total += flops
            except _Enough:
                return None
            if task not in evaluation:
                before, (n, batch) = work.flops, tests[task]
                method.logits(state, task, batch.images)
                batches = math.ceil(n / config.eval_batch_size)
                evaluation[task] = (work.flops - before) * batches
            total += sum(evaluation.values())
    return Counted(learn_step, unlearn_step, total, work.peak + int(nbytes(state)))


def _first(data: Data, n: int) -> tuple[int, Data]:
    """How many images there are, and the first `n` of them."""
    images, labels = data
    return len(labels), Data(np.array(images[:n]), np.array(labels[:n]))  # copies: the rest can go


class Measured(NamedTuple):
    """What a run's parts take, in seconds."""

    learn_step: float
    unlearn_step: float
    unlearn_steps: int  # of one request, where the method does not say
    eval_batch: float
    compile: float  # until the first learning step is over


def measure(
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
        "how": f"measured on {STEPS} steps of each kind, with one task learned",
        "learn_step_seconds": measured.learn_step,
        "unlearn_step_seconds": measured.unlearn_step,
        "eval_batch_seconds": measured.eval_batch,
        "compile_seconds": measured.compile,
        "total_seconds": _total(measured, method, benchmark, config, requests),
        "peak_memory_bytes": peak_memory(),
        "device_memory_bytes": device_memory(),
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
    counts = {t: len(benchmark.load(t, "train").labels) for t in {one.task for one in requests}}
    tests = {t: len(benchmark.load(t, "test").labels) for t in counts}
    total, seen, n_unlearned = 0.0, set(), 0
    requests = one_by_one(method, requests)
    for index, (op, t, _) in enumerate(requests):
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


def device_memory() -> int | None:
    """Bytes that the device lets this process have; None where it does not say (CPU)."""
    stats = jax.devices()[0].memory_stats() or {}
    return int(stats["bytes_limit"]) if "bytes_limit" in stats else None


def in_words(seconds: float) -> str:
    """A duration as a person says it: "40 s", "12 min", "3.5 h", "2.1 days"."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= 120):
            value = seconds / size
            return f"{value:.0f} {unit}" if unit == "min" else f"{value:.1f} {unit}"
    return f"{seconds:.0f} s"
