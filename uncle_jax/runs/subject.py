"""A finished seed as an audit sees it: its data, its state, and the states it is held against.

    WORKDIR/seed<k>/audit/swapped/   a store: its requests, with tasks that the run never learned,
                                     if there are any, in the places of the unlearned ones

The others, never and kept, are shared by all runs of one learner (runs/references.py).
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from uncle_jax.config import fingerprint
from uncle_jax.core.loop import OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.load import Choice
from uncle_jax.engine import resume
from uncle_jax.engine.learner import identity, template
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method
from uncle_jax.report.results import SeedRun
from uncle_jax.requests import Request, forgotten, lacking, retained
from uncle_jax.runs import execute, references
from uncle_jax.runs.references import Held
from uncle_jax.runs.spec import RunSpec, spec_of
from uncle_jax.store import recovery
from uncle_jax.tasks import Data, InputSpec

State = Literal["run", "never", "swapped", "kept"]
SHARED = ".references"
"""The folder beside a run where references are kept, unless another is named."""


class Piece(NamedTuple):
    """One attack on one task in one state."""

    attack: str
    role: Literal["unlearned", "retained", "never"]  # what the task is to the run
    state: State
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


class Subject:
    """A finished seed, with its data, its state, and the references' states once they are asked."""

    def __init__(
        self, run: SeedRun, data: Choice, watch: Watch = SILENT, shared: Path | None = None
    ) -> None:
        self.run, self.watch = run, watch
        self.shared = shared or run.folder.parent.parent / SHARED
        self.spec: RunSpec = dataclasses.replace(spec_of(run.told), data=data)
        self.experiment = execute.load(self.spec)
        theirs, ours = run.told.get("data"), self.experiment.records[run.seed]["data"]
        if json.dumps(theirs, sort_keys=True) != json.dumps(ours, sort_keys=True):
            raise UncleError(f"{run.folder} ran on other data than are here")
        self.method: Method = self.experiment.method()
        self.held: dict[State, Held] = {}

    @property
    def benchmark(self) -> Benchmark:
        return self.experiment.benchmarks[self.run.seed]

    @property
    def requests(self) -> tuple[Request, ...]:
        return self.spec.requests

    @property
    def gone(self) -> list[int]:
        """Tasks that the run ends without, in order of id."""
        return forgotten(self.requests)

    @property
    def kept(self) -> list[int]:
        """Tasks that the run ends with."""
        return retained(self.requests)

    @property
    def lacking(self) -> dict[int, tuple[int, ...]]:
        """{retained task: its classes that the run ends without}."""
        return lacking(self.requests)

    @property
    def unused(self) -> list[int]:
        """Tasks that the run never learned, in its benchmark or to spare."""
        used = {request.task for request in self.requests}
        return [t for t in range(self.benchmark.n_tasks + self.benchmark.spare) if t not in used]

    @property
    def swap(self) -> dict[int, int]:
        """{unlearned task: the never-learned one that the control has in its place, if any}."""
        spec, others = self.benchmark.spec, self.unused[::-1]
        pairs = zip(self.gone, others, strict=False)
        return {f: u for f, u in pairs if spec.task(f).n_classes == spec.task(u).n_classes}

    @property
    def free_slot(self) -> int | None:
        """A slot of the final state that holds no task."""
        return next((t for t in range(self.benchmark.n_tasks) if t not in self.kept), None)

    def target(self, piece: Piece) -> Target:
        """What `piece` is after."""
        train, test = (self.benchmark.load(piece.task, split) for split in ("train", "test"))
        return Target(piece.slot, train, test, self.benchmark.spec)

    def place(self, task: int) -> int | None:
        """Which place the task has among those learned: 0 the first. None: it never was."""
        order = list(dict.fromkeys(one.task for one in self.requests if one.op == "L"))
        return order.index(task) if task in order else None

    def __getitem__(self, name: State) -> Held:
        """The state called `name`, made when it is first asked for. Raises UncleError."""
        if name not in self.held:
            self.held[name] = self._made(name)
        return self.held[name]

    def _made(self, name: State) -> Held:
        mark = str(self.run.told.get("fingerprint"))
        if name == "run":
            return Held(self.method, self._final(), mark)
        if name == "swapped":
            return Held(self.method, self._swapped(mark), f"swapped {mark}")
        on_state = self.watch.on_state
        return references.reference(name, self.spec, self.run.seed, self.shared, on_state)

    def _final(self) -> Any:
        """The run's final state, from its store."""
        folder = self.run.folder / "store"
        if not recovery.exists(folder):
            raise UncleError(
                f"{folder} is not there: only a run whose store is kept can be audited"
            )
        with recovery.open_store(folder, write=False) as store:
            if store.step != len(self.requests):
                raise UncleError(f"{folder} has answered {store.step} of its requests")
            return store.load(template(self.method))

    def _swapped(self, mark: str) -> Any:
        """After the run's requests, with never-learned tasks in the places of the unlearned."""
        self.watch.on_state("swapped", None)
        spec, benchmark = self.spec, swapped(self)
        inputs = (benchmark.spec, benchmark.n_tasks, spec.config, spec.settings)
        method, key = registry.build(spec.method, *inputs), jax.random.key(self.run.seed)
        store, done = resume.open_sequence(
            self.run.folder / "audit" / "swapped",
            method,
            key,
            identity(spec.method, *inputs),
            fingerprint({"of": mark, "reference": "swapped"}),
        )

        def on_request(answer: Any, state: Any) -> None:
            store.commit(state, resume.facts_of(store, method, answer))
            self.watch.on_state("swapped", answer.request)

        with store:
            on_step = self.watch.on_step
            return run_sequence(
                method, benchmark, self.requests, key, on_step, on_request, done
            ).state


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
