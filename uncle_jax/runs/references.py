"""An audit's references: runs of the same learner that never learned a task, or kept them all.

Each is a run like any other (`RunSpec`), in a work directory of its own, made once: methods that
learn alike share them, and so do audits. Beside them `attacks-seed<k>.json` keeps what attacks
found in them.

never    the requests without those of the tasks that the stream ends without
kept     every task is learned and none unlearned: the state before the unlearnings
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax

from uncle_jax import files
from uncle_jax.config import as_dict, fingerprint
from uncle_jax.engine.learner import template
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method
from uncle_jax.report.results import read_json
from uncle_jax.requests import Request, forgotten, from_the_start
from uncle_jax.runs import execute
from uncle_jax.runs.spec import RunSpec
from uncle_jax.store import recovery

LEARNERS = {
    **dict.fromkeys((name for name in registry.HYPERNETWORK if name != "refit"), "never"),
    **dict.fromkeys(registry.ON_DERPP, "never-derpp"),
}
"""{method: the control that learns as it does}; any other method is its own reference."""

OnState = Callable[[str, Request | None], None]


class Held(NamedTuple):
    """A state, and what answers for it."""

    method: Method
    state: Any
    mark: str  # of what decides the state


def learner_of(spec: RunSpec) -> RunSpec:
    """`spec` by the control that learns as its method does, where no request is an unlearning."""
    control = LEARNERS.get(spec.method)
    if control is None or any(one.op != "L" for one in spec.requests):
        return spec
    usual = registry.settings_of(control, registry.find(control), {})
    own = {f.name: getattr(spec.settings, f.name) for f in dataclasses.fields(usual)}
    return dataclasses.replace(spec, method=control, settings=type(usual)(**own))


def never_of(spec: RunSpec) -> tuple[Request, ...]:
    """The requests of `spec` without those of the tasks, or classes, that it ends without."""
    gone, requests = forgotten(spec.requests), from_the_start(spec.requests)
    return tuple(one for one in requests if one.op != "C" and one.task not in gone)


def kept_of(spec: RunSpec) -> tuple[Request, ...]:
    """The first learning of each task, and nothing else."""
    return tuple(dict.fromkeys(request for request in spec.requests if request.op == "L"))


def reference(
    name: str,
    spec: RunSpec,
    seed: int,
    shared: Path,
    on_state: OnState = lambda name, request: None,
) -> Held:
    """The state of the reference `name` of a run, read from below `shared`, or made there first."""
    requests = {"never": never_of, "kept": kept_of}[name](spec)
    asked = dataclasses.replace(spec, requests=requests or spec.requests, seeds=(seed,))
    asked = learner_of(asked) if requests else asked
    if all(one.op != "C" for one in asked.requests):  # how it would unlearn one decides nothing
        plain = dataclasses.replace(asked.config, class_unlearning="relearn")
        asked = dataclasses.replace(asked, config=plain)
    experiment = execute.load(asked)
    method = experiment.method()
    if not requests:  # nothing was ever learned
        state = method.init(jax.random.key(seed))
        return Held(method, state, fingerprint({"init": _told(asked)}))
    workdir = shared / f"{asked.name}-{fingerprint(_told(asked))[:6]}"
    mark = experiment.records[seed]["fingerprint"]
    if execute.finished(experiment, workdir)[seed] is None:
        on_state(name, None)

        def on_request(answer: Any) -> None:
            on_state(name, answer.request)

        execute.execute(experiment, workdir, execute.Watch(on_request=on_request))
    with recovery.open_store(workdir / f"seed{seed}" / "store", write=False) as store:
        return Held(method, store.load(template(method)), mark)


def _told(spec: RunSpec) -> dict[str, Any]:
    return {
        "dataset": spec.dataset,
        "method": spec.method,
        "config": as_dict(spec.config),
        "settings": None if spec.settings is None else as_dict(spec.settings),
        "requests": " ".join(map(str, spec.requests)),
    }


class Known:
    """attacks-seed<k>.json: what attacks found in references, by a mark of all that decides it."""

    def __init__(self, shared: Path, seed: int) -> None:
        self.path = shared / f"attacks-seed{seed}.json"

    def get(self, mark: str) -> Mapping[str, Any] | None:
        """What is known under `mark`."""
        return (read_json(self.path) or {}).get(mark)

    def put(self, mark: str, found: Mapping[str, Any]) -> None:
        """Keep what was found."""
        told = {**(read_json(self.path) or {}), mark: found}
        files.write_whole(self.path, json.dumps(told) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other audit makes the same references."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = files.acquire(self.path.with_suffix(".lock"), write=True, wait=True)
        try:
            yield
        finally:
            files.release(handle)
