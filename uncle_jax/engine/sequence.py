"""Requests answered one after another: call the method, evaluate, time, report."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array

from uncle_jax.core.loop import Inflight, OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine.clock import CompileClock
from uncle_jax.engine.finite import Losses, require_finite
from uncle_jax.engine.unlearning import gather, relearns, unlearn, unlearn_classes
from uncle_jax.errors import UncleError
from uncle_jax.evaluation import classes, membership, task_free
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.answers import Answer, Run
from uncle_jax.evaluation.uniformity import uniformity
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import Request, from_the_start, lacking, retained, validate
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
    validate(requests, benchmark.n_tasks, benchmark.n_classes)
    state, answers = (done.state, list(done.answers)) if done else (method.init(key), [])
    if [answer.request for answer in answers] != list(requests[: len(answers)]):
        raise UncleError("the requests answered so far are not the first of these")
    shown = from_the_start(requests) if method.passes else requests
    held = _tests(benchmark, shown[: len(answers)])
    passed = method.passes(requests) if method.passes else ()
    for index, request in list(enumerate(requests))[len(answers) :]:
        op, task, _ = request
        losses, measured = Losses(on_step), dict[str, float]()
        gone = lacking(shown[: index + 1])
        present = benchmark.without(gone)
        saves = {"inflight": inflight(index, request)} if inflight else {}
        with CompileClock() as clock:
            if op == "C" and not method.passes:
                measured |= classes.before(method, state, request, held[task])
            if op != "U":
                held[task] = present.load(task, "test")
            call: Callable[[Any], Any] = _untouched
            if not (task in passed or (op == "C" and method.passes)):
                call, read = _prepared(method, benchmark, requests[: index + 1], present)
                if op == "L":
                    measured["before"] = evaluate(method, state, task, held[task])
                    measured["guess"] = 100 / benchmark.spec.task(task).n_classes
                else:
                    measured["read_bytes"] = nbytes(read)
                call = partial(call, on_step=losses, **({} if op == "U" else saves))
            started, compiled = time.perf_counter(), clock.seconds
            state = jax.block_until_ready(call(state))
            seconds = time.perf_counter() - started - (clock.seconds - compiled)
            require_finite(state, str(request), losses)
            accuracy = {seen: evaluate(method, state, seen, data) for seen, data in held.items()}
            measured |= classes.measure(method, state, benchmark, gone)
            if op == "C":
                measured[classes.REST] = accuracy[task]
            if op == "U":
                logits = method.logits(state, task, held[task].images)
                measured["UNI"] = uniformity(np.asarray(logits))
                if mia:
                    kept = retained(requests[: index + 1])
                    measured |= membership.measure(method, state, task, kept, present.load)
            if index + 1 == len(requests):
                kept = retained(requests)
                measured |= task_free.measure(method, state, kept, held)
        measured["kept_bytes"] = nbytes(state)
        if (phi := getattr(state, "phi", None)) is not None:
            measured["phi_norm"] = norm(phi)
        measured = dict(sorted(measured.items()))  # as a store's ledger has them: same files
        answers.append(Answer(index, request, accuracy, seconds, clock.seconds, measured))
        if on_request:
            on_request(answers[-1], state)
    return Run(state, tuple(answers))


def _untouched(state: Any) -> Any:
    return state


def _prepared(
    method: Method, benchmark: Benchmark, requests: Sequence[Request], present: Benchmark
) -> tuple[Callable[..., Any], Any]:
    """(state -> state after the last of `requests`, what data it reads), all of them loaded."""
    op, task, _ = request = requests[-1]
    if op == "L":
        train = present.load(task, "train")
        return lambda state, **more: method.learn(state, task, train, **more), train
    past, rest = gather(method, benchmark, requests), None
    if op == "U":
        return lambda state, on_step: unlearn(method, state, task, past, on_step), past
    if relearns(method):
        rest = present.load(task, "train")
    ask = partial(unlearn_classes, method, request=request, past=past, rest=rest)
    return lambda state, **more: ask(state=state, **more), (past, rest)


def _tests(benchmark: Benchmark, requests: Sequence[Request]) -> dict[int, Data]:
    """{task that was ever learned: the test images of what it was when it was last retained}."""
    found = dict[int, Data]()
    for index, (op, task, _) in enumerate(requests):
        if op != "U":
            found[task] = benchmark.without(lacking(requests[: index + 1])).load(task, "test")
    return found


def nbytes(tree: Any) -> float:
    """Of all arrays of `tree`."""
    return float(sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves(tree)))


def norm(tree: Any) -> float:
    """The L2 norm of all numbers of `tree`; by NumPy, as no program need be compiled for it."""
    squares = (np.sum(np.square(np.asarray(leaf, np.float64))) for leaf in jax.tree.leaves(tree))
    return float(np.sqrt(sum(squares)))
