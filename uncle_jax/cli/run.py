"""Learn and unlearn a sequence of tasks, and show what was learned, kept and forgotten.

uncle run                                            permuted digits, a minute on two cores
uncle run --dataset tinyimagenet --seq 2             the paper's setting (a GPU)
uncle run --dataset cifar100 --preset laptop         two cores, minutes
uncle run --dataset folder:ROOT --classes-per-task 5 --requests "L0 L1 U0"
"""

import argparse
import json
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncle_jax.cli.arguments import (
    Parser,
    add_compile_cache,
    add_data,
    add_log,
    add_method,
    add_settings,
    add_source,
    add_warn_fall,
    asked_changes,
    chosen_preset,
    data_choice,
    exit_code,
    loggers_asked,
    parsed,
)
from uncle_jax.config import as_dict
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.report import terminal
from uncle_jax.report.paper import printed
from uncle_jax.requests import in_short, most_retained, parse, parse_stream, table_4
from uncle_jax.runs.environment import cores
from uncle_jax.runs.pool import Cell, Work, work_of
from uncle_jax.runs.process import begin
from uncle_jax.runs.progress import Download, Progress
from uncle_jax.runs.spec import RunSpec, set_changes


def parser() -> Parser:
    """The options of `uncle run`."""
    p = Parser(prog="uncle run", description=__doc__)
    add_data(p)
    p.add_argument("--seq", type=int, default=1, help="request sequence of Table 4: 1, 2 or 3")
    p.add_argument("--requests", help='your own sequence instead, such as "L0 L1 U0"')
    p.add_argument(
        "--stream",
        metavar="N,...",
        help="N random requests instead: 200,unlearn=0.4,seed=0,relearn=yes,retained=MOST",
    )
    add_method(p, "--method", default="uncle")
    p.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each")
    p.add_argument("--jobs", type=int, default=1, help="seeds at once, a process each")
    p.add_argument(
        "--mesh",
        metavar="data=D,model=M",
        help="spread a learner with a hypernetwork over D x M devices (docs/clusters.md)",
    )
    p.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="of process 0, where a mesh is over several hosts; auto: as Slurm or MPI has it",
    )
    p.add_argument("--processes", type=int, metavar="N", help="of this run, one a host")
    p.add_argument("--process", type=int, metavar="I", help="which this is, from 0")
    p.add_argument("--workdir", type=Path, help="default: runs/<dataset>-seq<k>-<method>")
    p.add_argument(
        "--save-every",
        type=int,
        default=20,
        metavar="K",
        help="epochs between saves within a request",
    )
    p.add_argument("--keep-history", action="store_true", help="erase no earlier checkpoint")
    p.add_argument(
        "--mia", action="store_true", help="measure membership inference after each unlearning"
    )
    p.add_argument("--overwrite", action="store_true", help="replace another run in --workdir")
    p.add_argument(
        "--dry-run", action="store_true", help="check everything, print sizes and time, stop"
    )
    p.add_argument(
        "--measure", action="store_true", help="with --dry-run: time it by running steps"
    )
    add_warn_fall(p)
    add_log(p)
    p.add_argument("--quiet", action="store_true", help="show the table alone")
    add_source(p)
    add_settings(p)
    add_compile_cache(p)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle run`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: run(args), "the same command goes on from here", argv is None)


def run(args: argparse.Namespace) -> int:
    """Answer the sequence on every seed, and write and show what came of it."""
    bar = Download()
    spec, logged, axes = spec_of(args, bar), loggers_asked(args), mesh_asked(args)
    hosts = hosts_asked(args)
    if args.measure and not args.dry_run:
        raise UncleError("--measure times the steps of --dry-run; give both")

    begin(args.compile_cache)
    if axes is not None:
        # Of a CPU's pretended devices each wants a thread, or they wait for each other for ever.
        os.environ.setdefault("NPROC", str(max(2 * axes["data"] * axes["model"], len(cores()))))
    if hosts is None or axes is None:  # a coordinator needs a mesh
        return answered(args, spec, bar, logged, axes)
    from uncle_jax.runs import hosts as others

    if not others.join(others.Hosts(*hosts)):
        others.following()
        return 0
    with others.leading(axes) as spread:
        return answered(args, spec, bar, logged, spread=spread)


def answered(
    args: argparse.Namespace,
    spec: RunSpec,
    bar: Download,
    logged: tuple[str, ...],
    axes: dict[str, int] | None = None,
    spread: Callable[[Any], Any] | None = None,
) -> int:
    """Answer what `spec` asks for, on a mesh with `axes`, or `spread` over several hosts."""
    import jax

    from uncle_jax.runs import execute as runs

    with bar:
        asked = runs.load(spec)
    if spread is not None:
        asked = asked._replace(spread=spread)
    if args.dry_run:
        told = {"sizes": runs.sizes(asked), "estimate": runs.estimated(asked, args.measure)}
        print(json.dumps({**asked.records[spec.seeds[0]], **told}, indent=1))
        return 0
    on_cpu = jax.default_backend() == "cpu"
    if spec.preset == "paper" and on_cpu:
        warn_of_time(runs.estimated(asked), len(spec.seeds))
    workdir = args.workdir or Path("runs") / asked.spec.name
    keep = runs.Keeping(args.save_every, args.keep_history, args.overwrite, args.mia, logged)
    new = keep.overwrite or None in runs.finished(asked, workdir).values()
    if new and not on_cpu:
        warn_of_memory(runs.estimated(asked))
    if new and args.jobs != 1 and len(spec.seeds) > 1:
        work = work_of(keep, args.compile_cache)
        at_once([Cell(replace(spec, seeds=(seed,)), workdir) for seed in spec.seeds], args, work)
        keep = replace(keep, overwrite=False)
    with Screen(asked, args.keep_history, args.warn_fall) as screen, on_mesh(axes):
        watch = runs.Watch(screen.on_seed, screen.on_step, screen.on_request)
        summary = runs.execute(asked, workdir, runs.SILENT if args.quiet else watch, keep)
    print("\n" * (not args.quiet) + terminal.table(summary, papers(asked.spec)))
    did = "written to" if new else "nothing was left to do in"
    print(f"{did} {workdir}: summary.json, accuracy.png, seed*/metrics.csv, config.json")
    return 0


def mesh_asked(args: argparse.Namespace) -> dict[str, int] | None:
    """The mesh's axes; None without one. Raises UncleError."""
    if args.mesh is None:
        return None
    found = re.fullmatch(r"(?:data=(\d+))?,?(?:model=(\d+))?", args.mesh)
    if not args.mesh or not found:
        raise UncleError(f"--mesh must be such as data=4,model=2, not {args.mesh!r}")
    if args.method in registry.METHODS and args.method not in registry.HYPERNETWORK:
        known = ", ".join(registry.HYPERNETWORK)
        raise UncleError(
            f"--mesh spreads learners with a hypernetwork ({known}), not {args.method}"
        )
    if args.jobs != 1:
        raise UncleError("--mesh and --jobs do not go together: a mesh has the devices")
    return {"data": int(found[1] or 1), "model": int(found[2] or 1)}


def hosts_asked(args: argparse.Namespace) -> tuple[str | None, int | None, int | None] | None:
    """Coordinator, processes and process, all None if the scheduler has them; None on one host.

    Raises UncleError.
    """
    ours = args.processes, args.process
    if args.coordinator is None:
        if ours != (None, None):
            raise UncleError("--processes and --process need --coordinator HOST:PORT")
        return None
    if args.mesh is None:
        raise UncleError("--coordinator needs --mesh data=D,model=M, over all devices of all hosts")
    if args.coordinator == "auto" and ours == (None, None):
        return None, None, None
    if not re.fullmatch(r".+:\d+", args.coordinator):
        raise UncleError(f"--coordinator must be HOST:PORT or auto, not {args.coordinator!r}")
    if None in ours:
        raise UncleError("--coordinator HOST:PORT needs --processes N and --process I")
    if not 0 <= args.process < args.processes:
        raise UncleError(
            f"--process must be from 0 to {args.processes - 1}, one less than --processes, "
            f"not {args.process}"
        )
    return args.coordinator, *ours


def on_mesh(axes: dict[str, int] | None) -> AbstractContextManager[Any]:
    """Requests within it are spread over a mesh with `axes`. Raises UncleError."""
    if axes is None:
        return nullcontext()
    import jax

    from uncle_jax.core import devices

    return jax.set_mesh(devices.mesh(**axes))


def at_once(cells: list[Cell], args: argparse.Namespace, work: Work) -> None:
    """Answer each seed in a process of its own. Raises UncleError if one fails."""
    from uncle_jax.cli.grid import run_cells

    failed = [one for one in run_cells(cells, args.jobs, work) if one.failed is not None]
    if failed:
        raise UncleError(f"{len(failed)} of {len(cells)} seeds failed, first {failed[0].failed}")


def spec_of(args: argparse.Namespace, bar: Download) -> RunSpec:
    """What the arguments ask for. Raises UncleError."""
    chosen, changes = chosen_preset(args), asked_changes(args)
    if args.save_every < 1:
        raise UncleError(f"--save-every must be at least 1 epoch, not {args.save_every}")
    registry.check(args.method)
    set_changes(changes, chosen.config, [args.method])  # wrong ones are told before jax is there
    more: dict[str, Any] = {"source": args.settings, "seeds": tuple(args.seeds)}
    more["data"] = data_choice(args, bar)
    if args.stream is not None:
        if args.requests is not None:
            raise UncleError("--stream draws requests, and --requests names them; give one")
        more["stream"] = parse_stream(args.stream)
    elif args.requests is not None:
        more["requests"] = parse(args.requests)
    elif ":" not in args.dataset:
        more["requests"] = table_4(args.dataset, args.seq)
    return RunSpec(args.dataset, args.method, args.preset, **more).changed(*changes)


def papers(spec: RunSpec) -> dict[str, float] | None:
    """What the paper prints of this run, if it has the paper's setting."""
    requests, config = " ".join(map(str, spec.requests)), as_dict(spec.config)
    own = {} if spec.settings is None else as_dict(spec.settings)
    theirs, same = printed(spec.dataset, requests, spec.method, config, own, spec.changes)
    same = same and spec.preset == "paper" and spec.source == "authors"
    return theirs.told() if theirs and same else None


class Screen:
    """What a person sees of a run: a line for each request, a bar for the one under way."""

    def __init__(self, asked: Any, history: bool, warn_fall: float) -> None:
        self.asked, self.history, self.bar, self.seeds = asked, history, None, 0
        self.warn_fall, self.accuracy, self.warned = warn_fall, [], set[int]()

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.__exit__()

    def on_seed(self, seed: int, notes: list[str]) -> None:
        if self.seeds == 0:
            self._announce()
        self.seeds += 1
        print(f"\nseed {seed}: accuracy (%) of each task after each request")
        print(terminal.header_line(len(self.asked.spec.requests), self.asked.first.n_tasks))
        self.__exit__()
        self.accuracy, self.warned = [], set()
        self.bar = Progress(self.asked.spec.requests).__enter__()
        for note in notes:
            self.bar.write(note)

    def on_step(self, step: int, steps: int, loss: Any) -> None:
        assert self.bar
        self.bar.on_step(step, steps, loss)

    def on_request(self, answer: Any) -> None:
        assert self.bar
        n_requests, n_tasks = len(self.asked.spec.requests), self.asked.first.n_tasks
        self.bar.write(terminal.request_line(answer, n_requests, n_tasks))
        self._warn(answer)
        self.bar.next_request()

    def _warn(self, answer: Any) -> None:
        """Once for each learning of a task: that it has fallen."""
        from uncle_jax.evaluation.metrics import fallen

        assert self.bar
        self.accuracy.append(answer.accuracy)
        requests = self.asked.spec.requests[: len(self.accuracy)]
        found = fallen(requests, self.accuracy, self.warn_fall)
        for task in found.keys() - self.warned:
            self.bar.write(terminal.fall_line(task, *found[task]))
        self.warned = (self.warned | found.keys()) - {answer.request.task}

    def _announce(self) -> None:
        """What is run, and what should be known of it."""
        from uncle_jax.engine.unlearning import relearns

        spec, method = self.asked.spec, self.asked.method()
        requests = in_short(spec.requests)
        print(f"{spec.dataset}, {spec.label}, preset {spec.preset}: {requests}")
        if method.reads != "none":
            print(f"note: {method.name} reads when it unlearns: {registry.READS[method.reads]}")
        if relearns(method) and any(one.op == "C" for one in spec.requests):
            print("note: a task's other classes are read, and learned again, when one is unlearned")
        most = most_retained(spec.requests)
        if told := terminal.room_line(spec.method, spec.settings, most):
            print(told)
        for line in self.asked.first.understood:
            print(f"data: {line}")
        for remark in self.asked.first.remarks:
            print(f"note: {remark}")
        if self.history:
            print("history is kept: no checkpoint is erased, so nothing is forgotten on disk")


def warn_of_time(estimate: dict[str, Any], n_seeds: int) -> None:
    """Say how long the paper's setting takes without an accelerator."""
    from uncle_jax.engine.estimate import in_words

    print(
        f"no accelerator: a learning step takes {estimate['learn_step_seconds']:.1f} s here, so "
        f"this run will take about {in_words(n_seeds * estimate['total_seconds'])} "
        "(--preset laptop takes minutes)",
        flush=True,
    )


def warn_of_memory(estimate: dict[str, Any]) -> None:
    """Say that the device may have too little memory, before the first step says so."""
    wanted, there = estimate["peak_memory_bytes"], estimate["device_memory_bytes"]
    if there is not None and wanted > there:
        print(
            f"this run may not fit: about {wanted / 2**30:.1f} GiB were nothing fused, and the "
            f"device has {there / 2**30:.1f}; a smaller --batch-size takes less",
            flush=True,
        )
