"""One request on a store: read what it needs, answer it, measure, make it durable."""

import dataclasses
import hashlib
import io
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import numpy as np

from uncle_jax import durable, resnet
from uncle_jax.config import Config, as_dict
from uncle_jax.data.benchmark import Data, InputSpec, TaskSpec, as_data
from uncle_jax.engine import CompileClock, evaluate, unlearn
from uncle_jax.errors import UncleError
from uncle_jax.ledger import Entry
from uncle_jax.methods.protocol import Method, OnStep
from uncle_jax.midway import Saves
from uncle_jax.steps import input_shape
from uncle_jax.store import DATA, Store, now

# What reading a file that is no .npz, or a damaged one, raises.
MALFORMED = (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Order:
    """What is asked of a store."""

    op: Literal["L", "U"]
    task: int
    id: str
    data: Data | None = None  # to learn from
    data_sha: str | None = None  # of the file `data` came from
    test: Data | None = None  # to measure with; kept while the task is learned


def identity(
    method: str, spec: InputSpec, n_tasks: int, config: Config, main_net: nn.Module | None = None,
    settings: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """What a stored state must share with the method that uses it (JSON)."""
    net = main_net or resnet.from_config(config, spec.n_classes)
    layout, _ = resnet.plan(net, input_shape(spec, config.image_size), config.chunks)
    return {
        "method": method,
        "layout": layout.hash,
        "n_tasks": n_tasks,
        "spec": dataclasses.asdict(spec),
        "config": as_dict(config),
        **({} if settings is None else {"settings": as_dict(settings)}),
    }


def template(method: Method) -> Any:
    """The shape of a method's state, computing none: what `Store.load` restores into."""
    return jax.eval_shape(method.init, jax.random.key(0))


def order_id(store: Store, op: str, task: int) -> str:
    """The id of a request that names none: "U3-2" is the second request on task 3.

    If opening the store just finished such a request, it is that one asked again.
    """
    if store.resumed and (store.resumed["op"], store.resumed["task"]) == (op, task):
        return store.resumed["id"]
    return f"{op}{task}-{1 + sum(entry['task'] == task for entry in store.requests)}"


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
    store: Store, method: Method, config: Config, state: Any, order: Order, every: int = 5,
    on_step: OnStep | None = None, environment: Mapping[str, Any] | None = None,
) -> tuple[Any, Entry]:  # fmt: skip
    """(state after the order, its ledger entry), once it is durable and what it undoes is erased.

    Every learned task whose test data is at hand is measured, the order's own before and after. A
    learn request saves its progress every `every` epochs. Raises UncleError; the store is then as
    before, or finishes the request when it is opened next.
    """
    started, begun = now(), time.perf_counter()
    task = order.task
    with CompileClock() as clock:
        tests, damaged = read_tests(store)
        if order.test is not None:
            tests[task] = order.test
        if order.op == "L":
            if order.data is None:
                raise UncleError(f"learn {task} needs --data")
            about = {"id": order.id, "op": order.op, "task": task, "data": order.data_sha}
            saves = Saves(store, about, every)
            before = known_accuracy(store)
            after = method.learn(state, task, order.data, on_step=on_step, midway=saves)
        else:
            before = known_accuracy(store)
            if task in tests and (order.test is not None or str(task) not in before):
                before[str(task)] = evaluate(method, state, task, tests[task])
            if method.reads not in ("none", "buffer"):
                raise UncleError(
                    f"{method.name} reads past data to unlearn ({method.reads}); a store holds none"
                )
            after = unlearn(method, state, task, None, on_step)
        jax.block_until_ready(after)
        optimised, compiled = time.perf_counter(), clock.seconds
        accuracy = {str(t): evaluate(method, after, t, tests[t]) for t in sorted(tests)}
    seconds = {
        "optimise": round(optimised - begun - compiled, 4),
        "compile": round(clock.seconds, 4),
        "evaluate": round(time.perf_counter() - optimised - (clock.seconds - compiled), 4),
    }
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
        "started": started,
        "procedure": (procedure(method, config, unlearned) if order.op == "U" else None),
        "accuracy_before": before,
        "accuracy": accuracy,
        "not_measured": damaged,
        "seconds": seconds,
        **(environment or {}),
    }
    return after, store.commit(after, facts)


def known_accuracy(store: Store) -> dict[str, float]:
    """The accuracies measured after the last request, of the state that is now."""
    return dict(store.requests[-1]["accuracy"]) if store.step else {}


def procedure(method: Method, config: Config, n_unlearned: int) -> dict[str, Any]:
    """How unlearn request number `n_unlearned` (from 0) is answered: the settings that matter."""
    told: dict[str, Any] = {"method": method.name, "reads": method.reads}
    if method.settings is not None:
        told |= as_dict(method.settings)
    if method.iterations is not None:
        fields = ("noise", "noise_samples", "gamma", "unlearn_lr", "clip_norm", "embedding_after")
        told |= {"iterations": method.iterations(n_unlearned)}
        told |= {field: getattr(config, field) for field in fields}
    return told


def read_npz(path: Path, spec: InputSpec) -> tuple[Data, str]:
    """(data, SHA-256 of the file) of an .npz with arrays `x` (images) and `y` (labels).

    Raises UncleError if it is none, holds pickles, or does not fit `spec`.
    """
    arrays, sha = _read(path, ("x", "y"))
    return as_data(Data(_deep(arrays["x"]), arrays["y"]), spec, str(path)), sha


def read_images(path: Path, spec: InputSpec) -> np.ndarray:
    """The images `x` of an .npz, with or without labels. Raises UncleError."""
    images = _deep(_read(path, ("x",))[0]["x"])
    as_data(Data(images, np.zeros(len(images), np.int32)), spec, str(path))
    return images


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], str]:
    try:
        raw = path.read_bytes()
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}, hashlib.sha256(raw).hexdigest()
    except OSError as error:
        raise UncleError(f"cannot read {path} ({error.strerror or error})") from None
    except (*MALFORMED, KeyError) as error:
        wanted = " and ".join(names)
        raise UncleError(f"{path} is no .npz with plain arrays {wanted} ({error})") from None


def _deep(images: np.ndarray) -> np.ndarray:
    """[N, H, W] as [N, H, W, 1]."""
    return images[..., None] if images.ndim == 3 else images


def write_test(store: Store, task: int, data: Data) -> str:
    """Keep a task's test images in the store; its commit erases them with the task."""
    content = io.BytesIO()
    np.savez(content, x=data.images, y=data.labels)
    raw = content.getvalue()
    try:
        durable.write(store.folder / DATA / f"{task}.npz", raw)
    except OSError as error:
        raise UncleError(
            f"cannot keep the test data ({error.strerror}); nothing was lost"
        ) from None
    return hashlib.sha256(raw).hexdigest()


def read_tests(store: Store) -> tuple[dict[int, Data], list[int]]:
    """(test data kept of learned tasks, tasks whose copy is damaged and thus not measured)."""
    spec = input_spec(store)
    shas = {entry["task"]: entry.get("test") for entry in store.requests if entry["op"] == "L"}
    tests, damaged = {}, []
    for task in store.tasks["learned"]:
        if shas.get(task) is None:
            continue
        path = store.folder / DATA / f"{task}.npz"
        if not path.is_file() or durable.digest(path) != shas[task]:
            damaged.append(task)
            store.notes.append(f"the test data of task {task} is damaged; it is not measured")
            continue
        tests[task], _ = read_npz(path, spec)
    return tests, damaged


def input_spec(store: Store) -> InputSpec:
    """The input that a store's settings name."""
    told: dict[str, Any] = store.identity["spec"]
    tasks = tuple(
        TaskSpec(t["n_classes"], tuple(t["mean"]), tuple(t["std"])) for t in told["tasks"]
    )
    height, width, channels = told["image_shape"]
    return InputSpec(
        (height, width, channels), told["n_classes"], tuple(told["mean"]), tuple(told["std"]), tasks
    )


def _short(sha: str | None) -> str:
    return sha[:12] if sha else "none"
