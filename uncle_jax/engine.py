"""Requests answered one after another: call the method, evaluate, time, report."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from uncle_jax.data.benchmark import Benchmark, Data, holdout
from uncle_jax.errors import UncleError
from uncle_jax.hypernet import Array
from uncle_jax.methods.protocol import Method, Midway, OnStep, Past, Unlearn, UnlearnDataFree
from uncle_jax.metrics import all_metrics, retained
from uncle_jax.requests import Request, validate

LoadTask = Callable[[int], tuple[Data, Data]]  # task -> (train, evaluation)


@dataclass(frozen=True)
class Answer:
    """What one request led to."""

    index: int  # its place in the sequence, from 0
    request: Request
    accuracy: dict[int, float]  # per cent, of every task seen so far, unlearned ones included
    seconds: float  # of learn or unlearn alone, compilation apart
    compile_seconds: float  # tracing, lowering and compiling, evaluation's included


class Run(NamedTuple):
    """A whole sequence, answered."""

    state: Any
    answers: tuple[Answer, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """RA, FA, spill, ... in percentage points (metrics.py)."""
        requests = [answer.request for answer in self.answers]
        return all_metrics(requests, [answer.accuracy for answer in self.answers])


def evaluate(method: Method, state: Any, task: int, data: Data) -> float:
    """Accuracy, in per cent, of `task`'s network on labelled images."""
    predictions = np.argmax(method.logits(state, task, data.images), axis=-1)
    return 100 * float(np.mean(predictions == np.asarray(data.labels)))


def run_sequence(
    method: Method,
    benchmark: Benchmark,
    requests: Sequence[Request],
    key: Array,
    on_step: OnStep | None = None,
    on_request: Callable[[Answer, Any], None] | None = None,
    eval_split: str = "test",
    holdout_seed: int = 0,
    done: Run | None = None,
    midway: Callable[[int, Request], Midway] | None = None,
) -> Run:
    """Answer `requests` in order, evaluating every task seen so far after each.

    A learn request sees its own task's training data, an unlearn request what its method declares
    that it `reads` (methods/protocol.py), and nothing else. `on_step(step,
    steps, loss)` follows each optimiser step, `on_request(answer, state)` each request.
    `eval_split` "validation" evaluates on a tenth of the training data, held out from learning.
    `done`: the run of the first requests, after which to go on. `midway(index, request)`: what
    keeps a learn request's progress (methods/protocol.py). Raises UncleError, before anything is
    learned, if a request cannot be answered.
    """
    validate(requests, benchmark.n_tasks)
    state, answers = (done.state, list(done.answers)) if done else (method.init(key), [])
    if [answer.request for answer in answers] != list(requests[: len(answers)]):
        raise UncleError("the requests answered so far are not the first of these")
    held = {
        answer.request.task: load_task(benchmark, answer.request.task, eval_split, holdout_seed)[1]
        for answer in answers
        if answer.request.op == "L"
    }
    for index, (op, task) in list(enumerate(requests))[len(answers) :]:
        with CompileClock() as clock:
            if op == "L":
                train, held[task] = load_task(benchmark, task, eval_split, holdout_seed)
                started, compiled = time.perf_counter(), clock.seconds
                kept = {"midway": midway(index, Request(op, task))} if midway else {}
                state = method.learn(state, task, train, on_step=on_step, **kept)
            else:
                past = gather(method, benchmark, requests[: index + 1], eval_split, holdout_seed)
                started, compiled = time.perf_counter(), clock.seconds
                state = unlearn(method, state, task, past, on_step)
            jax.block_until_ready(state)
            seconds = time.perf_counter() - started - (clock.seconds - compiled)
            accuracy = {seen: evaluate(method, state, seen, data) for seen, data in held.items()}
        answers.append(Answer(index, Request(op, task), accuracy, seconds, clock.seconds))
        if on_request:
            on_request(answers[-1], state)
    return Run(state, tuple(answers))


def gather(
    method: Method, benchmark: Benchmark, requests: Sequence[Request],
    eval_split: str = "test", holdout_seed: int = 0,
) -> Past | None:  # fmt: skip
    """The training data that `method` may read for the unlearn request that `requests` end in.

    None for a method that reads none (or its own buffer alone): nothing is loaded.
    """
    task = requests[-1].task
    learned_at = {t: index for index, (op, t) in enumerate(requests) if op == "L"}
    order = sorted(retained(requests), key=lambda t: learned_at[t])

    def train(t: int) -> Data:
        return load_task(benchmark, t, eval_split, holdout_seed)[0]

    if method.reads in ("forget", "forget+retain"):
        return Past(forget=train(task))
    if method.reads == "latest":
        return Past(retained={t: train(t) for t in order[-1:]})
    if method.reads == "all retained data":
        return Past(retained={t: train(t) for t in order})
    return None


def unlearn(
    method: Method, state: Any, task: int, past: Past | None, on_step: OnStep | None = None
) -> Any:
    """`state` without `task`: `method.unlearn`, which is handed `past` only if there is any."""
    if past is None:
        return cast(UnlearnDataFree, method.unlearn)(state, task, on_step=on_step)
    return cast(Unlearn, method.unlearn)(state, task, past, on_step=on_step)


def load_task(
    benchmark: Benchmark, task: int, eval_split: str = "test", holdout_seed: int = 0
) -> tuple[Data, Data]:
    """(train, evaluation) data of one task; with "validation" the latter is held out from train."""
    if eval_split not in ("test", "validation"):
        raise UncleError(f"unknown eval_split {eval_split!r} (allowed: test, validation)")
    train = benchmark.load(task, "train")
    if eval_split == "validation":
        return holdout(train, holdout_seed)
    return train, benchmark.load(task, "test")


class CompileClock(AbstractContextManager["CompileClock"]):
    """Counts the seconds that JAX spends tracing, lowering and compiling inside the block."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []  # (start, seconds), none inside another

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self._spans)

    def _hear(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        if event.startswith("/jax/core/compile/"):
            start = time.perf_counter() - duration_secs
            # A jitted function traced inside another reports first, then within the outer's time.
            self._spans = [span for span in self._spans if span[0] < start]
            self._spans.append((start, duration_secs))

    def __enter__(self) -> "CompileClock":
        jax.monitoring.register_event_duration_secs_listener(self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        jax.monitoring.unregister_event_duration_listener(self._hear)
