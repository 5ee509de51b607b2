"""A `RunSpec` executed: every seed answers the requests, on a store of its own, and is recorded."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax

from uncle_jax.config import as_dict, fingerprint
from uncle_jax.core import backbones, resnet
from uncle_jax.core.inputs import input_shape
from uncle_jax.core.loop import OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.engine import estimate, resume
from uncle_jax.engine.learner import identity
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.engine.unlearning import relearns
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.answers import Answer
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method
from uncle_jax.report.figures.contact_sheet import CONTACT_TASKS, examples, plot_contact_sheet
from uncle_jax.report.results import SeedRun
from uncle_jax.requests import parse, retained, stream, validate
from uncle_jax.runs import loggers
from uncle_jax.runs import workdir as workdirs
from uncle_jax.runs.environment import environment
from uncle_jax.runs.loggers import RunLog
from uncle_jax.runs.spec import RunSpec
from uncle_jax.runs.usual import chosen_by_trials
from uncle_jax.store import recovery


class Experiment(NamedTuple):
    """A `RunSpec`, its requests known, with its data."""

    spec: RunSpec
    benchmarks: Mapping[int, Benchmark]  # by seed
    records: Mapping[int, Mapping[str, Any]]  # by seed: config.json, the environment apart
    spread: Callable[[Method], Method] = lambda method: method  # over hosts (runs/hosts.py)

    @property
    def first(self) -> Benchmark:
        """The first seed's benchmark: all have the same tasks, of the same shapes."""
        return self.benchmarks[self.spec.seeds[0]]

    def method(self) -> Method:
        """The method, as the spec has it."""
        spec, first = self.spec, self.first
        return registry.build(spec.method, first.spec, first.n_tasks, spec.config, spec.settings)


@dataclasses.dataclass(frozen=True)
class Keeping:
    """What is kept of a run while it goes on."""

    save_every: int = 20  # epochs between saves within a request
    history: bool = False  # erase no earlier checkpoint
    overwrite: bool = False  # replace another run in the work directory
    mia: bool = False  # measure membership inference after each unlearning
    log: tuple[str, ...] = ()  # of runs/loggers.py: who is told of losses and accuracies


class Watch(NamedTuple):
    """Who is told what happens."""

    on_seed: Callable[[int, list[str]], None] = lambda seed, notes: None  # the store's remarks
    on_step: OnStep | None = None
    on_request: Callable[[Answer], None] = lambda answer: None  # those of an earlier process too


SILENT = Watch()


def load(spec: RunSpec) -> Experiment:
    """`spec` with its data made ready, and its requests checked against them. Raises UncleError."""
    options = (spec.data or Choice()).under(spec.config)
    benchmarks = {seed: load_benchmark(spec.dataset, seed, options) for seed in spec.seeds}
    if spec.config.eval_split == "validation":
        benchmarks = {seed: one.held_out(seed) for seed, one in benchmarks.items()}
    n_tasks = benchmarks[spec.seeds[0]].n_tasks
    each_once = parse(" ".join(f"L{t}" for t in range(n_tasks)) + " U0")
    drawn = each_once if spec.stream is None else stream(spec.stream, n_tasks)
    requests = spec.requests or drawn
    validate(requests, n_tasks, benchmarks[spec.seeds[0]].n_classes)
    spec = dataclasses.replace(spec, requests=requests)
    code = {"code": registry.source(spec.method), "network": backbones.source(spec.config)}
    records = {seed: _record(spec, seed, one, code) for seed, one in benchmarks.items()}
    return Experiment(spec, benchmarks, records)


def execute(
    spec: RunSpec | Experiment,
    workdir: Path | None = None,
    watch: Watch = SILENT,
    keep: Keeping = Keeping(),
) -> dict[str, Any]:
    """Answer the requests on every seed, going on where a process was killed; summary.json.

    `workdir`: by default runs/<name>; what it holds afterwards is in runs/workdir.py. Raises
    UncleError, before anything is written, if another run is there or the data do not fit.
    """
    loggers.check(keep.log)
    asked = spec if isinstance(spec, Experiment) else load(spec)
    spec, method = asked.spec, asked.spread(asked.method())
    workdir = workdir or Path("runs") / spec.name
    known = finished(asked, workdir) if not keep.overwrite else dict.fromkeys(asked.records)
    for seed, run in known.items():
        if keep.mia and run is not None and not _has_mia(run):
            raise UncleError(
                f"{workdir} has seed {seed} without --mia, which is measured as a run goes on; "
                "choose another --workdir, or add --overwrite"
            )
    new = None in known.values()
    workdirs.prepare(workdir, asked.records, keep.overwrite, new)
    here = environment() if new else {}
    if new:
        _show_data(asked.first, workdir / "data.png", keep.overwrite)
    for seed, run in known.items():
        if run is None:
            _answer(asked, method, seed, workdir, watch, keep, here)
            continue
        watch.on_seed(seed, [])
        for answer in workdirs.answers_of(run):
            watch.on_request(answer)
    record = asked.records[spec.seeds[0]]
    return workdirs.finish(workdir, record, f"{spec.dataset}, {spec.label}", new)


def _has_mia(run: SeedRun) -> bool:
    """Whether membership was measured wherever it can be: an unlearning that leaves a task."""
    asked = parse(run.told["requests"])
    able = [i for i, one in enumerate(asked) if one.op == "U" and retained(asked[: i + 1])]
    return all("MIA_confidence" in run.measured[i] for i in able)


def finished(asked: Experiment, workdir: Path) -> dict[int, SeedRun | None]:
    """{seed: what `workdir` has of it, if it is finished}. Raises UncleError, as `execute`."""
    return {
        seed: workdirs.finished(workdir, seed, record) for seed, record in asked.records.items()
    }


def _answer(
    asked: Experiment,
    method: Method,
    seed: int,
    workdir: Path,
    watch: Watch,
    keep: Keeping,
    here: Mapping[str, Any],
) -> None:
    """Answer the requests on one seed, or those that no earlier process has answered.

    `here`: the environment that config.json tells.
    """
    spec, benchmark, key = asked.spec, asked.benchmarks[seed], jax.random.key(seed)
    folder = workdir / f"seed{seed}" / "store"
    if keep.overwrite:
        resume.remove(folder)
        workdirs.clear(workdir, seed)
    log = workdirs.SeedLog(workdir, seed, spec.config.eval_split)
    same = identity(spec.method, benchmark.spec, benchmark.n_tasks, spec.config, spec.settings)
    print_ = asked.records[seed]["fingerprint"]
    begun = recovery.exists(folder)
    store, done = resume.open_sequence(folder, method, key, same, print_, keep.history)
    origin = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": sys.argv[1:],
        **here,
    }

    def on_request(answer: Answer, state: Any) -> None:
        store.commit(state, resume.facts_of(store, method, answer))
        log.add(answer)
        told.answer(answer)
        watch.on_request(answer)

    def on_step(step: int, steps: int, loss: jax.Array) -> None:
        told.step(step, steps, loss)
        if watch.on_step:
            watch.on_step(step, steps, loss)

    logged = spec.requests, len(done.answers), f"{workdir.name}-seed{seed}"
    with store, RunLog(log.folder, keep.log, *logged) as told:
        record = {**asked.records[seed], **_of_method(asked, method)}
        before = len(done.answers) if begun else None
        workdirs.write_config(workdir, seed, record, origin, before)
        watch.on_seed(seed, list(store.notes))
        log.known(done.answers)
        for answer in done.answers:
            watch.on_request(answer)
        saves = partial(resume.saves, store, keep.save_every)
        tell = on_step if keep.log else watch.on_step, on_request
        run_sequence(method, benchmark, spec.requests, key, *tell, done, saves, keep.mia)


def _show_data(benchmark: Benchmark, path: Path, overwrite: bool) -> None:
    """data.png: a few images of each task, where they are one's own; once a work directory."""
    if not benchmark.understood or (path.exists() and not overwrite):
        return
    classes = benchmark.provenance.get("tasks")
    rows = {
        f"task {task}": examples(benchmark.load(task, "train"), classes and classes[task])
        for task in range(min(benchmark.n_tasks, CONTACT_TASKS))
    }
    plot_contact_sheet(path, rows, f"the first training images of {benchmark.name}")


def _record(
    spec: RunSpec, seed: int, benchmark: Benchmark, code: Mapping[str, Any]
) -> dict[str, Any]:
    """What config.json says of a run, its environment apart; `fingerprint` covers `decided`."""
    decided = {
        "dataset": spec.dataset,
        "requests": " ".join(map(str, spec.requests)),
        "method": spec.method,
        "seed": seed,
        "config": as_dict(spec.config),
        "data": dict(benchmark.provenance),
        **({} if spec.settings is None else {"settings": as_dict(spec.settings)}),
        **{name: one for name, one in code.items() if one is not None},
    }
    told = {"preset": spec.preset, "seq": spec.seq, "source": spec.source}
    told |= {"remarks": list(benchmark.remarks), "changes": spec.changes}
    if spec.source == "tuned":
        theirs, own = chosen_by_trials(spec.dataset, spec.preset, spec.method)
        told |= {"chosen": [*theirs, *(registry.own_key(spec.method, key) for key in own)]}
    if benchmark.understood:
        told |= {"understood": list(benchmark.understood)}
    return {"fingerprint": fingerprint(decided), **told, **decided}


def _of_method(asked: Experiment, method: Method) -> dict[str, Any]:
    """What config.json says beside what decided the run: what it reads, and what a guess is."""
    spec, tasks = asked.first.spec, range(asked.first.n_tasks)
    chance = {str(task): 100 / spec.task(task).n_classes for task in tasks}
    anew = any(one.op == "C" for one in asked.spec.requests) and relearns(method)
    return {"reads": method.reads, "chance": chance} | ({"reads_rest": True} if anew else {})


def estimated(asked: Experiment, measure: bool = False) -> dict[str, Any]:
    """Seconds and memory of a seed: counted, or measured on steps (engine/estimate.py)."""
    spec = asked.spec
    build = partial(registry.build, spec.method)
    how = estimate.measure if measure else estimate.estimate
    found = how(build, asked.first, spec.config, spec.requests, spec.settings)
    return found | {"total": estimate.in_words(found["total_seconds"])}


def sizes(asked: Experiment) -> dict[str, int]:
    """Parameters of UnCLe's main network, and of what the method learns (phi, or params)."""
    spec, config = asked.first.spec, asked.spec.config
    net = backbones.from_config(config, spec.n_classes)
    layout, _ = resnet.plan(net, input_shape(spec, config.image_size), chunks=1)
    state = jax.eval_shape(asked.method().init, jax.random.key(0))
    counts = {"main_network_parameters": layout.size}
    for name, field in (("phi_parameters", "phi"), ("parameters", "params")):
        leaves = jax.tree.leaves(getattr(state, field, None))
        counts |= {name: sum(leaf.size for leaf in leaves)} if leaves else {}
    return counts
