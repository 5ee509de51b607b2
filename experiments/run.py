"""Learn and unlearn a sequence of tasks, and show what was learned, kept and forgotten.

python experiments/run.py                            permuted digits, 90 s on two cores
python experiments/run.py --dataset tinyimagenet --seq 2          the paper's setting (a GPU)
python experiments/run.py --dataset cifar100 --preset laptop      two cores, minutes
python experiments/run.py --dataset folder:ROOT --classes-per-task 5 --requests "L0 L1 U0"
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a clone runs without installing

from uncle_jax.commandline import (
    Download,
    Parser,
    add_data,
    add_settings,
    chosen_preset,
    chosen_settings,
    data_choice,
    exit_code,
)
from uncle_jax.config import Config, Preset, as_dict, fingerprint
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.requests import Request, parse, table_4, validate


def parser() -> Parser:
    p = Parser(description=__doc__)
    add_data(p)
    p.add_argument("--seq", type=int, default=1, help="request sequence of Table 4: 1, 2 or 3")
    p.add_argument("--requests", help='your own sequence instead, such as "L0 L1 U0"')
    p.add_argument(
        "--method", default="uncle",
        help=", ".join(registry.METHODS) + "; your own: FILE.py:FUNCTION",
    )  # fmt: skip
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
    started = time.perf_counter()
    args = parser().parse_args(argv)
    return exit_code(lambda: run(args, started), "the same command goes on from here")


def run(args: argparse.Namespace, started: float) -> int:
    chosen, config, requests, own = resolve(args)
    bar = Download()
    choice = data_choice(args, config, bar)

    import jax

    from uncle_jax import engine, report, runlog, sequence, service
    from uncle_jax.data.load import load_benchmark

    found = registry.find(args.method)
    method_settings = registry.settings_of(args.method, found, own)
    changes = changes_of(args.method, chosen.config, config, method_settings)
    workdir = args.workdir or Path("runs") / run_name(args, changes)
    with bar:
        benchmarks = {seed: load_benchmark(args.dataset, seed, choice) for seed in args.seeds}
    first = benchmarks[args.seeds[0]]
    requests = requests or parse(" ".join(f"L{t}" for t in range(first.n_tasks)) + " U0")
    validate(requests, first.n_tasks)
    settings = {
        seed: settings_of(args, config, requests, seed, benchmark, method_settings, changes)
        for seed, benchmark in benchmarks.items()
    }

    def factory(spec: Any, n_tasks: int, config: Config) -> Any:
        return registry.build(args.method, spec, n_tasks, config, method_settings)

    if args.dry_run:
        told = {
            "sizes": sizes(factory, first, config),
            "estimate": estimated(factory, first, config, requests),
        }
        print(json.dumps(settings[args.seeds[0]] | told, indent=1))
        return 0

    if args.preset == "paper" and jax.default_backend() == "cpu":
        warn_of_time(estimated(factory, first, config, requests), len(args.seeds))
    method = factory(first.spec, first.n_tasks, config)
    runlog.prepare(workdir, settings, args.overwrite)
    environment = runlog.environment() | {"reads": method.reads}
    label = " ".join([method.name, *(f"{key}={value}" for key, value in changes.items())])
    print(f"{args.dataset}, {label}, preset {args.preset}: {' '.join(map(str, requests))}")
    if method.reads != "none":
        print(f"note: {method.name} reads when it unlearns: {registry.READS[method.reads]}")
    for remark in first.remarks:
        print(f"note: {remark}")
    if args.keep_history:
        print("history is kept: no earlier checkpoint is erased, so nothing is forgotten on disk")
    runs = {}
    for seed, benchmark in benchmarks.items():
        runlog.write_config(workdir, seed, settings[seed] | environment)
        print(f"\nseed {seed}: accuracy (%) of each task after each request")
        print(report.header_line(len(requests), benchmark.n_tasks))
        folder = workdir / f"seed{seed}" / "store"
        if args.overwrite:
            sequence.remove(folder)
        identity = service.identity(
            args.method, benchmark.spec, benchmark.n_tasks, config, settings=method_settings
        )
        store, done = sequence.open_sequence(
            folder, method, jax.random.key(seed), identity, settings[seed]["fingerprint"],
            args.keep_history,
        )  # fmt: skip
        answers: list[engine.Answer] = []
        bar = Progress(requests)

        def tell(answer: Any, seed: int = seed, answers: Any = answers, bar: Any = bar) -> None:
            answers.append(answer)
            runlog.write_metrics(workdir, seed, answers, config.eval_split)
            bar.write(report.request_line(answer, len(requests), first.n_tasks))
            bar.next_request()

        def on_request(answer: Any, state: Any, store: Any = store, tell: Any = tell) -> None:
            store.commit(state, sequence.facts_of(store, method, config, answer))
            tell(answer)

        with store, bar:
            for note in store.notes:
                bar.write(note)
            for answer in done.answers:
                tell(answer)
            runs[seed] = engine.run_sequence(
                method, benchmark, requests, jax.random.key(seed), bar.on_step, on_request,
                config.eval_split, seed, done, partial(sequence.saves, store, args.save_every),
            )  # fmt: skip

    summary = runlog.summarise(runs, time.perf_counter() - started)
    title = f"{args.dataset}, {label}, seeds {', '.join(map(str, args.seeds))}"
    chance = chance_of(first)
    report.plot_accuracy(workdir / "accuracy.png", runs.values(), chance, title, first.remarks)
    summary |= {"chance": chance, "remarks": list(first.remarks), "reads": method.reads}
    runlog.write_summary(workdir, summary)
    same = args.method == "uncle" and not args.requests and config == chosen.config
    paper = chosen.paper.get(args.seq) if same else None
    print("\n" + report.table(summary, paper))
    print(f"written to {workdir}: summary.json, accuracy.png, seed*/metrics.csv, config.json")
    return 0


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


def changes_of(method: str, usual: Config, config: Config, settings: Any) -> dict[str, Any]:
    """The settings in which a run differs from the preset, and from the method's defaults.

    The method's own are METHOD.KEY, as in --set: `lr` alone is the learning rate.
    """

    def changed(usual: Any, settings: Any, place: str = "") -> dict[str, Any]:
        before, after = as_dict(usual), as_dict(settings)
        return {place + key: value for key, value in after.items() if before[key] != value}

    changes = changed(usual, config)
    if settings is not None:
        defaults = registry.settings_of(method, registry.find(method), {})
        changes |= changed(defaults, settings, registry.short(method) + ".")
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


def estimated(factory: Any, benchmark: Any, config: Config, requests: Any) -> dict[str, Any]:
    from uncle_jax.estimate import estimate, in_words

    told = estimate(factory, benchmark, config, requests)
    return told | {"total": in_words(told["total_seconds"])}


def warn_of_time(told: dict[str, Any], n_seeds: int) -> None:
    from uncle_jax.estimate import in_words

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


def sizes(factory: Any, benchmark: Any, config: Config) -> dict[str, int]:
    """Parameters of UnCLe's main network, and of what the method learns (phi, or params)."""
    import jax

    from uncle_jax import resnet
    from uncle_jax.steps import input_shape

    spec = benchmark.spec
    net = resnet.from_config(config, spec.n_classes)
    layout, _ = resnet.plan(net, input_shape(spec, config.image_size), config.chunks)
    state = jax.eval_shape(factory(spec, benchmark.n_tasks, config).init, jax.random.key(0))
    told = {"main_network_parameters": layout.size}
    for name, field in (("phi_parameters", "phi"), ("parameters", "params")):
        leaves = jax.tree.leaves(getattr(state, field, None))
        told |= {name: sum(leaf.size for leaf in leaves)} if leaves else {}
    return told


class Progress:
    """A progress bar for the request under way, with its loss and the whole run's time left."""

    def __init__(self, requests: tuple[Request, ...]) -> None:
        from tqdm import tqdm

        self.requests, self.index = requests, 0
        self.seconds: dict[str, list[float]] = {"L": [], "U": []}
        self.begun = self.shown = time.perf_counter()
        form = "{desc} {bar:24} {n_fmt}/{total_fmt} steps{postfix}"
        # disable=None: nothing is drawn where stderr is not a terminal
        self.bar = tqdm(bar_format=form, leave=False, disable=None, total=1)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def write(self, line: str) -> None:
        self.bar.clear()
        print(line, flush=True)

    def on_step(self, step: int, steps: int, loss: Any) -> None:
        now = time.perf_counter()
        if self.bar.disable or (now - self.shown < 0.2 and step < steps):
            return
        self.shown = now
        self.bar.total, self.bar.n = steps, step
        left = (now - self.begun) * (steps - step) / step + self._later()
        place = f"[{self.index + 1}/{len(self.requests)}] {self.requests[self.index]}"
        self.bar.set_description_str(place, refresh=False)
        self.bar.set_postfix_str(f"loss {float(loss):.3g}, {left:.0f} s left")

    def next_request(self) -> None:
        now = time.perf_counter()
        self.seconds[self.requests[self.index].op].append(now - self.begun)
        self.index, self.begun = self.index + 1, now

    def _later(self) -> float:
        """Seconds for the requests after this one, by what those like them took."""
        all_ = self.seconds["L"] + self.seconds["U"] or [0.0]
        mean = {
            op: sum(s) / len(s) if s else sum(all_) / len(all_) for op, s in self.seconds.items()
        }
        return sum(mean[request.op] for request in self.requests[self.index + 1 :])


if __name__ == "__main__":
    sys.exit(main())
