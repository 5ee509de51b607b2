"""Every learner and every method tuned from one declared budget, on validation data.

First each family's learner gets its rate and schedule, then each method, on its family's choice,
the settings of its unlearning. Each has as many trials, drawn before anything is run
(runs/spaces.py), and the same score (engine/tuning.py). A family and a stage are a cell of the pool
that `uncle grid` has; its trials are in FOLDER/<stage>-<family>.json as they are made, and the same
protocol goes on there.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Any

from uncle_jax.config import as_dict
from uncle_jax.errors import UncleError
from uncle_jax.files import write_whole
from uncle_jax.methods import registry
from uncle_jax.presets import preset
from uncle_jax.report.results import read_json
from uncle_jax.requests import Request, parse
from uncle_jax.runs.pool import Cell, Work
from uncle_jax.runs.spaces import FAMILIES, LEARNER, UNLEARNING, drawn, family
from uncle_jax.runs.spec import RunSpec

STAGES = ("learning", "unlearning")
SCORE = (  # engine/tuning.py's, in words
    "RA - distance - spill, where distance is the mean over unlearned tasks of "
    "|accuracy at the end - accuracy just before it was first learned|; of learning alone RA"
)
Told = Mapping[str, Any]


@dataclass(frozen=True)
class Protocol:
    """What is declared before the first trial."""

    dataset: str
    preset: str
    trials: int = 12  # of each learner, and of each method
    seeds: tuple[int, ...] = (10,)  # none that results are reported for
    requests: str = "L0 L1 L2 L3 L4 U1 U3"  # learners are tried on what comes before the first U
    methods: tuple[str, ...] = tuple(registry.METHODS)

    def answered(self, stage: str) -> tuple[Request, ...]:
        """The requests of a stage."""
        asked = parse(self.requests)
        return asked if stage == "unlearning" else tuple(takewhile(lambda r: r.op == "L", asked))

    @property
    def families(self) -> tuple[str, ...]:
        """Those of the methods, and at first of their learners."""
        return tuple(name for name in FAMILIES if name in {*map(family, self.methods)})


def check(asked: Protocol) -> None:
    """Raise UncleError for what cannot be tried."""
    if asked.trials < 1:
        raise UncleError(f"--trials must be at least 1, not {asked.trials}")
    if all(one.op == "L" for one in parse(asked.requests)):
        raise UncleError(f"--requests must unlearn a task, as in {Protocol.requests!r}")
    for name in asked.methods:
        registry.check(name)
        family(name)


def cells(asked: Protocol, stage: str, folder: Path, data: Any = None) -> list[Cell]:
    """A cell of each family that has something to be tried in `stage`."""
    found = []
    for name in asked.families:
        if stage == "learning" or any(family(method) == name for method in tuned(asked)):
            more: Any = {"requests": asked.answered(stage), "seeds": asked.seeds[:1], "data": data}
            spec = RunSpec(asked.dataset, FAMILIES[name], asked.preset, **more)
            found.append(Cell(spec, folder / f"{stage}-{name}.json"))
    return found


def tuned(asked: Protocol) -> tuple[str, ...]:
    """The methods whose unlearning has settings to choose."""
    return tuple(name for name in asked.methods if name in UNLEARNING)


def work_of(asked: Protocol, stage: str, compile_cache: str | None) -> Work:
    """What a process does with its cell."""
    return partial(_work, asked, stage, compile_cache)


def choices(asked: Protocol, stage: str, folder: Path) -> dict[str, dict[str, str]]:
    """{family or method: what scored best}. Raises UncleError where trials are missing."""
    return _choices(stage, _read(asked, stage, folder))


def _read(asked: Protocol, stage: str, folder: Path) -> dict[str, Told]:
    """{family: its file, with trials of what is asked for alone}. Raises UncleError if it lacks."""
    wanted = {*FAMILIES.values()} if stage == "learning" else {*asked.methods}
    found = {}
    for cell in cells(asked, stage, folder):
        told = read_json(cell.workdir)
        if told is None:
            raise UncleError(f"{cell.workdir} is not there: its trials are not made")
        trials = [one for one in told["trials"] if one["method"] in wanted]
        found[family(cell.spec.method)] = {**told, "trials": trials}
    return found


def _choices(stage: str, files: Mapping[str, Told]) -> dict[str, dict[str, str]]:
    found = {}
    for learner, told in files.items():
        by_name: dict[str, list[Told]] = defaultdict(list)
        for trial in told["trials"]:
            by_name[trial["method"]].append(trial)
        for name, trials in by_name.items():
            found[learner if stage == "learning" else name] = best(trials)
    return found


def best(trials: Iterable[Told]) -> dict[str, str]:
    """The changes with the highest mean score over seeds; the first of equals.

    A trial that failed is never best. Raises UncleError where all did.
    """
    scores: dict[str, list[float | None]] = defaultdict(list)
    for trial in trials:
        scores[json.dumps(trial["changes"])].append(trial["score"])
    known = {
        changes: fmean(score for score in each if score is not None)
        for changes, each in scores.items()
        if None not in each
    }
    if not known:
        raise UncleError("every trial failed")
    return json.loads(max(known, key=lambda changes: known[changes]))


def record(asked: Protocol, folder: Path) -> dict[str, Any]:
    """The protocol, every trial with its score, and what is chosen. Raises UncleError."""
    told: dict[str, Any] = {"protocol": asdict(asked) | {"score": SCORE}}
    for stage in STAGES:
        files = _read(asked, stage, folder)
        named = {f"{stage}-{learner}": one for learner, one in files.items()}
        told[stage] = {"choices": _choices(stage, files), **named}
    return told


def _work(
    asked: Protocol,
    stage: str,
    compile_cache: str | None,
    cell: Cell,
    on_request: Callable[[int, int], None],
) -> None:
    """A cell: all trials of a family and a stage that its file does not have yet."""
    import jax

    from uncle_jax.data.load import Choice, load_benchmark
    from uncle_jax.engine import tuning
    from uncle_jax.runs.environment import environment
    from uncle_jax.runs.process import begin

    begin(compile_cache)
    spec, path = cell.spec, cell.workdir
    learner = family(spec.method)
    options = (spec.data or Choice()).under(spec.config)
    benchmarks = {s: load_benchmark(spec.dataset, s, options).held_out(s) for s in asked.seeds}
    first = benchmarks[asked.seeds[0]]
    changes = {}
    if stage == "unlearning":
        changes = choices(asked, "learning", path.parent)[learner]
    config = spec.changed(*_words(changes)).config
    decided = {
        "protocol": asdict(replace(asked, methods=())),
        "config": as_dict(replace(config, eval_split="validation")),
        "data": dict(first.provenance),
    }
    told = read_json(path) or {}
    if told.get("decided") not in (None, json.loads(json.dumps(decided))):
        raise UncleError(f"{path} has the trials of another protocol; choose another --runs")
    told = {"decided": decided, "minutes": 0.0, "trials": [], **told, **environment()}
    todo = _points(asked, stage, learner, config)
    done = {_mark(t["seed"], t["method"], t["changes"]) for t in told["trials"]}
    of = len(todo) * len(asked.seeds)
    for seed, benchmark in benchmarks.items():
        left = [p for p in todo if _mark(seed, p.name, p.changes) not in done]
        sweep = tuning.sweep(left, benchmark, spec.requests, jax.random.key(seed))
        begun = time.perf_counter()
        for trial in sweep:
            told["trials"].append({"seed": seed, **tuning.as_told(trial)})
            told["minutes"] += round((time.perf_counter() - begun) / 60, 3)
            begun = time.perf_counter()
            write_whole(path, json.dumps(told, indent=1) + "\n")
            on_request(len(told["trials"]), of)


def _points(asked: Protocol, stage: str, learner: str, config: Any) -> list[Any]:
    """What is tried of a family."""
    from uncle_jax.engine import tuning

    usual = preset(asked.dataset, asked.preset).uncle
    if stage == "learning":
        found = drawn(LEARNER, as_dict(config), asked.trials, learner)
        return [tuning.point(FAMILIES[learner], config, {}, c, usual) for c in found]
    points = []
    for name in (one for one in tuned(asked) if family(one) == learner):
        settings = as_dict(registry.settings_of(name, registry.find(name), {}, usual))
        for choice in drawn(UNLEARNING[name], settings, asked.trials, name):
            changes = {f"{name}.{key}": value for key, value in choice.items()}
            points.append(tuning.point(name, config, {}, changes, usual))
    return points


def _mark(seed: int, method: str, changes: Told) -> str:
    return json.dumps([seed, method, dict(changes)])


def _words(changes: Mapping[str, str]) -> Sequence[str]:
    return [f"{key}={value}" for key, value in changes.items()]
