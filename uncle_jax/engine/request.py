"""One request on a store: read what it needs, answer it, measure, make it durable."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax

from uncle_jax.config import as_dict
from uncle_jax.core.loop import OnStep
from uncle_jax.engine.clock import CompileClock
from uncle_jax.engine.finite import Losses, require_finite
from uncle_jax.engine.unlearning import unlearn
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.methods.protocol import Method
from uncle_jax.methods.registry import READS
from uncle_jax.store.copies import digest_of, read_tests, write_test
from uncle_jax.store.inflight import Saves
from uncle_jax.store.ledger import Entry
from uncle_jax.store.store import Store, now
from uncle_jax.tasks import Data


@dataclass(frozen=True)
class Order:
    """What is asked of a store."""

    op: Literal["L", "U"]
    task: int
    id: str
    data: Data | None = None  # to learn from
    data_sha: str | None = None  # of the file `data` came from
    test: Data | None = None  # to measure with; kept while the task is learned
    environment: Mapping[str, Any] | None = None  # what else its ledger entry says


def order_id(store: Store, op: str, task: int) -> str:
    """The id of a request that names none: "U3-2" is the second request on task 3.

    If opening the store just finished such a request, it is that one asked again.
    """
    if store.resumed and (store.resumed["op"], store.resumed["task"]) == (op, task):
        return store.resumed["id"]
    return f"{op}{task}-{1 + sum(entry['task'] == task for entry in store.requests)}"


def already_unlearned(store: Store, task: int) -> Entry | None:
    """The entry that unlearned `task`, if it was unlearned and not learned again since."""
    asked = [entry for entry in store.requests if entry["task"] == task]
    return asked[-1] if asked and asked[-1]["op"] == "U" else None


def repeated(store: Store, order: Order) -> Entry | None:
    """The entry of an order that was answered already.

    Raises UncleError if its id was another order's.
    """
    entry = store.finished(order.id)
    if entry is None:
        return None
    then = (entry["op"], entry["task"], entry.get("data"))
    asked = (order.op, order.task, order.data_sha)
    if then != asked:
        raise UncleError(
            f"request {order.id} was {then[0]}{then[1]} with data {_short(then[2])}, "
            f"now {asked[0]}{asked[1]} with data {_short(asked[2])}; use another --id"
        )
    return entry


def answer(
    store: Store,
    method: Method,
    state: Any,
    order: Order,
    every: int = 5,
    on_step: OnStep | None = None,
) -> tuple[Any, Entry]:
    """(state after the order, its ledger entry), once it is durable and what it undoes is erased.

    Every learned task whose test data is at hand is measured, the order's own before and after. A
    learn request saves its progress every `every` epochs. Raises UncleError; the store is then as
    before, or finishes the request when it is opened next.
    """
    started, begun = now(), time.perf_counter()
    task, losses = order.task, Losses(on_step)
    with CompileClock() as clock:
        tests, damaged = read_tests(store)
        if order.test is not None:
            tests[task] = order.test
        before = known_accuracy(store)
        stale = order.test is not None or str(task) not in before
        if order.op == "U" and task in tests and stale:
            value = evaluate(method, state, task, tests[task])
            before |= {str(task): value} if math.isfinite(value) else {}
        after = _applied(store, method, state, order, every, losses)
        jax.block_until_ready(after)
        optimised, compiled = time.perf_counter(), clock.seconds
        require_finite(after, f"{order.op}{task}", losses)
        measured = {str(t): evaluate(method, after, t, tests[t]) for t in sorted(tests)}
    accuracy = {name: value for name, value in measured.items() if math.isfinite(value)}
    seconds = {
        "optimise": round(optimised - begun - compiled, 4),
        "compile": round(clock.seconds, 4),
        "evaluate": round(time.perf_counter() - optimised - (clock.seconds - compiled), 4),
    }
    damaged += [int(name) for name in measured.keys() - accuracy]  # no answer is no accuracy
    unlearned = sum(entry["op"] == "U" for entry in store.requests)
    kept = None
    if order.op == "L" and order.test is not None:
        kept = write_test(store, task, order.test)
    facts = {
        "id": order.id,
        "op": order.op,
        "task": task,
        "data": order.data_sha,
        "test": kept,
        **({"measured_with": digest_of(order.test)} if order.test is not None else {}),
        "started": started,
        "procedure": (procedure(method, unlearned) if order.op == "U" else None),
        "accuracy_before": before,
        "accuracy": accuracy,
        "not_measured": sorted(damaged),
        "seconds": seconds,
        **(order.environment or {}),
    }
    return after, store.commit(after, facts)


def _applied(
    store: Store, method: Method, state: Any, order: Order, every: int, on_step: OnStep | None
) -> Any:
    """`state` after the order, on the device alone. Raises UncleError if it cannot be done."""
    task = order.task
    if order.op == "L":
        if order.data is None:
            raise UncleError(f"learn {task} needs --data")
        about = {"id": order.id, "op": order.op, "task": task, "data": order.data_sha}
        saves = Saves(store, about, every)
        return method.learn(state, task, order.data, on_step=on_step, inflight=saves)
    require_no_past(method)
    return unlearn(method, state, task, None, on_step)


def require_no_past(method: Method) -> None:
    """Raise UncleError unless `method` unlearns without past data: a store keeps none."""
    if method.reads not in ("none", "buffer"):
        words = READS[method.reads]
        raise UncleError(f"{method.name} reads {words} to unlearn, and a store keeps none")


def known_accuracy(store: Store) -> dict[str, float]:
    """The accuracies measured after the last request, of the state that is now."""
    return dict(store.requests[-1]["accuracy"]) if store.step else {}


def procedure(method: Method, n_unlearned: int) -> dict[str, Any]:
    """How unlearn request number `n_unlearned` (from 0) is answered: the method's own settings."""
    told: dict[str, Any] = {"method": method.name, "reads": method.reads}
    if method.settings is not None:
        told |= as_dict(method.settings)
    if method.iterations is not None:
        told |= {"iterations": method.iterations(n_unlearned)}
    return told


def _short(sha: str | None) -> str:
    return sha[:12] if sha else "none"
