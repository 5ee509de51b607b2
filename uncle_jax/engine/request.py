"""One request on a store: read what it needs, answer it, measure, make it durable."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from uncle_jax.config import as_dict
from uncle_jax.core.loop import OnStep
from uncle_jax.engine.clock import CompileClock
from uncle_jax.engine.finite import Losses, require_finite
from uncle_jax.engine.unlearning import relearns, unlearn, unlearn_classes
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.classes import accuracy_of
from uncle_jax.methods.protocol import Method
from uncle_jax.methods.registry import READS
from uncle_jax.requests import Op, Request, lacking, request_of, validate
from uncle_jax.store.copies import digest_of, read_tests, write_test
from uncle_jax.store.inflight import Saves
from uncle_jax.store.ledger import Entry
from uncle_jax.store.store import Store, input_spec, now
from uncle_jax.tasks import Data, without_classes


@dataclass(frozen=True)
class Order:
    """What is asked of a store."""

    op: Op
    task: int
    id: str
    data: Data | None = None  # to learn from; of classes: to learn again, from the others
    data_sha: str | None = None  # of the file `data` came from
    test: Data | None = None  # to measure with; kept while the task is learned
    environment: Mapping[str, Any] | None = None  # what else its ledger entry says
    classes: tuple[int, ...] = ()  # "C": which of the task's are unlearned

    @property
    def request(self) -> Request:
        """What is asked, as sequences have it."""
        return Request(self.op, self.task, self.classes)


def order_id(store: Store, asked: Request) -> str:
    """The id of a request that names none: "U3-2" is the second request on task 3.

    If opening the store just finished such a request, it is that one asked again.
    """
    if store.resumed and request_of(store.resumed) == asked:
        return store.resumed["id"]
    return f"{asked}-{1 + sum(entry['task'] == asked.task for entry in store.requests)}"


def already_unlearned(store: Store, asked: Request) -> Entry | None:
    """The entry that unlearned what is `asked`, if it was, and not learned again since."""
    of_task = [entry for entry in store.requests if entry["task"] == asked.task]
    if asked.op == "C" and of_task and of_task[-1]["op"] == "C":
        gone = lacking([request_of(entry) for entry in of_task])[asked.task]
        return of_task[-1] if {*asked.classes} <= {*gone} else None
    return of_task[-1] if asked.op == "U" and of_task and of_task[-1]["op"] == "U" else None


def check(store: Store, asked: Request) -> None:
    """Raise UncleError for classes of a task that cannot be unlearned now."""
    if asked.op == "C":
        spec, requests = input_spec(store), [*map(request_of, store.requests), asked]
        validate(requests, store.identity["n_tasks"], lambda task: spec.task(task).n_classes)


def repeated(store: Store, order: Order) -> Entry | None:
    """The entry of an order that was answered already.

    Raises UncleError if its id was another order's.
    """
    entry = store.finished(order.id)
    if entry is None:
        return None
    then, asked = (request_of(entry), entry.get("data")), (order.request, order.data_sha)
    if then != asked:
        raise UncleError(
            f"request {order.id} was {then[0]} with data {_short(then[1])}, "
            f"now {asked[0]} with data {_short(asked[1])}; use another --id"
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
    learn request saves its progress every `every` epochs. `method` and `state` may have more room
    than the store had (engine/growing.py): it has it from then on. Raises UncleError; the store is
    then as before, or finishes the request when it is opened next.
    """
    started, begun = now(), time.perf_counter()
    task, losses = order.task, Losses(on_step)
    with CompileClock() as clock:
        tests, damaged = read_tests(store)
        if order.test is not None:
            tests[task] = order.test
        before, of_classes = known_accuracy(store), dict[str, float]()
        stale = order.test is not None or str(task) not in before
        if order.op == "U" and task in tests and stale:
            value = evaluate(method, state, task, tests[task])
            before |= {str(task): value} if math.isfinite(value) else {}
        whole = tests.get(task)
        if order.op == "C" and whole is not None:
            of_classes["before"] = accuracy_of(method, state, task, whole, order.classes)
            tests[task] = without_classes(whole, order.classes)
        after = _applied(store, method, state, order, every, losses)
        jax.block_until_ready(after)
        optimised, compiled = time.perf_counter(), clock.seconds
        require_finite(after, str(order.request), losses)
        if of_classes and whole is not None:
            of_classes["after"] = accuracy_of(method, after, task, whole, order.classes)
        measured = {str(t): evaluate(method, after, t, tests[t]) for t in sorted(tests)}
    accuracy = finite(measured)
    seconds = {
        "optimise": round(optimised - begun - compiled, 4),
        "compile": round(clock.seconds, 4),
        "evaluate": round(time.perf_counter() - optimised - (clock.seconds - compiled), 4),
    }
    damaged += [int(name) for name in measured.keys() - accuracy]  # no answer is no accuracy
    unlearned = sum(entry["op"] == "U" for entry in store.requests)
    kept, room = None, len(state.status)
    if order.op == "L" and order.test is not None:
        kept = write_test(store, task, order.test)
    if order.op == "C" and task in tests:
        kept = write_test(store, task, tests[task], store.step + 1)
    facts = {
        "id": order.id,
        "op": order.op,
        "task": task,
        **({"classes": [*order.classes]} if order.classes else {}),
        **({"n_tasks": room} if room != store.settings["identity"]["n_tasks"] else {}),
        "data": order.data_sha,
        "test": kept,
        **({"measured_with": digest_of(order.test)} if order.test is not None else {}),
        "started": started,
        "procedure": None if order.op == "L" else procedure(method, unlearned, order.op == "C"),
        "accuracy_before": before,
        "accuracy": accuracy,
        **({"class_accuracy": finite(of_classes)} if of_classes else {}),
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
    about = {"id": order.id, "op": order.op, "task": task, "data": order.data_sha}
    about |= {"classes": [*order.classes]} if order.classes else {}
    saves = Saves(store, about, every)
    if order.op == "L":
        if order.data is None:
            raise UncleError(f"learn {task} needs --data")
        return method.learn(state, task, order.data, on_step=on_step, inflight=saves)
    require_no_past(method)
    if order.op == "C":
        rest = _rest(store, method, order)
        return unlearn_classes(method, state, order.request, None, rest, on_step, saves)
    return unlearn(method, state, task, None, on_step)


def _rest(store: Store, method: Method, order: Order) -> Data | None:
    """What is learned again of a task that loses classes. Raises UncleError."""
    named = " ".join(map(str, order.classes))
    if not relearns(method):
        if order.data is not None:
            raise UncleError(f"{method.name} unlearns a class without data here; leave --data out")
        return None
    if order.data is None:
        raise UncleError(
            f"unlearn {order.task} --class {named} needs --data, the images of its other classes: "
            f"the task is unlearned, and learned again from them"
        )
    gone = lacking([*map(request_of, store.requests), order.request])[order.task]
    rest = without_classes(order.data, gone)
    if not len(rest.labels):
        raise UncleError(f"--data has no image of another class than {named}")
    if left := len(order.data.labels) - len(rest.labels):
        store.notes.append(f"--data: {left} images of what is unlearned were left out")
    return rest


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Those of the values that are: JSON has no word for others."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def require_no_past(method: Method) -> None:
    """Raise UncleError unless `method` unlearns without past data: a store keeps none."""
    if method.reads not in ("none", "buffer"):
        words = READS[method.reads]
        raise UncleError(f"{method.name} reads {words} to unlearn, and a store keeps none")


def known_accuracy(store: Store) -> dict[str, float]:
    """The accuracies measured after the last request, of the state that is now."""
    return dict(store.requests[-1]["accuracy"]) if store.step else {}


def procedure(method: Method, n_unlearned: int, of_classes: bool = False) -> dict[str, Any]:
    """How unlearn request number `n_unlearned` (from 0) is answered: the method's own settings."""
    told: dict[str, Any] = {"method": method.name, "reads": method.reads}
    if of_classes:
        told["class_unlearning"] = "relearn" if relearns(method) else "own"
    if method.settings is not None:
        told |= as_dict(method.settings)
    if method.iterations is not None:
        told |= {"iterations": method.iterations(n_unlearned)}
    return told


def _short(sha: str | None) -> str:
    return sha[:12] if sha else "none"
