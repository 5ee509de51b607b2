"""Steps, requests and memory by how many tasks are retained, beside peers and the plain network.

    python benchmarks/steps.py --network resnet18 --tasks 1 5 10 20 --out FILE.json --plot FILE.png

Networks: `thin` (CIFAR-100's `laptop` preset, 32x32), `resnet18`, `resnet50` (the paper's, 64x64,
batches of 32), `toy` (to see that it runs). For each T tasks retained, in one process, steps of all
subjects in turns, so that a busy moment strikes all:

    learn, unlearn                 UnCLe's, and the drift's two forms with --forms
    plain, torch-plain             the network with weights of its own: the floors (JAX, PyTorch)
    hypnettorch-learn, -unlearn    hypnettorch as published, its theta in the network's arrays
    hypnettorch-flat-learn, ...    the same with theta as one array

A step is loss, gradient, clipping and Adam. Medians of wall and CPU seconds; compilation is told
apart. As in this package's commands malloc keeps what is freed for the next step, for all subjects
alike (`--malloc kernel`: it does not, as in the process of somebody who uses PyTorch). `begin` is
what an unlearning request does before its steps, `request` that and 100 of them, added up;
`evaluate` answers 512 images. Peak memory is of a process that does nothing else. PyTorch's need
"uncle-jax[bench]" and are left out above --peers-most tasks, whose graphs hold every output of
every task. With --out, cases that the file has are not run again; --peers-of FILE takes PyTorch's
rows of the table from another file, as of one with the other malloc.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from uncle_jax.runs.environment import environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peers
from uncle_jax.config import Config, Uncle
from uncle_jax.core import steps
from uncle_jax.core.holding import hold
from uncle_jax.core.inputs import task_input
from uncle_jax.core.network import Network
from uncle_jax.core.state import CLState, row_of
from uncle_jax.core.status import LEARNED
from uncle_jax.engine.estimate import peak_memory
from uncle_jax.methods import clpu
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.presets import preset
from uncle_jax.report.figures.cost import costs, plot_cost
from uncle_jax.runs.process import keep_freed
from uncle_jax.tasks import Data, InputSpec

NETWORKS = ("thin", "resnet18", "resnet50", "toy")
PEERS = ("torch-plain", "hypnettorch-learn", "hypnettorch-unlearn")
FLAT = ("hypnettorch-flat-learn", "hypnettorch-flat-unlearn")
BURN_IN = 100  # iterations of an unlearning request, as the paper's first
Step = Callable[[], Any]


def sizes(name: str) -> tuple[Config, Uncle, InputSpec]:
    """(settings, settings, images) of a network's preset, the paper's with batches of 32."""
    if name == "toy":
        small = Config("thin", "small", 4, None, epochs=1, batch_size=8)
        return small, Uncle((8, 16), 4, 5), InputSpec((8, 8, 3), 10, (0.5,) * 3, (0.25,) * 3)
    thin = name == "thin"
    chosen = preset("cifar100", "laptop") if thin else preset("tinyimagenet", "paper")
    shape = (32, 32, 3) if thin else (64, 64, 3)
    config = dataclasses.replace(chosen.config, backbone=name, image_size=None)
    if not thin:
        config = dataclasses.replace(config, batch_size=32)
    return config, chosen.uncle, InputSpec(shape, 10, (0.5,) * 3, (0.25,) * 3)


class Ours:
    """UnCLe's learner with T of T + 1 tasks retained; its steps carry on from one another."""

    def __init__(self, name: str, tasks: int, uncle: Any = None, **changes: Any) -> None:
        config, usual, self.spec = sizes(name)
        self.config = dataclasses.replace(config, **changes)
        self.uncle: Uncle = usual if uncle is None else uncle
        self.learner = hypernetwork(self.spec, tasks + 1, self.config, settings=self.uncle)
        self.net: Network = self.learner.network
        self.task, self.lr, self.key = tasks, np.float32(1e-4), jax.random.key(2)
        self.inputs = task_input(self.spec, 0, self.net.shape)
        images = np.random.RandomState(0).randint(0, 256, (512, *self.net.shape))
        self.images = images.astype(np.uint8)
        labels = np.arange(self.config.batch_size, dtype=np.int32) % self.spec.n_classes
        self.batch = Data(self.images[: self.config.batch_size], labels)

    @cached_property
    def state(self) -> CLState:
        """A state that retains every task but the last."""
        state = self.learner.method.init(jax.random.key(0))
        return dataclasses.replace(state, status=state.status.at[: self.task].set(LEARNED))

    def learn(self) -> Step:
        net, held = self.net, hold(self.net, self.state)
        task = steps.TaskToLearn(self.inputs, jnp.zeros(()))
        carry = [steps.start_learning(net, self.state, self.state.task_emb[self.task])]

        def step() -> Any:
            carry[0], losses = steps.learn(net, carry[0], task, held, self.batch, self.lr)
            return carry[0], losses

        return step

    def unlearn(self) -> Step:
        net, carry, forgotten, held = self.net, *self.begun()
        kept = [carry]

        def step() -> Any:
            given = kept[0], forgotten, held, self.key, self.lr
            kept[0], losses = steps.unlearn(net, self.uncle, *given)
            return kept[0], losses

        return step

    def begun(self) -> Any:
        """What an unlearning request starts with, and what holds the others."""
        key = jax.random.key(1)
        carry, forgotten = steps.start_unlearning(self.net, self.uncle, self.state, self.task, key)
        return carry, forgotten, hold(self.net, self.state, unlearning=True)

    def evaluate(self) -> Any:
        """Logits of 512 images, the network's generation included."""
        emb, stats = row_of((self.state.task_emb, self.state.norm_stats), self.task)
        theta = steps.theta(self.net, self.state.phi, emb, self.state.chunk_emb)
        return steps.logits(self.net, theta, stats, self.inputs, self.images)

    def plain(self) -> Step:
        """The step of the same network with weights of its own."""
        net = clpu.networks(self.spec, 1, self.config, None)
        carry = [clpu.start(net, jax.random.key(3))]

        def step() -> Any:
            carry[0], loss = clpu.step(net, carry[0], self.inputs, *self.batch, self.lr)
            return carry[0], loss

        return step


def subjects(name: str, tasks: int, wanted: list[str]) -> dict[str, Step]:
    """What is timed, by name, ready to be called again and again."""
    ours = Ours(name, tasks)
    config, uncle, spec = ours.config, ours.uncle, ours.spec
    shape, size = ours.net.shape, ours.net.layout.size

    def peer(flat: bool) -> Mapping[str, Step]:
        return peers.hypnettorch(config, uncle, shape, spec.n_classes, tasks, size, flat)

    found: dict[str, Step] = {}
    for one in wanted:
        kind, _, form = one.partition("-")
        if kind in ("learn", "unlearn", "plain") and not form:
            found[one] = getattr(ours, kind)()
        elif kind in ("learn", "unlearn"):
            other = Ours(name, tasks, dataclasses.replace(uncle, drift=form))  # pyright: ignore[reportArgumentType]
            found[one] = getattr(other, kind)()
        elif one in ("begin", "evaluate"):
            found[one] = ours.begun if one == "begin" else ours.evaluate
        elif one == "torch-plain":
            found[one] = peers.plain(config, shape, spec.n_classes)
    for flat, prefix in ((False, "hypnettorch-"), (True, "hypnettorch-flat-")):
        theirs = [one for one in wanted if one in (prefix + "learn", prefix + "unlearn")]
        if theirs:
            steps_ = peer(flat)
            found |= {one: steps_[one.removeprefix(prefix)] for one in theirs}
    return found


def timed(step: Step) -> tuple[float, float]:
    """(wall, CPU) seconds of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    jax.block_until_ready(step())
    return time.perf_counter() - wall, time.process_time() - cpu


def case(name: str, tasks: int, wanted: list[str], rounds: int) -> list[dict[str, Any]]:
    """A row for each subject, in this process: medians, and the first call, which compiles."""
    todo = subjects(name, tasks, wanted)
    first = {one: timed(step)[0] for one, step in todo.items()}
    times: dict[str, list[tuple[float, float]]] = {one: [] for one in todo}
    for index in range(rounds + 1):
        for one, step in todo.items():
            found = timed(step)
            if index:  # the second call warms up
                times[one].append(found)
    rows = []
    for one, took in times.items():
        wall, cpu = (statistics.median(part) for part in zip(*took, strict=True))
        told = {"network": name, "T": tasks, "subject": one, "seconds": wall, "cpu_seconds": cpu}
        told |= {"first_seconds": first[one], "all": [round(w, 4) for w, _ in took]}
        rows.append(told)
    return rows


def memory(name: str, tasks: int, subject: str) -> list[dict[str, Any]]:
    """A row with this process's peak memory after two steps of one subject."""
    (step,) = subjects(name, tasks, [subject]).values()
    for _ in range(2):
        jax.block_until_ready(step())
    told = {"network": name, "T": tasks, "subject": subject}
    return [told | {"peak_mb": round(peak_memory() / 1e6, 1)}]


def table(rows: list[dict[str, Any]]) -> str:
    """Wall seconds (CPU seconds) of each subject by T, ratios and peak memory below."""
    ran = [row for row in rows if "seconds" in row]
    tasks = sorted({row["T"] for row in ran})
    at = {(row["subject"], row["T"]): row for row in ran}
    names = list(dict.fromkeys(row["subject"] for row in ran))
    lines = list[str]()

    def line(name: str, cells: Iterable[str]) -> None:
        lines.append(name.ljust(26) + "".join(f"{cell:>18}" for cell in cells))

    line("wall (CPU) seconds", (f"T = {t}" for t in tasks))
    for name in names:
        cells = [at.get((name, t)) for t in tasks]
        told = [f"{c['seconds']:.3f} ({c['cpu_seconds']:.3f})" if c else "-" for c in cells]
        line(name, told)
    for name in ("learn", "unlearn", "plain"):
        first = [at.get((name, t), {}).get("first_seconds") for t in tasks]
        cells = [
            "-" if f is None else f"{f - at[name, t]['seconds']:.1f}"
            for f, t in zip(first, tasks, strict=True)
        ]
        line(f"{name}, compiling", cells)
    cells = []
    for t in tasks:
        begin, step = at.get(("begin", t)), at.get(("unlearn", t))
        whole = begin["seconds"] + BURN_IN * step["seconds"] if begin and step else None
        cells.append("-" if whole is None else f"{whole:.2f}")
    line(f"request, {BURN_IN} iterations", cells)
    for name, over in ratios(names):
        cells = []
        for t in tasks:
            a, b = at.get((name, t)), at.get((over, t))
            told = [f"{a[k] / b[k]:.2f}" for k in ("seconds", "cpu_seconds")] if a and b else []
            cells.append(f"{told[0]} ({told[1]})" if told else "-")
        line(f"{name} / {over}", cells)
    for row in rows:
        if "peak_mb" in row:
            lines.append(f"peak memory, T = {row['T']}, {row['subject']}: {row['peak_mb']:.0f} MB")
    return "\n".join(lines)


def ratios(names: list[str]) -> list[tuple[str, str]]:
    """Which subject is compared with which."""
    found = [("learn", "plain"), ("plain", "torch-plain")]
    for step in ("learn", "unlearn"):
        found += [(f"hypnettorch-{step}", step), (f"hypnettorch-flat-{step}", step)]
    return [(a, b) for a, b in found if a in names and b in names]


def run(args: argparse.Namespace, *words: str) -> list[dict[str, Any]]:
    """The rows of a case in a process of its own; one that dies is told and left out."""
    command = [sys.executable, __file__, "--network", args.network, "--malloc", args.malloc]
    command += words
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed: out of memory?"])[-1]
        print(f"{' '.join(words)}: exit {done.returncode}: {last}", file=sys.stderr)
        return []
    return json.loads(done.stdout)


def main(argv: list[str] | None = None) -> int:
    """Measure what the file lacks, print the table, draw the plot."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--network", choices=NETWORKS, default="thin")
    p.add_argument("--tasks", type=int, nargs="+", default=[1, 5, 10, 20, 50])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--forms", action="store_true", help="the drift's two forms, too")
    p.add_argument("--peers-most", type=int, default=20, help="tasks that PyTorch's are run with")
    p.add_argument("--no-peers", action="store_true")
    p.add_argument("--peers-of", type=Path, metavar="FILE", help="another run's, in the table")
    p.add_argument("--malloc", choices=("kept", "kernel"), default="kept", help="freed memory")
    p.add_argument("--no-memory", action="store_true")
    p.add_argument("--out", type=Path)
    p.add_argument("--plot", type=Path, help="needs only --out's file if that has every case")
    p.add_argument("--case", type=int, default=0, help=argparse.SUPPRESS)
    p.add_argument("--memory", type=int, default=0, help=argparse.SUPPRESS)
    p.add_argument("--subjects", nargs="+", help=argparse.SUPPRESS)
    args = p.parse_args(argv)
    if args.malloc == "kept":
        keep_freed()
    if args.case or args.memory:
        found = memory(args.network, args.memory, *args.subjects) if args.memory else None
        found = found or case(args.network, args.case, args.subjects, args.rounds)
        print(json.dumps(found))
        return 0
    told, with_peers = environment() | {"malloc": args.malloc}, not args.no_peers
    if with_peers:
        try:
            told |= peers.versions()
        except ImportError as error:
            print(f"without peers: {error}", file=sys.stderr)
            with_peers = False
    rows: list[dict[str, Any]] = []
    if args.out and args.out.exists():
        read = json.loads(args.out.read_text(encoding="utf-8"))
        rows, told = read["rows"], {k: v for k, v in read.items() if k != "rows"}
    for tasks in args.tasks:
        wanted = ["learn", "unlearn", "plain", "begin", "evaluate"]
        if args.forms:
            wanted += ["unlearn-exact", "unlearn-direct"]
        peered = with_peers and tasks <= args.peers_most
        wanted += [*PEERS, *FLAT] if peered else []
        timed_ = {(r["T"], r["subject"]) for r in rows if "seconds" in r}
        if any((tasks, one) not in timed_ for one in wanted):
            rows = [r for r in rows if r["T"] != tasks or "seconds" not in r]
            words = ["--case", tasks, "--rounds", args.rounds, "--subjects", *wanted]
            rows += run(args, *map(str, words))
            save(args.out, rows, told)
        weighed = {(r["T"], r["subject"]) for r in rows if "peak_mb" in r}
        for one in ["learn", "unlearn", *(["hypnettorch-unlearn"] if peered else [])]:
            if not args.no_memory and (tasks, one) not in weighed:
                rows += run(args, "--memory", str(tasks), "--subjects", one)
                save(args.out, rows, told)
    shown = rows
    if args.peers_of:
        others = json.loads(args.peers_of.read_text(encoding="utf-8"))["rows"]
        shown = [r for r in rows if "torch" not in r["subject"]]
        shown += [r for r in others if "torch" in r["subject"]]
    print(table(shown))
    if args.plot:
        plot_cost(args.plot, costs({"rows": rows}))
    return 0


def save(out: Path | None, rows: list[dict[str, Any]], told: dict[str, Any]) -> None:
    """The rows so far."""
    if out:
        out.write_text(json.dumps({"rows": rows, **told}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
