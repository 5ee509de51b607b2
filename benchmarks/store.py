"""What durability costs, and how long one unlearn request takes from a fresh process.

python benchmarks/store.py overhead [JSON]   share of a laptop sequence's time spent on its store
python benchmarks/store.py fresh [JSON]      ResNet-18 size, ten tasks: where the seconds go
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import uncle_jax
from uncle_jax.config import Config, Uncle, fingerprint
from uncle_jax.core.status import LEARNED
from uncle_jax.engine import resume as sequence
from uncle_jax.engine import sequence as engine
from uncle_jax.engine.learner import identity as identity_of
from uncle_jax.evaluation.answers import Answer
from uncle_jax.runs.environment import environment
from uncle_jax.store import recovery as opening
from uncle_jax.store.inflight import Saves
from uncle_jax.tasks import InputSpec

REQUEST = Path(__file__).resolve().parents[1] / "experiments" / "request.py"
SAVE_EVERY = 20  # epochs; run.py's default


class Clock:
    """Seconds spent inside the functions it wraps, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - started
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        return timed


def overhead(folder: Path) -> dict[str, Any]:
    """Permuted digits, sequence 1, laptop preset: seconds of store work in the whole sequence's.

    Timed inside one run, so that a machine shared with others slows both alike.
    """
    benchmark = uncle_jax.permuted_digits(seed=0)
    config, settings = (p := uncle_jax.preset("permuted-digits", "laptop")).config, p.uncle
    method = uncle_jax.uncle(benchmark.spec, benchmark.n_tasks, config, settings=settings)
    requests, key, clock = uncle_jax.table_4("permuted-digits", 1), jax.random.key(0), Clock()
    identity = identity_of("uncle", benchmark.spec, benchmark.n_tasks, config, settings)
    started = time.perf_counter()
    method.init(key)  # any run makes one; what is timed below is compiled by then
    open_ = clock.wrap("open", sequence.open_sequence)
    kept, done = open_(folder, method, key, identity, fingerprint({}))

    def inflight(index: int, request: uncle_jax.Request) -> Any:
        saves = sequence.saves(kept, SAVE_EVERY, index, request)
        return TimedSaves(saves, clock)

    def on_request(answer: Answer, state: Any) -> None:
        commit = clock.wrap("commit", kept.commit)
        commit(state, sequence.facts_of(kept, method, answer))

    with kept:
        run = engine.run_sequence(
            method, benchmark, requests, key, None, on_request, done=done, inflight=inflight
        )
    wall = time.perf_counter() - started
    compiling = sum(answer.compile_seconds for answer in run.answers)
    spent = sum(clock.seconds.values())
    return {
        "requests": " ".join(map(str, requests)),
        "save_every_epochs": SAVE_EVERY,
        "wall_seconds": wall,
        "compile_seconds": compiling,
        "store_seconds": clock.seconds,
        "share_of_wall_percent": 100 * spent / wall,
        "share_without_compiling_percent": 100 * spent / (wall - compiling),
    }


class TimedSaves:
    """`Saves`, timed; what is still being computed when a save begins is not the save's time."""

    def __init__(self, saves: Saves, clock: Clock) -> None:
        self.resume = clock.wrap("resume", saves.resume)
        self._save = clock.wrap("in-request save", saves.after_epoch)

    def after_epoch(self, done: int, carry: Any) -> None:
        jax.block_until_ready(carry)
        self._save(done, carry)


def fresh(folder: Path) -> dict[str, Any]:
    """One `unlearn` from a fresh process on a store that holds ten tasks of a ResNet-18.

    The second process finds the first one's compiled programs. The ten networks are as initialised:
    what is restored, compiled, optimised and saved does not depend on their values. No test data.
    20 iterations: where the paper's schedule (100, 90, 81, ...) ends.
    """
    spec, config = InputSpec((28, 28, 1), 10, (0.5,), (0.5,)), Config()
    settings = Uncle(burn_in=20)
    method = uncle_jax.uncle(spec, 10, config, settings=settings)
    state = method.init(jax.random.key(0))
    identity = identity_of("uncle", spec, 10, config, settings)
    learned = state.replace(status=jnp.full_like(state.status, LEARNED))
    facts = {"id": "all", "op": "L", "task": 0, "accuracy": {}, "seconds": {}}
    with opening.create(folder / "made", state, identity) as made:
        made.commit(learned, facts)
    n_phi = sum(leaf.size for leaf in jax.tree.leaves(state.phi))
    found: dict[str, Any] = {"phi_parameters": n_phi, "iterations": settings.burn_in}
    del state, learned
    for name in ("first process", "second process"):
        shutil.rmtree(folder / "store", ignore_errors=True)
        shutil.copytree(folder / "made", folder / "store")
        command = [sys.executable, str(REQUEST), "--store", str(folder / "store")]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "--compile-cache", str(folder / "compiled"), "unlearn", "3"],
            capture_output=True,
            text=True,
            check=True,
        )
        wall = time.perf_counter() - started
        (line,) = re.findall(r"^seconds: (.*) \(", done.stdout, flags=re.MULTILINE)
        parts = {k: float(v) for k, v in (part.split(" ") for part in line.split(", "))}
        found[name] = {**parts, "wall_seconds": wall}
        print(f"{name}: {found[name]}", flush=True)
    first, second = (found[name]["compile"] for name in ("first process", "second process"))
    return {**found, "compile_ratio": first / second}


def main(what: str, out: Path | None) -> None:
    """Run `what`, print it, and write it to `out` if given."""
    surroundings = environment()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "overhead": partial(overhead, Path(folder) / "store"),
            "fresh": partial(fresh, Path(folder)),
        }
        result = parts[what]()
    result = {"benchmark": what, **result, "load_average_at_start": load, **surroundings}
    text = json.dumps(result, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("overhead", "fresh"):
        sys.exit("usage: python benchmarks/store.py overhead|fresh [JSON]")
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
