"""Learn and unlearn a sequence of tasks, and show what was learned, kept and forgotten.

uncle run                                            permuted digits, 90 s on two cores
uncle run --dataset tinyimagenet --seq 2             the paper's setting (a GPU)
uncle run --dataset cifar100 --preset laptop         two cores, minutes
uncle run --dataset folder:ROOT --classes-per-task 5 --requests "L0 L1 U0"
"""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from uncle_jax.cli.arguments import (
    Parser,
    add_data,
    add_method,
    add_settings,
    chosen_preset,
    chosen_settings,
    data_choice,
    exit_code,
    parsed,
)
from uncle_jax.config import Config, as_dict, fingerprint
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.presets import Preset
from uncle_jax.report.paper import numbers
from uncle_jax.requests import Request, parse, table_4, validate
from uncle_jax.runs.progress import Download, Progress


def parser() -> Parser:
    """The options of `uncle run`."""
    p = Parser(prog="uncle run", description=__doc__)
    add_data(p)
    p.add_argument("--seq", type=int, default=1, help="request sequence of Table 4: 1, 2 or 3")
    p.add_argument("--requests", help='your own sequence instead, such as "L0 L1 U0"')
    add_method(p, "--method", default="uncle")
    p.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each")
    p.add_argument("--workdir", type=Path, help="default: runs/<dataset>-seq<k>-<method>")
    p.add_argument(
        "--save-every", type=int, default=20, metavar="K",
        help="epochs between saves within a request",
    )  # fmt: skip
    p.add_argument("--keep-history", action="store_true", help="erase no earlier checkpoint")
    p.add_argument("--overwrite", action="store_true", help="replace another run in --workdir")
    p.add_argument(
        "--dry-run", action="store_true", help="check everything, print sizes and time, stop"
    )
    add_settings(p)
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle run`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: run(args), "the same command goes on from here")


class Experiment(NamedTuple):
    """What the arguments ask for, with its data."""

    args: argparse.Namespace
    config: Config
    paper: Mapping[str, float] | None  # what it prints, if this is UnCLe as its preset has it
    requests: tuple[Request, ...]
    method_settings: Any  # the method's own; None if it has none
    changes: dict[str, Any]  # from the preset, and from the method's defaults
    benchmarks: dict[int, Any]  # by seed
    settings: dict[int, dict[str, Any]]  # by seed: config.json, what the process adds apart
    workdir: Path

    @property
    def first(self) -> Any:
        return self.benchmarks[self.args.seeds[0]]

    def label(self, method: Any) -> str:
        return " ".join([method.name, *(f"{key}={value}" for key, value in self.changes.items())])

    def factory(self, spec: Any, n_tasks: int, config: Config, settings: Any) -> Any:
        return registry.build(self.args.method, spec, n_tasks, config, settings)


def run(args: argparse.Namespace) -> int:
    """Answer the sequence on every seed, and write and show what came of it."""
    asked = experiment(args)
    if args.dry_run:
        told = {"sizes": sizes(asked)}
        told |= {"estimate": estimated(asked)}
        print(json.dumps(asked.settings[args.seeds[0]] | told, indent=1))
        return 0

    import jax

    from uncle_jax.report import terminal
    from uncle_jax.runs import workdir as workdirs
    from uncle_jax.runs.environment import environment

    if args.preset == "paper" and jax.default_backend() == "cpu":
        warn_of_time(estimated(asked), len(args.seeds))
    method = asked.factory(
        asked.first.spec, asked.first.n_tasks, asked.config, asked.method_settings
    )
    workdirs.prepare(asked.workdir, asked.settings, args.overwrite)
    surroundings = environment() | {"reads": method.reads, "chance": chance_of(asked.first)}
    announce(asked, method)
    for seed in asked.benchmarks:
        workdirs.write_config(asked.workdir, seed, asked.settings[seed] | surroundings)
        answer_requests(asked, method, seed)
    settings = asked.settings[args.seeds[0]] | surroundings
    summary = workdirs.finish(asked.workdir, settings, f"{args.dataset}, {asked.label(method)}")
    print("\n" + terminal.table(summary, asked.paper))
    print(f"written to {asked.workdir}: summary.json, accuracy.png, seed*/metrics.csv, config.json")
    return 0


def experiment(args: argparse.Namespace) -> Experiment:
    """What the arguments ask for, its data made ready. Raises UncleError."""
    chosen, config, requests, own = resolve(args)
    bar = Download()
    choice = data_choice(args, config, bar)

    from uncle_jax.data.load import load_benchmark

    method_settings = registry.settings_of(
        args.method, registry.find(args.method), own, chosen.uncle
    )
    changes = changes_of(args.method, chosen, config, method_settings)
    with bar:
        benchmarks = {seed: load_benchmark(args.dataset, seed, choice) for seed in args.seeds}
    if config.eval_split == "validation":
        benchmarks = {seed: one.held_out(seed) for seed, one in benchmarks.items()}
    first = benchmarks[args.seeds[0]]
    requests = requests or parse(" ".join(f"L{t}" for t in range(first.n_tasks)) + " U0")
    validate(requests, first.n_tasks)
    paper = None
    if args.method == "uncle" and not args.requests and not changes and args.preset == "paper":
        paper = numbers(args.dataset, args.seq, "uncle")
    return Experiment(
        args, config, paper and paper.told(), requests,
        method_settings, changes, benchmarks,
        {
            seed: settings_of(args, config, requests, seed, benchmark, method_settings, changes)
            for seed, benchmark in benchmarks.items()
        },
        args.workdir or Path("runs") / run_name(args, changes),
    )  # fmt: skip


def announce(asked: Experiment, method: Any) -> None:
    """Say what is run, and what should be known of it."""
    args, requests = asked.args, " ".join(map(str, asked.requests))
    print(f"{args.dataset}, {asked.label(method)}, preset {args.preset}: {requests}")
    if method.reads != "none":
        print(f"note: {method.name} reads when it unlearns: {registry.READS[method.reads]}")
    for remark in asked.first.remarks:
        print(f"note: {remark}")
    if args.keep_history:
        print("history is kept: no earlier checkpoint is erased, so nothing is forgotten on disk")


def answer_requests(asked: Experiment, method: Any, seed: int) -> None:
    """Answer the sequence on one seed, or go on where a process was killed."""
    import jax

    from uncle_jax.engine import resume
    from uncle_jax.engine.learner import identity as identity_of
    from uncle_jax.engine.sequence import run_sequence
    from uncle_jax.report import terminal
    from uncle_jax.runs import workdir as workdirs

    args, config, benchmark = asked.args, asked.config, asked.benchmarks[seed]
    n_requests, n_tasks = len(asked.requests), benchmark.n_tasks
    print(f"\nseed {seed}: accuracy (%) of each task after each request")
    print(terminal.header_line(n_requests, n_tasks))
    folder = asked.workdir / f"seed{seed}" / "store"
    if args.overwrite:
        resume.remove(folder)
        workdirs.clear(asked.workdir, seed)
    log = workdirs.SeedLog(asked.workdir, seed, config.eval_split)
    identity = identity_of(args.method, benchmark.spec, n_tasks, config, asked.method_settings)
    store, done = resume.open_sequence(
        folder, method, jax.random.key(seed), identity, asked.settings[seed]["fingerprint"],
        args.keep_history,
    )  # fmt: skip
    bar = Progress(asked.requests)

    def show(answer: Any) -> None:
        bar.write(terminal.request_line(answer, n_requests, n_tasks))
        bar.next_request()

    def on_request(answer: Any, state: Any) -> None:
        store.commit(state, resume.facts_of(store, method, answer))
        log.add(answer)
        show(answer)

    with store, bar:
        for note in store.notes:
            bar.write(note)
        log.known(done.answers)
        for answer in done.answers:
            show(answer)
        run_sequence(
            method, benchmark, asked.requests, jax.random.key(seed), bar.on_step, on_request,
            done, partial(resume.saves, store, args.save_every),
        )  # fmt: skip


def resolve(
    args: argparse.Namespace,
) -> tuple[Preset, Config, tuple[Request, ...], dict[str, str]]:
    """(preset, settings, requests, the method's own settings as text) that the arguments ask for.

    Raises UncleError.
    """
    chosen = chosen_preset(args)
    if args.save_every < 1:
        raise UncleError(f"--save-every must be at least 1 epoch, not {args.save_every}")
    registry.check(args.method)
    config, own = chosen_settings(args, chosen.config, [args.method])
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0:
        raise UncleError(f"--seeds must differ and not be negative, not {args.seeds}")
    if args.requests is not None:
        requests = parse(args.requests)
    elif ":" in args.dataset:
        requests = ()  # one's own data: every task, once their number is known, then U0
    else:
        requests = table_4(args.dataset, args.seq)
    return chosen, config, requests, own[args.method]


def changes_of(method: str, preset: Preset, config: Config, settings: Any) -> dict[str, Any]:
    """The settings in which a run differs from the preset, or from the method's defaults."""

    def changed(usual: Any, settings: Any) -> dict[str, Any]:
        before, after = as_dict(usual), as_dict(settings)
        return {key: value for key, value in after.items() if before[key] != value}

    changes = changed(preset.config, config)
    if settings is not None:
        defaults = registry.settings_of(method, registry.find(method), {}, preset.uncle)
        own = changed(defaults, settings)
        changes |= {registry.own_key(method, key): value for key, value in own.items()}
    return changes


def run_name(args: argparse.Namespace, changes: dict[str, Any]) -> str:
    """The default work directory: data, sequence, method and whatever is not the preset's."""
    seq = table_4_seq(args)
    place = [args.dataset.partition(":")[0], f"seq{seq}" if seq else "own"]
    told = [f"{key}={value}".replace("/", "_").replace(" ", "") for key, value in changes.items()]
    if len(told) > 3:
        told = [f"changed-{fingerprint(changes)[:6]}"]
    return "-".join([*place, registry.short(args.method), *told])


def chance_of(benchmark: Any) -> float:
    """Accuracy of a guess in per cent, the mean over tasks where they differ."""
    counts = [benchmark.spec.task(task).n_classes for task in range(benchmark.n_tasks)]
    return sum(100 / n for n in counts) / len(counts)


def estimated(asked: Experiment) -> dict[str, Any]:
    """Seconds and memory of the whole run, measured on two steps."""
    from uncle_jax.engine.estimate import estimate, in_words

    told = estimate(asked.factory, asked.first, asked.config, asked.requests, asked.method_settings)
    return told | {"total": in_words(told["total_seconds"])}


def warn_of_time(told: dict[str, Any], n_seeds: int) -> None:
    """Say how long the paper's setting takes without an accelerator."""
    from uncle_jax.engine.estimate import in_words

    print(
        f"no accelerator: a learning step takes {told['learn_step_seconds']:.1f} s here, so this "
        f"run will take about {in_words(n_seeds * told['total_seconds'])} "
        "(--preset laptop takes minutes)",
        flush=True,
    )


def table_4_seq(args: argparse.Namespace) -> int | None:
    """The sequence of Table 4 that is asked for; None for one's own requests or data."""
    return None if args.requests or ":" in args.dataset else args.seq


def settings_of(
    args: argparse.Namespace,
    config: Config,
    requests: tuple[Request, ...],
    seed: int,
    benchmark: Any,
    own: Any,
    changes: dict[str, Any],
) -> dict[str, Any]:
    """What config.json says of a run, its environment apart; `fingerprint` covers the rest."""
    decided = {
        "dataset": args.dataset,
        "requests": " ".join(map(str, requests)),
        "method": args.method,
        "seed": seed,
        "config": as_dict(config),
        "data": dict(benchmark.provenance),
        **({} if own is None else {"settings": as_dict(own)}),
    }
    told = {"preset": args.preset, "seq": table_4_seq(args)}
    told |= {"remarks": list(benchmark.remarks), "changes": changes}
    when = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "argv": sys.argv[1:]}
    return {"fingerprint": fingerprint(decided), **told, **decided, **when}


def sizes(asked: Experiment) -> dict[str, int]:
    """Parameters of UnCLe's main network, and of what the method learns (phi, or params)."""
    import jax

    from uncle_jax.core import resnet
    from uncle_jax.core.inputs import input_shape

    spec, n_tasks, config = asked.first.spec, asked.first.n_tasks, asked.config
    net = resnet.from_config(config, spec.n_classes)
    layout, _ = resnet.plan(net, input_shape(spec, config.image_size), chunks=1)
    method = asked.factory(spec, n_tasks, config, asked.method_settings)
    state = jax.eval_shape(method.init, jax.random.key(0))
    told = {"main_network_parameters": layout.size}
    for name, field in (("phi_parameters", "phi"), ("parameters", "params")):
        leaves = jax.tree.leaves(getattr(state, field, None))
        told |= {name: sum(leaf.size for leaf in leaves)} if leaves else {}
    return told
