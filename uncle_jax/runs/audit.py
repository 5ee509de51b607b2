"""The attacks of evaluation/audit on a finished run: on its stores, and on references made for it.

    WORKDIR/seed<k>/audit.json       each finding, written as it is made
    WORKDIR/seed<k>/audit/never/     a store: its requests without those of the unlearned tasks
    WORKDIR/seed<k>/audit/swapped/   a store: its requests, with tasks that the run never learned,
                                     if there are any, in the places of the unlearned ones

A killed audit goes on where it was. Keys depend on seed, attack and task alone: a task is attacked
with equal draws in every state.
"""

import dataclasses
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import jax

from uncle_jax.config import NonNegativeInt, Settings, as_dict, fingerprint, restored
from uncle_jax.core.loop import OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.load import Choice
from uncle_jax.engine import resume
from uncle_jax.engine.learner import identity, template
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch, search
from uncle_jax.evaluation.audit.relearning import Relearning, one_epoch, relearn
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.files import write_whole
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method
from uncle_jax.report.results import SeedRun, read_json
from uncle_jax.requests import Request, forgotten, retained
from uncle_jax.runs import execute
from uncle_jax.runs.environment import environment
from uncle_jax.runs.spec import RunSpec, spec_of
from uncle_jax.store import recovery
from uncle_jax.tasks import Data, InputSpec

Attack = Literal["embedding search", "relearning"]
ATTACKS: tuple[Attack, ...] = ("embedding search", "relearning")


@dataclass(frozen=True)
class AuditSettings(Settings):
    """What is attacked how."""

    search: EmbeddingSearch = field(default_factory=EmbeddingSearch)
    relearning: Relearning = field(default_factory=Relearning)
    references: NonNegativeInt = 2  # never-learned tasks that are attacked as well
    attacks: tuple[Attack, ...] = ATTACKS
    power: NonNegativeInt = 3  # retained tasks that are attacked as if they were unlearned

    def widened(self, other: "AuditSettings") -> "AuditSettings":
        """These settings, with whatever `other` attacks beyond them."""
        return dataclasses.replace(
            self,
            references=max(self.references, other.references),
            power=max(self.power, other.power),
            attacks=tuple(a for a in ATTACKS if a in {*self.attacks, *other.attacks}),
        )


class Piece(NamedTuple):
    """One attack on one task in one state."""

    attack: Attack
    role: Literal["unlearned", "retained", "never"]  # what the task is to the run
    state: Literal["run", "never", "swapped"]
    task: int  # whose data are attacked with
    slot: int  # which slot of the state it has

    def __str__(self) -> str:
        where = "" if self.state == "run" else f", {self.state}"
        return f"{self.attack}: task {self.task} ({self.role}{where})"


@dataclass(frozen=True)
class Watch:
    """Who is told what happens."""

    on_piece: Callable[[Piece, int, int], None] = lambda piece, number, of: None
    on_step: OnStep | None = None
    on_found: Callable[[Mapping[str, Any]], None] = lambda found: None
    on_state: Callable[[str, Request | None], None] = lambda name, request: None


SILENT = Watch()
NO_LOSS: Any = math.nan  # relearning tells of none


def audit(
    run: SeedRun, settings: AuditSettings, data: Choice, watch: Watch = SILENT
) -> dict[str, Any]:
    """WORKDIR/seed<k>/audit.json of a finished seed, completed and returned.

    More tasks or attacks than an earlier call asked for are added to what it found.

    Raises UncleError where the run's store or its data are not there, or another audit is.
    """
    path = run.folder / "audit.json"
    known = read_json(path)
    if known is not None and known["run"]["fingerprint"] != run.told.get("fingerprint"):
        raise UncleError(f"{path} is of another run than is there now; remove it")
    if known is not None:
        before = _read(known["settings"])
        if (before.search, before.relearning) != (settings.search, settings.relearning):
            raise UncleError(
                f"{path} is of an audit with other settings; remove it, or repeat those"
            )
        settings = before.widened(settings)
        if known["complete"] and settings == before:
            return known
    subject = Subject(run, data, watch)
    asked = as_dict(settings)
    told = (
        {**known, "complete": False, "settings": asked}
        if known is not None
        else {
            "complete": False,
            "settings": asked,
            "run": {
                **{key: run.told.get(key) for key in ("dataset", "preset", "method", "requests")},
                "seed": run.seed,
                "fingerprint": run.told.get("fingerprint"),
            },
            "environment": [],
            "found": [],
        }
    )
    here = environment()
    if here not in told["environment"]:
        told["environment"].append(here)
    pieces = plan(subject, settings)
    done = {json.dumps(found["piece"]) for found in told["found"]}
    for number, piece in enumerate(pieces, start=1):
        if json.dumps(piece._asdict()) in done:
            continue
        watch.on_piece(piece, number, len(pieces))
        told["found"].append(_attack(subject, piece, settings))
        write_whole(path, json.dumps(told) + "\n")
        watch.on_found(told["found"][-1])
    order = [json.dumps(piece._asdict()) for piece in pieces]
    told["found"].sort(key=lambda found: order.index(json.dumps(found["piece"])))
    told["complete"] = True
    write_whole(path, json.dumps(told) + "\n")
    return told


def _read(told: Mapping[str, Any]) -> AuditSettings:
    """The settings that an audit.json tells."""
    parts: dict[str, type] = {"search": EmbeddingSearch, "relearning": Relearning}
    return restored(
        AuditSettings,
        {**told, **{name: restored(kind, told[name]) for name, kind in parts.items()}},
    )


class Subject:
    """A finished seed, with its data, its state, and the references' states once they are asked."""

    def __init__(self, run: SeedRun, data: Choice, watch: Watch = SILENT) -> None:
        self.run, self.watch = run, watch
        self.spec: RunSpec = dataclasses.replace(spec_of(run.told), data=data)
        self.experiment = execute.load(self.spec)
        theirs, ours = run.told.get("data"), self.experiment.records[run.seed]["data"]
        if json.dumps(theirs, sort_keys=True) != json.dumps(ours, sort_keys=True):
            raise UncleError(f"{run.folder} ran on other data than are here")
        self.method: Method = self.experiment.method()

    @property
    def benchmark(self) -> Benchmark:
        return self.experiment.benchmarks[self.run.seed]

    @property
    def requests(self) -> tuple[Request, ...]:
        return self.spec.requests

    @property
    def unused(self) -> list[int]:
        """Tasks that the run never learned, in its benchmark or to spare."""
        used = {request.task for request in self.requests}
        return [t for t in range(self.benchmark.n_tasks + self.benchmark.spare) if t not in used]

    @property
    def swap(self) -> dict[int, int]:
        """{unlearned task: the never-learned one that the control has in its place, if any}."""
        spec, others = self.benchmark.spec, self.unused[::-1]
        pairs = zip(forgotten(self.requests), others, strict=False)
        return {f: u for f, u in pairs if spec.task(f).n_classes == spec.task(u).n_classes}

    @cached_property
    def brief(self) -> Method:
        """The method, learning for one epoch."""
        spec = self.spec
        return registry.build(
            spec.method,
            self.benchmark.spec,
            self.benchmark.n_tasks,
            one_epoch(spec.config),
            spec.settings,
        )

    @cached_property
    def states(self) -> "States":
        return States(self)


class States:
    """The state of the run, and those of its references, each made when it is first asked for."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    @cached_property
    def run(self) -> Any:
        """The run's final state, from its store."""
        subject = self.subject
        folder = subject.run.folder / "store"
        if not recovery.exists(folder):
            raise UncleError(
                f"{folder} is not there: only a run whose store is kept can be audited"
            )
        with recovery.open_store(folder, write=False) as store:
            if store.step != len(subject.requests):
                raise UncleError(f"{folder} has answered {store.step} of its requests")
            return store.load(template(subject.method))

    @cached_property
    def never(self) -> Any:
        """After the run's requests without those of the tasks it unlearned."""
        gone = forgotten(self.subject.requests)
        requests = [request for request in self.subject.requests if request.task not in gone]
        return self._answered("never", self.subject.benchmark, requests)

    @cached_property
    def swapped(self) -> Any:
        """After the run's requests, with never-learned tasks in the places of the unlearned."""
        return self._answered("swapped", swapped(self.subject), self.subject.requests)

    def _answered(self, name: str, benchmark: Benchmark, requests: Sequence[Request]) -> Any:
        subject, spec = self.subject, self.subject.spec
        self.subject.watch.on_state(name, None)
        inputs = (benchmark.spec, benchmark.n_tasks, spec.config, spec.settings)
        method = registry.build(spec.method, *inputs)
        key = jax.random.key(subject.run.seed)
        same = identity(spec.method, *inputs)
        print_ = fingerprint({"of": subject.run.told.get("fingerprint"), "reference": name})
        folder = subject.run.folder / "audit" / name
        store, done = resume.open_sequence(folder, method, key, same, print_)

        def on_request(answer: Any, state: Any) -> None:
            store.commit(state, resume.facts_of(store, method, answer))
            subject.watch.on_state(name, answer.request)

        with store:
            on_step = subject.watch.on_step
            return run_sequence(method, benchmark, requests, key, on_step, on_request, done).state


def swapped(subject: Subject) -> Benchmark:
    """The run's benchmark, where a never-learned task has the slot of each that was unlearned."""
    benchmark, swap = subject.benchmark, subject.swap
    spec: InputSpec = benchmark.spec
    if spec.tasks:
        tasks = [spec.task(swap.get(task, task)) for task in range(benchmark.n_tasks)]
        spec = dataclasses.replace(spec, tasks=tuple(tasks))

    def load(task: int, split: str) -> Data:
        return benchmark.load(swap.get(task, task), split)

    return dataclasses.replace(benchmark, spec=spec, load=load)


def plan(subject: Subject, settings: AuditSettings) -> list[Piece]:
    """Which attacks are made on what, in order."""
    gone, kept = forgotten(subject.requests), retained(subject.requests)
    never = subject.unused[: settings.references]
    kept = kept[: settings.power]
    pieces: list[Piece] = []
    if "embedding search" in settings.attacks and subject.method.generator is not None:
        pieces += [Piece("embedding search", "unlearned", "run", t, t) for t in gone]
        pieces += [Piece("embedding search", "retained", "run", t, t) for t in kept]
        pieces += [Piece("embedding search", "never", "run", t, t) for t in never]
        if not never:  # all were learned: the unlearned ones, where they never were
            some = gone[: settings.references]
            pieces += [Piece("embedding search", "never", "never", t, t) for t in some]
        elif not subject.benchmark.spare:  # one task is easier than another: itself, in its absence
            pieces += [Piece("embedding search", "unlearned", "never", t, t) for t in gone]
    if "relearning" in settings.attacks:
        pieces += [Piece("relearning", "unlearned", "run", t, t) for t in gone]
        pieces += [Piece("relearning", "unlearned", "never", t, t) for t in gone]
        pieces += [Piece("relearning", "unlearned", "swapped", t, t) for t in subject.swap]
        pieces += [Piece("relearning", "retained", "run", t, t) for t in kept]
        for task in never:
            slot = task if task < subject.benchmark.n_tasks else _free_slot(subject)
            if slot is not None:
                pieces.append(Piece("relearning", "never", "run", task, slot))
    return pieces


def _free_slot(subject: Subject) -> int | None:
    """A slot of the final state that holds no task."""
    kept = retained(subject.requests)
    return next((t for t in range(subject.benchmark.n_tasks) if t not in kept), None)


def _attack(subject: Subject, piece: Piece, settings: AuditSettings) -> dict[str, Any]:
    """What `piece` found, as audit.json has it."""
    state = subject.states[piece.state]
    train, test = (subject.benchmark.load(piece.task, split) for split in ("train", "test"))
    target = Target(piece.slot, train, test, subject.benchmark.spec)
    drawn = zlib.crc32(f"{piece.attack} {piece.task}".encode())
    key = jax.random.fold_in(jax.random.key(subject.run.seed), drawn)
    begun = time.perf_counter()
    on_step = subject.watch.on_step
    if piece.attack == "embedding search":
        found = search(subject.method, state, target, settings.search, key, on_step)
        accuracy = found.accuracy
    else:

        def on_learned(times: int, of: int) -> None:
            if on_step:
                on_step(times, of, NO_LOSS)

        accuracy = relearn(subject.brief, state, target, settings.relearning, key, on_learned)
    return {
        "piece": piece._asdict(),
        "place": _place(subject.requests, piece.slot),
        "accuracy": accuracy.round(4).tolist(),
        "seconds": round(time.perf_counter() - begun, 2),
    }


def _place(requests: Sequence[Request], task: int) -> int | None:
    """Which place the task has among those learned: 0 the first. None: it never was."""
    order = list(dict.fromkeys(task for op, task in requests if op == "L"))
    return order.index(task) if task in order else None
