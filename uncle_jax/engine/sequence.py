"""Requests answered one after another: call the method, evaluate, time, report."""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import numpy as np
from jax import Array

from uncle_jax.core.loop import Inflight, OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine.clock import CompileClock
from uncle_jax.engine.finite import Losses, require_finite
from uncle_jax.errors import UncleError
from uncle_jax.evaluation import membership, task_free
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.answers import Answer, Run
from uncle_jax.evaluation.uniformity import uniformity
from uncle_jax.methods.protocol import Method, Past, Unlearn, UnlearnDataFree
from uncle_jax.requests import Request, retained, validate
from uncle_jax.tasks import Data


def run_sequence(
    method: Method,
    benchmark: Benchmark,
    requests: Sequence[Request],
    key: Array,
    on_step: OnStep | None = None,
    on_request: Callable[[Answer, Any], None] | None = None,
    done: Run | None = None,
    inflight: Callable[[int, Request], Inflight] | None = None,
    mia: bool = False,
) -> Run:
    """Answer `requests` in order, evaluating every task seen so far after each.

    A learn request sees its own task's training data, an unlearn request what its method declares
    that it `reads` (methods/protocol.py), and nothing else. `on_step(step, steps, loss)` follows
    each optimiser step, `on_request(answer, state)` each request. To evaluate on held-out training
    data instead of the test split, pass `benchmark.held_out(seed)`. After the last one prediction
    without a task id is measured too (evaluation/task_free.py).
    Tasks that the method `passes` over are evaluated, and change nothing.
    `done`: the run of the first requests, after which to go on. `inflight(index, request)`: what
    keeps a learn request's progress (methods/protocol.py). `mia`: measure membership inference
    after each unlearning (evaluation/membership.py), which can take longer than it. Raises
    UncleError, before anything is learned, if a request cannot be answered.
    """
    validate(requests, benchmark.n_tasks)
    state, answers = (done.state, list(done.answers)) if done else (method.init(key), [])
    if [answer.request for answer in answers] != list(requests[: len(answers)]):
        raise UncleError("the requests answered so far are not the first of these")
    held = {
        answer.request.task: benchmark.load(answer.request.task, "test")
        for answer in answers
        if answer.request.op == "L"
    }
    passed = method.passes(requests) if method.passes else ()
    for index, (op, task) in list(enumerate(requests))[len(answers) :]:
        losses, measured = Losses(on_step), dict[str, float]()
        with CompileClock() as clock:
            if task in passed:
                held[task] = benchmark.load(task, "test")
                started, compiled = time.perf_counter(), clock.seconds
            elif op == "L":
                train, held[task] = benchmark.load(task, "train"), benchmark.load(task, "test")
                measured["before"] = evaluate(method, state, task, held[task])
                measured["guess"] = 100 / benchmark.spec.task(task).n_classes
                started, compiled = time.perf_counter(), clock.seconds
                kept = {"inflight": inflight(index, Request(op, task))} if inflight else {}
                state = method.learn(state, task, train, on_step=losses, **kept)
            else:
                past = gather(method, benchmark, requests[: index + 1])
                measured["read_bytes"] = nbytes(past)
                started, compiled = time.perf_counter(), clock.seconds
                state = unlearn(method, state, task, past, losses)
            jax.block_until_ready(state)
            seconds = time.perf_counter() - started - (clock.seconds - compiled)
            require_finite(state, f"{op}{task}", losses)
            accuracy = {seen: evaluate(method, state, seen, data) for seen, data in held.items()}
            if op == "U":
                logits = method.logits(state, task, held[task].images)
                measured["UNI"] = uniformity(np.asarray(logits))
                if mia:
                    kept = retained(requests[: index + 1])
                    measured |= membership.measure(method, state, task, kept, benchmark.load)
            if index + 1 == len(requests):
                kept = retained(requests)
                measured |= task_free.measure(method, state, kept, held)
        measured["kept_bytes"] = nbytes(state)
        if (phi := getattr(state, "phi", None)) is not None:
            measured["phi_norm"] = norm(phi)
        measured = dict(sorted(measured.items()))  # as a store's ledger has them: same files
        answers.append(Answer(index, Request(op, task), accuracy, seconds, clock.seconds, measured))
        if on_request:
            on_request(answers[-1], state)
    return Run(state, tuple(answers))


def nbytes(tree: Any) -> float:
    """Of all arrays of `tree`."""
    return float(sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves(tree)))


def norm(tree: Any) -> float:
    """The L2 norm of all numbers of `tree`; by NumPy, as no program need be compiled for it."""
    squares = (np.sum(np.square(np.asarray(leaf, np.float64))) for leaf in jax.tree.leaves(tree))
    return float(np.sqrt(sum(squares)))


def gather(method: Method, benchmark: Benchmark, requests: Sequence[Request]) -> Past | None:
    """The training data that `method` may read for the unlearn request that `requests` end in.

    None for a method that reads none (or its own buffer alone): nothing is loaded.
    """
    task = requests[-1].task
    learned_at = {t: index for index, (op, t) in enumerate(requests) if op == "L"}
    order = sorted(retained(requests), key=lambda t: learned_at[t])

    def train(t: int) -> Data:
        return benchmark.load(t, "train")

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
