"""Learn and unlearn a sequence of tasks, and show what was learned, kept and forgotten.

python experiments/run.py                            permuted digits, 90 s on two cores
python experiments/run.py --dataset permuted-mnist --data-dir DIR --seeds 0 1 2
python experiments/run.py --requests "L0 L1 U0 L2" --set chunks=10 --epochs 5
"""

import argparse
import dataclasses
import json
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a clone runs without installing

from uncle_jax.config import PRESETS, Config, Preset, as_dict, fingerprint, preset, replace
from uncle_jax.errors import UncleError, allowed
from uncle_jax.requests import Request, parse, table_4, validate

METHODS = ("uncle", "only-learning")
SHORTCUTS = ("backbone", "epochs", "batch_size", "lr", "beta", "gamma", "burn_in", "noise")
SHORTCUTS += ("noise_samples", "norm_stats")


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see --help)\n")


def parser() -> Parser:
    p = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dataset", default="permuted-digits", help=", ".join(PRESETS))
    p.add_argument("--seq", type=int, default=1, help="request sequence of Table 4: 1, 2 or 3")
    p.add_argument("--requests", help='your own sequence instead, such as "L0 L1 U0"')
    p.add_argument("--method", default="uncle", help=", ".join(METHODS))
    p.add_argument("--preset", default="laptop", help="laptop (two cores), paper (a GPU)")
    p.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each")
    p.add_argument("--workdir", type=Path, help="default: runs/<dataset>-seq<k>-<method>")
    p.add_argument("--data-dir", type=Path, default=Path("data"), help="the publisher's files")
    p.add_argument(
        "--save-every",
        type=int,
        default=20,
        metavar="K",
        help="epochs between saves within a request",
    )
    p.add_argument("--keep-history", action="store_true", help="erase no earlier checkpoint")
    p.add_argument("--overwrite", action="store_true", help="replace another run in --workdir")
    p.add_argument("--dry-run", action="store_true", help="check everything, print it, stop")
    settings = p.add_argument_group("settings (default: the preset's)")
    for name in SHORTCUTS:
        settings.add_argument("--" + name.replace("_", "-"), metavar="VALUE")
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any setting: " + ", ".join(field.name for field in dataclasses.fields(Config)),
    )
    return p


def main(argv: list[str] | None = None) -> int:
    started = time.perf_counter()
    args = parser().parse_args(argv)
    try:
        return run(args, started)
    except UncleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130


def run(args: argparse.Namespace, started: float) -> int:
    chosen, config, requests = resolve(args)
    if args.dataset == "permuted-mnist":
        from uncle_jax.data.idx import find_mnist

        find_mnist(args.data_dir)
    name = f"{args.dataset}-{'own' if args.requests else f'seq{args.seq}'}-{args.method}"
    workdir = args.workdir or Path("runs") / name

    import jax

    from uncle_jax import engine, report, runlog, sequence, service
    from uncle_jax.methods import METHODS as factories

    benchmarks = {seed: load_benchmark(args, config, seed) for seed in args.seeds}
    first = benchmarks[args.seeds[0]]
    validate(requests, first.n_tasks)
    settings = {
        seed: settings_of(args, config, requests, seed, dict(benchmark.provenance))
        for seed, benchmark in benchmarks.items()
    }
    method = factories[args.method](first.spec, first.n_tasks, config)
    if args.dry_run:
        print(json.dumps(settings[args.seeds[0]] | {"sizes": sizes(method)}, indent=1))
        return 0

    runlog.prepare(workdir, settings, args.overwrite)
    environment = runlog.environment()
    print(f"{args.dataset}, {args.method}, preset {args.preset}: {' '.join(map(str, requests))}")
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
        identity = service.identity(args.method, benchmark.spec, benchmark.n_tasks, config)
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
            store.commit(state, sequence.facts_of(store, config, answer))
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
    title = f"{args.dataset}, {args.method}, seeds {', '.join(map(str, args.seeds))}"
    report.plot_accuracy(workdir / "accuracy.png", runs.values(), first.spec.n_classes, title)
    runlog.write_summary(workdir, summary)
    same = args.method == "uncle" and not args.requests
    paper = chosen.paper.get(args.seq) if same else None
    print("\n" + report.table(summary, 100 / first.spec.n_classes, paper))
    print(f"written to {workdir}: summary.json, accuracy.png, seed*/metrics.csv, config.json")
    return 0


def resolve(args: argparse.Namespace) -> tuple[Preset, Config, tuple[Request, ...]]:
    """Preset, settings and requests that the arguments ask for. Raises UncleError."""
    chosen = preset(args.dataset, args.preset)
    if args.save_every < 1:
        raise UncleError(f"--save-every must be at least 1 epoch, not {args.save_every}")
    if args.method not in METHODS:
        raise allowed("method", args.method, METHODS)
    changes = {key: getattr(args, key) for key in SHORTCUTS if getattr(args, key) is not None}
    for item in args.set:
        key, equals, value = item.partition("=")
        if not equals:
            raise UncleError(f"--set {item!r} is not KEY=VALUE, such as --set chunks=100")
        changes[key.strip().replace("-", "_")] = value.strip()
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0:
        raise UncleError(f"--seeds must differ and not be negative, not {args.seeds}")
    requests = (
        parse(args.requests) if args.requests is not None else table_4(args.dataset, args.seq)
    )
    return chosen, replace(chosen.config, changes), requests


def load_benchmark(args: argparse.Namespace, config: Config, seed: int) -> Any:
    from uncle_jax.data import permuted

    if args.dataset == "permuted-mnist":
        return permuted.permuted_mnist(args.data_dir, seed, config.train_images)
    return permuted.permuted_digits(seed)


def settings_of(
    args: argparse.Namespace,
    config: Config,
    requests: tuple[Request, ...],
    seed: int,
    data: dict[str, Any],
) -> dict[str, Any]:
    """What config.json says of a run, its environment apart; `fingerprint` covers the rest."""
    decided = {
        "dataset": args.dataset,
        "requests": " ".join(map(str, requests)),
        "method": args.method,
        "seed": seed,
        "config": as_dict(config),
        "data": data,
    }
    told = {"preset": args.preset, "seq": None if args.requests else args.seq}
    when = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "argv": sys.argv[1:]}
    return {"fingerprint": fingerprint(decided), **told, **decided, **when}


def sizes(method: Any) -> dict[str, Any]:
    """Parameters of the hypernetwork, and how they compare with the networks it replaces."""
    import jax

    state = jax.eval_shape(method.init, jax.random.key(0))
    n_phi = sum(leaf.size for leaf in jax.tree.leaves(state.phi))
    return {"phi_parameters": n_phi, "adam_and_gradient_MB": round(n_phi * 4 * 5 / 1e6)}


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
