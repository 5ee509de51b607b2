"""Choose settings on validation data: learn once, then unlearn under each of a grid.

uncle tune --methods scrub --grid scrub.lr=1e-4,5e-4 --grid scrub.msteps=1,2
uncle tune --dataset cifar100 --preset laptop --methods ssd uncle \
    --grid ssd.alpha=5,10,50 --grid gamma=0.01,0.1

uncle tune --all --jobs 2 --output tuned.json     every learner and method, as many trials each

Each method's settings as they are come first. Test data are not looked at, and the default seed is
none of those that results are reported for. Then: uncle run --method METHOD --set METHOD.KEY=VALUE
"""

import argparse
import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncle_jax.cli.arguments import (
    SHORTCUTS,
    Parser,
    add_budget,
    add_compile_cache,
    add_data,
    add_method,
    add_settings,
    asked_changes,
    budget_seconds,
    chosen_preset,
    data_choice,
    exit_code,
    parsed,
)
from uncle_jax.config import Config, as_dict, text_of
from uncle_jax.errors import UncleError
from uncle_jax.files import require_writable, write_whole
from uncle_jax.methods import registry
from uncle_jax.requests import parse
from uncle_jax.runs import protocol
from uncle_jax.runs.process import begin
from uncle_jax.runs.progress import Download, Steps
from uncle_jax.runs.spec import check_seed, owners, set_changes, setting

if TYPE_CHECKING:  # they import JAX, which `--help` need not wait for
    from uncle_jax.data.benchmark import Benchmark
    from uncle_jax.engine.tuning import Point, Trial

REQUESTS = "L0 L1 L2 L3 U1"
RUNS = Path("runs/tuning")
ALONE = ("trials", "jobs", "runs", "budget_minutes")  # options that only --all has


def parser() -> Parser:
    """The options of `uncle tune`."""
    p = Parser(prog="uncle tune", description=__doc__)
    add_data(p)
    add_method(p, "--methods", nargs="+", metavar="METHOD")
    p.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="KEY=V1,V2",
        help="values to try; METHOD.KEY for a method's own settings; all combinations",
    )
    p.add_argument("--requests", help=f"up to the first U learned once; default {REQUESTS}")
    p.add_argument("--seed", type=int, default=10)
    every = p.add_argument_group("--all: every learner's rate, then every method's settings")
    every.add_argument("--all", action="store_true", help="from one budget (runs/spaces.py)")
    every.add_argument("--trials", type=int, help=f"of each; default {protocol.Protocol.trials}")
    every.add_argument("--jobs", type=int, help="processes at once; default: the cores")
    every.add_argument("--runs", type=Path, help=f"folder of trials; default {RUNS}")
    add_budget(p)
    p.add_argument("--output", type=Path, metavar="FILE.json", help="every trial, and its settings")
    add_settings(p)
    add_compile_cache(p)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle tune`: the exit code."""
    args = parsed(parser(), argv)
    written = "nothing is written" if args.output is None else f"{args.output} has what was tried"
    written = "the same command goes on from here" if args.all else written
    return exit_code(lambda: tune(args), written, argv is None)


def tune(args: argparse.Namespace) -> int:
    """Try every point of the grids, and print the best."""
    preset = chosen_preset(args)
    if args.all:
        return tune_all(args)
    for option in ALONE:
        if getattr(args, option) is not None:
            raise UncleError(f"--{option.replace('_', '-')} is of --all")
    args.methods, args.requests = args.methods or ["uncle"], args.requests or REQUESTS
    for name in args.methods:
        registry.check(name)
    config, own = set_changes(asked_changes(args), preset.config, args.methods)
    requests = parse(args.requests)
    check_seed(args.seed, "--seed")
    if args.output is not None:
        require_writable(args.output, "--output")
    grids = grids_of(args)
    bar = Download()
    choice = data_choice(args, bar).under(config)

    begin(args.compile_cache)
    import jax

    from uncle_jax.data.load import load_benchmark
    from uncle_jax.engine import tuning

    tried = [
        p for n in args.methods for p in tuning.points(n, config, own[n], grids[n], preset.uncle)
    ]
    with bar:
        benchmark = load_benchmark(args.dataset, args.seed, choice).held_out(args.seed)
    tuning.check(requests, benchmark.n_tasks)
    print(f"{args.dataset}, preset {args.preset}: {args.requests}, seed {args.seed}, validation")
    for remark in benchmark.remarks:
        print(f"note: {remark}")
    record = begun(args, config, benchmark)
    key = jax.random.key(args.seed)
    with Steps() as steps:
        sweep = tuning.sweep(tried, benchmark, requests, key, on_step=steps.on_step)
        trials = told(tried, sweep, record, args.output, steps)
    for name in args.methods:
        judged = [t for t in trials if t.point.name == name and math.isfinite(t.score)]
        if not judged:
            print(f"best for {registry.short(name)}: no trial has a score")
            continue
        best = max(judged, key=lambda t: t.score)
        changes = " ".join(f"--set {word}" for word in words(best.point))
        print(f"best for {registry.short(name)}: {changes or 'its settings as they are'}")
    print(f"score: {protocol.SCORE}")
    if all(trial.failed is not None for trial in trials):
        raise UncleError("every trial failed")
    return 0


def tune_all(args: argparse.Namespace) -> int:
    """Try every learner, then every method on its family's best; 1 if a family failed."""
    from uncle_jax.cli.grid import make_folder, run_cells

    for option in ("grid", "set", *SHORTCUTS):
        if getattr(args, option) not in (None, []):  # 0 is given, too
            raise UncleError(f"--{option.replace('_', '-')} does not go with --all")
    check_seed(args.seed, "--seed")
    asked = protocol.Protocol(args.dataset, args.preset, seeds=(args.seed,))
    if args.trials is not None:
        asked = replace(asked, trials=args.trials)
    if args.methods:
        asked = replace(asked, methods=tuple(args.methods))
    if args.requests:
        asked = replace(asked, requests=args.requests)
    protocol.check(asked)
    if args.output is not None:
        require_writable(args.output, "--output")
    limit, begun_at = budget_seconds(args), time.monotonic()
    data = data_choice(args, Download())
    folder = args.runs or RUNS
    make_folder(folder)
    for stage in protocol.STAGES:
        left = None if limit is None else max(1.0, limit - (time.monotonic() - begun_at))
        cells = protocol.cells(asked, stage, folder, data)
        work = protocol.work_of(asked, stage, args.compile_cache)
        ended = run_cells(cells, args.jobs, work, left)
        if any(one.failed for one in ended):
            return 1
        if len(ended) < len(cells):
            print("not finished; the same command goes on")
            return 0
        for name, changes in protocol.choices(asked, stage, folder).items():
            told = " ".join(f"--set {key}={value}" for key, value in changes.items())
            print(f"best for {name}: {told or 'its settings as they are'}")
    if args.output is not None:
        found = json.dumps(protocol.record(asked, folder), indent=1)
        write_whole(args.output, found + "\n")
    return 0


def begun(args: argparse.Namespace, config: Config, benchmark: "Benchmark") -> dict[str, Any]:
    """What `--output` says before any trial."""
    from uncle_jax.runs.environment import environment

    return {
        "dataset": args.dataset,
        "preset": args.preset,
        "requests": args.requests,
        "seed": args.seed,
        "eval_split": "validation",
        "remarks": list(benchmark.remarks),
        "data": dict(benchmark.provenance),
        "code": {n: code for n in args.methods if (code := registry.source(n)) is not None},
        "config": as_dict(config),
        "trials": [],
    } | environment()


def told(
    tried: "Sequence[Point]",
    sweep: "Iterable[Trial]",
    record: dict[str, Any],
    output: Path | None,
    bar: Steps,
) -> "list[Trial]":
    """The trials of `sweep`, each printed, added to `record` and written to `output` once over."""
    from uncle_jax.engine import tuning

    labels = [" ".join([registry.short(p.name), *words(p)]) for p in tried]
    width = max(map(len, ["method", *labels]))
    print(f"{'method':<{width}}" + "".join(f"{name:>9}" for name in tuning.NUMBERS))
    trials, sweep = [], iter(sweep)
    for number, label in enumerate(labels, start=1):
        bar.begin(f"[{number}/{len(labels)}] {label}")
        trials.append(trial := next(sweep))
        numbers = [getattr(trial, name) for name in tuning.NUMBERS]
        if trial.failed is None:
            line = "".join(f"{x:9.2f}" for x in numbers)
        else:
            line = f"  failed: {trial.failed}"
        bar.write(f"{label:<{width}}{line}")
        record["trials"].append(tuning.as_told(trial))
        if output is not None:  # after each, for hours of a grid may be behind it
            write_whole(output, json.dumps(record, indent=1) + "\n")
    return trials


def grids_of(args: argparse.Namespace) -> dict[str, dict[str, list[str]]]:
    """Of each method, the values to try by KEY or METHOD.KEY. Raises UncleError."""
    grids: dict[str, dict[str, list[str]]] = {name: {} for name in args.methods}

    def add(grid: dict[str, list[str]], key: str, values: str) -> None:
        known = grid.setdefault(key, [])  # a key that is given twice adds up
        known += [value for value in dict.fromkeys(values.split(",")) if value not in known]

    for item in args.grid:
        name, key, values = setting(
            item, args.methods, "--grid", "KEY=V1,V2, such as gamma=0.01,0.1"
        )
        for owner in owners(name, key, args.methods):
            if owner is None:
                for grid in grids.values():
                    add(grid, key, values)
            else:
                add(grids[owner], f"{registry.short(owner)}.{key}", values)
    return grids


def words(point: "Point") -> list[str]:
    """What a point changes, as `--set` takes it and tables have it."""
    told = []
    for key in point.changes:
        owner = point.settings if "." in key else point.config
        told.append(f"{key}={text_of(getattr(owner, key.rpartition('.')[2]))}")
    return told
