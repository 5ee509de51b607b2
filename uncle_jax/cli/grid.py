"""Many runs at once: methods x data sets x sequences x seeds x settings, then their table.

uncle grid --methods uncle hnet derpp --seeds 0 1 2
uncle grid --datasets permuted-digits cifar100 --preset laptop --seqs 1 2 --jobs 4
uncle grid --methods uncle scrub --grid uncle.gamma=0.01,0.1 --budget-minutes 60
uncle grid RUNS.json                  [{"dataset": ..., "method": ..., "seeds": [0, 1], ...}, ...]

Each seed is a process of its own, on its share of the cores, in the work directory that uncle run
would give it. The same command again passes over what is finished, and goes on with the rest.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from uncle_jax.cli import table
from uncle_jax.cli.arguments import (
    Parser,
    add_compile_cache,
    add_log,
    add_many,
    add_method,
    add_settings,
    add_source,
    add_sources,
    asked_changes,
    budget_seconds,
    completing,
    data_choice,
    exit_code,
    loggers_asked,
    parsed,
)
from uncle_jax.cli.tune import grids_of
from uncle_jax.errors import UncleError, allowed
from uncle_jax.files import require_writable
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS
from uncle_jax.requests import parse, table_4
from uncle_jax.runs import pool
from uncle_jax.runs.environment import cores
from uncle_jax.runs.pool import Cell, Ended, Work
from uncle_jax.runs.progress import Download, Steps
from uncle_jax.runs.spec import RunSpec

if TYPE_CHECKING:
    from uncle_jax.runs.execute import Keeping

WORDS = ("dataset", "method", "preset", "settings")
KEYS = (*WORDS, "seq", "requests", "seeds", "set")  # of RUNS.json


def parser() -> Parser:
    """The options of `uncle grid`."""
    p = Parser(prog="uncle grid", description=__doc__)
    p.add_argument("file", type=Path, nargs="?", metavar="RUNS.json", help="the runs, instead")
    add_method(p, "--methods", nargs="+", default=["uncle"], metavar="METHOD")
    datasets = p.add_argument("--datasets", nargs="+", default=["permuted-digits"], metavar="NAME")
    completing(datasets, PRESETS)
    p.add_argument("--preset", help="paper or laptop; default: each data set's first")
    p.add_argument("--seqs", type=int, nargs="+", default=[1], metavar="K", help="of Table 4")
    p.add_argument("--requests", help='your own sequence instead, such as "L0 L1 U0"')
    p.add_argument("--seeds", type=int, nargs="+", default=[0])
    p.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="KEY=V1,V2",
        help="values to run; METHOD.KEY for a method's own settings; all combinations",
    )
    add_many(p)
    p.add_argument("--save-every", type=int, default=20, metavar="K", help="epochs between saves")
    p.add_argument(
        "--mia", action="store_true", help="measure membership inference after each unlearning"
    )
    add_log(p)
    data = add_sources(p)
    data.add_argument("--classes-per-task", type=int, default=10, help="own data; default 10")
    data.add_argument("--tasks", type=Path, help="own data: JSON lists of classes")
    add_source(p)
    add_settings(p)
    add_compile_cache(p)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle grid`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: grid(args), "the same command goes on from here", argv is None)


def grid(args: argparse.Namespace) -> int:
    """Run every cell, tell of each as it ends, and show the table; 1 if any failed."""
    from uncle_jax.runs.execute import Keeping

    if args.save_every < 1:
        raise UncleError(f"--save-every must be at least 1 epoch, not {args.save_every}")
    limit, logged = budget_seconds(args), loggers_asked(args)
    specs = read_specs(args) if args.file else specs_of(args)
    cells = pool.cells(specs, args.runs)
    ended = run_all(cells, args, Keeping(args.save_every, mia=args.mia, log=logged), limit)
    failed = [one for one in ended if one.failed is not None]
    done = list(dict.fromkeys(one.cell.workdir for one in ended if one.failed is None))
    if done:
        print()
        table.main([str(workdir) for workdir in done])
    if failed:
        print(f"{len(failed)} of {len(cells)} runs failed", file=sys.stderr)
    return 1 if failed else 0


def run_all(
    cells: Sequence[Cell], args: argparse.Namespace, keep: "Keeping", seconds: float | None
) -> list[Ended]:
    """Execute `cells` below --runs, and say how many are left. Raises UncleError."""
    make_folder(args.runs)
    work = pool.work_of(keep, args.compile_cache)
    ended = run_cells(cells, args.jobs, work, seconds, engine_of(args))
    if len(ended) < len(cells):
        left = f"{len(cells) - len(ended)} of {len(cells)} runs are not finished"
        print(f"{left}; the same command goes on", flush=True)
    return ended


def make_folder(runs: Path) -> None:
    """Raise UncleError, before anything is computed, unless work directories can be in `runs`."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UncleError(f"cannot make the folder {runs} ({error.strerror})") from None
    require_writable(runs / "summary.json", "--runs")


class Engine(NamedTuple):
    """On what many runs run."""

    name: str = "processes"
    address: str | None = None  # of a Ray cluster
    cpus: float | None = None  # of a run on Ray
    gpus: float = 0.0


HERE = Engine()


def engine_of(args: argparse.Namespace) -> Engine:
    """The engine that the options ask for. Raises UncleError."""
    asked = {name: getattr(args, name) for name in ("address", "cpus_per_run", "gpus_per_run")}
    for name, value in asked.items():
        option = "--" + name.replace("_", "-")
        if value is not None and args.engine != "ray":
            raise UncleError(f"{option} is of --engine ray")
        if isinstance(value, float) and not (0 < value < math.inf):
            raise UncleError(f"{option} must be positive, not {value:g}")
    return Engine(args.engine, args.address, args.cpus_per_run, args.gpus_per_run or 0.0)


def run_cells(
    cells: Sequence[Cell],
    asked: int | None,
    work: Work,
    seconds: float | None = None,
    engine: Engine = HERE,
) -> list[Ended]:
    """Do `cells`, `asked` of them at once; a line for each that ends. Raises UncleError."""
    if asked is None and engine.address is not None:
        asked = len(cells)  # as many as the cluster has room for
    jobs = jobs_of(asked, len(cells))
    each = max(len(cores()) // jobs, 1)
    do: Any = pool.processes
    if engine.name == "ray":
        from uncle_jax.runs import on_ray

        needs = on_ray.Needs(engine.cpus or float(each), engine.gpus)
        place = f"the cluster at {engine.address}" if engine.address else "this machine"
        print(
            f"{len(cells)} runs on Ray on {place}, {jobs} at a time at most, each with "
            f"{needs.cpus:g} CPUs and {needs.gpus:g} GPUs"
        )
        do = partial(on_ray.tasks, address=engine.address, needs=needs)
    else:
        print(f"{len(cells)} runs, {jobs} at a time, each on {each} cores")
    with Screen(cells) as screen:
        watch = pool.Watch(screen.on_request, screen.on_end)
        return do(cells, jobs, work, watch, seconds)


def jobs_of(asked: int | None, n_cells: int) -> int:
    """How many at once. Raises UncleError."""
    if asked is not None and asked < 1:
        raise UncleError(f"--jobs must be at least 1, not {asked}")
    if asked is None:
        import jax

        asked = len(cores()) if jax.default_backend() == "cpu" else 1
    return max(1, min(asked, n_cells))


def specs_of(args: argparse.Namespace) -> list[RunSpec]:
    """The runs that the options name, methods innermost but for seeds. Raises UncleError."""
    for name in args.methods:
        registry.check(name)
    data, grids = data_choice(args, Download()), grids_of(args)
    specs = []
    for dataset in args.datasets:
        if args.requests is not None:
            sequences: list[Any] = [parse(args.requests)]
        elif ":" in dataset:
            sequences = [None]  # all that there are
        else:
            sequences = [table_4(dataset, seq) for seq in args.seqs]
        for requests, name in itertools.product(sequences, map(str, args.methods)):
            more: Any = {"seeds": tuple(args.seeds), "data": data, "source": args.settings}
            spec = RunSpec(dataset, name, args.preset, requests=requests, **more)
            spec = spec.changed(*asked_changes(args), beside=args.methods)
            for choice in itertools.product(*grids[name].values()):
                changes = zip(grids[name], choice, strict=True)
                specs.append(spec.changed(*(f"{key}={value}" for key, value in changes)))
    return specs


def read_specs(args: argparse.Namespace) -> list[RunSpec]:
    """The runs that the file lists. Raises UncleError."""
    try:
        listed = json.loads(args.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UncleError(f"cannot read {args.file} ({error})") from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise UncleError(f"{args.file} must be a list of objects with {', '.join(KEYS)}")
    data = data_choice(args, Download())
    return [
        _spec(one, args.settings, data, f"{args.file}, run {n}")
        for n, one in enumerate(listed, start=1)
    ]


def _spec(told: dict[str, Any], source: str, data: Any, where: str) -> RunSpec:
    for key in told:
        if key not in KEYS:
            raise allowed(f"key of {where}:", key, KEYS)
    dataset, changes = told.get("dataset", "permuted-digits"), told.get("set", [])
    seeds = told.get("seeds", [0])
    requests: Any = told.get("requests")
    if not all(isinstance(told.get(key, ""), str) for key in WORDS):
        raise UncleError(f"{where}: {', '.join(WORDS[:-1])} and {WORDS[-1]} are words")
    if not (isinstance(changes, list) and all(isinstance(item, str) for item in changes)):
        raise UncleError(f'{where}: set is a list of "KEY=VALUE"')
    if not (isinstance(seeds, list) and all(type(seed) is int for seed in seeds)):
        raise UncleError(f"{where}: seeds is a list of whole numbers")
    if requests is not None and ("seq" in told or not isinstance(requests, str)):
        raise UncleError(f'{where}: requests, such as "L0 L1 U0", stand in place of seq')
    usual: dict[str, Any] = {"preset": told.get("preset"), "requests": None}
    usual["source"] = told.get("settings", source)
    if requests is not None:
        usual["requests"] = parse(requests)
    elif ":" not in dataset:
        usual["requests"] = table_4(dataset, told.get("seq", 1))
    spec = RunSpec(dataset, told.get("method", "uncle"), seeds=tuple(seeds), data=data, **usual)
    return spec.changed(*changes)


class Screen:
    """What a person sees of many runs: a line for each that ends, a bar of requests answered."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells, self.ended = cells, 0
        self.bar = Steps(f"{len(cells)} runs", unit="request")
        # of one's own data the requests are known once they are loaded
        self.requests = {str(cell): (0, len(cell.spec.requests) or 1) for cell in cells}

    def __enter__(self) -> "Screen":
        self.bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.__exit__()

    def on_request(self, cell: Cell, answered: int, of: int) -> None:
        self.requests[str(cell)] = answered, of
        done, all_ = (sum(column) for column in zip(*self.requests.values(), strict=True))
        self.bar.place = f"{self.ended} of {len(self.cells)} runs"
        self.bar.on_step(done, all_, float("nan"))

    def on_end(self, ended: Ended) -> None:
        self.ended += 1
        told = f"failed: {ended.failed}" if ended.failed else f"{ended.seconds:.0f} s"
        self.bar.write(f"[{self.ended}/{len(self.cells)}] {ended.cell}: {told}")
        of = self.requests[str(ended.cell)][1]
        self.on_request(ended.cell, of, of)
